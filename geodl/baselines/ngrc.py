"""Next-generation reservoir computing: a regression on products of the last states, from each to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from geodl.baselines.regular import at_times, observed, regular_runs, steps_until
from geodl.data.samples import Samples
from geodl.errors import OptionError

__all__ = ("NGRC",)

_HELD_BACK = 0.25
"""Part of the training data, at the end of each run, that the ridge is chosen on."""
_RIDGES = 10.0 ** np.arange(-13, 1)
"""Candidates, in units of the mean square of a feature."""
_UNKNOWN = 1e-6
"""Taken where there is too little data to choose."""
_STARTS = 32
"""Most forecasts of the held-back part."""
_LONGEST = 200
"""Most steps of each."""
_SHORTEST = 4
"""Fewest steps of a forecast that tells a good ridge from a bad one."""
_STAYS = 1000
"""Steps for which forecasts with the chosen ridge are to stay where the data are."""
_BEYOND = 3.0
"""How many times as far from the mean as the data they may go."""
_ROWS = 2048
"""Rows of features that are held at a time."""
_MOST = 1000
"""Most features that are all products; a regression on more takes minutes, and more states than there are."""


class NGRC:
    """Next-generation reservoir computing (Gauthier et al. 2021), with k = 2, s = 1 and quadratic products.

    The change from a state to the next is linear in: a constant, the state and the one before it, and all products of two
    of their variables. The weights are found by ridge regression, in variables of mean 0 and variance 1. The ridge is the
    one with which forecasts of the held-back end of the training data stay nearest to it; then all data are used, and if
    forecasts do not stay where the data are, that of the next best ridge with which they do. Where
    that makes more than 1000 features, as it does of 22 variables or more, or more than half as many as there are states,
    the state before is not multiplied.

    A forecast starts from the last state of the past and the first one. Where there is no past its first step is done by
    a regression on one state alone (k = 1), and those after it with a ridge that was chosen for that: the error of such a
    first step is one that a small ridge can make grow.

    Args:
        ridge: in units of the mean square of a feature; None: chosen.

    Raises:
        OptionError: `ridge` is not positive.

    Example:
        >>> baseline = NGRC().fit(samples)
        >>> forecast = baseline(x)                             # (batch, time, state)
    """

    name = "NG-RC"

    def __init__(self, *, ridge: float | None = None) -> None:
        if ridge is not None and not 0 < ridge < np.inf:
            raise OptionError("ridge", expected="a number above 0, or None", received=ridge)
        self.ridge = ridge
        self.chosen = (float("nan"), float("nan"))
        """The ridges that are used with a past and without; not-a-number before `fit`."""
        self._step = 0.0
        self._mean = self._scale = np.zeros(0)
        self._multiplied = 0
        self._weights: list[tuple[np.ndarray, np.ndarray]] = []

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Fits the weights; see `Baseline.fit`.

        Raises:
            OptionError: the samples are no segments of trajectories.
            TrajectoryUnusable: no three states in a row are complete.
        """
        self._step, runs = regular_runs(observed(samples), least=3)
        states = np.concatenate(runs)
        self._mean = states.mean(axis=0)
        self._scale = np.where(states.std(axis=0) > 0, states.std(axis=0), 1.0)
        runs = [(run - self._mean) / self._scale for run in runs]
        count = 2 * len(self._mean)
        crowded = 1 + count + count * (count + 1) // 2 > min(_MOST, len(states) / 2)
        self._multiplied = count // 2 if crowded else count
        sums = [_sums(runs, delays, self._multiplied) for delays in (1, 2)]
        chosen, self._weights = [], []
        for past in (True, False):
            ranked = _ranked(runs, self._multiplied, past=past) if self.ridge is None else [self.ridge]
            ridge, weights = _settled(sums, runs, ranked, self._multiplied, past=past)
            chosen.append(ridge)
            self._weights.append(weights)
        self.chosen = chosen[0], chosen[1]
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Forecasts a batch.

        Args:
            x: `state`: (batch, state) in physical units; `times`: (batch, time), the first one that of `state`; may have
                `past`: (batch, before, state), the states before at the regular step, the last one last, not-a-number
                where there is none.

        Returns:
            (batch, time, state) in physical units and of the dtype of `state`; infinite or not-a-number from where a
            forecast diverges.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if not self._weights:
            raise RuntimeError("NGRC: call fit before predicting.")
        state = np.asarray(x["state"])
        first = (state - self._mean) / self._scale
        before = np.full_like(first, np.nan)
        if "past" in x and x["past"].shape[1]:
            before = (np.asarray(x["past"], np.float64)[:, -1] - self._mean) / self._scale
        steps = max(steps_until(x["times"], self._step), 3)
        with np.errstate(over="ignore", invalid="ignore"):
            forecast = np.empty((len(first), steps + 1, first.shape[1]))
            known = np.isfinite(before).all(axis=1)
            for rows, past, weights in ((known, before[known], self._weights[0]), (~known, None, self._weights[1])):
                forecast[rows] = _rolled_out(weights, first[rows], past, steps, self._multiplied)
            found = at_times(forecast * self._scale + self._mean, x["times"], step=self._step)
            found[:, 0] = state
            return found.astype(state.dtype)


