"""Windows of a raster: pure geometry, no input or output.

Where many windows meet many, they are rows `(top, left, bottom, right)` of an integer array of shape (n, 4), the last
two exclusive; single ones are `rasterio.windows.Window`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rasterio.windows import Window

from geodl.data.source import Grid
from geodl.errors import OptionError

__all__ = (
    "bbox_window",
    "clamp",
    "clear_position",
    "clip",
    "disjoint",
    "expand",
    "grid_windows",
    "intersects",
    "open_fraction",
    "partition",
    "position_range",
    "rectangles",
    "subtract",
    "to_window",
)


def rectangles(windows: Iterable[Window]) -> np.ndarray:
    """Returns windows as an int64 array of shape (n, 4): top, left, bottom, right."""
    rows = [(w.row_off, w.col_off, w.row_off + w.height, w.col_off + w.width) for w in windows]
    return np.array(rows, np.int64).reshape(-1, 4)


def to_window(rectangle: Iterable[int]) -> Window:
    """Returns the window of one row `(top, left, bottom, right)`."""
    top, left, bottom, right = (int(v) for v in rectangle)
    return Window(left, top, right - left, bottom - top)


def grid_windows(shape: tuple[int, int], size: int, *, step: int | None = None) -> list[Window]:
    """Covers a raster with square windows, row by row.

    Args:
        shape: (height, width) of the raster, in pixels.
        size: side of a window.
        step: distance between windows; default: `size`, so that every pixel is in exactly one.

    Returns:
        Windows of `size` x `size`; the last ones of a row or column may reach beyond the raster, where
        `Source.read` pads.

    Example:
        >>> [(w.row_off, w.col_off) for w in grid_windows((3, 5), 3)]
        [(0, 0), (0, 3)]
    """
    step = step or size
    tops, lefts = (range(0, max(length - size, 0) + step, step) for length in shape)
    return [Window(left, top, size, size) for top in tops for left in lefts]


def partition(window: Window, size: int) -> list[Window]:
    """Cuts `window` into windows of at most `size` x `size`; each pixel is in exactly one."""
    top, left, bottom, right = (int(v) for v in rectangles([window])[0])
    corners = ((row, col) for row in range(top, bottom, size) for col in range(left, right, size))
    return [Window(col, row, min(size, right - col), min(size, bottom - row)) for row, col in corners]


def clip(window: Window, shape: tuple[int, int]) -> Window:
    """Returns the part of `window` inside a raster of (height, width) `shape`; without height or width if none."""
    top, left, bottom, right = rectangles([window])[0]
    top, left = min(max(top, 0), shape[0]), min(max(left, 0), shape[1])
    return to_window((top, left, max(min(bottom, shape[0]), top), max(min(right, shape[1]), left)))


def clamp(window: Window, shape: tuple[int, int]) -> Window:
    """Shifts `window` into a raster of (height, width) `shape`; along an axis where it is longer, it is centred."""
    row, col = (
        min(max(int(offset), 0), length - int(size)) if size <= length else -((int(size) - length) // 2)
        for offset, size, length in zip(
            (window.row_off, window.col_off), (window.height, window.width), shape, strict=True
        )
    )
    return Window(col, row, window.width, window.height)


def expand(window: Window, margin: int, shape: tuple[int, int] | None = None) -> Window:
    """Returns `window` grown by `margin` pixels on each side, cut at the raster's edge where a `shape` is given."""
    top, left, bottom, right = rectangles([window])[0] + np.array([-margin, -margin, margin, margin])
    grown = to_window((top, left, bottom, right))
    return grown if shape is None else clip(grown, shape)


