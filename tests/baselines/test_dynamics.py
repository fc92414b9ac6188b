"""Persistence, and DMD of linear systems against the matrix exponential."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from geodl.baselines import Baseline
from geodl.baselines.dynamics import DMD, SteadyState
from geodl.errors import OptionError
from tests.baselines.dynamics_case import Segments, Trajectory

_MATRIX = np.array([[-0.1, 2.0, 0.0], [-2.0, -0.1, 0.3], [0.0, 0.0, -0.5]])
_CENTRE = np.array([5.0, -300.0, 0.1])


def _linear(state: np.ndarray, times: np.ndarray, matrix: np.ndarray = _MATRIX) -> np.ndarray:
    return np.stack([expm(matrix * time) @ (state - _CENTRE[: len(state)]) + _CENTRE[: len(state)] for time in times])


@pytest.mark.parametrize("kind", [SteadyState, DMD])
def test_they_are_baselines(kind: type) -> None:
    assert isinstance(kind(), Baseline)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_persistence_keeps_the_state(dtype: type) -> None:
    state = np.array([[1, 2, np.nan], [4, 5, 6]], dtype)
    forecast = SteadyState().fit(None)({"state": state, "times": np.zeros((2, 4), dtype)})  # type: ignore[arg-type]
    assert forecast.dtype == dtype
    np.testing.assert_array_equal(forecast, np.repeat(state[:, None], 4, axis=1))


def test_dmd_of_a_linear_system_is_its_solution_at_any_time() -> None:
    times = np.arange(60) * 0.1
    runs = [_linear(_CENTRE + start, times) for start in ([1.0, 0.0, 2.0], [0.0, -3.0, 1.0])]
    runs[1][20] = np.nan
    baseline = DMD().fit(Segments([Trajectory(times, run) for run in runs]))  # type: ignore[arg-type]
    start = _CENTRE + np.array([[0.5, 0.5, -1.0], [2.0, 0.0, 0.0]])
    asked = 7 + np.array([[0.0, 0.1, 0.25, 3.14], [0.0, 2.0, 2.01, 9.0]])
    exact = np.stack([_linear(state, when - 7) for state, when in zip(start, asked, strict=True)])
    forecast = baseline({"state": start, "times": asked})
    np.testing.assert_allclose(forecast, exact, atol=1e-8)
    single = baseline({"state": start.astype(np.float32), "times": asked.astype(np.float32)})
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-4)


def test_a_constant_drift_goes_on() -> None:
    times = np.arange(40) * 0.5
    states = np.stack([3 + 2 * times, 5 - np.sin(times), np.cos(times)], axis=1)
    baseline = DMD().fit(Segments([Trajectory(times, states)]))  # type: ignore[arg-type]
    forecast = baseline({"state": np.array([[1.0, 5.0, 1.0]]), "times": np.array([[0.0, 0.5, 10.0, 100.25]])})
    np.testing.assert_allclose(forecast[0, :, 0], [1, 2, 21, 201.5], rtol=1e-5)


def test_growth_without_bound_is_quiet() -> None:
    times = np.arange(30) * 0.1
    baseline = DMD().fit(Segments([Trajectory(times, np.exp(times)[:, None])]))  # type: ignore[arg-type]
    forecast = baseline({"state": np.ones((1, 1)), "times": np.array([[0.0, 1.0, 1e6]])})
    assert forecast[0, 1, 0] == pytest.approx(np.e)
    assert not np.isfinite(forecast[0, 2, 0])


def test_samples_that_are_no_segments_are_refused() -> None:
    with pytest.raises(OptionError):
        DMD().fit(Segments([]))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        DMD()({"state": np.zeros((1, 1)), "times": np.zeros((1, 1))})
