"""Additive noise of optical sensors: Gaussian, and the Poissonian-Gaussian mixture of photon counts and read-out.

Noise is never clipped to the range of the image: a clipped noisy image has another mean than the clean one, and is another
benchmark than the one that published figures of denoisers stand on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodl.errors import OptionError

__all__ = ("add_gaussian", "add_poisson_gaussian")

_MOST_PHOTONS = 1e18  # Counts are 64-bit integers.


def add_gaussian(
    clean: np.ndarray, sigma: float | Sequence[float] | np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Adds white Gaussian noise of zero mean.

    Args:
        clean: `(..., band)` with a sigma per band, else of any shape; physical units, NaN is nodata.
        sigma: standard deviation in the units of `clean`, at least 0: one value, or one per band.
        rng: where the noise is drawn from; the same state gives the same noise.

    Returns:
        float32 array of the shape of `clean`, NaN where `clean` is.

    Raises:
        OptionError: `sigma` is negative, not finite, or has another length than the last dimension of `clean`.

    Example:
        >>> noisy = add_gaussian(np.full((4, 4, 3), 0.2), [0.01, 0.01, 0.02], rng=np.random.default_rng(0))
        >>> noisy.shape, noisy.dtype
        ((4, 4, 3), dtype('float32'))
    """
    clean = np.asarray(clean, np.float32)
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    noise *= _per_band("sigma", sigma, clean.shape)
    noise += clean
    return noise


def add_poisson_gaussian(
    clean: np.ndarray,
    gain: float | Sequence[float] | np.ndarray,
    sigma: float | Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """Adds noise that grows with the signal: photons counted with a gain, then Gaussian read-out noise.

    The mean is `clean` everywhere, the variance `gain * max(clean, 0) + sigma**2` (Foi et al. 2008, "Practical
    Poissonian-Gaussian noise modeling and fitting for single-image raw-data", section II). Negative values (reflectance
    after an atmospheric correction) count no photons and get the Gaussian part only.

    Args:
        clean: `(..., band)` with values per band, else of any shape; physical units, NaN is nodata.
        gain: units of `clean` per photon, at least 0: one value, or one per band. 0 leaves the Gaussian part.
        sigma: standard deviation of the Gaussian part in the units of `clean`, at least 0: one value, or one per band.
        rng: where the noise is drawn from; the same state gives the same noise.

    Returns:
        float32 array of the shape of `clean`, NaN where `clean` is.

    Raises:
        OptionError: `gain` or `sigma` is negative, not finite, or has another length than the last dimension of `clean`;
            or `gain` is so small that the photons cannot be counted.

    Example:
        >>> noisy = add_poisson_gaussian(np.full((4, 4, 1), 0.2), 1e-4, 0.005, rng=np.random.default_rng(0))
        >>> noisy.shape
        (4, 4, 1)
    """
    clean = np.asarray(clean, np.float32)
    gains = np.broadcast_to(_per_band("gain", gain, clean.shape), clean.shape)
    counted = (clean > 0) & np.isfinite(clean) & (gains > 0)
    photons = clean[counted] / gains[counted].astype(np.float64)
    if photons.size and photons.max() > _MOST_PHOTONS:
        raise OptionError("gain", expected=f"0 or at least 1/{_MOST_PHOTONS:g} of the greatest value", received=gain)
    noisy = clean.copy()
    noisy[counted] = rng.poisson(photons) * gains[counted]
    return add_gaussian(noisy, sigma, rng=rng)


def _per_band(option: str, values: float | Sequence[float] | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values as float32, broadcastable to `shape`."""
    array = np.asarray(values, np.float32)
    if array.ndim > 1 or not np.all(np.isfinite(array)) or np.any(array < 0):
        raise OptionError(option, expected="one number or one per band, finite and at least 0", received=values)
    if array.size != 1 and (not shape or array.size != shape[-1]):
        raise OptionError(option, expected=f"one number or {shape[-1] if shape else 1} (one per band)", received=values)
    return array
