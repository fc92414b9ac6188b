"""Runs at a regular step from trajectories with gaps, and forecasts between steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from geodl.baselines.regular import at_times, observed, regular_runs, steps_until
from geodl.errors import OptionError, TrajectoryUnusable


@dataclass
class Trajectory:
    times: np.ndarray
    states: np.ndarray


def _wave(times: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(times), np.cos(0.7 * times)], axis=1)


def test_what_is_regular_is_taken_as_it_is() -> None:
    times = 3 + np.arange(50) * 0.1
    step, runs = regular_runs([Trajectory(times, _wave(times)), Trajectory(times[:5], _wave(times[:5]))])
    assert step == pytest.approx(0.1)
    np.testing.assert_array_equal(runs[0], _wave(times))
    assert [len(run) for run in runs] == [50, 5]


def test_gaps_end_a_run() -> None:
    times = np.arange(100) * 0.1
    states = _wave(times)
    states[10, 0] = np.nan
    kept = np.delete(np.arange(100), [70, 71])
    _, runs = regular_runs([Trajectory(times[kept], states[kept])], least=11)
    assert [len(run) for run in runs] == [59, 28]
    np.testing.assert_array_equal(runs[0], states[11:70])


def test_of_observations_that_are_mostly_partial_short_gaps_are_bridged() -> None:
    times = np.arange(100) * 0.1
    states = _wave(times)
    states[::2, 0] = states[1::3, 1] = np.nan
    states[50:54] = np.nan
    _, runs = regular_runs([Trajectory(times, states)])
    assert [len(run) for run in runs] == [48, 45]
    np.testing.assert_allclose(runs[0], _wave(times[1:49]), atol=1e-3)
    np.testing.assert_array_equal(runs[0][::2, 0], states[1:49:2, 0])


def test_irregular_times_are_brought_to_the_median_step() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.05, 0.15, 400))
    step, runs = regular_runs([Trajectory(times, _wave(times))])
    assert step == pytest.approx(np.median(np.diff(times)))
    assert sum(map(len, runs)) > 380
    np.testing.assert_allclose(runs[0], _wave(times[0] + step * np.arange(len(runs[0]))), atol=1e-4)


@pytest.mark.parametrize(
    "states", [np.full((9, 2), np.nan), np.where(np.arange(2) == 1, np.nan, np.ones((9, 2)))], ids=["none", "one"]
)
def test_without_complete_states_there_is_nothing_to_learn(states: np.ndarray) -> None:
    with pytest.raises(TrajectoryUnusable):
        regular_runs([Trajectory(np.arange(9.0), states)])
    with pytest.raises(TrajectoryUnusable):
        regular_runs([Trajectory(np.zeros(1), np.zeros((1, 2)))])


def test_samples_without_trajectories_are_refused() -> None:
    with pytest.raises(OptionError, match="segments of trajectories"):
        observed([1, 2, 3])  # type: ignore[arg-type]


def test_forecasts_at_steps_are_exact_and_between_them_cubic() -> None:
    grid = np.arange(12) * 0.5
    cubic = np.stack([grid**3 - grid, 2 * grid**2 + 1], axis=1)
    states = np.stack([cubic, 3 * cubic])
    on = np.array([[0, 0.5, 5.5], [0, 2.0, 3.5]], np.float32)
    np.testing.assert_array_equal(at_times(states, on, step=0.5)[1], 3 * cubic[[0, 4, 7]])
    between = np.array([[0, 0.1, 5.4], [7.0, 9.3, 12.25]])
    when = between - between[:, :1]
    exact = np.stack([when**3 - when, 2 * when**2 + 1], axis=-1) * np.array([1, 3])[:, None, None]
    np.testing.assert_allclose(at_times(states, between, step=0.5), exact, atol=1e-12)
    assert steps_until(between, 0.5) == 11
    assert steps_until(np.array([[0, 1.0]], np.float32), 0.1) == 10


def test_what_is_lost_stays_lost_without_harm_to_what_is_before() -> None:
    states = np.arange(10.0)[None, :, None].copy()
    states[0, 6:] = np.inf
    found = at_times(states, np.array([[0.0, 2.5, 8.5]]), step=1.0)[0, :, 0]
    np.testing.assert_allclose(found[:2], [0, 2.5])
    assert not np.isfinite(found[2])
