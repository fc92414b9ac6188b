"""Motion of rain between radar frames: dense Lucas–Kanade optical flow, from wide windows to narrow ones."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from geodl.errors import OptionError

__all__ = ("motion",)

_DRIZZLE = 0.1
"""Rain rate in mm/h that counts as none: weaker echoes are noise of the radar."""
_PAIRS = 3
_WINDOW = 6.0
"""Standard deviation of the Gaussian window, in pixels of each level of the pyramid."""
_FINEST = 4
_COARSEST = 32
_ITERATIONS = 3
_TRUST = 0.02


def motion(frames: np.ndarray, *, pairs: int = _PAIRS) -> np.ndarray:
    """Estimates how rain moves, from the last frames of a sequence.

    Lucas & Kanade's least squares (1981) in Gaussian windows, for all last pairs of frames at once, on the logarithm of
    the rain rate. The windows narrow from level to level of a pyramid (Bouguet 2001); each level starts from what the
    wider windows found and keeps that where it sees no structure, so that the motion carries on where there is no rain.

    Args:
        frames: `(time, height, width)`, rain rate in mm/h at equal steps, NaN is nodata.
        pairs: how many of the last pairs of frames are used, at least 1.

    Returns:
        float32 of shape `(2, height, width)`: displacement along rows and along columns in pixels per step, positive
        downwards and to the right; finite everywhere, 0 where no rain can be followed.

    Raises:
        OptionError: `frames` has not three dimensions, or `pairs` is less than 1.

    Example:
        >>> frames = np.zeros((3, 64, 64), np.float32)
        >>> motion(frames).shape
        (2, 64, 64)
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3:
        raise OptionError("frames", expected="an array (time, height, width)", received=frames.shape)
    if pairs < 1:
        raise OptionError("pairs", expected="at least 1", received=pairs)
    frames = frames[-(pairs + 1) :]
    shape = frames.shape[1:]
    valid = np.isfinite(frames)
    echo = np.log(np.maximum(np.where(valid, frames, 0), np.float32(_DRIZZLE)) / np.float32(_DRIZZLE))
    if len(frames) < 2 or not echo.any():
        return np.zeros((2, *shape), np.float32)
    levels = _pyramid(echo, valid.astype(np.float32))
    velocity = np.zeros((2, *levels[-1][1].shape[1:]), np.float32)
    for factor, images, weights in reversed(levels):
        velocity = _sampled(velocity, images.shape[1:])
        velocity = _refined(velocity * (1 / factor), images, weights) * factor
    return _sampled(velocity, shape)


def _pyramid(echo: np.ndarray, weight: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Returns (factor, images, weights) from fine to coarse, averaged over the valid pixels."""
    levels, factor = [], 1
    while True:
        if factor >= _FINEST or min(echo.shape[1:]) < 64:
            levels.append((factor, echo, weight))
        if factor >= _COARSEST or min(echo.shape[1:]) < 16:
            return levels or [(factor, echo, weight)]
        echo, weight = _halved(echo, weight)
        factor *= 2


def _halved(echo: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pad = [(0, 0)] + [(0, size % 2) for size in echo.shape[1:]]
    sums = []
    for array in (echo * weight, weight):
        array = np.pad(array, pad)
        sums.append(array[:, ::2, ::2] + array[:, 1::2, ::2] + array[:, ::2, 1::2] + array[:, 1::2, 1::2])
    total, count = sums
    return total / np.maximum(count, np.float32(1e-6)), count * np.float32(0.25)


def _sampled(velocity: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolates a velocity, coarser by a power of two, to the pixels of a level, between pixel centres."""
    if velocity.shape[1:] == tuple(shape):
        return velocity
    factor = 2 ** round(np.log2(shape[0] / velocity.shape[1]))
    for axis in (1, 2):
        place = np.clip((np.arange(shape[axis - 1]) + 0.5) / factor - 0.5, 0, velocity.shape[axis] - 1)
        low = np.minimum(place.astype(np.int64), max(velocity.shape[axis] - 2, 0))
        high = np.minimum(low + 1, velocity.shape[axis] - 1)
        share = (place - low).astype(np.float32).reshape((-1, 1) if axis == 1 else (1, -1))
        velocity = np.take(velocity, low, axis) * (1 - share) + np.take(velocity, high, axis) * share
    return velocity


def _refined(velocity: np.ndarray, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]].astype(np.float32)
    blurred = [ndimage.gaussian_filter(image, 1.0, truncate=3) for image in images]
    for _ in range(_ITERATIONS):
        sums = np.zeros((5, *images.shape[1:]), np.float32)
        for before, after, known_before, known_after in zip(blurred, blurred[1:], weights, weights[1:], strict=False):
            where = np.stack([rows - velocity[0], columns - velocity[1]])
            moved = ndimage.map_coordinates(before, where, order=1, mode="nearest")
            known = ndimage.map_coordinates(known_before, where, order=1, cval=0) * known_after
            known = np.where(ndimage.minimum_filter(known, 3) > 0.99, 1, 0).astype(np.float32)
            down, right = (0.5 * (a + b) for a, b in zip(np.gradient(moved), np.gradient(after), strict=True))
            late = after - moved
            down, right, late = down * known, right * known, late
            sums += np.stack([down * down, down * right, right * right, down * late, right * late])
        sums = np.stack([ndimage.gaussian_filter(total, _WINDOW, truncate=3, mode="constant") for total in sums])
        rr, rc, cc, rt, ct = sums
        trust = np.float32(_TRUST) * len(images) * np.float32(0.05)
        rr, cc = rr + trust, cc + trust
        determinant = rr * cc - rc * rc
        velocity = velocity + np.stack([-(cc * rt - rc * ct), -(rr * ct - rc * rt)]) / determinant
    return velocity.astype(np.float32)
