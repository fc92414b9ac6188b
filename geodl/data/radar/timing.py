"""The step of times that should be evenly spaced, the runs in which they are, and what is missing in between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

__all__ = ("Timing",)

_JITTER = 0.1
"""Share of the step by which the time from one frame to the next may differ from it."""
_ROUND = 0.02
"""Share of the step by which one that is measured from unsteady times may be off a whole minute."""
_BREAK = np.timedelta64(1, "D")
"""A longer gap lies between two events; nobody expects frames there."""
_NOT_KNOWN = np.timedelta64("NaT", "s")


@dataclass(frozen=True, eq=False)
class Timing:
    """When the frames of a sequence are.

    Example:

    >>> timing = Timing(np.array(["2020-01-01T00:00", "2020-01-01T00:05", "2020-01-01T00:15"], "datetime64[ns]"))
    >>> timing.runs, str(timing.missing[0])
    ((slice(0, 2, None), slice(2, 3, None)), '2020-01-01T00:10:00.000000000')
    """

    times: np.ndarray
    """datetime64[ns] of shape (time,), ascending."""
    wanted: np.timedelta64 | None = None
    """The step, where it is known; default: the commonest difference."""

    @cached_property
    def step(self) -> np.timedelta64:
        """Time from one frame to the next, timedelta64[s]; not-a-time where there is but one frame."""
        if self.wanted is not None:
            return self.wanted.astype("timedelta64[s]")
        seconds = np.diff(self.times) / np.timedelta64(1, "s")
        return _NOT_KNOWN if not len(seconds) else np.timedelta64(_commonest(seconds), "s")

    @cached_property
    def runs(self) -> tuple[slice, ...]:
        """Positions of frames that follow one another by the step, to within a tenth of it."""
        off = np.abs(self._steps - 1) > _JITTER
        ends = [0, *(np.flatnonzero(off) + 1).tolist(), len(self.times)]
        return tuple(slice(start, stop) for start, stop in pairwise(ends))

    @cached_property
    def missing(self) -> tuple[np.datetime64, ...]:
        """Times at which a frame should be, in gaps of no more than a day."""
        found = []
        for k in np.flatnonzero(self._steps > 1 + _JITTER):
            if self.times[k + 1] - self.times[k] <= _BREAK:
                found += [self.times[k] + n * self.step for n in range(1, round(self._steps[k]))]
        return tuple(found)

    @cached_property
    def irregular(self) -> tuple[np.datetime64, ...]:
        """Times of frames that come too early or too late after the one before, where none is missing."""
        steps = self._steps
        late = (np.abs(steps - 1) > _JITTER) & (steps < 1.5)
        return tuple(self.times[1:][late])

    @cached_property
    def breaks(self) -> tuple[np.datetime64, ...]:
        """Times of the first frames after gaps of more than a day, none of whose times are listed as missing."""
        return tuple(self.times[1:][np.diff(self.times) > max(_BREAK, 1.5 * self._lattice)])

    @cached_property
    def positions(self) -> np.ndarray:
        """Steps from the first frame to each, int64 of shape (time,): one run goes up by ones, whatever its jitter."""
        if np.isnat(self.step):
            return np.zeros(len(self.times), np.int64)
        counted = np.zeros(len(self.times), np.int64)
        for run in self.runs:
            start = round(float((self.times[run.start] - self.times[0]) / self.step))
            counted[run] = start + np.arange(run.stop - run.start)
        return counted

    @property
    def _lattice(self) -> np.timedelta64:
        return np.timedelta64(0, "s") if np.isnat(self.step) else self.step

    @cached_property
    def _steps(self) -> np.ndarray:
        """Differences of neighbouring times, in steps."""
        return np.diff(self.times) / self.step


def _commonest(seconds: np.ndarray) -> int:
    """The difference that most others are near; the smallest of several such."""
    values, counts = np.unique(seconds, return_counts=True)
    near = np.abs(values[:, None] - values) <= _JITTER * values[:, None]
    members = near[np.argmax(near @ counts)]
    if np.count_nonzero(members) == 1:
        return max(1, round(float(values[members][0])))
    mean = float(np.average(values[members], weights=counts[members]))
    minute = 60 * round(mean / 60)
    return minute if abs(minute - mean) <= _ROUND * mean else max(1, round(mean))
