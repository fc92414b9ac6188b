"""Trajectories at a regular step: what methods that go from state to state learn from, and forecasts between their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.interpolate import CubicSpline

from geodl.data.samples import Samples
from geodl.errors import OptionError, TrajectoryUnusable

__all__ = ("Observed", "at_times", "observed", "regular_runs", "steps_until")

_GAP = 3
"""Most steps between two observations of a variable that are bridged."""
_ON_STEP = 1e-2
"""Part of a step by which times may miss it: float32 times do, late in a forecast, and those of text files."""
_LONG = 32
"""States in a row that methods can be tried on; half of the states must be in such runs, or they are interpolated."""


class Observed(Protocol):
    """States of one run of a system, as they were observed."""

    @property
    def times(self) -> np.ndarray:
        """Increasing, of shape (time,)."""

    @property
    def states(self) -> np.ndarray:
        """(time, state) in physical units, not-a-number where not observed."""


def observed(samples: Samples) -> Sequence[Observed]:
    """Returns the trajectories that samples are segments of.

    Raises:
        OptionError: these samples are no segments.
    """
    trajectories: Sequence[Observed] | None = getattr(samples, "trajectories", None)
    if not trajectories:
        raise OptionError("samples", expected="segments of trajectories", received=type(samples).__name__)
    return trajectories


def regular_runs(trajectories: Sequence[Observed], *, least: int = 2) -> tuple[float, list[np.ndarray]]:
    """Returns the parts of trajectories without gaps, complete and at the regular step.

    The step is the median one. Where times are whole steps apart states are taken as they are, and a missing one ends a
    run. Where that leaves less than half of the states in runs of 32, or times are irregular, a cubic spline of each
    variable brings it to the steps, across gaps of up to three of them.

    Args:
        trajectories: observed states.
        least: fewest states of a run; shorter ones are left out.

    Returns:
        The step, in time units, and float64 runs (time, state).

    Raises:
        TrajectoryUnusable: there is no such run.
    """
    intervals = [np.diff(np.asarray(each.times, np.float64)) for each in trajectories]
    step = float(np.median(np.concatenate(intervals))) if any(map(len, intervals)) else np.nan
    runs = []
    if step > 0:
        for each in trajectories:
            times, states = np.asarray(each.times, np.float64), np.asarray(each.states, np.float64)
            found = _unbroken(_at_steps(times, states, step, bridged=False), least)
            long = [len(run) for run in found if len(run) >= min(_LONG, len(times) // 2)]
            if 2 * sum(long) < len(times):
                found = _unbroken(_at_steps(times, states, step, bridged=True), least)
            runs.extend(found)
    if not runs:
        raise TrajectoryUnusable(
            "The training data",
            f"no {least} states in a row are complete",
            advice="This baseline needs every variable at nearly every step; leave it out.",
        )
    return step, runs


def steps_until(times: np.ndarray, step: float) -> int:
    """Returns how many steps reach the last of the times (batch, time), as counted from each first one."""
    times = np.asarray(times, np.float64)
    last = float(np.max(times[:, -1] - times[:, 0])) / step
    return int(np.ceil(last - _ON_STEP))


def at_times(states: np.ndarray, times: np.ndarray, *, step: float) -> np.ndarray:
    """Returns a forecast at any times, by the cubic through the four nearest states; at the very steps, the states.

    Args:
        states: (batch, 4 or more steps, state), from the first time on.
        times: (batch, time), counted from each first one.
        step: time between states.

    Returns:
        float64 of shape (batch, time, state).
    """
    position = (np.asarray(times, np.float64) - np.asarray(times, np.float64)[:, :1]) / step
    nearest = np.round(position).astype(int)
    rows = np.arange(len(states))[:, None]
    if np.all(np.abs(position - nearest) <= _ON_STEP) and nearest.max() < states.shape[1]:
        return states[rows, nearest]
    first = np.clip(np.floor(position).astype(int) - 1, 0, states.shape[1] - 4)
    away = position - first
    found = np.zeros((*position.shape, states.shape[-1]))
    with np.errstate(invalid="ignore", over="ignore"):
        for node in range(4):
            factor = np.ones_like(away)
            for other in set(range(4)) - {node}:
                factor *= (away - other) / (node - other)
            found += factor[..., None] * states[rows, first + node]
    return found


def _at_steps(times: np.ndarray, states: np.ndarray, step: float, *, bridged: bool) -> np.ndarray:
    """States at every step from the first time on, not-a-number where nothing near is observed."""
    position = (times - times[0]) / step
    grid = np.arange(int(np.floor(position[-1] + _ON_STEP)) + 1)
    found = np.full((len(grid), states.shape[1]), np.nan)
    nearest = np.round(position).astype(int)
    regular = bool(np.all(np.abs(position - nearest) <= _ON_STEP))
    if bridged:
        where = nearest.astype(np.float64) if regular else position
        for variable, values in enumerate(states.T):
            known = np.isfinite(values)
            if np.count_nonzero(known) >= 2:
                at = where[known]
                after = np.clip(np.searchsorted(at, grid), 1, len(at) - 1)
                near = (grid >= at[0]) & (grid <= at[-1]) & (at[after] - at[after - 1] <= _GAP)
                found[near, variable] = CubicSpline(at, values[known])(grid[near])
    if regular:
        known = np.isfinite(states)
        found[nearest] = np.where(known, states, found[nearest])
    return found


def _unbroken(states: np.ndarray, least: int) -> list[np.ndarray]:
    complete = np.isfinite(states).all(axis=1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], complete, [False]]).astype(int)))
    return [states[start:stop] for start, stop in ends.reshape(-1, 2) if stop - start >= least]
