"""Semi-Lagrangian advection: rain carried on along its motion, without growing or decaying."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from geodl.errors import OptionError
from geodl.physics.motion import motion

__all__ = ("advect", "advected")

_NODE = 4
"""Pixels between the nodes where trajectories are computed: motion changes little over so few."""
_MIDPOINTS = 3
"""Fixed-point iterations that find the middle of a step's trajectory."""


def advect(
    frame: np.ndarray,
    velocity: np.ndarray,
    leads: int,
    *,
    rows: slice | None = None,
    columns: slice | None = None,
) -> np.ndarray:
    """Carries a frame on along a steady motion.

    The backward semi-Lagrangian scheme of Germann & Zawadzki (2002, section 2b): where each pixel was at the time of the
    frame is followed back step by step, each step through its middle, and the frame is interpolated there once.

    Args:
        frame: `(height, width)`, NaN is nodata.
        velocity: `(2, height, width)`, displacement along rows and columns in pixels per step, as `motion` gives it;
            finite, and smooth over a few pixels.
        leads: number of steps.
        rows: rows of the frame that are wanted (a slice without step); all, if not given. Trajectories may leave them.
        columns: likewise.

    Returns:
        float32 of shape `(leads, rows, columns)`; NaN where the rain would come from outside the frame or from nodata.

    Raises:
        OptionError: shapes do not fit, `velocity` is not finite, `leads` is less than 1, or a slice has a step.

    Example:
        >>> advect(np.eye(8), np.ones((2, 8, 8)), leads=2).shape
        (2, 8, 8)
    """
    frame = np.asarray(frame, np.float32)
    velocity = np.asarray(velocity, np.float32)
    if frame.ndim != 2 or velocity.shape != (2, *frame.shape):
        expected = "a frame (height, width) and a velocity (2, height, width) of the same size"
        raise OptionError("velocity", expected=expected, received=(frame.shape, velocity.shape))
    if not np.all(np.isfinite(velocity)):
        raise OptionError("velocity", expected="finite values", received="values that are not")
    if leads < 1:
        raise OptionError("leads", expected="at least 1", received=leads)
    wanted = [
        _pixels(name, part, size)
        for name, part, size in zip(("rows", "columns"), (rows, columns), frame.shape, strict=True)
    ]
    nodes = [np.append(np.arange(0, size - 1, _NODE), size - 1) for size in frame.shape]
    steps = velocity[:, nodes[0][:, None], nodes[1]]
    spread = [_Between(at, pixels) for at, pixels in zip(nodes, wanted, strict=True)]
    home = np.stack(np.meshgrid(*nodes, indexing="ij")).astype(np.float32)

    known = np.isfinite(frame)
    filled = frame if known.all() else _filled(frame, known)
    back = np.zeros_like(steps)
    moved = np.empty((leads, *(len(pixels) for pixels in wanted)), np.float32)
    for lead in range(leads):
        step = _at(steps, home - back, nodes)
        for _ in range(_MIDPOINTS):
            step = _at(steps, home - back - step / 2, nodes)
        back += step
        where = np.stack([spread[0](spread[1](part, 1), 0) for part in back])
        np.subtract(wanted[0][:, None].astype(np.float32), where[0], out=where[0])
        np.subtract(wanted[1].astype(np.float32), where[1], out=where[1])
        moved[lead] = _interpolated(filled, known, where)
    return moved


def advected(frames: np.ndarray, leads: int, *, rows: slice | None = None, columns: slice | None = None) -> np.ndarray:
    """Carries the last of some frames on along the motion that they show; see `motion` and `advect`.

    Args:
        frames: `(time, height, width)`, rain rate in mm/h at equal steps, NaN is nodata.
        leads: number of steps.
        rows: rows that are wanted; all, if not given.
        columns: likewise.

    Returns:
        float32 of shape `(leads, rows, columns)` in mm/h; NaN where the rain comes from outside or from nodata.

    Example:
        >>> advected(np.zeros((4, 32, 32)), leads=3, rows=slice(8, 16)).shape
        (3, 8, 32)
    """
    return advect(np.asarray(frames)[-1], motion(frames), leads=leads, rows=rows, columns=columns)


def _pixels(name: str, part: slice | None, size: int) -> np.ndarray:
    part = part or slice(None)
    if part.step not in (None, 1):
        raise OptionError(name, expected="a slice without step", received=part)
    return np.arange(size)[part]


class _Between:
    """Linear interpolation along one axis, from nodes to pixels; the same for a pixel whichever others are wanted."""

    def __init__(self, nodes: np.ndarray, pixels: np.ndarray) -> None:
        self._low = np.clip(np.searchsorted(nodes, pixels, side="right") - 1, 0, max(len(nodes) - 2, 0))
        self._high = np.minimum(self._low + 1, len(nodes) - 1)
        span = np.maximum(nodes[self._high] - nodes[self._low], 1)
        self._share = ((pixels - nodes[self._low]) / span).astype(np.float32)

    def __call__(self, values: np.ndarray, axis: int) -> np.ndarray:
        share = self._share.reshape((-1, 1) if axis == 0 else (1, -1))
        low = np.take(values, self._low, axis)
        return low + share * (np.take(values, self._high, axis) - low)


def _at(steps: np.ndarray, places: np.ndarray, nodes: list[np.ndarray]) -> np.ndarray:
    """Interpolates steps that are known at the nodes; outside, as at the nearest."""
    index = np.stack([np.interp(place, at, np.arange(len(at))) for place, at in zip(places, nodes, strict=True)])
    return np.stack([ndimage.map_coordinates(step, index, order=1, mode="nearest") for step in steps])


def _filled(frame: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fills nodata with the mean of the valid neighbours (0 where there are none): interpolation beside it stays valid."""
    zeroed = np.where(known, frame, np.float32(0))
    total = ndimage.uniform_filter(zeroed, 3, mode="constant")
    count = ndimage.uniform_filter(known.astype(np.float32), 3, mode="constant")
    return np.where(known, frame, total / np.maximum(count, np.float32(0.1)))


def _interpolated(filled: np.ndarray, known: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Interpolates linearly at places (2, h, w); not-a-number outside the frame and where nodata is nearest."""
    values = ndimage.map_coordinates(filled, where, order=1, mode="nearest")
    near = np.rint(where).astype(np.int32)
    inside = (near[0] >= 0) & (near[0] < known.shape[0]) & (near[1] >= 0) & (near[1] < known.shape[1])
    np.clip(near[0], 0, known.shape[0] - 1, out=near[0])
    np.clip(near[1], 0, known.shape[1] - 1, out=near[1])
    values[~(inside & known[near[0], near[1]])] = np.nan
    return values
