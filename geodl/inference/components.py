"""Connected components of a class raster that arrives strip by strip, each known as a whole once it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ("OUTSIDE", "ComponentStream", "Step", "label")

OUTSIDE = np.iinfo(np.int32).min
"""The class of what lies beyond a raster."""


@dataclass(frozen=True, eq=False)
class Step:
    """The components that one strip touches or has seen the end of, numbered from 0 for this step only."""

    classes: np.ndarray
    """int32 (1 + height, width): the row above the strip, and the strip."""
    ids: np.ndarray
    """int32, of the same shape: the component of each pixel; -1 above the raster."""
    before: np.ndarray
    """The component here of each that was open after the step before."""
    after: np.ndarray
    """The number in the next step's `before` of each component; -1: complete, it does not reach the last row."""
    values: np.ndarray
    """The class of each component."""
    pixels: np.ndarray
    """int64: pixels of each component so far."""
    sums: np.ndarray
    """float64 (quantity, component): sums over the pixels of each component so far."""

    @property
    def complete(self) -> np.ndarray:
        """Which components are complete."""
        return self.after < 0


class ComponentStream:
    """Follows the 4-connected regions of equal class through a raster, from its top row down.

    It remembers one row, and the sums of the components that reach it.

    Args:
        width: of the raster in pixels.
        quantities: of each pixel, to be summed by component.

    Example:

    >>> stream = ComponentStream(3)
    >>> stream.push(np.array([[5, 5, 7]], np.int32)).complete
    array([False, False])
    >>> stream.push(np.array([[7, 5, 5]], np.int32)).pixels  # 5 goes on, the first 7 is complete, another one begins
    array([4, 1, 1])
    """

    def __init__(self, width: int, *, quantities: int = 0) -> None:
        self._row = np.full(width, OUTSIDE, np.int32)
        self._row_ids = np.full(width, -1, np.int32)
        self._values = np.zeros(0, np.int32)
        self._pixels = np.zeros(0, np.int64)
        self._sums = np.zeros((quantities, 0))

    def push(self, classes: np.ndarray, quantities: Sequence[np.ndarray] = ()) -> Step:
        """Takes the next rows.

        Args:
            classes: int32 (height, width); nodata is a class like any other.
            quantities: arrays that can be broadcast to (height, width).
        """
        whole = np.concatenate([self._row[None], classes])
        nodes, count = _join(whole, self._row_ids, len(self._values))
        before, ids = nodes
        values = np.empty(count, np.int32)
        values[before] = self._values
        values[ids] = classes
        pixels = np.bincount(ids.ravel(), minlength=count)
        np.add.at(pixels, before, self._pixels)
        sums = np.empty((len(self._sums), count))
        for total, sofar, quantity in zip(sums, self._sums, quantities, strict=True):
            weights = np.broadcast_to(quantity, classes.shape).ravel()
            total[:] = np.bincount(ids.ravel(), weights, count) + np.bincount(before, sofar, count)
        still = np.unique(ids[-1])
        after = np.full(count, -1, np.int32)
        after[still] = np.arange(len(still))
        row_ids = before[self._row_ids] if len(before) else self._row_ids
        self._row, self._row_ids = classes[-1].copy(), after[ids[-1]]
        self._values, self._pixels, self._sums = values[still], pixels[still], sums[:, still]
        return Step(whole, np.concatenate([row_ids[None], ids]), before, after, values, pixels, sums)


def label(classes: np.ndarray) -> np.ndarray:
    """Numbers the 4-connected regions of equal class from 0, as int32 of the same shape (height, width)."""
    outside = np.full((1, classes.shape[1]), OUTSIDE, np.int32)
    return _join(np.concatenate([outside, classes]), outside[0], 0)[0][1]


def _join(classes: np.ndarray, row_ids: np.ndarray, count: int) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Joins the runs of equal class of each row with those above them.

    Args:
        classes: int32 (1 + height, width).
        row_ids: components of the first row, which are `count`.

    Returns:
        The new numbers of these components and those of the pixels below, and how many there are.
    """
    above, below = classes[:-1], classes[1:]
    begins = np.ones(below.shape, bool)
    begins[:, 1:] = below[:, 1:] != below[:, :-1]
    runs = np.cumsum(begins, dtype=np.int32).reshape(below.shape) + np.int32(count - 1)
    touch = above == below
    # Runs that touch are linked once, at the first pixel that they share.
    link = touch & begins
    link[:, 1:] |= touch[:, 1:] & (above[:, 1:] != above[:, :-1])
    upper, lower = np.concatenate([row_ids[None], runs[:-1]])[link], runs[link]
    total = int(runs[-1, -1]) + 1
    graph = coo_array((np.ones(len(upper), np.int8), (upper, lower)), (total, total))
    found, groups = connected_components(graph, directed=False)
    return (groups[:count], groups[runs]), int(found)
