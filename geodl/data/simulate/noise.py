"""Random textures of a stated scale in pixels, whatever the size of the scene."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

__all__ = ("cells", "fractal", "hashed", "rehashed", "smooth")

_SPLINE_VARIANCE = 0.479
"""Mean variance, per axis, of a cubic B-spline whose coefficients are white noise of unit variance: 151/315."""

_FACTORS = tuple(np.uint32(factor) for factor in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F))
"""One odd multiplier per key of `hashed` (the primes of xxHash)."""


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Smooth Gaussian noise of zero mean and unit variance.

    Args:
        rng: source of randomness.
        shape: `(height, width)`.
        scale: distance between independent values, in pixels.

    Returns:
        float32 of shape `(height, width)`.
    """
    if scale < 4:
        kernel = np.exp(-0.5 * (np.arange(-6, 7) / (0.5 * scale)) ** 2)
        kernel /= np.sqrt(np.sum(kernel**2))
        noise = rng.standard_normal(shape, np.float32)
        return ndimage.correlate1d(ndimage.correlate1d(noise, kernel, axis=0), kernel, axis=1)
    rows, columns = (_spline(size, scale) for size in shape)
    coefficients = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
    return (columns @ (rows @ coefficients).T).T / np.float32(_SPLINE_VARIANCE)


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], scale: float, *, octaves: int = 4, roughness: float = 0.5
) -> np.ndarray:
    """Sum of `smooth` at scale, scale/2, …, each `roughness` times as strong as the one before; unit variance."""
    strengths = roughness ** np.arange(octaves)
    total = np.zeros(shape, np.float32)
    for octave, strength in enumerate(strengths):
        total += np.float32(strength) * smooth(rng, shape, scale / 2**octave)
    return total / np.float32(np.sqrt(np.sum(strengths**2)))


def hashed(*keys: np.ndarray | int) -> np.ndarray:
    """Uniform numbers in [0, 1) that depend on nothing but the integer keys: one field has one colour everywhere."""
    state = np.zeros((), np.uint32)
    for key, factor in zip(keys, _FACTORS[: len(keys)], strict=True):
        state = state + np.asarray(key, np.int32).view(np.uint32) * factor
    # The 32-bit finaliser of MurmurHash3; arrays of one element keep numpy from warning about the wanted overflow.
    state = np.atleast_1d(state)
    state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return ((state ^ (state >> np.uint32(16))) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def rehashed(number: np.ndarray, salt: np.ndarray | int) -> np.ndarray:
    """Another uniform number in [0, 1) for each number that `hashed` gave."""
    return hashed((number * np.float32(2**24)).astype(np.int32), salt)


def cells(
    u: np.ndarray, v: np.ndarray, salt: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cuts a plane into strips along v, and each strip into cells of about 1 × 1, of irregular sizes.

    Args:
        u: coordinate across the strips, in mean cell sizes; float32 of any shape.
        v: coordinate along the strips; likewise.
        salt: makes another pattern of the same coordinates.

    Returns:
        Index of the strip and of the cell in it (int32), and the distance to the nearest border across and along.
    """
    strip, across = _cut(u, salt, 0)
    cell, along = _cut(v + np.float32(7) * hashed(strip, salt, 1), salt, strip + 1)
    return strip, cell, across, along


def _cut(x: np.ndarray, salt: np.ndarray | int, row: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the interval that holds x, where border k lies near k, and the distance to the nearest border."""
    index = np.floor(x).astype(np.int32)
    index += x >= _border(index + 1, salt, row)
    index -= x < _border(index, salt, row)
    return index, np.minimum(x - _border(index, salt, row), _border(index + 1, salt, row) - x)


def _border(index: np.ndarray, salt: np.ndarray | int, row: np.ndarray | int) -> np.ndarray:
    return index.astype(np.float32) + np.float32(0.7) * (hashed(index, salt, row) - np.float32(0.5))


def _spline(size: int, scale: float) -> sparse.csr_array:
    """Matrix of shape (size, coefficients): the cubic B-spline weights of each pixel."""
    place = np.arange(size, dtype=np.float64) / scale
    first = np.floor(place).astype(np.int64)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
    rows = np.tile(np.arange(size), 4)
    columns = np.concatenate([first + step for step in range(4)])
    return sparse.csr_array((weights.ravel().astype(np.float32), (rows, columns)), shape=(size, int(first[-1]) + 4))
