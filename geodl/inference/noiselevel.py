"""How noisy a scene is, for networks that want to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from geodl.data.source import Source, Window
from geodl.errors import NoValidPixels

__all__ = ("estimate_noise", "noise_of_scene")

_SIDE = 128
"""Side of the windows that are looked at, in pixels."""
_WINDOWS = 4
"""Windows along each axis, at most."""
_LARGE = 1024
"""Side of the windows where all are looked at."""
_LEAST = 64
"""Wavelet coefficients from which a noise level is told."""
_ROUNDING = 1e-6
"""Details that are less than this part of the greatest value are none."""
_QUARTILE = 0.6744897501960817
"""Of the absolute value of a standard normal variable, the median."""


def estimate_noise(image: np.ndarray) -> np.ndarray:
    """Estimates the standard deviation of white Gaussian noise from the finest details of an image.

    The median absolute diagonal wavelet coefficient (Daubechies, two vanishing moments) over that of unit noise (Donoho
    and Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage"); like scikit-image's
    `estimate_sigma`, but without PyWavelets, at every pixel, and with nodata left out. What the image itself shows of
    such details makes the estimate too high; noise that is correlated between pixels makes it too low.

    Args:
        image: (height, width, band), not-a-number where invalid.

    Returns:
        One for each band, in its unit; 0 where there are no details; not-a-number where there are too few valid pixels.

    Example:

    >>> noise = np.random.default_rng(0).normal(scale=25, size=(200, 200, 1))
    >>> estimate_noise(noise + 100).round()
    array([25.])
    """
    root = np.sqrt(3)
    low_pass = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2))
    high_pass = (low_pass[::-1] * [1, -1, 1, -1]).astype(np.float32)
    details = np.asarray(image)
    for _ in range(2):
        length = max(len(details) - 3, 0)
        details = sum(weight * details[k : k + length] for k, weight in enumerate(high_pass)).swapaxes(0, 1)
    found = np.full(image.shape[2], np.nan)
    for band in range(image.shape[2]):
        told = details[..., band][np.isfinite(details[..., band])]
        if told.size < _LEAST:
            continue
        # What is zero, but for rounding, is no noise: an image that was cut off at its greatest or its least value.
        told = told[np.abs(told) > _ROUNDING * np.nanmax(np.abs(image[..., band]))]
        found[band] = np.median(np.abs(told)) / _QUARTILE if told.size >= _LEAST else 0.0
    return found


def noise_of_scene(source: Source, *, see: Callable[[np.ndarray], np.ndarray] | None = None) -> float | None:
    """Estimates the noise of a scene: the median over its bands and over 16 windows spread evenly over it.

    Where these hold too few valid pixels, over the whole scene in large windows.

    Args:
        source: a scene.
        see: turns what is read, (height, width, band), into the image that is meant; default: nothing.

    Returns:
        The standard deviation, in the scene's unit; 0 where there are no details at all; None where there are too few
        valid pixels next to one another.

    Raises:
        NoValidPixels: there is none.
        SourceUnreadable: the file is damaged.
    """
    shape, any_valid = source.grid.shape, False
    for windows in (_spread(shape), _all(shape)):
        found = []
        for window in windows:
            image, _ = source.read(window)
            seen = image if see is None else see(image)
            any_valid = any_valid or bool(np.isfinite(seen).any())
            found.append(estimate_noise(seen))
        levels = np.concatenate(found)
        told = levels[np.isfinite(levels)]
        if told.size:
            # Of an image that is partly flat, the rest tells.
            return float(np.median(told[told > 0])) if (told > 0).any() else 0.0
    if not any_valid:
        raise NoValidPixels(source.name)
    return None


def _spread(shape: tuple[int, int]) -> Iterator[Window]:
    """Some windows, spread evenly."""
    rows, columns = (_starts(length) for length in shape)
    for row in rows:
        for column in columns:
            yield Window(column, row, min(_SIDE, shape[1]), min(_SIDE, shape[0]))


def _starts(length: int) -> list[int]:
    count = min(_WINDOWS, max(length // _SIDE, 1))
    return [int(start) for start in np.linspace(0, max(length - _SIDE, 0), count).round()]


def _all(shape: tuple[int, int]) -> Iterator[Window]:
    """Large windows side by side."""
    for row in range(0, shape[0], _LARGE):
        for column in range(0, shape[1], _LARGE):
            yield Window(column, row, min(_LARGE, shape[1] - column), min(_LARGE, shape[0] - row))
