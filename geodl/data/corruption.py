"""Noisy samples: noise of a known kind added to clean scenes, and ways to learn from scenes that are noisy anyway."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodl.errors import OptionError
from geodl.physics.noise import add_gaussian, add_poisson_gaussian
from geodl.physics.speckle import Unit, add_speckle, from_intensity, to_intensity

__all__ = ("BlindSpot", "GaussianNoise", "PoissonGaussianNoise", "Range", "RealAndImaginary", "Speckle", "TwoLooks")

Range = tuple[float, float]
"""Least and greatest; a sample's value is drawn evenly between them."""

_Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class GaussianNoise:
    """White noise added to clean scenes. See `Degradation`."""

    sigma: Range
    """Standard deviation, in the scenes' units."""
    stated: bool = False
    """Whether the standard deviation is the last band of `x`, for networks that are told it."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the noisy window and the clean one."""
        sigma = rng.uniform(*self.sigma)
        noisy = add_gaussian(values, sigma, rng=rng)
        if self.stated:
            noisy = np.concatenate([noisy, np.full((*noisy.shape[:2], 1), sigma, np.float32)], -1)
        return noisy, values, weight


@dataclass(frozen=True)
class PoissonGaussianNoise:
    """Photon noise and the detector's own, of variance gain × signal + sigma². See `Degradation`."""

    gain: Range
    """Variance of the photon noise per unit of the signal, in the scenes' units."""
    sigma: Range
    """Standard deviation of the detector's noise, in the scenes' units."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the noisy window and the clean one."""
        gain, sigma = rng.uniform(*self.gain), rng.uniform(*self.sigma)
        return add_poisson_gaussian(values, gain, sigma, rng=rng), values, weight


@dataclass(frozen=True)
class Speckle:
    """Speckle on scenes taken as free of it. See `Degradation`.

    `level` and `contrast` make optical images, which all have much the same brightness and few bright points, stand for
    radar scenes of any calibration and of their far greater range.
    """

    unit: Unit
    """What the scenes hold."""
    looks: Range
    """Drawn evenly in its logarithm."""
    correlation: Range = (0.0, 0.0)
    """Standard deviation of the point spread function of the complex field, in pixels."""
    level: float = 0.0
    """Standard deviation, in dB, of a change of brightness."""
    contrast: Range = (1.0, 1.0)
    """Power that intensities are raised to, about their mean logarithm."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the speckled window and the one without."""
        looks = float(np.exp(rng.uniform(*np.log(self.looks))))
        correlation = rng.uniform(*self.correlation)
        level, power = rng.normal(0, self.level), rng.uniform(*self.contrast)
        clean = values
        if self.level or self.contrast != (1.0, 1.0):
            clean = self._changed(values, level, power)
        return add_speckle(clean, looks, unit=self.unit, rng=rng, correlation=correlation), clean, weight

    def _changed(self, values: np.ndarray, level: float, power: float) -> np.ndarray:
        intensity = to_intensity(values, self.unit)
        bright = intensity > 0
        if not bright.any():
            return values
        middle = np.exp(np.mean(np.log(intensity, where=bright, out=np.zeros_like(intensity)), where=bright))
        with np.errstate(invalid="ignore"):
            changed = middle * 10 ** (level / 10) * (np.maximum(intensity, 0) / middle) ** power
        return from_intensity(changed.astype(np.float32), self.unit)


@dataclass(frozen=True)
class BlindSpot:
    """Pixels to be told from their surroundings, where only noisy scenes exist (Krull et al. 2019, Noise2Void).

    Some pixels are replaced by a neighbour, and only they count. It works for noise of mean zero that is independent
    from pixel to pixel, given the signal, and for signals that are not: what cannot be told from the surroundings is
    taken for noise, and noise that is correlated in space is learnt as signal.
    """

    share: float = 0.016
    """Of the pixels, that are replaced."""
    radius: int = 2
    """Replacements come from the square of this radius."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the window with pixels replaced, and the window; only the replaced pixels count."""
        height, width = values.shape[:2]
        rows, columns = self._spots(height, width, rng)
        if not weight[rows, columns].any() and weight.any():
            # A sample whose spots all fell on nodata would teach nothing.
            rows, columns = rng.choice(np.argwhere(weight > 0), 1).T
        top, high = _reach(rows, self.radius, height)
        left, wide = _reach(columns, self.radius, width)
        # Any place of the square, as far as it lies in the window, but the pixel's own.
        step = rng.integers(np.maximum(high * wide - 1, 1))
        step += step >= (rows - top) * wide + columns - left
        step = np.minimum(step, high * wide - 1)
        seen = values.copy()
        seen[rows, columns] = values[top + step // wide, left + step % wide]
        counted = np.zeros_like(weight)
        counted[rows, columns] = weight[rows, columns]
        return seen, values, counted

    def _spots(self, height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One pixel in each cell of a grid: spread evenly, so that neighbours of a spot are seldom spots themselves."""
        cell = max(2, round(1 / np.sqrt(self.share)))
        top, left = np.meshgrid(np.arange(0, height, cell), np.arange(0, width, cell), indexing="ij")
        rows, columns = (corner.ravel() + rng.integers(cell, size=top.size) for corner in (top, left))
        inside = (rows < height) & (columns < width)
        return rows[inside], columns[inside]


def _reach(positions: np.ndarray, radius: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns, along one axis, where the surroundings of pixels begin and how long they are."""
    first = np.maximum(positions - radius, 0)
    return first, np.minimum(positions + radius, length - 1) - first + 1


@dataclass(frozen=True)
class TwoLooks:
    """One noisy look, to be told from another at the same place (Lehtinen et al. 2018, Noise2Noise).

    The noise of the two must be independent, and the scene the same: what has changed in between is blurred. With
    clean second looks it is plain supervision, and `swap` is off.
    """

    swap: bool
    """Whether either look may be the one that is seen."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Takes the first half of the bands for one look, the second half for the other."""
        bands = values.shape[-1] // 2
        if values.shape[-1] != 2 * bands:
            raise OptionError("bands", expected="as many of one look as of the other", received=values.shape[-1])
        one, other = values[..., :bands], values[..., bands:]
        return (other, one, weight) if self.swap and rng.integers(2) else (one, other, weight)


@dataclass(frozen=True)
class RealAndImaginary:
    """One part of single-look complex data, to be told from the other (Dalsasso et al. 2022, MERLIN).

    Fully developed speckle has independent real and imaginary parts, each of half the intensity: twice the square of
    either is the intensity with the speckle of half a look. It needs data whose spectrum is centred, and whose sensor
    or focusing does not correlate the parts.
    """

    swap: bool
    """Whether either part may be the one that is seen; else the real one is."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Takes bands real, imaginary; gives intensities."""
        squares = 2 * values**2
        one, other = squares[..., :1], squares[..., 1:]
        return (other, one, weight) if self.swap and rng.integers(2) else (one, other, weight)
