from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geodl.data.windows import (
    clamp,
    clear_position,
    clip,
    disjoint,
    expand,
    grid_windows,
    intersects,
    open_fraction,
    partition,
    position_range,
    rectangles,
    subtract,
    to_window,
)

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
windows = st.builds(Window, st.integers(-10, 40), st.integers(-10, 40), st.integers(1, 25), st.integers(1, 25))


def painted(shape: tuple[int, int], some: list[Window] | np.ndarray) -> np.ndarray:
    """Counts, pixel by pixel, how many windows hold it."""
    count = np.zeros(shape, int)
    for top, left, bottom, right in some if isinstance(some, np.ndarray) else rectangles(some):
        count[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] += 1
    return count


@settings(deadline=None)
@given(shapes, st.integers(1, 15))
def test_grid_windows_count_each_pixel_once(shape: tuple[int, int], size: int) -> None:
    found = grid_windows(shape, size)
    assert (painted(shape, found) == 1).all()
    assert all((w.height, w.width) == (size, size) for w in found)
    assert found == sorted(found, key=lambda w: (w.row_off, w.col_off))


@settings(deadline=None)
@given(shapes, st.integers(1, 15), st.data())
def test_overlapping_grid_windows_cover_and_none_is_superfluous(
    shape: tuple[int, int], size: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(1, size))
    found = grid_windows(shape, size, step=step)
    assert (painted(shape, found) >= 1).all()
    rows = sorted({w.row_off for w in found})
    assert len(rows) == 1 or rows[-2] + size < shape[0]


@settings(deadline=None)
@given(windows, st.integers(1, 15))
def test_partition_holds_each_pixel_of_the_window_once(window: Window, size: int) -> None:
    parts = partition(window, size)
    moved = [Window(p.col_off + 10, p.row_off + 10, p.width, p.height) for p in parts]
    whole = Window(window.col_off + 10, window.row_off + 10, window.width, window.height)
    assert (painted((90, 90), moved) == painted((90, 90), [whole])).all()
    assert all(0 < p.height <= size and 0 < p.width <= size for p in parts)


@settings(deadline=None)
@given(windows, shapes)
def test_clip_is_what_lies_in_the_raster(window: Window, shape: tuple[int, int]) -> None:
    cut = clip(window, shape)
    assert (painted(shape, [cut]) == painted(shape, [window])).all()
    assert cut.height * cut.width == painted(shape, [window]).sum()
    assert cut.col_off >= 0 and cut.row_off >= 0


@settings(deadline=None)
@given(windows, shapes)
def test_clamp_moves_as_little_as_it_must_or_centres(window: Window, shape: tuple[int, int]) -> None:
    moved = clamp(window, shape)
    assert (moved.height, moved.width) == (window.height, window.width)
    for start, old, size, length in (
        (moved.row_off, window.row_off, window.height, shape[0]),
        (moved.col_off, window.col_off, window.width, shape[1]),
    ):
        if size <= length:
            assert 0 <= start <= length - size
            assert start == old or start in (0, length - size)
        else:
            before, after = -start, start + size - length
            assert before in (after, after - 1)


def test_expand_grows_on_all_sides_and_stops_at_the_edge() -> None:
    assert expand(Window(5, 6, 3, 2), 2) == Window(3, 4, 7, 6)
    assert expand(Window(1, 6, 3, 2), 4, (9, 6)) == Window(0, 2, 6, 7)


@settings(deadline=None)
@given(st.lists(windows, max_size=6), st.lists(windows, max_size=6))
def test_intersects_means_a_shared_pixel(some: list[Window], others: list[Window]) -> None:
    def cells(w: Window) -> set[tuple[int, int]]:
        return {(r, c) for r in range(w.row_off, w.row_off + w.height) for c in range(w.col_off, w.col_off + w.width)}

    expected = [any(cells(one) & cells(other) for other in others) for one in some]
    assert intersects(rectangles(some), rectangles(others)).tolist() == expected


@settings(deadline=None)
@given(windows.map(lambda w: clip(w, (40, 40))), st.lists(windows, max_size=6))
def test_subtract_leaves_each_other_pixel_once(window: Window, others: list[Window]) -> None:
    left = subtract(window, rectangles(others))
    expected = (painted((70, 70), [window]) > 0) & (painted((70, 70), others) == 0)
    assert (painted((70, 70), left) == expected).all()


@settings(deadline=None)
@given(st.lists(windows.map(lambda w: clip(w, (40, 40))), max_size=6))
def test_disjoint_keeps_each_pixel_once(some: list[Window]) -> None:
    assert (painted((40, 40), disjoint(some)) == (painted((40, 40), some) > 0)).all()


@settings(deadline=None)
@given(shapes, st.integers(1, 30), st.data())
def test_windows_in_the_position_range_hold_the_cell_inside_the_raster(
    shape: tuple[int, int], size: int, data: st.DataObject
) -> None:
    top, left = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    bottom, right = data.draw(st.integers(top + 1, shape[0])), data.draw(st.integers(left + 1, shape[1]))
    low, high = (ends[0] for ends in position_range(np.array([[top, left, bottom, right]]), size, shape))
    for axis, (start, stop) in enumerate(((top, bottom), (left, right))):
        length = shape[axis]
        if size > length:
            assert low[axis] == high[axis] == clamp(Window(0, 0, size, size), shape).toranges()[axis][0]
            continue
        possible = [
            p
            for p in range(length - size + 1)
            if (p <= start and stop <= p + size) or (start <= p and p + size <= stop)
        ]
        assert (low[axis], high[axis]) == (possible[0], possible[-1])


blocked = st.lists(
    st.builds(Window, st.integers(0, 20), st.integers(0, 20), st.integers(1, 9), st.integers(1, 9)), max_size=6
)


@settings(deadline=None)
@given(blocked, st.integers(1, 9), st.data())
def test_a_clear_position_is_found_if_and_only_if_there_is_one(
    obstacles: list[Window], size: int, data: st.DataObject
) -> None:
    low = np.array([data.draw(st.integers(0, 10)), data.draw(st.integers(0, 10))])
    high = low + np.array([data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))])
    corners = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high)), indexing="ij"), -1).reshape(-1, 2)
    free = corners[~intersects(np.hstack([corners, corners + size]), rectangles(obstacles))]
    found = clear_position(low, high, size, rectangles(obstacles))
    assert (found is not None) == (len(free) > 0)
    if found is not None:
        assert found.tolist() in free.tolist()


@settings(deadline=None)
@given(shapes, blocked, st.integers(1, 15))
def test_open_fraction_counts_the_clear_positions(shape: tuple[int, int], obstacles: list[Window], size: int) -> None:
    low, high = (ends[0] for ends in position_range(np.array([[0, 0, *shape]]), size, shape))
    corners = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high)), indexing="ij"), -1).reshape(-1, 2)
    taken = intersects(np.hstack([corners, corners + size]), rectangles(obstacles))
    assert open_fraction(shape, size, rectangles(obstacles)) == pytest.approx(1 - taken.mean())


def test_rows_and_windows_are_inverse() -> None:
    window = Window(3, 4, 5, 6)
    assert rectangles([window]).tolist() == [[4, 3, 10, 8]]
    assert to_window(rectangles([window])[0]) == window
    assert rectangles([]).shape == (0, 4)
