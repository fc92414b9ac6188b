"""A trajectory: the states of one run of a system over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geodl.errors import TrajectoryUnusable

__all__ = ("Trajectory",)

_EVEN = 1e-6
"""Relative difference of steps that count as equal."""
_GAP = 1.5
"""Steps: what lies farther apart has a gap between."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The states of one run of a system over time, regular or not, with gaps or without.

    Arrays are copied into float64 and read-only. Times in float32 that are evenly spaced but for their rounding are
    taken as evenly spaced: a step of 0.01 at time 100 would otherwise be off by a thousandth of itself.

    Args:
        name: for messages, and to tell it from others.
        times: (time,), strictly increasing, at least two.
        states: (time, variable), NaN where not observed.
        variables: names of the columns of `states`.
        units: of each variable; default: none is stated.
        time_unit: default: none is stated.
        origin: the date at time 0, where times are dates.
        group: what must not be on both sides of a split.

    Raises:
        TrajectoryUnusable: there is one time only, or one occurs twice, or they are not sorted or not finite; no
            variable, two of one name, an infinite value, or no state observed; or the shapes do not fit.

    Example:
        >>> swing = Trajectory("swing", [0, 0.1, 0.2], [[0.0], [0.3], [0.5]], ("angle",), units=("rad",), time_unit="s")
        >>> swing.step, swing.regular
        (0.1, True)
    """

    name: str
    times: np.ndarray
    states: np.ndarray
    variables: tuple[str, ...]
    units: tuple[str, ...] = ()
    time_unit: str = ""
    origin: np.datetime64 | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        times, states = np.asarray(self.times), np.asarray(self.states)
        for what, array in (("times", times), ("states", states)):
            if array.dtype.kind not in "fiub":
                self._refuse(f"its {what} are of type {array.dtype}", "Expected numbers.")
        single, times = times.dtype == np.float32, np.array(times, float)
        if times.ndim != 1 or states.ndim != 2 or len(times) != len(states):
            shapes = f"its times are of shape {times.shape} and its states of shape {states.shape}"
            self._refuse(shapes, "Expected (time,) and (time, variable).")
        variables = tuple(map(str, self.variables))
        units = tuple(map(str, self.units)) or ("",) * len(variables)
        if not variables or not states.shape[1]:
            self._refuse("it has no variables", "Give at least one column of numbers beside the times.")
        if not len(variables) == len(units) == states.shape[1]:
            count = f"it has {states.shape[1]} columns of states, {len(variables)} names and {len(units)} units"
            self._refuse(count, "Expected one name and one unit for each.")
        if len(set(variables)) < len(variables):
            twice = next(name for k, name in enumerate(variables) if name in variables[:k])
            self._refuse(f"it has two variables called {twice}", "Rename one of them.")
        self._check_times(times)
        states = np.array(states, float)
        self._check_states(states, variables, times)
        if single:
            times = _evened(times)
        times.setflags(write=False)
        states.setflags(write=False)
        for field, value in (("times", times), ("states", states), ("variables", variables), ("units", units)):
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        """Number of times."""
        return len(self.times)

    def __repr__(self) -> str:
        unit = f" {self.time_unit}" if self.time_unit else ""
        span = f"{self.times[0]:g} to {self.times[-1]:g}{unit}"
        return f"Trajectory({self.name!r}, {len(self)} times from {span}, {', '.join(self.variables)})"

    @property
    def step(self) -> float:
        """Median time between neighbouring times; where they are even the mean, in which their rounding does not add up."""
        steps = np.diff(self.times)
        median = float(np.median(steps))
        even = (np.abs(steps - median) <= self._allowed(median)).all()
        return float((self.times[-1] - self.times[0]) / len(steps)) if even else median

    @property
    def regular(self) -> bool:
        """Whether all steps are equal, to a millionth and to the rounding of the times."""
        return bool((np.abs(np.diff(self.times) - self.step) <= self._allowed(self.step)).all())

    def _allowed(self, step: float) -> float:
        """What steps that are meant to be `step` may differ from it."""
        return float(_EVEN * step + 4 * np.spacing(np.abs(self.times).max()))

    @property
    def gaps(self) -> np.ndarray:
        """Times before and after each gap, (gap, 2): neighbouring times more than one and a half steps apart."""
        before = np.flatnonzero(np.diff(self.times) > _GAP * self.step)
        return np.stack([self.times[before], self.times[before + 1]], -1)

    @property
    def observed(self) -> np.ndarray:
        """Whether each variable was observed at each time, bool (time, variable)."""
        return np.isfinite(self.states)

    def between(self, start: float, stop: float) -> Trajectory:
        """Returns the part with times of at least `start` and below `stop`, under the same name.

        Raises:
            TrajectoryUnusable: fewer than two times, or no observed state, lie there.
        """
        inside = slice(*np.searchsorted(self.times, [start, stop]))
        times, states = self.times[inside], self.states[inside]
        if len(times) < 2 or np.isnan(states).all():
            problem = (
                f"between {start:g} and {stop:g} it has {len(times)} times, and {np.isfinite(states).sum()} values"
            )
            self._refuse(
                problem, "Expected at least two times and one value: divide it otherwise, or give a longer one."
            )
        return replace(self, times=times, states=states)

    def select(self, variables: Sequence[str]) -> Trajectory:
        """Returns it with these variables, in this order; all must be there."""
        columns = [self.variables.index(name) for name in variables]
        units = tuple(self.units[k] for k in columns)
        return replace(self, states=self.states[:, columns], variables=tuple(variables), units=units)

    def _refuse(self, problem: str, advice: str) -> None:
        raise TrajectoryUnusable(self.name, problem, advice=advice)

    def _check_times(self, times: np.ndarray) -> None:
        if len(times) < 2:
            count = "one time only" if len(times) else "no time at all"
            self._refuse(f"it has {count}", "Expected at least two: what is learnt is how one state becomes the next.")
        if not np.isfinite(times).all():
            row = int(np.flatnonzero(~np.isfinite(times))[0])
            self._refuse(
                f"the time in row {row + 1} is {times[row]}", "Give each state its time, or leave the row out."
            )
        steps = np.diff(times)
        if (steps < 0).any():
            row = int(np.flatnonzero(steps < 0)[0])
            self._refuse(
                f"its times are not sorted: {times[row]:.10g} in row {row + 1} is followed by {times[row + 1]:.10g}",
                "Sort it by time; or, where it holds several runs, give a column named trajectory that tells them apart.",
            )
        twins = np.flatnonzero(steps == 0)
        if len(twins):
            row, more = int(twins[0]), f" (and {len(twins) - 1} more like this)" if len(twins) > 1 else ""
            self._refuse(
                f"time {times[row]:.10g} occurs twice, in rows {row + 1} and {row + 2}{more}",
                "Keep one state for each time; where it holds several runs, give a column named trajectory that tells "
                "them apart.",
            )

    def _check_states(self, states: np.ndarray, variables: tuple[str, ...], times: np.ndarray) -> None:
        if np.isinf(states).any():
            row, column = np.argwhere(np.isinf(states))[0]
            self._refuse(
                f"{variables[column]} is infinite in row {row + 1}, at time {times[row]:.10g}",
                "Leave what was not observed empty, or write nan.",
            )
        if np.isnan(states).all():
            self._refuse("no state is observed", "Expected numbers; nan means not observed.")


def _evened(times: np.ndarray) -> np.ndarray:
    """Times from float32 as evenly spaced ones, where they are that but for their rounding."""
    even = np.linspace(times[0], times[-1], len(times))
    rounding = np.spacing(np.abs(times).astype(np.float32).max()).astype(float)
    steps = np.diff(even)
    return even if (np.abs(times - even) <= rounding).all() and (rounding < 0.5 * steps).all() else times
