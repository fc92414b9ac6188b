"""Forecasts of a dynamical system by the simplest means: the state stays as it is, or changes linearly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from geodl.baselines.regular import observed, regular_runs
from geodl.data.samples import Samples

__all__ = ("DMD", "SteadyState")


class SteadyState:
    """Persistence: the first state stays as it is.

    Example:
        >>> x = {"state": np.array([[1.0, 2.0]]), "times": np.array([[0.0, 0.1, 0.2]])}
        >>> SteadyState()(x)[0, -1]
        array([1., 2.])
    """

    name: str = "persistence"

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Forecasts a batch.

        Args:
            x: `state`: (batch, state) in physical units; `times`: (batch, time), the first one that of `state`.

        Returns:
            (batch, time, state) in physical units and of the dtype of `state`.
        """
        return np.repeat(x["state"][:, None], x["times"].shape[1], axis=1)


class DMD:
    """Dynamic mode decomposition: the linear map from each state to the next that fits best, carried on to any time.

    The exact DMD of Tu et al. (2014) of all modes, of states from which the mean is taken (Hirsh et al. 2020): states and
    their successors each have their own, so the map can have any fixed point. Each mode goes on as the power t / step of
    its eigenvalue, between the steps too.

    Example:
        >>> baseline = DMD().fit(samples)
        >>> forecast = baseline(x)                             # (batch, time, state)
    """

    name = "DMD"

    def __init__(self) -> None:
        self._step = 0.0
        self._values = np.zeros(0, complex)
        self._modes = np.zeros((0, 0), complex)
        self._offset = np.zeros(0, complex)
        self._mean = np.zeros(0)

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Fits the map by least squares; see `Baseline.fit`.

        Raises:
            OptionError: the samples are no segments of trajectories.
            TrajectoryUnusable: no two states in a row are complete.
        """
        self._step, runs = regular_runs(observed(samples))
        before = np.concatenate([run[:-1] for run in runs])
        after = np.concatenate([run[1:] for run in runs])
        self._mean, mean_after = before.mean(axis=0), after.mean(axis=0)
        scale = np.where(before.std(axis=0) > 0, before.std(axis=0), 1.0)
        fitted = np.linalg.lstsq((before - self._mean) / scale, (after - mean_after) / scale, rcond=None)[0]
        values, modes = np.linalg.eig(fitted.T)
        # A mode that vanishes at once is one that falls by a very large factor.
        self._values = np.where(np.abs(values) > 1e-300, values, 1e-300).astype(complex)
        self._modes = modes * scale[:, None]
        self._offset = np.linalg.solve(self._modes, (mean_after - self._mean).astype(complex))
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Forecasts a batch; see `SteadyState.__call__`.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if not self._step:
            raise RuntimeError("DMD: call fit before predicting.")
        state, times = np.asarray(x["state"]), np.asarray(x["times"], np.float64)
        start = np.linalg.solve(self._modes, (state - self._mean).T.astype(complex)).T
        steps = (times - times[:, :1])[..., None] / self._step
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            rate = np.log(self._values)
            growth = np.exp(steps * rate)
            # A geometric series of what each step adds; where a mode neither grows nor falls, as many as there are steps.
            still = np.abs(rate) < 1e-12
            added = np.where(still, steps, np.expm1(steps * rate) / np.where(still, 1, np.expm1(rate)))
            modes = growth * start[:, None] + added * self._offset
            forecast = (modes @ self._modes.T).real + self._mean
        forecast[:, 0] = state
        return forecast.astype(state.dtype)
