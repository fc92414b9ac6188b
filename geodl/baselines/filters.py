"""Restoration without learning, or with one number learned: nothing, bicubic, non-local means, total variation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from scipy.optimize import minimize_scalar

from geodl.baselines.images import each_band, fill
from geodl.data.samples import Samples
from geodl.errors import NoValidPixels, OptionError
from geodl.physics.sensor import enlarge
from geodl.physics.speckle import Unit, from_intensity, log_bias, log_variance, to_intensity

__all__ = ("Bicubic", "Identity", "NonLocalMeans", "TotalVariation")

_PIXELS = 1 << 16
"""Pixels of training samples by which a filter's strength is chosen."""
_SIDE = 256
"""Most pixels of one of these samples, along y and x."""


class Identity:
    """Gives the input back: what doing nothing scores.

    Example:
        >>> baseline = Identity()
    """

    name = "noisy input"

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns the batch, as float32."""
        return np.asarray(x, np.float32)


class Bicubic:
    """Enlarges by bicubic interpolation; see `geodl.physics.sensor.enlarge`.

    Args:
        scale: how many times finer the result's pixels are, 2 or more.

    Example:
        >>> finer = Bicubic(2)(x)                              # (batch, 2 height, 2 width, band)
    """

    name = "bicubic"

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Enlarges a batch; see `Baseline.__call__`."""
        return np.stack([enlarge(image, self.scale) for image in x]).astype(np.float32)


