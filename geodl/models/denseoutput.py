"""Values at asked times that lie within steps, and the way back of their cotangents to the dense output of the steps.

Each sample has its own steps, so that any number of its asked times may lie within one. They are handled a window at a
time: the work follows the number of times within the step, not that of all times.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from geodl.models.embedded import dense_basis

__all__ = ("AskedTimes", "as_batch")

_WINDOW = 4
"""Asked times of a sample that are handled at once."""


class AskedTimes:
    """The times at which a batch of samples is asked for.

    Args:
        times: (batch, time), increasing in each sample, or decreasing.
    """

    def __init__(self, times: Any) -> None:
        self.times = times
        self.count = int(times.shape[1])
        self.start, self.end = times[:, 0], times[:, -1]
        one = ops.ones_like(self.start)
        self.direction = ops.where(self.end < self.start, -one, one)
        """1 forward, -1 backward in time, (batch,)."""
        self._window = min(max(self.count - 1, 1), _WINDOW)
        self._samples = ops.shape(times)[0]
        self._flat = ops.reshape(times, (-1,))

    @property
    def at_start(self) -> Any:
        """Which times are the first one, (batch, time)."""
        return self.times == self.start[:, None]

    def empty(self, state: Any) -> Any:
        """Returns the values before any step, as `write` takes them: the state at the start, not a number elsewhere."""
        unknown = ops.full_like(state[:, None, :], float("nan"))
        values = ops.where(self.at_start[:, :, None], state[:, None, :], unknown)
        # The last place of each sample takes what belongs nowhere.
        return ops.reshape(ops.concatenate([values, unknown], axis=1), (-1, state.shape[1]))

    def shaped(self, values: Any) -> Any:
        """Returns values as `write` gives them in their shape, (batch, time, S)."""
        return ops.reshape(values, (-1, self.count + 1, values.shape[-1]))[:, :-1]

    def within(self, following: Any, end: Any) -> Any:
        """Returns whether the time `following` of each sample lies before or at the `end` of a step, bool (batch,)."""
        asked = ops.take(self._flat, self._rows(self.count) + ops.minimum(following, self.count - 1), axis=0)
        return (following < self.count) & (self.direction * (asked - end) <= 0)

    def write(
        self, values: Any, following: Any, *, taken: Any, start: Any, end: Any, state: Any, terms: Any
    ) -> tuple[Any, Any]:
        """Writes the values at the asked times within a step.

        Args:
            values: as from `empty`.
            following: index of the first time not written, (batch,).
            taken: whether the step was taken, bool (batch,).
            start: time of its start, (batch,).
            end: time of its end, (batch,).
            state: at its start, (batch, S).
            terms: of its dense output, (terms, batch, S).

        Returns:
            The values, and the index of the first time not written then.
        """
        offsets = ops.arange(self._window, dtype="int32")[None, :]
        size = _nonzero(end - start)
        places = self._rows(self.count + 1)[:, None]

        def pending(values: Any, following: Any) -> Any:
            return ops.any(taken & self.within(following, end))

        def window(values: Any, following: Any) -> tuple[Any, Any]:
            index = following[:, None] + offsets
            asked = self._at(index)
            inside = taken[:, None] & (index < self.count) & (self.direction[:, None] * (asked - end[:, None]) <= 0)
            basis = dense_basis((asked - start[:, None]) / size[:, None], terms.shape[0])
            found = state[:, None, :]
            for term, shape in enumerate(basis):
                found = found + shape[:, :, None] * terms[term][:, None, :]
            target = ops.reshape(places + ops.where(inside, index, self.count), (-1, 1))
            written = ops.scatter_update(values, target, ops.reshape(found, (-1, values.shape[1])))
            return written, following + _counted(inside)

        values, following = ops.while_loop(pending, window, (values, following))
        return values, following

    def pull(self, cotangents: Any, following: Any, *, taken: Any, start: Any, end: Any, terms: int) -> tuple[Any, ...]:
        """Pulls the cotangents of the values within a step back to its dense output.

        Args:
            cotangents: of all values, (batch, time, S).
            following: index after that of the last time within the step, (batch,).
            taken: whether the step was taken, bool (batch,).
            start: time of its start, (batch,).
            end: time of its end, (batch,).
            terms: number of terms of its dense output.

        Returns:
            Cotangents of its state at the start, (batch, S), and of its terms, (terms, batch, S), and the index of the
            first time within the step.
        """
        states = int(cotangents.shape[-1])
        flat = ops.reshape(cotangents, (-1, states))
        offsets = ops.arange(self._window, dtype="int32")[None, :] - self._window
        size = _nonzero(end - start)
        zeros = ops.zeros_like(cotangents[:, 0])

        def later(index: Any) -> Any:
            """Whether times are within: after the start, where a step before ends, or the values are given."""
            return (index > 0) & (self.direction[:, None] * (self._at(index) - start[:, None]) > 0)

        def pending(of_state: Any, of_terms: Any, following: Any) -> Any:
            return ops.any(taken & later(following[:, None] - 1)[:, 0])

        def window(of_state: Any, of_terms: Any, following: Any) -> tuple[Any, Any, Any]:
            index = following[:, None] + offsets
            inside = taken[:, None] & later(index)
            rows = self._rows(self.count)[:, None] + ops.maximum(index, 0)
            given = ops.take(flat, ops.reshape(rows, (-1,)), axis=0)
            given = ops.reshape(given, (-1, self._window, states))
            given = ops.where(inside[:, :, None], given, ops.zeros_like(given))
            basis = dense_basis((self._at(index) - start[:, None]) / size[:, None], terms)
            found = [ops.sum(shape[:, :, None] * given, axis=1) for shape in basis]
            following = following - _counted(inside)
            return of_state + ops.sum(given, axis=1), of_terms + ops.stack(found), following

        return tuple(ops.while_loop(pending, window, (zeros, ops.stack([zeros] * terms), following)))

    def _rows(self, width: int) -> Any:
        """Where each sample begins in a flat array with `width` places per sample, (batch,)."""
        return ops.arange(self._samples, dtype="int32") * width

    def _at(self, index: Any) -> Any:
        """Times by their index, (batch, window); the nearest one where there is none."""
        return ops.take(self._flat, self._rows(self.count)[:, None] + ops.clip(index, 0, self.count - 1), axis=0)


def _counted(inside: Any) -> Any:
    return ops.cast(ops.sum(ops.cast(inside, "int32"), axis=1), "int32")


def _nonzero(size: Any) -> Any:
    return ops.where(size == 0, ops.ones_like(size), size)


def as_batch(times: Any, state: Any) -> Any:
    """Returns times (time,) or (batch, time) as (batch, time) in the precision of a state (batch, S)."""
    times = ops.cast(ops.convert_to_tensor(times), keras.backend.standardize_dtype(state.dtype))
    if len(times.shape) == 1:
        times = ops.broadcast_to(times[None, :], (ops.shape(state)[0], times.shape[0]))
    return times
