"""Segments: samples of trajectories, one state in and those that follow it to be forecast."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Literal

import numpy as np

from geodl.data.places import Place
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import BandMismatch, OptionError, TrajectoryUnusable

__all__ = ("SegmentSamples",)

_SAME = 1e-3
"""Share of a step by which a time may be off that of a past state."""

Segment = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]


class SegmentSamples:
    """Segments of trajectories: see `geodl.data.samples.Samples`.

    A segment begins with a state of which all variables were observed, at time 0, and ends `horizon` rows later,
    whatever the time between rows. All segments have the same number of times. Of a trajectory, only starts are taken
    that have a whole horizon behind them and, with `past`, all past states before; if it has none such, those that lack
    a part: what is missing at the end has weight 0, under times that go on by the trajectory's step. At least one later
    state has been observed.

    Args:
        trajectories: with the same variables.
        horizon: rows from the first state of a segment to its last, at least 1.
        dtype: of all arrays.
        stride: rows between starts.
        past: states before the start that are read, too, at the trajectory's step: for held-out segments.
        starts: how many starts there are in all; default: all there can be. They are spread evenly over these.
        seed: draws the `starts` at random instead.
        horizons: other horizons, each with the global step from which on it holds; before the first of them, `horizon`
            does. See `at`.

    Raises:
        TrajectoryUnusable: no state of which all variables were observed has an observed one behind it.
        BandMismatch: the trajectories have different variables.
        OptionError: a number is out of range.

    Example:

    >>> from geodl.data.simulate.trajectories import simulate_trajectories
    >>> samples = SegmentSamples(simulate_trajectories("lorenz63", seed=0, duration=1.0), horizon=20)
    >>> x, y, weight = samples.read(0, np.random.default_rng(0))
    >>> x["state"].shape, x["times"].shape, y.shape, weight.shape
    ((3,), (21,), (21, 3), (21,))
    """

    def __init__(
        self,
        trajectories: Sequence[Trajectory],
        *,
        horizon: int,
        dtype: Literal["float32", "float64"] = "float32",
        stride: int = 1,
        past: int = 0,
        starts: int | None = None,
        seed: int | None = None,
        horizons: Sequence[tuple[int, int]] = (),
    ) -> None:
        _check(trajectories, horizon=horizon, stride=stride, starts=starts, past=past)
        self.trajectories, self.horizon, self.past = list(trajectories), horizon, past
        self.variables = self.trajectories[0].variables
        # All trajectories lie one behind the other; each begins and ends at these rows.
        self._ends = np.cumsum([len(trajectory) for trajectory in self.trajectories])
        self._begins = np.concatenate([[0], self._ends[:-1]])
        self._steps = np.array([trajectory.step for trajectory in self.trajectories])
        self._times = np.concatenate([trajectory.times for trajectory in self.trajectories])
        states = np.concatenate([trajectory.states for trajectory in self.trajectories])
        seen = np.isfinite(states)
        self._states, self._seen, self._whole = states.astype(dtype), seen.any(1), seen.all(1)
        self._spread = stride, starts, seed
        self._set_out()
        stages = sorted(horizons)
        for first, rows in stages:
            _check(trajectories, horizon=rows, step=first)
        self._stages: list[tuple[int, SegmentSamples]] = [(first, self._with_horizon(rows)) for first, rows in stages]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def changes(self) -> tuple[int, ...]:
        """Global steps from which on the horizon is another."""
        return tuple(first for first, _ in self._stages)

    def at(self, step: int) -> SegmentSamples:
        """Returns the samples with the horizon that holds at a global step: a pure function of that step."""
        return next((samples for first, samples in reversed(self._stages) if step >= first), self)

    def read(self, index: int, rng: np.random.Generator) -> Segment:
        """Reads one segment; nothing is random. See `read_batch` for the arrays, here without the batch axis."""
        x, y, weight = self.read_batch(np.array([index]), rng)
        return {key: values[0] for key, values in x.items()}, y[0], weight[0]

    def read_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Segment:
        """Reads several segments at once.

        Args:
            indices: (batch,).
            rng: not used.

        Returns:
            `x`: `state` (batch, variable), the first state; `times` (batch, horizon + 1), 0 and then strictly
            increasing, in the trajectory's time unit; and with `past`, `past` (batch, past, variable), oldest first,
            not-a-number where there is no such state. `y` (batch, horizon + 1, variable), the first state and those that
            follow, not-a-number where not observed. `weight` (batch, horizon + 1), 0 for the first and where nothing was
            observed, else 1.
        """
        dtype, first = self._states.dtype, self._rows[indices][:, None]
        rows = first + np.arange(self.horizon + 1)
        last = self._ends[self._of[indices]][:, None] - 1
        beyond = np.maximum(rows - last, 0)
        rows = np.minimum(rows, last)
        times = self._times[rows] - self._times[first] + beyond * self._steps[self._of[indices]][:, None]
        y, weight = self._states[rows], (self._seen[rows] & (beyond == 0)).astype(dtype)
        weight[:, 0] = 0
        if self._short:
            y[beyond > 0] = np.nan
        x = {"state": y[:, 0].copy(), "times": times.astype(dtype)}
        if self.past:
            x["past"] = self._before(indices)
        return x, y, weight

    def place(self, index: int) -> Place:
        """Returns the trajectory and the time from a segment's first state to its last; see `Samples`."""
        return self._places[index]

    @cached_property
    def _places(self) -> list[Place]:
        begin = self._times[self._rows]
        end = self._times[np.minimum(self._rows + self.horizon, self._ends[self._of] - 1)]
        found = []
        for first, last, k in zip(begin.tolist(), end.tolist(), self._of.tolist()):
            name, group = self.trajectories[k].name, self.trajectories[k].group
            called = f"{name} ({first:g} to {last:g})"
            found.append(Place(None, name, time=(first, last), group=group, name=called, source=name))
        return found

    def _with_horizon(self, horizon: int) -> SegmentSamples:
        other = copy(self)
        other.horizon, other._stages = horizon, []
        other._set_out()
        return other

    def _set_out(self) -> None:
        """Chooses the rows at which segments start."""
        stride, starts, seed = self._spread
        rows = self._candidates(stride)
        if not len(rows):
            names = self.trajectories[0].name if len(self.trajectories) == 1 else f"None of {len(self.trajectories)}"
            raise TrajectoryUnusable(
                names,
                "there is no state of which all variables were observed, with an observed one up to "
                f"{self.horizon} rows behind it",
                advice="Leave out variables that are rarely observed, or ask for a longer horizon.",
            )
        if starts is not None and starts < len(rows):
            even = np.linspace(0, len(rows) - 1, starts).round().astype(int)
            rows = rows[even if seed is None else np.random.default_rng(seed).permutation(len(rows))[:starts]]
        self._rows = np.sort(rows)
        self._of = np.searchsorted(self._ends, self._rows, side="right")
        self._short = bool((self._rows + self.horizon >= self._ends[self._of]).any())

    def _candidates(self, stride: int) -> np.ndarray:
        """Rows at which segments may start."""
        observed, whole = (np.concatenate([[0], np.cumsum(rows)]) for rows in (self._seen, self._whole))
        found = []
        for begin, end, step in zip(self._begins, self._ends, self._steps):
            rows = np.arange(begin, end, stride)
            stop = np.minimum(rows + self.horizon + 1, end)
            rows = rows[self._whole[rows] & (observed[stop] > observed[rows + 1])]
            rows = _those(rows, rows + self.horizon < end)
            if self.past:
                oldest = np.maximum(rows - self.past, begin)
                late = np.abs(self._times[rows] - self._times[oldest] - self.past * step) > _SAME * step
                rows = _those(rows, (whole[rows] - whole[oldest] == self.past) & ~late)
            found.append(rows)
        return np.concatenate(found)

    def _before(self, indices: np.ndarray) -> np.ndarray:
        """Returns the states before the starts, at the step of their trajectories: (batch, past, variable)."""
        found = np.full((len(indices), self.past, len(self.variables)), np.nan, self._states.dtype)
        for n, (row, k) in enumerate(zip(self._rows[indices], self._of[indices])):
            step, times = self._steps[k], self._times[self._begins[k] : row]
            wanted = self._times[row] - step * np.arange(self.past, 0, -1)
            near = np.searchsorted(times, wanted - _SAME * step)
            held = near < len(times)
            held[held] = np.abs(times[near[held]] - wanted[held]) <= _SAME * step
            found[n, held] = self._states[self._begins[k] + near[held]]
        return found


def _those(rows: np.ndarray, preferred: np.ndarray) -> np.ndarray:
    return rows[preferred] if preferred.any() else rows


def _check(trajectories: Sequence[Trajectory], **numbers: int | None) -> None:
    if not trajectories:
        raise TrajectoryUnusable("This part", "there is none", advice="Give more trajectories, or another split.")
    first = trajectories[0].variables
    for trajectory in trajectories:
        if trajectory.variables != first:
            raise BandMismatch(trajectory.name, expected=first, received=trajectory.variables)
    for name, number in numbers.items():
        least = 0 if name in ("past", "step") else 1
        if number is not None and number < least:
            raise OptionError(name, expected=f"at least {least}", received=number)
