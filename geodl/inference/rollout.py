"""Free runs of a network over time: chunk by chunk, each from where the one before ended, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.inference.engine import Progress

__all__ = ("FreeRun", "Piece", "between")

_CHUNK = 1024
"""Times that a network is asked for at once, at most: a call of a thousandth of a second is then little beside them."""
_FEWEST = 32
"""Times at once that more trajectories at once are given up for."""
_COPIES = 6
"""Arrays of the size of its output that a network takes while it works: stages of a step, and the output's own copies."""
_ROUNDING = 1e-6
"""Share of a step by which one interval may be longer than another that is meant to be as long."""


@dataclass(frozen=True)
class Piece:
    """Some states of some trajectories."""

    trajectories: slice
    """All of one or several groups, or some of one group."""
    times: slice
    """Steps since the first state."""
    states: np.ndarray
    """(trajectory, time, state); not-a-number from where a trajectory is no longer finite."""


class FreeRun:
    """Runs a network on from first states; gives its states piece by piece.

    A chunk has always the same number of times, and a batch the same number of trajectories, so that the network is
    compiled once. Within a chunk times count from its beginning: they keep their precision however long the run.

    A trajectory that is no longer finite stays so: it is not-a-number from that time on, and the others go on.

    Args:
        call: the network: from `state` (batch, state) and `times` (batch, time), relative to the first, to
            (batch, time, channel), whose first channels are the state.
        states: the first ones, finite, (trajectory, state), in the network's dtype.
        steps: number of steps of each.
        step: time between two of them.
        longest: largest interval that the network is asked to make: it is taken through the states in between.
        channels: of the network's output; default: as many as the state has.
        group: trajectories that belong together, see `Piece`.
        memory: bytes that may be taken beyond the first states and those that are kept.

    Raises:
        OptionError: the memory does not hold the states between two of one trajectory.

    Example:

    >>> run = FreeRun(call, states, steps=5000, step=0.01, longest=0.01, memory=2**28)
    >>> last = [piece.states[:, -1] for piece in run.pieces()][-1]
    """

    def __init__(
        self,
        call: Callable[[Any], np.ndarray],
        states: np.ndarray,
        *,
        steps: int,
        step: float,
        longest: float,
        channels: int | None = None,
        group: int | None = None,
        memory: int,
    ) -> None:
        self._call, self._states, self._steps = call, states, steps
        count, size = states.shape
        self._group = group or count
        self.diverged = np.full(count, -1)
        """Step from which on each trajectory is not finite; -1 where all of it is, as far as it has been run."""
        self._between = between(step, longest)
        row = _COPIES * (channels or size) * states.itemsize
        rows = memory // row
        if rows <= self._between:
            expected = f"at least {math.ceil(row * (self._between + 1) / 2**20)} MiB for the states of one step"
            raise OptionError("memory (--memory)", expected=expected, received=f"{memory / 2**20:.3g} MiB")
        wanted = min(_CHUNK, 1 << (steps * self._between - 1).bit_length())
        asked = max(min(wanted, rows // count - 1), min(wanted, _FEWEST, rows - 1))
        self._chunk = max(asked // self._between, 1)
        """Steps at once."""
        together = min(count, rows // (self._chunk * self._between + 1))
        self._together = together // self._group * self._group or together
        """Trajectories at once."""
        times = np.arange(self._chunk * self._between + 1) * (step / self._between)
        self._times = np.broadcast_to(times.astype(states.dtype), (self._together, len(times)))

    def pieces(self, progress: Progress | None = None) -> Iterator[Piece]:
        """Gives all states: for some trajectories after the other, from their first to their last.

        Args:
            progress: called with the states done and in all.
        """
        total, done = len(self._states) * self._steps, 0
        for batch in self._batches():
            state = self._states[batch]
            count = len(state)
            yield Piece(batch, slice(0, 1), state[:, None])
            alive = np.ones(count, bool)
            for first in range(0, self._steps, self._chunk):
                steps = min(self._chunk, self._steps - first)
                states = self._advance(state)[:, :steps] if alive.any() else np.full_like(state, np.nan)[:, None]
                finite = alive[:, None] & np.logical_and.accumulate(np.isfinite(states).all(-1), axis=1)
                states = np.where(finite[..., None], states, states.dtype.type(np.nan))
                ends = alive & ~finite[:, -1]
                self.diverged[batch][ends] = first + 1 + np.argmin(finite[ends], axis=1)
                alive = finite[:, -1]
                # What has left the finite numbers is run from its first state, unseen: no solver stumbles over that.
                state = np.where(alive[:, None], states[:, -1], self._states[batch])
                yield Piece(batch, slice(first + 1, first + 1 + steps), _stretched(states, steps))
                done += count * steps
                if progress is not None:
                    progress(done, total)

    def _advance(self, state: np.ndarray) -> np.ndarray:
        """A chunk from these states on, without them."""
        missing = self._together - len(state)
        filled = np.concatenate([state, np.repeat(state[:1], missing, axis=0)]) if missing else state
        output = self._call({"state": filled, "times": self._times})
        return output[: len(state), self._between :: self._between, : state.shape[1]]

    def _batches(self) -> Iterator[slice]:
        count = len(self._states)
        if self._together >= self._group:
            starts = range(0, count, self._together)
            yield from (slice(first, min(first + self._together, count)) for first in starts)
            return
        for origin in range(0, count, self._group):
            for first in range(0, self._group, self._together):
                yield slice(origin + first, origin + min(first + self._together, self._group))


def between(interval: float, longest: float) -> int:
    """Returns in how many parts an interval is to be divided so that none is longer than `longest`.

    Example:

    >>> between(0.1, 0.01), between(0.015, 0.01), between(0.005, 0.01)
    (10, 2, 1)
    """
    return max(math.ceil(interval / longest * (1 - _ROUNDING)), 1)


def _stretched(states: np.ndarray, steps: int) -> np.ndarray:
    """States of one step, all the same, as those of many."""
    return states if states.shape[1] == steps else np.broadcast_to(states, (len(states), steps, states.shape[2]))
