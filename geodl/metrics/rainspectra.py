"""At which scales rain varies: radially averaged power spectra."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from scipy import fft

__all__ = ("pooled_spectra", "radial_spectrum")


def radial_spectrum(field: np.ndarray) -> np.ndarray:
    """Returns the radially averaged power spectrum of a field (Ruzanski and Chandrasekar 2011, section II.B).

    Of a square field it is what pysteps' `rapsd` returns. Others are filled up with zeros to a square first: rings of
    equal wave number would otherwise hold other wavelengths down than across.

    Args:
        field: shape (height, width), without not-a-number; in any unit.

    Returns:
        float64, the unit squared, of shape ((side + 1) // 2,) where side is the longer one: the mean power of the
        wave numbers 0, 1, 2, … per side, that is, of the wavelengths ∞, side, side / 2, … pixels.

    Example:
        >>> wave = np.tile(np.sin(2 * np.pi * np.arange(8) / 4), (8, 1))
        >>> int(radial_spectrum(wave).argmax())  # a wavelength of 8 / 2 pixels
        2
    """
    side = max(field.shape)
    rings, weights, sizes = _rings(side)
    waves = fft.rfft2(field.astype(np.float64), s=(side, side))
    power = np.square(waves.real)
    power += np.square(waves.imag)
    power *= weights
    return np.bincount(rings, weights=power.ravel(), minlength=sizes.size)[: sizes.size] / (sizes * side**2)


def pooled_spectra(
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adds spectra of fields of several sizes, at the frequencies of the smallest.

    Power is per wave number of a unit field, so that spectra of large and small fields of the same rain agree; that of
    larger fields is interpolated.

    Args:
        parts: of each size, frequencies in 1/pixel, rising, of shape (frequency,); how many fields, of any shape (…);
            and the sums of their spectra, of shape (any, …, frequency).

    Returns:
        The same three of all together.
    """
    frequency = max((part[0] for part in parts), key=lambda known: known[0] if known.size else 0.0)
    fields = np.sum([part[1] for part in parts], axis=0)
    power = np.zeros((*parts[0][2].shape[:-1], frequency.size))
    for known, _, own in parts:
        power += np.apply_along_axis(partial(_at, frequency, known), -1, own) if known.size else 0
    return frequency, fields, power


def _at(frequency: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.interp(frequency, known, values)


@lru_cache(maxsize=8)
def _rings(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which ring each coefficient of a real transform lies in, how often it stands for itself or its mirror, ring sizes."""
    down, across = fft.fftfreq(side, 1 / side), fft.rfftfreq(side, 1 / side)
    rings = np.rint(np.hypot(down[:, None], across)).astype(np.int32)
    weights = np.where((across == 0) | (2 * across == side), 1.0, 2.0)
    count = (side + 1) // 2
    rings = np.minimum(rings, count).ravel()
    sizes = np.bincount(rings, weights=np.broadcast_to(weights, (side, across.size)).ravel())[:count]
    return rings, weights, sizes
