"""The way back through the steps that an adaptive solver accepted: the exact gradient of what it computed.

The sizes of the steps count as given: how they depend on the state is left out, as it follows the error and not the flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from geodl.models.attempts import Journal
from geodl.models.denseoutput import AskedTimes
from geodl.models.embedded import Pair, written
from geodl.models.fixedstep import Field

__all__ = ("sweep_back",)


def sweep_back(
    field: Field,
    parameters: Sequence[Any],
    *,
    pair: Pair,
    asked: AskedTimes,
    journal: Journal,
    attempts: Any,
    following: Any,
    cotangents: Any,
) -> tuple[Any, list[Any]]:
    """Pulls cotangents of the values at the asked times back to the first state and the parameters.

    Args:
        field: from parameters and states (batch, S) to derivatives (batch, S).
        parameters: of the field.
        pair: the method that was used.
        asked: the asked times.
        journal: of the way forward. Where it holds the first state of each block alone, the others are computed again.
        attempts: how many there were, int32.
        following: index of the first asked time that was not reached, int32 (batch,).
        cotangents: of the values at the asked times, (batch, time, S).

    Returns:
        Cotangents of the first state, (batch, S), and of each parameter.
    """
    block = int(journal.times.shape[1])
    parameters = list(parameters)

    def slope(state: Any) -> Any:
        return field(parameters, state)

    def states_of(index: Any, count: Any, times: Any) -> Any:
        """Returns the states at the starts of a block's attempts, (block, batch, S)."""
        states = ops.take(journal.states, index, axis=0)
        if int(journal.states.shape[1]) == block:
            return states

        def write(place: Any, state: Any, array: Any) -> tuple[Any, ...]:
            start, end = _ends(times, place)
            moved = pair.advance(slope, state, (end - start)[:, None])
            moved = ops.where((end != start)[:, None], moved, state)
            return place + 1, moved, written(array, place, state)

        first = (ops.zeros((), "int32"), states[0], ops.repeat(states, block, axis=0))
        return ops.while_loop(lambda place, state, array: place < count, write, first)[2]

    def step_back(times: Any, states: Any, place: Any, following: Any, adjoint: Any, gradients: Any) -> tuple[Any, ...]:
        start, end = _ends(times, place)
        taken = end != start
        of_state, of_terms, earlier = asked.pull(
            cotangents, following, taken=taken, start=start, end=end, terms=pair.terms
        )
        state, size = ops.take(states, place, axis=0), (end - start)[:, None]
        pulled, found = pair.pull(
            field,
            parameters,
            state=state,
            size=size,
            of_end=ops.where(taken[:, None], adjoint, ops.zeros_like(adjoint)),
            of_terms=of_terms,
            dense=ops.any(earlier != following),
        )
        adjoint = ops.where(taken[:, None], pulled + of_state, adjoint)
        return place - 1, earlier, adjoint, [total + more for total, more in zip(gradients, found)]

    def block_back(index: Any, following: Any, adjoint: Any, gradients: Any) -> tuple[Any, ...]:
        times = ops.take(journal.times, index, axis=0)
        count = ops.minimum(attempts - index * block, block)
        states = states_of(index, count, times)
        _, following, adjoint, gradients = ops.while_loop(
            lambda place, *rest: place >= 0,
            lambda place, *rest: step_back(times, states, place, *rest),
            (count - 1, following, adjoint, gradients),
        )
        return index - 1, following, adjoint, gradients

    last = (attempts + (block - 1)) // block - 1
    start = (last, following, ops.zeros_like(cotangents[:, 0]), [ops.zeros_like(value) for value in parameters])
    _, _, adjoint, gradients = ops.while_loop(lambda index, *rest: index >= 0, block_back, start)
    given = ops.where(asked.at_start[:, :, None], cotangents, ops.zeros_like(cotangents))
    return adjoint + ops.sum(given, axis=1), list(gradients)


def _ends(times: Any, place: Any) -> tuple[Any, Any]:
    """Start and end of an attempt, (batch,), from a block's times (block, 2, batch)."""
    both = ops.take(times, place, axis=0)
    return both[0], both[1]
