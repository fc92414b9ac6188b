"""For how long a forecast of states is valid: until its error is as large as a part of the attractor."""

from __future__ import annotations

import numpy as np

from geodl.errors import OptionError

__all__ = ("as_times", "deviations", "is_censored", "relative_error", "valid_prediction_time", "valid_until")


def relative_error(truth: np.ndarray, forecast: np.ndarray, *, spread: float | np.ndarray) -> np.ndarray:
    """Returns the 2-norm of the errors in units of the attractor's spread.

    Where only some variables are observed it is the norm of their errors in units of the spread of these variables alone,
    √(Σ error² / Σ σ²), both sums over the observed ones; of all of them that is ‖forecast − truth‖ / spread.

    Args:
        truth: (batch, time, state) in physical units, not-a-number where not observed.
        forecast: shape of `truth`.
        spread: σ of each variable over the attractor, of shape (state,), physical units; or the spread √Σσ² alone, which
            all variables are then taken to share equally.

    Returns:
        float64 of shape (batch, time): not-a-number where nothing is observed, infinite where any variable of the
        forecast is not finite.

    Raises:
        OptionError: shapes do not fit, `spread` is not positive.

    Example:
        >>> relative_error(np.zeros((1, 1, 2)), np.array([[[3.0, 4.0]]]), spread=10.0)
        array([[0.5]])
    """
    truth, forecast = np.asarray(truth, np.float64), np.asarray(forecast, np.float64)
    if truth.ndim != 3 or forecast.shape != truth.shape:
        raise OptionError("forecast", expected=f"shape (batch, time, state), {truth.shape}", received=forecast.shape)
    variance = deviations(spread, truth.shape[-1]) ** 2
    seen = np.isfinite(truth)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = np.where(seen, (forecast - truth) ** 2, 0).sum(axis=-1)
        error = np.sqrt(squares / np.where(seen, variance, 0).sum(axis=-1))
    return np.where(np.isfinite(forecast).all(axis=-1), error, np.inf)


def valid_prediction_time(
    truth: np.ndarray,
    forecast: np.ndarray,
    times: np.ndarray,
    *,
    spread: float | np.ndarray,
    threshold: float = 0.4,
) -> np.ndarray:
    """Returns for how long each forecast is valid: until its `relative_error` first exceeds a threshold.

    It is the last observed time before that, so that a coarse step never makes it longer. A forecast that is not finite
    exceeds every threshold. Of one that never does it is the last observed time, a lower bound: see `is_censored`.

    Args:
        truth: (batch, time, state) in physical units, not-a-number where not observed.
        forecast: shape of `truth`; its first states are those that it starts from.
        times: (time,) or (batch, time), increasing.
        spread: see `relative_error`.
        threshold: in units of the spread; 0.4 as in Pathak et al. (2018, Chaos 28, 041101).

    Returns:
        float64 of shape (batch,), in the unit of `times`, counted from the first one.

    Raises:
        OptionError: shapes do not fit, `spread` or `threshold` is not positive.

    Example:
        >>> truth, forecast = np.zeros((1, 4, 1)), np.array([[[0.0], [0.1], [0.5], [0.1]]])
        >>> valid_prediction_time(truth, forecast, np.arange(4), spread=1.0)
        array([1.])
    """
    error = relative_error(truth, forecast, spread=spread)
    return valid_until(error, as_times(times, error.shape), threshold)[0]


def is_censored(
    truth: np.ndarray, forecast: np.ndarray, *, spread: float | np.ndarray, threshold: float = 0.4
) -> np.ndarray:
    """Says of which forecasts the valid prediction time is but a lower bound, as they are valid to their end.

    Args:
        truth: see `valid_prediction_time`.
        forecast: shape of `truth`.
        spread: see `relative_error`.
        threshold: in units of the spread.

    Returns:
        bool of shape (batch,).

    Raises:
        OptionError: see `valid_prediction_time`.

    Example:
        >>> is_censored(np.zeros((1, 4, 1)), np.zeros((1, 4, 1)), spread=1.0)
        array([ True])
    """
    error = relative_error(truth, forecast, spread=spread)
    return valid_until(error, as_times(np.arange(error.shape[1]), error.shape), threshold)[1]


def deviations(spread: float | np.ndarray, variables: int) -> np.ndarray:
    """Returns σ of each variable, of shape (variables,); see `spread` of `relative_error`."""
    spread = np.asarray(spread, np.float64)
    if spread.ndim > 1 or (spread.ndim == 1 and spread.shape != (variables,)) or not spread.size:
        raise OptionError(
            "spread", expected=f"a number, or one for each of {variables} variables", received=spread.shape
        )
    if not (np.isfinite(spread).all() and (spread >= 0).all() and spread.any()):
        raise OptionError("spread", expected="numbers above 0", received=spread.tolist())
    return spread if spread.ndim else np.full(variables, spread / np.sqrt(variables))


def as_times(times: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns times, given as (time,) or (batch, time), as float64 of the shape (batch, time)."""
    times = np.asarray(times, np.float64)
    if times.shape not in (shape, shape[-1:]):
        raise OptionError("times", expected=f"shape {shape} or {shape[-1:]}", received=times.shape)
    return np.broadcast_to(times, shape)


def valid_until(error: np.ndarray, times: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns valid prediction times and whether they are lower bounds, from relative errors (batch, time)."""
    if not 0 < threshold < np.inf:
        raise OptionError("threshold", expected="a number above 0", received=threshold)
    beyond = error > threshold
    censored = np.asarray(~beyond.any(axis=1))
    first = np.where(censored, error.shape[1], beyond.argmax(axis=1))
    within = (np.arange(error.shape[1]) < first[:, None]) & ~np.isnan(error)
    return np.where(within, times - times[:, :1], 0).max(axis=1, initial=0), censored