class _Tuned:
    """A filter of single bands, for additive noise, whose strength is chosen on training samples.

    Args:
        unit: what the values of radar images are: they are filtered as natural logarithms of intensity, less the bias
            of the logarithm of speckle, and given back as they came. None filters the values themselves.
        looks: number of looks, where `unit` is given.
        floor: intensity to which smaller ones are raised, where `unit` is given.
        strength: in standard deviations of the noise; None has `fit` choose it.
    """

    _bounds: tuple[float, float]
    """Least and greatest strength to be tried."""

    def __init__(
        self,
        *,
        unit: Unit | None = None,
        looks: float = 1.0,
        floor: float = 1e-6,
        strength: float | None = None,
    ) -> None:
        for option, value in (("floor", floor), ("strength", strength)):
            if value is not None and not value > 0:
                raise OptionError(option, expected="a number greater than 0", received=value)
        if unit is not None:
            to_intensity(np.ones(1), unit)
        self.unit, self.looks, self.floor = unit, looks, floor
        self._bias = 0.0 if unit is None else log_bias(looks)
        self.strength = strength
        """Strength, in standard deviations of the noise; chosen anew by `fit` unless it was given."""
        self._given = strength is not None
        self.sigma: tuple[float, ...] = ()
        """Standard deviation of the noise of each band, in its units or, with `unit`, in nepers of intensity."""

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Measures the noise, and chooses the strength that brings x nearest to y: least squared error over all bands.

        The noise is what x has and y lacks, so y must be clean; with `unit` it follows from the looks, and y may have
        noise of its own.

        Raises:
            NoValidPixels: no sample has a valid target.
        """
        pairs = list(self._pairs(samples, seed))
        if not pairs:
            raise NoValidPixels("Training samples", "No target is valid")
        bands = pairs[0][0].shape[-1]
        if self.unit is None:
            noise = np.ma.masked_invalid(np.concatenate([(x - y).reshape(-1, bands) for x, y in pairs]))
            deviation = np.ma.sqrt(np.ma.mean(np.square(noise), axis=0, dtype=np.float64)).filled(0)
            # What is clean already must stay defined, and what it is.
            self.sigma = tuple(float(value) for value in np.maximum(deviation, np.finfo(np.float32).tiny))
        else:
            self.sigma = (math.sqrt(log_variance(self.looks)),) * bands
        if not self._given:
            self.strength = self._best(pairs)
        return self

    def _best(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        def cost(log_strength: float) -> float:
            found = [(self._filter(x[None], math.exp(log_strength))[0] - y) / self.sigma for x, y in pairs]
            return float(np.nanmean(np.square(np.concatenate([error.ravel() for error in found]))))

        bounds = math.log(self._bounds[0]), math.log(self._bounds[1])
        best = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 0.03, "maxiter": 15})
        return math.exp(best.x)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Filters a batch; see `Baseline.__call__`."""
        if self.strength is None or not self.sigma:
            raise RuntimeError(f"{type(self).__name__}: call fit before predicting.")
        return self._from_domain(self._filter(self._to_domain(x), self.strength))

    def _filter(self, values: np.ndarray, strength: float) -> np.ndarray:
        return each_band(values, lambda band, index: self._denoise(fill(band), self.sigma[index], strength))

    def _denoise(self, band: np.ndarray, sigma: float, strength: float) -> np.ndarray:
        """Filters one band, (height, width), given the standard deviation of its noise."""
        raise NotImplementedError

    def _to_domain(self, values: np.ndarray, bias: float | None = None) -> np.ndarray:
        if self.unit is None:
            return values
        logarithm = np.log(np.maximum(to_intensity(values, self.unit), np.float32(self.floor)))
        return logarithm - np.float32(self._bias if bias is None else bias)

    def _from_domain(self, values: np.ndarray) -> np.ndarray:
        return values if self.unit is None else from_intensity(np.exp(values), self.unit)

    def _pairs(self, samples: Samples, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields input and target of random samples, (height, width, band), the target NaN where it does not count."""
        rng = np.random.default_rng([seed, 2])
        pixels = 0
        for index in rng.permutation(len(samples)):
            x, y, weight = (values[:_SIDE, :_SIDE] for values in samples.read(int(index), rng))
            y = np.where(np.isfinite(x) & (weight[..., None] > 0), y, np.float32(np.nan))
            if np.isfinite(y).any():
                pixels += weight.size
                yield self._to_domain(x), self._to_domain(y, bias=0.0)
            if pixels >= _PIXELS:
                return


class NonLocalMeans(_Tuned):
    """Non-local means of each band (Buades et al. 2005; scikit-image's `denoise_nl_means`, told the noise).

    Patches of 7 × 7 pixels are compared with those up to 11 pixels off. The strength is the paper's h.

    Args:
        unit: None, or what the values of radar images are; see `_Tuned`.
        looks: see `_Tuned`.
        floor: see `_Tuned`.
        strength: see `_Tuned`.

    Example:
        >>> baseline = NonLocalMeans(unit="amplitude", looks=1).fit(samples)
        >>> clean = baseline(x)                                # (batch, height, width, band)
    """

    name = "non-local means"
    _bounds = (0.1, 3.0)

    def _denoise(self, band: np.ndarray, sigma: float, strength: float) -> np.ndarray:
        from skimage.restoration import denoise_nl_means

        return denoise_nl_means(band, 7, 11, strength * sigma, sigma=sigma, preserve_range=True)


class TotalVariation(_Tuned):
    """Total variation of each band (Rudin et al. 1992, solved as Chambolle 2004; scikit-image's `denoise_tv_chambolle`).

    The strength is the weight of total variation.

    Args:
        unit: None, or what the values of radar images are; see `_Tuned`.
        looks: see `_Tuned`.
        floor: see `_Tuned`.
        strength: see `_Tuned`.

    Example:
        >>> baseline = TotalVariation().fit(samples)
        >>> clean = baseline(x)                                # (batch, height, width, band)
    """

    name = "total variation"
    _bounds = (0.1, 2.5)

    def _denoise(self, band: np.ndarray, sigma: float, strength: float) -> np.ndarray:
        from skimage.restoration import denoise_tv_chambolle

        # Its own tolerance ends long before the minimum, after a number of steps that makes strong weights act weak.
        return denoise_tv_chambolle(band, strength * sigma, eps=1e-5)
