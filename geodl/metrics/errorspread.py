"""Whether the errors of forecasts of states are as large as the forecasts said that they would be."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from geodl.errors import OptionError

__all__ = ("ellipsoid_scores", "lower_triangle")


def lower_triangle(channels: np.ndarray) -> np.ndarray:
    """Returns lower triangular matrices from their rows.

    Args:
        channels: (…, n (n + 1)/2): the first row, of one number, then the second, of two, and so on.

    Returns:
        float64 of shape (…, n, n), 0 above the diagonal.

    Raises:
        OptionError: there is no n with so many channels.

    Example:
        >>> lower_triangle(np.array([1.0, 2.0, 3.0]))
        array([[1., 0.],
               [2., 3.]])
    """
    length = channels.shape[-1]
    count = int((2 * length) ** 0.5)
    if count * (count + 1) // 2 != length:
        raise OptionError("channels", expected="n (n + 1)/2 of them", received=length)
    matrix = np.zeros((*channels.shape[:-1], count, count))
    matrix[(..., *np.tril_indices(count))] = channels
    return matrix


def ellipsoid_scores(truth: np.ndarray, forecast: np.ndarray, factor: np.ndarray, *, share: float = 0.9) -> np.ndarray:
    """Returns how many states lie inside the ellipsoid that is to hold a share of them, and how likely they are.

    Of a state of which some variables are observed it is the marginal distribution of these that counts.

    Args:
        truth: (…, state), in units of the standard deviation of each variable; not-a-number where not observed.
        forecast: the means, shape of `truth`, in its units.
        factor: (…, state (state + 1)/2): rows of the lower triangle L of the covariance L Lᵀ, in these units.
        share: of the probability, between 0 and 1.

    Returns:
        float64 of shape (3,): how many states lie inside, the sum of their natural logarithms of probability density, and
        how many states there are. Where the forecast is not finite, or the covariance singular, the state lies outside
        and has the density 0.

    Raises:
        OptionError: shapes do not fit, `share` is not between 0 and 1.

    Example:
        >>> inside, likelihood, count = ellipsoid_scores(np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)))
        >>> float(inside), round(float(likelihood), 4), float(count)
        (1.0, -0.9189, 1.0)
    """
    if not 0 < share < 1:
        raise OptionError("share", expected="a number between 0 and 1", received=share)
    if forecast.shape != truth.shape:
        raise OptionError("forecast", expected=f"shape {truth.shape}", received=forecast.shape)
    variables = truth.shape[-1]
    triangle = lower_triangle(factor)
    if triangle.shape[:-1] != truth.shape:
        raise OptionError("factor", expected=f"{variables * (variables + 1) // 2} channels", received=factor.shape)
    counts = np.isfinite(truth).any(axis=-1)
    usable = counts & np.isfinite(forecast).all(axis=-1) & np.isfinite(triangle).all(axis=(-1, -2))
    seen = np.isfinite(truth[usable])
    error = np.where(seen, truth[usable] - forecast[usable], 0.0)
    covariance = triangle[usable] @ triangle[usable].swapaxes(-1, -2)
    # What is not observed is made certain, with variance 1 and no error: neither distance nor determinant feels it.
    covariance = np.where(seen[:, :, None] & seen[:, None, :], covariance, np.eye(variables))
    sign, logarithm = np.linalg.slogdet(covariance)
    regular = sign > 0
    error, covariance, observed = error[regular], covariance[regular], seen[regular].sum(axis=-1)
    distance = (error * np.linalg.solve(covariance, error[..., None])[..., 0]).sum(axis=-1)
    density = -0.5 * (distance + logarithm[regular] + observed * np.log(2 * np.pi))
    total = np.count_nonzero(counts)
    likelihood = density.sum() if len(error) == total else -np.inf
    return np.array([np.sum(distance <= chi2.ppf(share, observed)), likelihood, total], np.float64)