def intersects(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Says which rectangles share a pixel with any of `others`.

    Args:
        some: (n, 4).
        others: (m, 4).

    Returns:
        bool of shape (n,).
    """
    some, others = np.asarray(some)[:, None], np.asarray(others)[None]
    meets = (some[..., :2] < others[..., 2:]) & (others[..., :2] < some[..., 2:])
    return np.any(np.all(meets, -1), 1)


def subtract(window: Window, others: np.ndarray) -> list[Window]:
    """Returns disjoint windows that together hold the pixels of `window` that are in none of `others` (n, 4)."""
    pieces, others = rectangles([window]), np.asarray(others).reshape(-1, 4)
    for other in others[intersects(others, pieces)]:
        hit = intersects(pieces, other[None])
        cut = [part for piece in pieces[hit] for part in _cut(piece, other)]
        pieces = np.concatenate([pieces[~hit], np.array(cut, np.int64).reshape(-1, 4)])
    return [to_window(piece) for piece in pieces]


def _cut(piece: np.ndarray, other: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Returns what is left of `piece` above, below, left and right of `other`, which meets it."""
    top, left, bottom, right = piece
    high, low = max(top, other[0]), min(bottom, other[2])
    candidates = [
        (top, left, high, right),
        (low, left, bottom, right),
        (high, left, low, max(left, other[1])),
        (high, min(right, other[3]), low, right),
    ]
    return [(t, l_, b, r) for t, l_, b, r in candidates if b > t and r > l_]


def disjoint(windows: Iterable[Window]) -> list[Window]:
    """Returns disjoint windows that together hold the same pixels."""
    parts: list[Window] = []
    for window in windows:
        parts += subtract(window, rectangles(parts))
    return parts


def position_range(cells: np.ndarray, size: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Says where a square window may lie so that it holds a cell (or, if smaller, lies in it) and stays in the raster.

    Args:
        cells: (n, 4), inside the raster.
        size: side of the window. Along an axis where the raster is shorter, the window is centred.
        shape: (height, width) of the raster.

    Returns:
        First and last upper-left corners, each int64 of shape (n, 2): row, column; both inclusive.
    """
    ends = np.stack([cells[:, :2], cells[:, 2:] - size])
    room = np.array(shape) - size
    low, high = np.clip(ends.min(0), 0, np.maximum(room, 0)), np.clip(ends.max(0), 0, np.maximum(room, 0))
    centred = -(-room // 2)
    return np.where(room < 0, centred, low), np.where(room < 0, centred, high)


def clear_position(low: np.ndarray, high: np.ndarray, size: int, blocked: np.ndarray) -> np.ndarray | None:
    """Finds the upper-left corner between `low` and `high` whose window meets no blocked rectangle.

    A free window can be pushed up and left (or down and right) until it meets a rectangle or the range's end, so only
    such corners need a look: the answer is exact.

    Args:
        low, high: (2,): first and last row and column allowed, inclusive.
        size: side of the window.
        blocked: (m, 4).

    Returns:
        (row, column), the one nearest to the middle of the range among those examined, or None if there is none.
    """
    near = blocked[intersects(blocked, np.array([[*low, *(high + size)]]))]
    middle = (low + high) // 2
    axes = []
    for axis in (0, 1):
        stops = np.concatenate([[low[axis], middle[axis], high[axis]], near[:, 2 + axis], near[:, axis] - size])
        axes.append(np.unique(stops[(stops >= low[axis]) & (stops <= high[axis])]))
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    corners = corners[~intersects(np.hstack([corners, corners + size]), near)]
    if not len(corners):
        return None
    return np.asarray(corners[np.argmin(np.abs(corners - middle).sum(1))])


def open_fraction(shape: tuple[int, int], size: int, blocked: np.ndarray) -> float:
    """Returns the share, 0-1, of the positions of a square window in a raster at which it meets no blocked rectangle.

    Args:
        shape: (height, width) of the raster; where it is smaller than the window, there is one (centred) position.
        size: side of the window.
        blocked: (m, 4).
    """
    low, high = (corner[0] for corner in position_range(np.array([[0, 0, *shape]]), size, shape))
    starts = np.clip(blocked[:, :2] - size + 1, low, high + 1)
    stops = np.clip(blocked[:, 2:], low, high + 1)
    cuts = [np.unique(np.concatenate([[low[a], high[a] + 1], starts[:, a], stops[:, a]])) for a in (0, 1)]
    taken = np.zeros([len(cut) - 1 for cut in cuts], bool)
    first, last = ([np.searchsorted(cuts[a], edge[:, a]) for a in (0, 1)] for edge in (starts, stops))
    for t, left, b, right in zip(*first, *last, strict=True):
        taken[t:b, left:right] = True
    sizes = np.outer(np.diff(cuts[0]), np.diff(cuts[1]))
    return float(sizes[~taken].sum() / sizes.sum())


def bbox_window(bbox: tuple[float, float, float, float], grid: Grid) -> Window:
    """The pixels of a grid that a bounding box touches.

    Args:
        bbox: (minx, miny, maxx, maxy) in the grid's CRS.
        grid: of the scene.

    Raises:
        OptionError: the box is empty or lies beside the grid.
    """
    try:
        left, bottom, right, top = (float(value) for value in bbox)
    except (TypeError, ValueError) as error:
        raise OptionError("bbox", expected="four numbers: minx, miny, maxx, maxy", received=bbox) from error
    corners = np.array([~grid.transform @ (x, y) for x in (left, right) for y in (bottom, top)])
    corners = np.clip(np.nan_to_num(corners), -1, (grid.width + 1, grid.height + 1))
    # A box given in rounded decimals must not reach a pixel more because of its last digit.
    low = np.maximum(np.floor(corners.min(axis=0) + 1e-6), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) - 1e-6), (grid.width, grid.height)).astype(int)
    if not (left < right and bottom < top and (low < high).all()):
        around = grid.footprint().bounds
        raise OptionError("bbox", expected=f"minx, miny, maxx, maxy that overlap {around}", received=tuple(bbox))
    return Window(low[0], low[1], high[0] - low[0], high[1] - low[1])
