from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.inference.blocks import Span, axis_spans, hold_for, panels, round_up

_quick = settings(max_examples=50, deadline=None)


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int, tuple[Span, ...]]:
    """Length, tile, overlap, hold, spans."""
    overlap = draw(st.integers(0, 40))
    hold = draw(st.integers(0, overlap // 2))
    tile = overlap + max(1, overlap - 2 * hold) + draw(st.integers(0, 60))
    length = draw(st.integers(1, 300))
    return length, tile, overlap, hold, axis_spans(length, tile=tile, overlap=overlap, hold=hold)


@_quick
@given(axes())
def test_finished_parts_partition_the_axis(axis: tuple[int, int, int, int, tuple[Span, ...]]) -> None:
    length, _, _, _, spans = axis
    assert spans[0].first == 0 and spans[-1].fade == length
    assert all(one.fade == other.first for one, other in pairwise(spans))
    assert all(span.fade > span.first for span in spans)


@_quick
@given(axes())
def test_tiles_lie_on_the_lattice_and_are_clipped_not_shifted(
    axis: tuple[int, int, int, int, tuple[Span, ...]],
) -> None:
    length, tile, overlap, _, spans = axis
    for k, span in enumerate(spans):
        assert span.start == k * (tile - overlap)
        assert span.stop == min(span.start + tile, length)
        assert span.start <= span.first <= span.full <= span.fade <= span.last <= span.stop


@_quick
@given(axes())
def test_each_pixel_counts_in_one_tile_or_ramps_between_two(axis: tuple[int, int, int, int, tuple[Span, ...]]) -> None:
    length, _, overlap, hold, spans = axis
    for position in range(length):
        counting = [span for span in spans if span.first <= position < span.last]
        assert 1 <= len(counting) <= 2
        if len(counting) == 2:
            one, other = counting
            assert one.fade <= position < one.last and other.first <= position < other.full
            assert one.last - one.fade == other.full - other.first == overlap - 2 * hold


@_quick
@given(axes())
def test_held_pixels_are_at_least_that_far_from_inner_edges(
    axis: tuple[int, int, int, int, tuple[Span, ...]],
) -> None:
    length, _, _, hold, spans = axis
    for span in spans:
        assert span.start == 0 or span.first - span.start >= hold
        assert span.stop == length or span.stop - span.last >= hold


@_quick
@given(st.integers(0, 400), st.integers(0, 400))
def test_twice_the_margin_leaves_no_ramp_and_less_keeps_changes_near(overlap: int, margin: int) -> None:
    hold = hold_for(overlap, margin)
    assert 0 <= 2 * hold <= overlap
    if overlap >= 2 * margin:
        assert hold == overlap // 2
    else:
        # Where the last tile is dropped as a scene shrinks, what changes is at most this far from the border.
        assert overlap - hold <= margin or overlap <= margin


@_quick
@given(axes(), st.integers(1, 120))
def test_growing_a_scene_changes_only_spans_at_its_end(
    axis: tuple[int, int, int, int, tuple[Span, ...]], more: int
) -> None:
    length, tile, overlap, hold, spans = axis
    grown = axis_spans(length + more, tile=tile, overlap=overlap, hold=hold)
    reach = overlap - hold
    for position in range(max(length - reach, 0)):
        before = [(s.start, s.first, s.full) for s in spans if s.first <= position < s.last]
        after = [(s.start, s.first, s.full) for s in grown if s.first <= position < s.last]
        assert before == after


@given(axes(), st.sampled_from([1, 4, 16]))
def test_a_last_tile_that_reads_more_counts_where_it_did(
    axis: tuple[int, int, int, int, tuple[Span, ...]], lattice: int
) -> None:
    length, tile, overlap, hold, spans = axis
    full = axis_spans(length, tile=tile, overlap=overlap, hold=hold, lattice=lattice)
    assert [replace(span, start=0) for span in full] == [replace(span, start=0) for span in spans]
    assert [span.start for span in full[:-1]] == [span.start for span in spans[:-1]]
    assert full[-1].start <= spans[-1].start
    assert full[-1].start == spans[-1].start or (
        full[-1].start % lattice == 0 and tile - lattice < full[-1].size <= tile
    )


def test_a_scene_of_one_tile_is_not_cut() -> None:
    assert axis_spans(64, tile=64, overlap=16, hold=4) == (Span(0, 64, 0, 0, 64, 64),)
    assert len(axis_spans(65, tile=64, overlap=16, hold=4)) == 2


def test_impossible_tilings_are_refused() -> None:
    with pytest.raises(ValueError, match="no tiling"):
        axis_spans(100, tile=16, overlap=16, hold=0)
    with pytest.raises(ValueError, match="no tiling"):
        axis_spans(100, tile=20, overlap=12, hold=0)


@_quick
@given(axes(), st.integers(1, 300), st.data())
def test_panels_partition_any_part_and_are_bounded(
    axis: tuple[int, int, int, int, tuple[Span, ...]], most: int, data: st.DataObject
) -> None:
    length, _, _, _, spans = axis
    low = data.draw(st.integers(0, length - 1))
    high = data.draw(st.integers(low + 1, length))
    found = list(panels(spans, low, high, most))
    assert found[0][0] == low and found[-1][1] == high
    assert all(one[1] == other[0] for one, other in pairwise(found))
    for left, right in found:
        cells = [span for span in spans if span.first < right and span.fade > left]
        assert right - left <= most or len(cells) == 1


def test_round_up() -> None:
    assert [round_up(n, 16) for n in (0, 1, 16, 17)] == [0, 16, 16, 32]
