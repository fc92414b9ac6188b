"""Sparse identification of nonlinear dynamics, by PySINDy where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from geodl.baselines.regular import at_times, observed, regular_runs, steps_until
from geodl.data.samples import Samples
from geodl.errors import BackendUnavailable

__all__ = ("PySINDy",)

_LEAST = 7
"""Fewest states in a row that derivatives are taken of."""


class PySINDy:
    """PySINDy (Brunton et al. 2016): the field is a sparse sum of products of up to two variables.

    It is used as it comes: derivatives by centred differences, and sequentially thresholded least squares in the physical
    units of the data. What it finds is integrated by the classical Runge–Kutta method at the step of the data.

    Args:
        threshold: least magnitude of a coefficient that is kept, in physical units.
        degree: of the products.

    Raises:
        BackendUnavailable: pysindy is not installed.

    Example:
        >>> baseline = PySINDy().fit(samples)                  # where PySINDy.available()
        >>> forecast = baseline(x)                             # (batch, time, state)
    """

    name = "PySINDy"

    def __init__(self, *, threshold: float = 0.1, degree: int = 2) -> None:
        if not self.available():
            raise BackendUnavailable(
                f"The baseline {self.name}",
                "pysindy is not installed",
                advice="Install with: pip install pysindy",
            )
        self.threshold, self.degree = threshold, degree
        self._step = 0.0
        self._powers = np.zeros((0, 0), int)
        self._coefficients = np.zeros((0, 0))

    @staticmethod
    def available() -> bool:
        """Says whether pysindy is installed."""
        return importlib.util.find_spec("pysindy") is not None

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Identifies the field; see `Baseline.fit`.

        Raises:
            OptionError: the samples are no segments of trajectories.
            TrajectoryUnusable: there are no runs of complete states that derivatives can be taken of.
        """
        self._step, runs = regular_runs(observed(samples), least=_LEAST)
        pysindy: Any = importlib.import_module("pysindy")
        library = pysindy.PolynomialLibrary(degree=self.degree)
        model = pysindy.SINDy(optimizer=pysindy.STLSQ(threshold=self.threshold), feature_library=library)
        # Before version 2 a list of runs had to be announced.
        announced = {"multiple_trajectories": True} if _takes(model.fit, "multiple_trajectories") else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(runs, t=self._step, **announced)
        self._powers = np.asarray(library.powers_, int)
        self._coefficients = np.asarray(model.coefficients(), np.float64)
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Forecasts a batch; see `geodl.baselines.dynamics.SteadyState.__call__`.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if not self._step:
            raise RuntimeError("PySINDy: call fit before predicting.")
        state = np.asarray(x["state"])
        steps = max(steps_until(x["times"], self._step), 3)
        forecast = np.empty((len(state), steps + 1, state.shape[1]))
        forecast[:, 0] = last = state.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(1, steps + 1):
                last = self._advanced(last)
                forecast[:, step] = last
            found = at_times(forecast, x["times"], step=self._step)
            found[:, 0] = state
            return found.astype(state.dtype)

    def _field(self, states: np.ndarray) -> np.ndarray:
        terms = np.ones((len(states), len(self._powers)))
        for variable, powers in enumerate(self._powers.T):
            for power in range(1, self.degree + 1):
                terms[:, powers >= power] *= states[:, variable : variable + 1]
        return terms @ self._coefficients.T

    def _advanced(self, states: np.ndarray) -> np.ndarray:
        one = self._field(states)
        two = self._field(states + self._step / 2 * one)
        three = self._field(states + self._step / 2 * two)
        four = self._field(states + self._step * three)
        return states + self._step / 6 * (one + 2 * two + 2 * three + four)


def _takes(function: Any, option: str) -> bool:
    return option in inspect.signature(function).parameters
