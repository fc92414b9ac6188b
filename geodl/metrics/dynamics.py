"""Scores of forecasts of a dynamical system: how far they go wrong by when, and for how long they are valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.errorspread import ellipsoid_scores
from geodl.metrics.pooling import plain
from geodl.metrics.validtime import (
    as_times,
    deviations,
    is_censored,
    relative_error,
    valid_prediction_time,
    valid_until,
)

__all__ = ("TrajectoryMetrics", "is_censored", "relative_error", "valid_prediction_time")

_SHOWN = 200
"""Most points of a curve against time."""
_COVERED = 0.9
"""Share of the errors that an ellipsoid is to hold."""


class TrajectoryMetrics:
    """Streaming scores of forecasts of states over time.

    A state counts where it is observed (finite) and its weight is above 0; of a state some variables can be missing.

    - `rmse_1`, `rmse_4`, `rmse_8`: root mean square error after so many steps over all variables and forecasts, in their
      units. Each is that at the time nearest to so many steps, at most half a step away: at regular times the very step,
      at irregular ones what there is; forecasts with no time so near are left out.
    - `rmse_lt`: likewise after one Lyapunov time.
    - `nrmse`: over the first Lyapunov time (the whole forecast where that is not known), of all times after the first:
      √(mean square error / Σσ²), the mean over variables and times (Gauthier et al. 2021, Methods); the mean over the
      forecasts that last so long.
    - `vpt`: median of `valid_prediction_time`, `vpt_q25` and `vpt_q75`: its quartiles; in Lyapunov times where that is
      known, else in time units.
    - `failures`: share of forecasts that are somewhere infinite or not-a-number.
    - `coverage_90`: share of states inside the 90 % ellipsoid of their forecast, `log_likelihood`: mean natural logarithm
      of the density of states in units of `std`; only of forecasts that come with a covariance, see
      `geodl.metrics.errorspread.ellipsoid_scores`.

    The root mean square errors are infinite where a forecast has stopped to be finite by then.

    Args:
        spread: see `relative_error`; of the attractor.
        step: regular time step, in time units.
        lyapunov_time: 1/λ₁ in time units; None: not known, nothing is measured in it.
        horizons: steps after which the root mean square error is taken.
        threshold: of the valid prediction time, in units of the spread.
        time_unit: name of the time unit.
        std: unit of each variable in which forecasts give covariances, shape (state,); None: `spread`.

    Raises:
        OptionError: a number that is not positive.

    Example:
        >>> scores = TrajectoryMetrics(spread=1.0, step=0.1, horizons=(1,))
        >>> truth = np.zeros((1, 4, 1))
        >>> scores.update(truth, truth + np.array([[[0.0], [0.1], [0.5], [0.1]]]))
        >>> scores.result()["rmse_1"], scores.result()["vpt"]
        (0.1, 0.1)
    """

    def __init__(
        self,
        *,
        spread: float | np.ndarray,
        step: float,
        lyapunov_time: float | None = None,
        horizons: Sequence[int] = (1, 4, 8),
        threshold: float = 0.4,
        time_unit: str = "",
        std: np.ndarray | None = None,
    ) -> None:
        for name, value in (("step", step), ("lyapunov_time", lyapunov_time), ("threshold", threshold)):
            if value is not None and not 0 < value < np.inf:
                raise OptionError(name, expected="a number above 0", received=value)
        if not all(horizon >= 1 and horizon == int(horizon) for horizon in horizons):
            raise OptionError("horizons", expected="whole numbers of steps, 1 or more", received=list(horizons))
        self.spread = np.asarray(spread, np.float64)
        self.step, self.lyapunov_time, self.threshold = float(step), lyapunov_time, float(threshold)
        self.horizons = tuple(map(int, horizons))
        self.time_unit = time_unit
        self.std = self.spread if std is None else np.asarray(std, np.float64)
        deviations(self.spread, self.spread.size)
        deviations(self.std, self.std.size)
        self.reset()

    @property
    def unit(self) -> str:
        """What valid prediction times are in: `LT`, or the time unit."""
        return self.time_unit if self.lyapunov_time is None else "LT"

    def reset(self) -> None:
        """Forgets all that was counted."""
        marks = {f"rmse_{horizon}": horizon * self.step for horizon in self.horizons}
        if self.lyapunov_time is not None:
            marks["rmse_lt"] = self.lyapunov_time
        self._marks = marks
        self._squares = dict.fromkeys(marks, 0.0)
        self._counts = dict.fromkeys(marks, 0)
        self._nrmse: list[float] = []
        self._valid: list[float] = []
        self._censored = self._failed = 0
        self._curves: list[tuple[np.ndarray, np.ndarray]] = []
        self._covered = np.zeros(3)

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: Mapping[str, np.ndarray] | None = None,
        scenes: Sequence[str] = (),
    ) -> None:
        """Counts a batch of forecasts.

        Args:
            y: true states (batch, time, state) in physical units, the first one that which the forecast starts from;
                not-a-number where not observed.
            prediction: shape of `y`, or with state + state (state + 1)/2 channels: states, then the rows of the lower
                triangle of the Cholesky factor of the covariance of their errors, in units of `std`.
            weight: (batch, time); states of weight 0 do not count. Other weights all count as one.
            x: `times`: (batch, time), in time units; None: every `step`.
            scenes: not looked at.

        Raises:
            OptionError: shapes do not fit.
        """
        y, prediction = np.asarray(y, np.float64), np.asarray(prediction, np.float64)
        if y.ndim != 3:
            raise OptionError("y", expected="shape (batch, time, state)", received=y.shape)
        count = y.shape[-1]
        full = count + count * (count + 1) // 2
        if prediction.shape[:-1] != y.shape[:-1] or prediction.shape[-1] not in (count, full):
            raise OptionError("prediction", expected=f"shape {y.shape}, or {full} channels", received=prediction.shape)
        if weight is not None and weight.shape != y.shape[:-1]:
            raise OptionError("weight", expected=f"shape {y.shape[:-1]}", received=weight.shape)
        times = np.arange(y.shape[1]) * self.step if x is None else np.asarray(x["times"], np.float64)
        times = as_times(times, y.shape[:-1])
        if weight is not None:
            y = np.where(weight[..., None] > 0, y, np.nan)
        forecast = prediction[..., :count]
        error = relative_error(y, forecast, spread=self.spread)
        valid, censored = valid_until(error, times, self.threshold)
        self._valid.extend((valid / (self.lyapunov_time or 1)).tolist())
        self._censored += int(censored.sum())
        self._failed += int((~np.isfinite(forecast)).any(axis=(1, 2)).sum())
        self._count_errors(y, forecast, times)
        self._count_first(error, times, count)
        shown = np.unique(np.linspace(0, y.shape[1] - 1, min(y.shape[1], _SHOWN)).round().astype(int))
        self._curves.append((times[:, shown], error[:, shown]))
        if prediction.shape[-1] == full:
            std = deviations(self.std, count)
            self._covered += ellipsoid_scores(y / std, forecast / std, prediction[..., count:], share=_COVERED)

    def result(self) -> dict[str, float]:
        """Returns all scores; not-a-number where undefined."""
        found = {}
        for name, squares in self._squares.items():
            found[name] = float(np.sqrt(squares / self._counts[name])) if self._counts[name] else np.nan
        found["nrmse"] = float(np.mean(self._nrmse)) if self._nrmse else np.nan
        quartiles = np.quantile(self._valid, [0.5, 0.25, 0.75]) if self._valid else np.full(3, np.nan)
        found |= dict(zip(("vpt", "vpt_q25", "vpt_q75"), map(float, quartiles), strict=True))
        found["failures"] = self._failed / len(self._valid) if self._valid else np.nan
        inside, likelihood, states = self._covered
        if states:
            found |= {"coverage_90": float(inside / states), "log_likelihood": float(likelihood / states)}
        return found

    def details(self) -> dict[str, Any]:
        """Returns what stands behind the scores, as JSON takes it (undefined or infinite is None).

        Returns:
            `forecasts`, `censored` and `failed` (numbers), `vpt` (of each forecast) and its `unit`; `error`: `times`, in
            time units, and the `median`, `q25` and `q75` of the relative error there; `threshold`, `spread`, `step`,
            `lyapunov_time`, `time_unit`.
        """
        return {
            "forecasts": len(self._valid),
            "censored": self._censored,
            "failed": self._failed,
            "vpt": self._valid,
            "unit": self.unit,
            "error": self._curve(),
            "threshold": self.threshold,
            "spread": float(np.linalg.norm(self.spread)),
            "step": self.step,
            "lyapunov_time": self.lyapunov_time,
            "time_unit": self.time_unit,
        }

    def _count_errors(self, y: np.ndarray, forecast: np.ndarray, times: np.ndarray) -> None:
        rows = np.arange(len(y))
        for name, mark in self._marks.items():
            away = np.abs(times - times[:, :1] - mark)
            nearest = away.argmin(axis=1)
            # float32 times are a little beside their step.
            reached = away[rows, nearest] <= 0.501 * self.step
            truth, guess = y[rows, nearest][reached], forecast[rows, nearest][reached]
            seen = np.isfinite(truth)
            with np.errstate(over="ignore", invalid="ignore"):
                squares = (guess - truth)[seen] ** 2
            self._squares[name] += float(np.where(np.isnan(squares), np.inf, squares).sum())
            self._counts[name] += int(seen.sum())

    def _count_first(self, error: np.ndarray, times: np.ndarray, variables: int) -> None:
        """Adds the normalised errors over the first Lyapunov time, or over all."""
        away = times - times[:, :1]
        inside = (away > 0) & ~np.isnan(error)
        if self.lyapunov_time is not None:
            inside &= away <= self.lyapunov_time * (1 + 1e-6)
        lasts = inside.any(axis=1) & (away[:, -1] >= (self.lyapunov_time or 0) - 0.501 * self.step)
        with np.errstate(over="ignore"):
            squares = np.where(inside, error, 0)[lasts] ** 2
        self._nrmse.extend(np.sqrt(squares.sum(axis=1) / inside[lasts].sum(axis=1) / variables).tolist())

    def _curve(self) -> dict[str, list[Any]]:
        """Quartiles of the relative error in equal parts of the longest forecast, each at its mean time."""
        if not self._curves:
            return {"times": [], "median": [], "q25": [], "q75": []}
        times = np.concatenate([(when - when[:, :1]).ravel() for when, _ in self._curves])
        errors = np.concatenate([error.ravel() for _, error in self._curves])
        known = ~np.isnan(errors)
        times, errors = times[known], errors[known]
        part = np.round(times / max(times.max(initial=0), 1e-300) * (_SHOWN - 1)).astype(int)
        rows = [(times[part == number].mean(), *_quartiles(errors[part == number])) for number in np.unique(part)]
        columns = np.asarray(rows, np.float64).reshape(-1, 4).T
        return dict(zip(("times", "median", "q25", "q75"), map(plain, columns), strict=True))


def _quartiles(errors: np.ndarray) -> np.ndarray:
    # Errors can be infinite: nothing is interpolated.
    return np.quantile(errors, [0.5, 0.25, 0.75], method="inverted_cdf")
