"""Whether rain is about where it was forecast: fractions of rain in neighbourhoods (FSS)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ("fraction_sums", "fractions_skill")


def fraction_sums(
    observed: np.ndarray, forecast: np.ndarray, thresholds: Sequence[float], scales: Sequence[int]
) -> np.ndarray:
    """Returns the sums that the fractions skill score is made of.

    It rains where the rate is at least the threshold, and beyond the sides it does not: both as in pysteps' `fss_accum`.

    Args:
        observed: rain rates in mm/h, of shape (height, width), 0 where nothing counts.
        forecast: shape of `observed`, 0 where nothing counts.
        thresholds: rain rates in mm/h, above 0.
        scales: sides of the square neighbourhoods, in pixels.

    Returns:
        float64 of shape (thresholds, scales, 3): sums over all pixels of forecast², forecast × observed and observed²
        fractions of rain in the neighbourhood. Sums of several fields can be added.
    """
    sums = np.zeros((len(thresholds), len(scales), 3))
    for per_threshold, threshold in zip(sums, thresholds, strict=True):
        wet, said = observed >= threshold, forecast >= threshold
        box = _rain_box(wet | said, max(scales, default=1))
        if box is None:
            continue
        fields = [field[box].astype(np.float32) for field in (said, wet)]
        for per_scale, scale in zip(per_threshold, scales, strict=True):
            one, other = (_fractions(field, scale) for field in fields)
            per_scale[:] = [_product(*pair) for pair in ((one, one), (one, other), (other, other))]
    return sums


def fractions_skill(sums: np.ndarray) -> np.ndarray:
    """Returns the fractions skill score (Roberts and Lean 2008, "Scale-selective verification of rainfall …", section 2c).

    Args:
        sums: shape (…, 3), from `fraction_sums`.

    Returns:
        0 to 1, best 1, of shape (…); not-a-number where there is no rain at all.
    """
    forecast, both, observed = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    whole = forecast + observed
    return np.divide(2 * both, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _fractions(field: np.ndarray, scale: int) -> np.ndarray:
    if scale > 1:
        field = ndimage.uniform_filter(field, scale, mode="constant", cval=0.0)
    return field


def _product(one: np.ndarray, other: np.ndarray) -> float:
    # Not `@`, whose threads wait for each other wherever other work runs on the same cores.
    return float(np.einsum("ij,ij->", one, other, dtype=np.float64))


def _rain_box(rain: np.ndarray, scale: int) -> tuple[slice, slice] | None:
    """The rectangle outside of which no neighbourhood holds any rain, as most of a field is dry; None: all of it is."""
    rows, columns = np.flatnonzero(rain.any(axis=1)), np.flatnonzero(rain.any(axis=0))
    if not rows.size:
        return None
    top, left = max(rows[0] - scale, 0), max(columns[0] - scale, 0)
    return slice(int(top), int(rows[-1]) + scale + 1), slice(int(left), int(columns[-1]) + scale + 1)