def _ranked(runs: Sequence[np.ndarray], multiplied: int, *, past: bool) -> list[float]:
    """Ridges, in the order of how well forecasts of the end of each run go, with a past or without."""
    ends = [len(run) - int(_HELD_BACK * len(run)) for run in runs]
    head = [run[:end] for run, end in zip(runs, ends, strict=True) if end >= 3]
    longest = min(max(len(run) - end for run, end in zip(runs, ends, strict=True)) // 2, _LONGEST)
    if longest < _SHORTEST or not head:
        return [_UNKNOWN]
    windows = _windows([run[end - 1 :] for run, end in zip(runs, ends, strict=True)], longest + 2)
    before, truth = windows[:, 0], windows[:, 1:]
    sums = [_sums(head, delays, multiplied) for delays in (1, 2)]
    errors = []
    for ridge in _RIDGES:
        weights = _solved(*sums[0], ridge), _solved(*sums[1], ridge)
        forecast = _rolled_out(weights, truth[:, 0], before if past else None, longest, multiplied)
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.linalg.norm(forecast - truth, axis=-1) / np.sqrt(truth.shape[-1])
        # An error as large as the attractor is as bad as any, so that one forecast that is lost does not decide.
        errors.append(np.minimum(np.where(np.isfinite(away), away, 1.0), 1.0).mean())
    return [float(_RIDGES[number]) for number in np.argsort(errors, kind="stable")]


def _settled(
    sums: Sequence[tuple[np.ndarray, np.ndarray]],
    runs: Sequence[np.ndarray],
    ranked: Sequence[float],
    multiplied: int,
    *,
    past: bool,
) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """The first of the ridges with which long forecasts stay where the data are, or the first one, and its weights."""
    windows = _windows(runs, 2)
    limit = _BEYOND * max(float(np.abs(run).max()) for run in runs)
    for ridge in ranked:
        weights = _solved(*sums[0], ridge), _solved(*sums[1], ridge)
        forecast = _rolled_out(weights, windows[:, 1], windows[:, 0] if past else None, _STAYS, multiplied)
        if np.all(np.abs(forecast) <= limit):
            return ridge, weights
    return ranked[0], (_solved(*sums[0], ranked[0]), _solved(*sums[1], ranked[0]))


def _windows(runs: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Parts of runs (part, length, state), some that lie evenly among all."""
    places = [(run, start) for run in runs for start in range(len(run) - length + 1)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(_STARTS, len(places))).astype(int))
    return np.stack([places[number][0][places[number][1] :][:length] for number in chosen])


def _features(states: np.ndarray, multiplied: int) -> np.ndarray:
    """A constant, the variables and products of two of the first `multiplied` ones: (row, variable) → (row, feature)."""
    rows, columns = np.triu_indices(min(multiplied, states.shape[1]))
    return np.concatenate([np.ones((len(states), 1)), states, states[:, rows] * states[:, columns]], axis=1)


def _sums(runs: Sequence[np.ndarray], delays: int, multiplied: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over all states of the products of features with features, and with the changes to learn."""
    states = np.concatenate(
        [np.concatenate([run[delays - 1 - d : -1 - d] for d in range(delays)], axis=1) for run in runs]
    )
    changes = np.concatenate([np.diff(run[delays - 1 :], axis=0) for run in runs])
    count = _features(states[:1], multiplied).shape[1]
    squares, products = np.zeros((count, count)), np.zeros((count, changes.shape[1]))
    for start in range(0, len(states), _ROWS):
        features = _features(states[start : start + _ROWS], multiplied)
        squares += features.T @ features
        products += features.T @ changes[start : start + _ROWS]
    return squares, products


def _solved(squares: np.ndarray, products: np.ndarray, ridge: float) -> np.ndarray:
    """Weights (feature, state), or not-a-number where the ridge is too small for the sums to be positive definite."""
    penalty = ridge * np.trace(squares) / len(squares)
    try:
        return cho_solve(cho_factor(squares + penalty * np.eye(len(squares))), products)
    except LinAlgError:
        return np.full_like(products, np.nan)


def _rolled_out(
    weights: tuple[np.ndarray, np.ndarray], first: np.ndarray, before: np.ndarray | None, steps: int, multiplied: int
) -> np.ndarray:
    """Forecasts (batch, steps + 1, state) from first states and, where they are known, those before them."""
    forecast = np.full((len(first), steps + 1, first.shape[1]), np.nan)
    forecast[:, 0] = first
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            last = forecast[:, step]
            previous = forecast[:, step - 1] if step else before
            if previous is None:
                forecast[:, 1] = first + _features(first, multiplied) @ weights[0]
            else:
                pair = np.concatenate([last, previous], axis=1)
                forecast[:, step + 1] = last + _features(pair, multiplied) @ weights[1]
            if not np.isfinite(forecast[:, step + 1]).any():
                break
    return forecast
