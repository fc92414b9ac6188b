"""Anchors: the labelled cells of a scene around which training windows are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from geodl.data.labels import IGNORE, Labels
from geodl.data.windows import clear_position, clip, grid_windows, intersects, position_range

__all__ = ("Anchors", "find_anchors")

_STREAM = 1024


class Anchors(NamedTuple):
    """Cells with labelled pixels, each with a window that holds it and stands clear of what is excluded."""

    cells: np.ndarray
    """(n, 4): the least rectangle around the labelled pixels of a cell; top, left, bottom, right."""
    corners: np.ndarray
    """(n, 2): row and column of the upper-left corner of the clear window."""
    counts: np.ndarray
    """(n, classes): labelled pixels of each class in the cell."""


def find_anchors(labels: Labels, excluded: np.ndarray, *, patch: int, side_by_side: bool = False) -> Anchors:
    """Finds the anchors of one scene, in one pass over its labels.

    Args:
        labels: of the scene.
        excluded: (m, 4): rectangles that no window may touch; labels in there do not count.
        patch: side of a window, in pixels. Along an axis where the scene is shorter, the window is centred on it.
        side_by_side: cells as large as a window, so that the windows cover the scene and few pixels are in two; else
            cells of half its side, so that each cell can lie anywhere in its windows.
    """
    shape = labels.grid.shape
    cell = patch if side_by_side else max(1, patch // 2)
    streamed = list(_cells(labels, excluded, cell))
    cells = np.concatenate([np.empty((0, 4), np.int64), *(found for found, _ in streamed)])
    counts = np.concatenate([np.empty((0, len(labels.classes)), np.int64), *(count for _, count in streamed)])
    low, high = position_range(cells, patch, shape)
    corners = np.clip(cells[:, :2] // cell * cell, low, high) if side_by_side else (low + high) // 2
    kept = np.ones(len(cells), bool)
    for k in np.flatnonzero(intersects(np.hstack([corners, corners + patch]), excluded)):
        clear = clear_position(low[k], high[k], patch, excluded)
        if clear is None:
            kept[k] = False
        else:
            corners[k] = clear
    return Anchors(cells[kept], corners[kept], counts[kept])


def _cells(labels: Labels, excluded: np.ndarray, cell: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields, block by block, the cells that hold labelled pixels and their class counts."""
    classes, side = len(labels.classes), cell * max(1, _STREAM // cell)
    for block in grid_windows(labels.grid.shape, side):
        whole = clip(block, labels.grid.shape)
        rows, cols = -(-whole.height // cell), -(-whole.width // cell)
        found = np.full((rows * cell, cols * cell), IGNORE, np.int32)
        found[: whole.height, : whole.width] = labels.read(whole)
        origin = np.array([whole.row_off, whole.col_off, whole.row_off, whole.col_off])
        for top, left, bottom, right in np.maximum(excluded - origin, 0):
            found[top:bottom, left:right] = IGNORE
        if (found == IGNORE).all():
            continue
        tiles = found.reshape(rows, cell, cols, cell).swapaxes(1, 2).reshape(-1, cell, cell)
        known = tiles != IGNORE
        holding = np.flatnonzero(known.any((1, 2)))
        tiles, known = tiles[holding], known[holding]
        of, _, _ = np.nonzero(known)
        counts = np.bincount(of * classes + tiles[known], minlength=len(holding) * classes).reshape(-1, classes)
        extents = []
        for axis in (2, 1):
            there = known.any(axis)
            extents.append((there.argmax(1), cell - there[:, ::-1].argmax(1)))
        corner = np.stack([holding // cols, holding % cols], 1) * cell + origin[:2]
        (first_row, last_row), (first_col, last_col) = extents
        start = corner + np.stack([first_row, first_col], 1)
        yield np.hstack([start, corner + np.stack([last_row, last_col], 1)]), counts
