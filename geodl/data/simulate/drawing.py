"""Lines, rotated frames and surroundings: what rivers, roads, fields and towns are drawn with."""

from __future__ import annotations

import numpy as np

from geodl.data.simulate.noise import smooth

__all__ = ("around", "stamp", "turned", "wander")


def wander(rng: np.random.Generator, length: int, scale: float) -> np.ndarray:
    """Smooth noise of unit variance along a line: float64 of shape (length,)."""
    return smooth(rng, (4, length), max(scale, 4.0))[0].astype(np.float64)


def stamp(mask: np.ndarray, path: np.ndarray, radius: np.ndarray | float) -> None:
    """Marks disks of a radius in pixels along a path of (row, column); what lies outside is left out."""
    radii = np.broadcast_to(radius, len(path))
    centre = np.floor(path).astype(np.int64)
    reach = int(np.ceil(radii.max(initial=0))) + 1
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            row, column = centre[:, 0] + down, centre[:, 1] + right
            near = np.hypot(row - path[:, 0], column - path[:, 1]) <= radii
            near &= (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
            mask[row[near], column[near]] = True


def turned(
    down: np.ndarray, right: np.ndarray, angle: np.ndarray, which: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in a rotated frame.

    Args:
        down: coordinate along the rows, any shape.
        right: coordinate along the columns.
        angle: angles of all frames, radians, shape (frames,).
        which: the frame of each pixel.
    """
    # Sine and cosine once per frame, in double precision: single-precision ones differ between processors.
    cosine, sine = (turn(angle).astype(np.float32)[which] for turn in (np.cos, np.sin))
    return down * cosine - right * sine, down * sine + right * cosine


def around(place: np.ndarray, reach: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The part of the scene within `reach` pixels of a place, possibly empty."""
    low = np.clip(place - reach, 0, shape).astype(np.int64)
    high = np.clip(place + reach + 1, 0, shape).astype(np.int64)
    return slice(low[0], high[0]), slice(low[1], high[1])
