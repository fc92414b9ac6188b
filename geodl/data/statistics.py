"""Mean and standard deviation of the bands over the training area."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from geodl.data.samples import Samples, Scene
from geodl.data.source import Window
from geodl.data.windows import partition, rectangles, subtract
from geodl.errors import NoValidPixels

__all__ = ("sample_statistics", "statistics", "training_windows")

_LOG = logging.getLogger("geodl")
_SAMPLES = 7
"""Keeps this choice of samples apart from what others draw with the same seed."""


def statistics(
    scenes: Sequence[Scene], *, size: int = 256, most: int = 256, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Measures each band over all that training may see, labelled or not; held-out areas and nodata are left out.

    Window by window, merged by Chan, Golub & LeVeque (1983), so that neither memory nor rounding grows with the data.

    Args:
        scenes: of one data set, with the same bands.
        size: side of a window, in pixels.
        most: how many windows with valid pixels are looked at; a random choice where there are more.
        seed: of that choice.

    Returns:
        Mean and standard deviation of each band, float64 of shape (bands,), in physical units. The standard deviation
        of a constant band is given as 1, so that it can be divided by.

    Raises:
        NoValidPixels: a band has no valid value anywhere.
    """
    moments = _Moments(len(scenes[0].source.bands))
    seen = 0
    for scene, window in training_windows(scenes, size, seed):
        values, valid = scene.source.read(window)
        seen += moments.add(np.where(valid, values, np.nan))
        if seen >= most and moments.number.all():
            break
    names = [band.name for band in scenes[0].source.bands]
    if not moments.number.all():
        empty = ", ".join(name for name, found in zip(names, moments.number, strict=True) if not found)
        raise NoValidPixels("The training scenes", f"Every pixel of {empty} is nodata")
    mean, std = moments.mean, moments.std
    constant = std <= 1e-7 * np.abs(mean)
    if constant.any():
        which = ", ".join(name for name, same in zip(names, constant, strict=True) if same)
        _LOG.warning("Band(s) %s have one value all over the training scenes: nothing can be learnt from them.", which)
    return mean, np.where(constant, 1.0, std)


class _Moments:
    """Mean and standard deviation of bands, array by array."""

    def __init__(self, bands: int) -> None:
        self.number, self.mean, self._squares = (np.zeros(bands) for _ in range(3))

    def add(self, values: np.ndarray) -> bool:
        """Takes the finite values of an array (…, band) in; returns whether there are any."""
        bands = values.reshape(-1, len(self.mean)).T.astype(np.float64, order="C")
        known = np.isfinite(bands)
        bands[~known] = 0
        here = known.sum(1)
        centre = bands.sum(1) / np.maximum(here, 1)
        both, shift = np.maximum(self.number + here, 1), centre - self.mean
        self._squares += (((bands - centre[:, None]) * known) ** 2).sum(1) + shift**2 * self.number * here / both
        self.mean += shift * here / both
        self.number += here
        return bool(here.any())

    @property
    def std(self) -> np.ndarray:
        """Not-a-number of a band without values."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self._squares / self.number)


def training_windows(scenes: Sequence[Scene], size: int, seed: int) -> Iterator[tuple[Scene, Window]]:
    """Yields the windows, of at most `size` pixels a side, that partition the training area, in random order."""
    areas = [(scene, window) for scene in scenes if scene.split.trains for window in _area(scene, size)]
    yield from (areas[k] for k in np.random.default_rng(seed).permutation(len(areas)))


def _area(scene: Scene, size: int) -> Iterator[Window]:
    excluded = rectangles(scene.split.excluded)
    for window in partition(scene.source.grid.window, size):
        yield from subtract(window, excluded)


def sample_statistics(
    samples: Samples,
    *,
    of: Literal["x", "y"] = "x",
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    most: int = 128,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Measures each band over samples as the network gets them: noisy, degraded, varied.

    Args:
        samples: with `x` and `y` of shape (height, width, band).
        of: what is measured: the input or the truth.
        transform: applied before; keeps the shape.
        most: samples looked at; a random choice where there are more, and some again where there are fewer.
        seed: of that choice, and of what the samples draw.

    Returns:
        Mean and standard deviation of each band, float64 of shape (bands,). The standard deviation of a constant band is
        given as 1, so that it can be divided by.

    Raises:
        NoValidPixels: a band has no valid value anywhere.
    """
    rng = np.random.default_rng([seed, _SAMPLES])
    chosen = rng.permutation(np.resize(rng.permutation(len(samples)), max(most, 1)))
    moments: _Moments | None = None
    for k in chosen:
        array = samples.read(int(k), rng)[of == "y"]
        pixels = array.reshape(-1, array.shape[-1])
        moments = moments or _Moments(pixels.shape[1])
        moments.add(pixels if transform is None else transform(pixels))
    if moments is None or not moments.number.all():
        raise NoValidPixels("The training samples", "Every pixel of a band is nodata")
    mean, std = moments.mean, moments.std
    return mean, np.where(std <= 1e-7 * np.abs(mean), 1.0, std)
