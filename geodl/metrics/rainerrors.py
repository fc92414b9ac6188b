"""How far rain rates are off: sums of errors and products that can be added over a data set."""

from __future__ import annotations

import numpy as np

__all__ = ("error_scores", "error_sums")

_CONSTANT = 1e-12
"""Variances below this share of the mean square are rounding errors of fields that are the same everywhere."""


def error_sums(observed: np.ndarray, forecast: np.ndarray, *, pixels: int | None = None) -> np.ndarray:
    """Returns the sums that `error_scores` divides.

    Args:
        observed: rain rates in mm/h, of any shape, without not-a-number.
        forecast: shape of `observed`.
        pixels: how many pixels count; those that do not are 0 in both fields. By default all do.

    Returns:
        float64 of shape (8,): pixels, |error|, error², observed, forecast, observed², forecast², observed × forecast.
    """
    one, other = observed.ravel().astype(np.float64), forecast.ravel().astype(np.float64)
    error = other - one
    # Not `@`, whose threads wait for each other wherever other work runs on the same cores.
    products = [np.einsum("i,i->", *pair) for pair in ((error, error), (one, one), (other, other), (one, other))]
    absolute = np.abs(error, out=error).sum()
    total = one.size if pixels is None else pixels
    return np.array([total, absolute, products[0], one.sum(), other.sum(), *products[1:]])


def error_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the scores of rain rates.

    Args:
        sums: shape (…, 8), from `error_sums`.

    Returns:
        By name, of shape (…), not-a-number where undefined:

        - `mae`: mean absolute error, mm/h;
        - `rmse`: root of the mean squared error, mm/h;
        - `correlation`: Pearson's, −1 to 1;
        - `mean_rate_bias`: mean forecast / mean observed rate, best 1.
    """
    sums = np.asarray(sums, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[..., 1:] / sums[..., :1]
        absolute, squares, one, other, one_one, other_other, one_other = np.moveaxis(means, -1, 0)
        variance, other_variance = one_one - one * one, other_other - other * other
        varies = (variance > _CONSTANT * one_one) & (other_variance > _CONSTANT * other_other)
        return {
            "mae": absolute,
            "rmse": np.sqrt(squares),
            "correlation": np.where(varies, (one_other - one * other) / np.sqrt(variance * other_variance), np.nan),
            "mean_rate_bias": np.where(one > 0, other / one, np.nan),
        }
