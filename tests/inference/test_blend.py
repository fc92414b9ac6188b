from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.inference.blend import Blender, Panel, Part, ramp_weights
from geodl.inference.blocks import Span, axis_spans

_quick = settings(max_examples=40, deadline=None)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[int, tuple[Span, ...]]:
    """Length of an axis and its spans."""
    overlap = draw(st.integers(0, 12))
    hold = draw(st.integers(0, overlap // 2))
    tile = overlap + max(1, overlap - 2 * hold) + draw(st.integers(8, 24))
    length = draw(st.integers(1, 60))
    return length, axis_spans(length, tile=tile, overlap=overlap, hold=hold)


def blend_all(
    rows: tuple[Span, ...], columns: tuple[Span, ...], panel: Panel, outputs: dict, channels: int, scale: int = 1
) -> np.ndarray:
    ramp = max(span.last - span.fade for span in rows)
    blender = Blender(panel, ramp=ramp, channels=channels, scale=scale)
    result = np.full(((panel.bottom - panel.top) * scale, (panel.right - panel.left) * scale, channels), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if row.overlaps(panel.top, panel.bottom) and column.overlaps(panel.left, panel.right):
                part = Part(row, column, panel)
                done = blender.add(part, outputs[i, j])
                y, x = (part.top - panel.top) * scale, (part.left - panel.left) * scale
                result[y : y + done.shape[0], x : x + done.shape[1]] = done
    return result


@_quick
@given(tilings(), st.integers(1, 3))
def test_weights_sum_to_one_everywhere(axis: tuple[int, tuple[Span, ...]], scale: int) -> None:
    length, spans = axis
    total = sum(ramp_weights(span, 0, length, scale=scale) for span in spans)
    np.testing.assert_allclose(total, 1, atol=1e-6)


@_quick
@given(tilings())
def test_weights_depend_on_the_position_alone(axis: tuple[int, tuple[Span, ...]]) -> None:
    length, spans = axis
    for span in spans:
        whole = ramp_weights(span, 0, length)
        for low in (0, length // 3, length // 2):
            np.testing.assert_array_equal(ramp_weights(span, low, length), whole[low:])


def test_a_ramp_is_half_a_cosine() -> None:
    (one, other) = axis_spans(40, tile=30, overlap=12, hold=2)
    weights = ramp_weights(other, 0, 40)
    assert (weights[:20] == 0).all() and (weights[28:] == 1).all()
    np.testing.assert_allclose(weights[20:28], 0.5 - 0.5 * np.cos(np.pi * (np.arange(8) + 0.5) / 8), rtol=1e-6)
    np.testing.assert_allclose(ramp_weights(one, 20, 28), weights[20:28][::-1], atol=1e-6)


@_quick
@given(tilings(), tilings(), st.integers(1, 2), st.data())
def test_streaming_equals_the_weighted_sum_over_all_tiles(
    vertical: tuple[int, tuple[Span, ...]],
    horizontal: tuple[int, tuple[Span, ...]],
    scale: int,
    data: st.DataObject,
) -> None:
    (height, rows), (width, columns) = vertical, horizontal
    rng = np.random.default_rng(0)
    expected = np.zeros((height * scale, width * scale, 2))
    outputs = {}
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            outputs[i, j] = rng.normal(size=(row.size * scale, column.size * scale, 2)).astype(np.float32)
            weights = np.outer(
                ramp_weights(row, row.start, row.stop, scale=scale),
                ramp_weights(column, column.start, column.stop, scale=scale),
            )
            y, x = slice(row.start * scale, row.stop * scale), slice(column.start * scale, column.stop * scale)
            expected[y, x] += outputs[i, j] * weights[..., None]
    whole = blend_all(rows, columns, Panel(0, height, 0, width), outputs, 2, scale)
    np.testing.assert_allclose(whole, expected, atol=1e-5)

    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    part = blend_all(rows, columns, Panel(top, bottom, left, right), outputs, 2, scale)
    np.testing.assert_array_equal(part, whole[top * scale : bottom * scale, left * scale : right * scale])


@_quick
@given(tilings(), tilings())
def test_constant_outputs_stay_constant(
    vertical: tuple[int, tuple[Span, ...]], horizontal: tuple[int, tuple[Span, ...]]
) -> None:
    (height, rows), (width, columns) = vertical, horizontal
    outputs = {
        (i, j): np.full((row.size, column.size, 1), 7, np.float32)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    }
    blended = blend_all(rows, columns, Panel(0, height, 0, width), outputs, 1)
    np.testing.assert_allclose(blended, 7, rtol=1e-6)


def test_what_is_kept_is_the_ramp_and_not_the_scene() -> None:
    for height in (1_000, 100_000):
        rows = axis_spans(height, tile=100, overlap=20, hold=5)
        blender = Blender(Panel(0, height, 0, 300), ramp=max(s.last - s.fade for s in rows), channels=4)
        assert blender.kept_bytes == 10 * 300 * 4 * 4


def test_nothing_is_kept_without_ramps() -> None:
    rows = axis_spans(1000, tile=100, overlap=20, hold=10)
    blender = Blender(Panel(0, 1000, 0, 300), ramp=max(s.last - s.fade for s in rows), channels=4)
    assert blender.kept_bytes == 0
