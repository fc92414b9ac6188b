"""Motion of rain between radar frames: dense Lucas–Kanade optical flow, from wide windows to narrow ones."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from geodl.errors import OptionError

__all__ = ("motion",)

_DRIZZLE = 0.1
"""Rain rate in mm/h below which an echo is taken for noise of the radar."""
_PAIRS = 3
"""Last pairs of frames that are used; each counts half as much as the one after it."""
_FACTORS = (16, 8, 4, 2)
"""Levels of the pyramid: how many pixels make one, coarse to fine. Finer ones do not make better forecasts."""
_SMALLEST = 12
"""Least side of a level in its own pixels; what is smaller is estimated at the full resolution only."""
_BLUR = 1.0
"""Standard deviation in pixels of a level of the smoothing that makes images differentiable."""
_WINDOW = 8.0
"""Standard deviation in pixels of a level of the Gaussian window that moves as one."""
_ITERATIONS = 3
"""Newton steps on each level."""
_OUTLIER = 2.0
"""Change, in root mean squares of it, that counts half as much as none."""
_NOISE = 0.03
"""Mean squared gradient of the log rain rate per pixel of a level that is trusted half."""
_FIRST_NOISE = 0.01
"""The same on the coarsest level, before which nothing is known."""


def motion(frames: np.ndarray) -> np.ndarray:
    """Estimates how rain moves, from the last frames of a sequence.

    Least squares in Gaussian windows on the logarithm of the rain rate (Lucas and Kanade 1981), over a pyramid
    (Bouguet 2001): each level starts from what the coarser one with its wider windows found and departs from it only as
    far as it sees structure, so that the motion carries on where there is no rain. The motion that one pair of frames
    shows is looked for in the pair before it where the same rain was then.

    Args:
        frames: `(time, height, width)`, rain rate in mm/h at equal steps, NaN is nodata. The last four are used; one
            frame alone shows no motion, nor does one row or column of pixels.

    Returns:
        float32 of shape `(2, height, width)`: displacement along rows and along columns in pixels per step, positive
        downwards and to the right; finite everywhere, 0 where there is no rain to be followed in all the frame.

    Raises:
        OptionError: `frames` has not three dimensions, or none of any length.

    Example:
        >>> motion(np.zeros((3, 64, 64), np.float32)).shape
        (2, 64, 64)
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3 or not frames.size:
        raise OptionError("frames", expected="an array (time, height, width)", received=frames.shape)
    frames = frames[-(_PAIRS + 1) :]
    shape = frames.shape[1:]
    known = np.isfinite(frames)
    echo = np.where(known, frames, np.float32(0))
    if len(frames) < 2 or min(shape) < 2 or not np.any(echo >= _DRIZZLE):
        return np.zeros((2, *shape), np.float32)
    echo = np.log(np.maximum(echo, np.float32(_DRIZZLE)) / np.float32(_DRIZZLE))
    factors = [factor for factor in _FACTORS if min(shape) >= factor * _SMALLEST] or [1]
    levels = {1: (echo, known.astype(np.float32))}
    for factor in reversed(factors):
        if factor > 1:
            finer = levels[factor // 2]
            levels[factor] = _halved(*finer)
    velocity, before = np.zeros((2, 1, 1), np.float32), factors[0]
    for factor in factors:
        images, weights = levels[factor]
        velocity = _enlarged(velocity, images.shape[1:], before // factor) if factor < before else velocity
        noise = _FIRST_NOISE if factor == factors[0] else _NOISE
        velocity = _refined(velocity / factor, images, weights, noise) * factor
        before = factor
    return _enlarged(velocity, shape, before)


def _halved(images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages 2 × 2 pixels over what is valid of them; the weights become the valid share."""
    odd = [(0, 0), *((0, size % 2) for size in images.shape[1:])]
    total, valid = (_summed(np.pad(array, odd)) for array in (images * weights, weights))
    return total / np.maximum(valid, np.float32(1e-6)), valid / 4


def _summed(array: np.ndarray) -> np.ndarray:
    return array[:, ::2, ::2] + array[:, 1::2, ::2] + array[:, ::2, 1::2] + array[:, 1::2, 1::2]


def _enlarged(velocity: np.ndarray, shape: tuple[int, ...], factor: int) -> np.ndarray:
    """Interpolates linearly between the centres of pixels `factor` times as wide."""
    for axis, size in enumerate(shape, 1):
        last = velocity.shape[axis] - 1
        place = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, last)
        low = place.astype(np.int64)
        share = (place - low).astype(np.float32).reshape((-1, 1) if axis == 1 else (1, -1))
        lower = np.take(velocity, low, axis)
        velocity = lower + share * (np.take(velocity, np.minimum(low + 1, last), axis) - lower)
    return velocity


def _refined(velocity: np.ndarray, images: np.ndarray, weights: np.ndarray, noise: float) -> np.ndarray:
    """Improves a motion in pixels of this level; images and weights are of shape (time, h, w)."""
    images = np.stack([ndimage.gaussian_filter(image, _BLUR, truncate=3) for image in images])
    here = np.mgrid[: images.shape[1], : images.shape[2]].astype(np.float32)
    velocity = np.broadcast_to(velocity, here.shape)
    for _ in range(_ITERATIONS):
        sums = np.zeros((5, *images.shape[1:]), np.float32)
        after, known_after, counts = images[-1], weights[-1], np.float32(1)
        doubt = np.float32(0)
        for lag in range(1, len(images)):
            where = here - lag * velocity
            moved = ndimage.map_coordinates(images[-1 - lag], where, order=1, mode="nearest")
            known = ndimage.map_coordinates(weights[-1 - lag], where, order=1, mode="constant")
            # Whole neighbourhoods only: where the radar's coverage ends is an edge that stands still.
            both = ndimage.minimum_filter(known * known_after, 3, mode="constant") > 0.99
            down, right = ((a + b) / 2 for a, b in zip(np.gradient(moved), np.gradient(after), strict=True))
            late = after - moved
            weight = counts * _reliability(late, both, (moved > 0) | (after > 0))
            products = (down * down, right * right, down * right, down * late, right * late)
            for total, product in zip(sums, products, strict=True):
                total += weight * product
            doubt += counts * np.float32(noise)
            after, known_after, counts = moved, known, counts / 2
        dd, rr, dr, dl, rl = (ndimage.gaussian_filter(each, _WINDOW, truncate=3, mode="constant") for each in sums)
        dd, rr = dd + doubt, rr + doubt
        step = np.stack([dr * rl - rr * dl, dr * dl - dd * rl]) / (dd * rr - dr * dr)
        velocity = velocity + step
    return velocity


def _reliability(late: np.ndarray, known: np.ndarray, echo: np.ndarray) -> np.ndarray:
    """Weights of Cauchy's estimator: less where a cell grew or vanished, which no motion explains; 0 where not known."""
    usual = np.mean(np.square(late), where=known & echo) if np.any(known & echo) else np.float32(1)
    return known / (1 + np.square(late) / (np.float32(_OUTLIER**2) * usual + np.float32(1e-12)))
