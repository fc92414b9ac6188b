"""Speckle of synthetic aperture radar: multiplicative, Gamma distributed in intensity, white or spatially correlated.

With `looks` L the intensity is `I = R * n`: R is the reflectivity, n has the density Gamma(L, 1/L), mean 1 and variance 1/L
(Goodman 1976; Ulaby et al. 1986, "Textural information in SAR images"). Its logarithm has the mean psi(L) - ln L
and the variance psi1(L), whatever R is.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import ndimage, special

from geodl.errors import OptionError

__all__ = (
    "Unit",
    "add_speckle",
    "from_intensity",
    "log_bias",
    "log_variance",
    "simulate_slc",
    "speckle",
    "to_intensity",
)

Unit = Literal["intensity", "amplitude", "dB"]
"""What a pixel of a radar image holds: intensity I (power), amplitude sqrt(I), or decibel 10 log10(I)."""

_TRUNCATE = 4.0
_TINY = float(np.finfo(np.float32).tiny)


def to_intensity(values: np.ndarray, unit: Unit) -> np.ndarray:
    """Converts values of a radar image to intensity.

    Args:
        values: array of any shape, in `unit`; NaN is nodata.
        unit: what `values` hold.

    Returns:
        Array of the same shape and floating-point type (integers become float32 or float64). Negative amplitudes, which
        there are none of, stay negative: squared they would pass for values.

    Raises:
        OptionError: `unit` is unknown.

    Example:
        >>> float(to_intensity(np.float32(-10.0), "dB"))
        0.10000000149011612
    """
    values = _floating(values)
    match _known(unit):
        case "intensity":
            return values
        case "amplitude":
            return values * np.abs(values)
        case _:
            return np.power(values.dtype.type(10), values / 10)


def from_intensity(values: np.ndarray, unit: Unit) -> np.ndarray:
    """Converts intensity to the unit of a radar image.

    Args:
        values: array of any shape, intensity; NaN is nodata.
        unit: what the result holds.

    Returns:
        Array of the same shape and floating-point type. In dB an intensity of 0 is -inf; negative intensity is NaN in dB
        and in amplitude.

    Raises:
        OptionError: `unit` is unknown.

    Example:
        >>> float(from_intensity(np.float64(100.0), "dB"))
        20.0
    """
    values = _floating(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        match _known(unit):
            case "intensity":
                return values
            case "amplitude":
                return np.sqrt(values)
            case _:
                return 10 * np.log10(values)


def log_bias(looks: float) -> float:
    """Returns psi(L) - ln L, the mean of the logarithm of the speckle: -0.5772 for one look, towards 0 for many.

    Args:
        looks: number of looks L, at least 0.1, whole or not.

    Returns:
        The bias of log intensity in nepers; in dB it is 10 / ln 10 = 4.343 times as much, in log amplitude half as much.

    Raises:
        OptionError: `looks` is below 0.1 or not finite.

    Example:
        >>> round(log_bias(4), 4)
        -0.1302
    """
    looks = _checked_looks(looks)
    return float(special.digamma(looks) - np.log(looks))


def log_variance(looks: float) -> float:
    """Returns psi1(L), the variance of the logarithm of the speckle (of log intensity).

    Args:
        looks: number of looks L, at least 0.1, whole or not.

    Returns:
        The variance of log intensity in nepers squared; of log amplitude it is a quarter.

    Raises:
        OptionError: `looks` is below 0.1 or not finite.

    Example:
        >>> round(log_variance(1), 4)
        1.6449
    """
    return float(special.polygamma(1, _checked_looks(looks)))


def speckle(shape: tuple[int, ...], looks: float, *, rng: np.random.Generator, correlation: float = 0.0) -> np.ndarray:
    """Draws a field of speckle: what a uniform surface of intensity 1 looks like.

    A correlated field is the mean of L squared moduli of complex Gaussian fields, each filtered with a Gaussian point spread
    of standard deviation s = `correlation` pixels: the fields have the correlation exp(-d^2 / (4 s^2)) at distance d, the
    speckle its square, exp(-d^2 / (2 s^2)). Where L is not whole, a Gaussian field of that latter correlation is mapped to
    the Gamma distribution, value by value (a Gaussian copula): the marginal is right to 2e-4 of each value, the
    correlation a little smaller.

    Args:
        shape: `(height, width)` or `(height, width, band)`, any shape if uncorrelated. Bands are independent.
        looks: number of looks L, at least 0.1, whole or not.
        rng: where the speckle is drawn from; the same state gives the same field.
        correlation: standard deviation in pixels of the point spread of the complex field; 0 is white.

    Returns:
        float32 array, positive, each value Gamma(L, 1/L) distributed: mean 1, variance 1/L.

    Raises:
        OptionError: `looks` is below 0.1, `correlation` negative, one of them not finite; or a correlated field has fewer
            than two or more than three dimensions.

    Example:
        >>> field = speckle((64, 64, 1), 4, rng=np.random.default_rng(0), correlation=1.0)
        >>> field.shape, field.dtype
        ((64, 64, 1), dtype('float32'))
    """
    looks = _checked_looks(looks)
    if _checked_correlation(correlation, shape) == 0:
        field = rng.standard_gamma(looks, shape, dtype=np.float32) / np.float32(looks)
    elif looks.is_integer():
        field = np.zeros(shape, np.float32)
        # A complex field of unit intensity has half of its variance in either part.
        for _ in range(2 * int(looks)):
            field += np.square(_gaussian_field(shape, correlation, rng))
        field /= np.float32(2 * looks)
    else:
        field = _gamma_quantile(_gaussian_field(shape, correlation / np.sqrt(2), rng), looks)
    return np.maximum(field, np.float32(_TINY))


def add_speckle(
    clean: np.ndarray, looks: float, *, unit: Unit, rng: np.random.Generator, correlation: float = 0.0
) -> np.ndarray:
    """Multiplies an image's intensity by speckle.

    Args:
        clean: `(height, width, band)` or `(height, width)`, the reflectivity in `unit`; NaN is nodata.
        looks: number of looks L, at least 0.1, whole or not.
        unit: what `clean` and the result hold. In amplitude the mean is not kept (it falls by 11 % for one look), nor in
            dB (-2.51 dB for one look): only the mean intensity is.
        rng: where the speckle is drawn from; each band has its own.
        correlation: standard deviation in pixels of the point spread of the complex field; 0 is white.

    Returns:
        float32 array of the shape of `clean` in `unit`, NaN where `clean` is. Zero intensity stays zero.

    Raises:
        OptionError: as for `speckle`; or `unit` is unknown.

    Example:
        >>> noisy = add_speckle(np.full((8, 8, 1), -12.0), 1, unit="dB", rng=np.random.default_rng(0))
        >>> noisy.shape
        (8, 8, 1)
    """
    clean = np.asarray(clean, np.float32)
    _known(unit)
    field = from_intensity(speckle(clean.shape, looks, rng=rng, correlation=correlation), unit)
    return clean + field if unit == "dB" else clean * field


def simulate_slc(intensity: np.ndarray, *, rng: np.random.Generator, correlation: float = 0.0) -> np.ndarray:
    """Simulates single-look complex data: a circular Gaussian field whose mean squared modulus is `intensity`.

    `z = sqrt(intensity / 2) * (a + i b)`, with a and b independent real Gaussian fields of unit variance. The point spread
    is real and symmetric (as in a spectrum centred on zero Doppler), so the real and the imaginary part are independent also
    where the field is correlated: the assumption under which one part may supervise the other (Dalsasso et al. 2022, "As if
    by magic: self-supervised training of deep despeckling networks with MERLIN").

    Args:
        intensity: `(height, width, band)` or `(height, width)`, reflectivity, at least 0; NaN is nodata.
        rng: where the field is drawn from; each band has its own.
        correlation: standard deviation in pixels of the point spread of the complex field; 0 is white.

    Returns:
        complex64 array of the shape of `intensity`; `abs(z)**2` is intensity times one-look speckle. NaN where `intensity` is.

    Raises:
        OptionError: `intensity` holds negative values; `correlation` is negative or not finite.

    Example:
        >>> simulate_slc(np.ones((8, 8)), rng=np.random.default_rng(0)).dtype
        dtype('complex64')
    """
    intensity = np.asarray(intensity, np.float32)
    if np.any(intensity < 0):
        raise OptionError("intensity", expected="values of at least 0, or NaN", received=float(np.nanmin(intensity)))
    _checked_correlation(correlation, intensity.shape)
    scale = np.sqrt(intensity / 2)
    field = np.empty(intensity.shape, np.complex64)
    field.real = scale * _gaussian_field(intensity.shape, correlation, rng)
    field.imag = scale * _gaussian_field(intensity.shape, correlation, rng)
    return field


def _gaussian_field(shape: tuple[int, ...], correlation: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian field of zero mean and unit variance, filtered along height and width."""
    if correlation == 0:
        return rng.standard_normal(shape, dtype=np.float32)
    # The noise reaches beyond the image by the filter's radius: the border has the statistics of the interior.
    radius = int(_TRUNCATE * correlation + 0.5)
    height, width, *bands = shape
    noise = rng.standard_normal((height + 2 * radius, width + 2 * radius, *bands), dtype=np.float32)
    for axis in (0, 1):
        noise = ndimage.gaussian_filter1d(noise, correlation, axis=axis, truncate=_TRUNCATE)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    kernel = ndimage.gaussian_filter1d(impulse, correlation, truncate=_TRUNCATE)
    inner = noise[radius : radius + height, radius : radius + width]
    return inner / np.float32(np.sum(np.square(kernel)))


def _gamma_quantile(normal: np.ndarray, looks: float) -> np.ndarray:
    """Maps standard normal values to Gamma(L, 1/L) by a table of log quantiles, right to 2e-4 of each value."""
    # The inverse of the incomplete gamma function takes microseconds a value; either tail comes from its own side.
    lower = np.arange(-8, 0.005, 0.01)
    tail = special.ndtr(lower)
    quantiles = np.concatenate(
        [special.gammaincinv(looks, tail), special.gammainccinv(looks, tail[-2::-1])],
    )
    places = np.concatenate([lower, -lower[-2::-1]])
    return np.exp(np.interp(normal, places, np.log(quantiles / looks))).astype(np.float32)


def _floating(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _known(unit: Unit) -> Unit:
    if unit not in get_args(Unit):
        raise OptionError("unit", expected=" or ".join(get_args(Unit)), received=unit)
    return unit


def _checked_looks(looks: float) -> float:
    if not (np.isfinite(looks) and looks >= 0.1):
        raise OptionError("looks", expected="a finite number of at least 0.1", received=looks)
    return float(looks)


def _checked_correlation(correlation: float, shape: tuple[int, ...]) -> float:
    if not (np.isfinite(correlation) and correlation >= 0):
        raise OptionError("correlation", expected="a finite number of pixels, at least 0", received=correlation)
    if correlation > 0 and len(shape) not in (2, 3):
        raise OptionError("shape", expected="(height, width) or (height, width, band)", received=shape)
    return float(correlation)
