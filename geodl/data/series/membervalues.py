"""Values of a cube in the pixels of places: their means, or all of them."""

from __future__ import annotations

import math

import numpy as np

from geodl.data.members import MemberPixels, Members
from geodl.data.source import Source
from geodl.data.windows import grid_windows

__all__ = ("mean_values", "pixel_values")

_BYTES = 2**26
"""Of what is read of the cube at a time."""
_SIDES = (32, 2048)
"""Pixels: least and most of the side of a block."""


def mean_values(cube: Source, place: Members) -> np.ndarray:
    """Returns the means of the pixels of each place that are valid on a date.

    Args:
        cube: with times; read block by block, and of each block only what lies around pixels of places.
        place: on the cube's grid.

    Returns:
        float32 (place, time, band), not-a-number where no pixel is valid.
    """
    length = 0 if cube.times is None else len(cube.times)
    sums = np.zeros((len(place), length, len(cube.bands)))
    counts = np.zeros(sums.shape, np.int64)
    for block in grid_windows(cube.grid.shape, _blocks(cube)):
        pixels = place.within(block)
        if not len(pixels):
            continue
        values = _read(cube, pixels)
        valid = np.isfinite(values)
        which = pixels.place[pixels.starts]
        sums[which] += np.add.reduceat(np.where(valid, values, 0), pixels.starts, axis=0, dtype=np.float64)
        counts[which] += np.add.reduceat(valid, pixels.starts, axis=0, dtype=np.int64)
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.astype(np.float32)


def pixel_values(cube: Source, place: Members) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the series of all pixels of places, those of one place after another.

    Args:
        cube: see `mean_values`.
        place: on the cube's grid.

    Returns:
        Values, float32 (pixel, time, band); rows and columns, int64 (pixel, 2); and the position of the place of each,
        int64 (pixel,).
    """
    ends = np.cumsum(place.counts)
    length = 0 if cube.times is None else len(cube.times)
    values = np.empty((int(ends[-1]), length, len(cube.bands)), np.float32)
    where = np.empty((len(values), 2), np.int64)
    next_free = ends - place.counts
    for block in grid_windows(cube.grid.shape, _blocks(cube)):
        pixels = place.within(block)
        if not len(pixels):
            continue
        which = pixels.place[pixels.starts]
        sizes = np.diff(np.r_[pixels.starts, len(pixels)])
        at = np.repeat(next_free[which] - pixels.starts, sizes) + np.arange(len(pixels))
        values[at] = _read(cube, pixels)
        where[at] = np.column_stack([pixels.rows, pixels.columns])
        next_free[which] += sizes
    return values, where, np.repeat(np.arange(len(place)), place.counts)


def _read(cube: Source, pixels: MemberPixels) -> np.ndarray:
    """Reads the series of pixels that lie near one another: float32 (pixel, time, band)."""
    window = pixels.window
    values, _ = cube.read(window)
    return np.moveaxis(values[:, pixels.rows - window.row_off, pixels.columns - window.col_off], 1, 0)


def _blocks(cube: Source) -> int:
    """Returns the side of blocks of which each takes a bounded memory, whatever the number of dates and bands."""
    times = 0 if cube.times is None else len(cube.times)
    # Values, their validity and a copy of the pixels that are members.
    side = math.isqrt(_BYTES // max(1, times * len(cube.bands) * 9))
    return min(max(side, _SIDES[0]), _SIDES[1])
