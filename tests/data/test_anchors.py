from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.anchors import find_anchors
from geodl.data.windows import intersects
from tests.data.fakes import FakeLabels

nothing = np.empty((0, 4), np.int64)
rectangle = st.tuples(st.integers(0, 35), st.integers(0, 35), st.integers(1, 12), st.integers(1, 12)).map(
    lambda t: (t[0], t[1], t[0] + t[2], t[1] + t[3])
)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_each_labelled_pixel_is_in_one_cell(height: int, width: int, patch: int, side_by_side: bool, seed: int) -> None:
    indices = np.random.default_rng(seed).integers(-4, 3, (height, width)).clip(-1)
    anchors = find_anchors(FakeLabels(indices), nothing, patch=patch, side_by_side=side_by_side)
    counted = np.zeros(indices.shape, int)
    for (top, left, bottom, right), counts in zip(*anchors[::2]):
        inside = indices[top:bottom, left:right]
        counted[top:bottom, left:right] += 1
        assert counts.tolist() == [(inside == k).sum() for k in range(3)]
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert (edge >= 0).any()
        assert max(bottom - top, right - left) <= (patch if side_by_side else max(1, patch // 2))
    assert (counted[indices >= 0] == 1).all() and counted.max(initial=0) <= 1


@settings(deadline=None)
@given(st.lists(rectangle, max_size=5), st.integers(1, 16), st.booleans(), st.integers(0, 99))
def test_a_cells_window_holds_it_inside_the_scene_and_off_the_excluded(
    excluded: list[tuple[int, int, int, int]], patch: int, side_by_side: bool, seed: int
) -> None:
    indices = np.where(np.random.default_rng(seed).random((37, 45)) < 0.3, 1, -1)
    blocked = np.array(excluded, np.int64).reshape(-1, 4)
    anchors = find_anchors(FakeLabels(indices), blocked, patch=patch, side_by_side=side_by_side)
    windows = np.hstack([anchors.corners, anchors.corners + patch])
    assert not intersects(windows, blocked).any()
    assert (windows[:, :2] >= 0).all() and (windows[:, 2:] <= (37, 45)).all()
    assert (anchors.cells[:, :2] >= windows[:, :2]).all() and (anchors.cells[:, 2:] <= windows[:, 2:]).all()


def test_labels_beside_what_is_excluded_are_reached_all_the_same() -> None:
    indices = np.full((64, 64), -1)
    indices[30:34, 33] = 2
    anchors = find_anchors(FakeLabels(indices), np.array([[0, 0, 64, 33]]), patch=16)
    assert anchors.counts.sum(0).tolist() == [0, 0, 4]
    assert set(anchors.corners[:, 1]) == {33}


def test_labels_between_excluded_rectangles_closer_than_a_window_are_left_out() -> None:
    indices = np.full((64, 64), -1)
    indices[30, 33] = 2
    blocked = np.array([[0, 0, 64, 30], [0, 40, 64, 64]])
    assert len(find_anchors(FakeLabels(indices), blocked, patch=11).cells) == 0
    assert len(find_anchors(FakeLabels(indices), blocked, patch=10).cells) == 1


def test_windows_side_by_side_are_the_grid_shifted_in_at_the_edge() -> None:
    anchors = find_anchors(FakeLabels(np.zeros((20, 30))), nothing, patch=8, side_by_side=True)
    assert anchors.corners.tolist() == [[r, c] for r in (0, 8, 12) for c in (0, 8, 16, 22)]


def test_windows_of_a_scene_smaller_than_them_are_centred_on_it() -> None:
    anchors = find_anchors(FakeLabels(np.zeros((3, 40))), nothing, patch=8)
    assert set(anchors.corners[:, 0]) == {-2}
    assert anchors.corners[:, 1].min() >= 0 and anchors.corners[:, 1].max() <= 32


def test_labels_are_read_once_in_blocks() -> None:
    labels = FakeLabels(np.zeros((2100, 1500), np.int8))
    anchors = find_anchors(labels, nothing, patch=100)
    read = sum(w.height * w.width for w in labels.reads)
    assert read == 2100 * 1500
    assert max(w.height * w.width for w in labels.reads) <= 1024**2
    assert len(anchors.cells) == 42 * 30
