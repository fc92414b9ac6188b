"""Runge–Kutta methods at fixed steps, with the exact gradient of what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from keras import ops

from geodl.autodiff import vjp, with_gradient
from geodl.models.tableaus import Tableau

__all__ = ("Field", "integrate_fixed", "march", "retreat", "rk_step", "states_to_result", "time_first", "weighted")

Field = Callable[[Sequence[Any], Any], Any]
"""The right-hand side F of dX/dt = F(X): from parameters and states (batch, state) to derivatives (batch, state). The
samples of a batch do not see each other."""


def integrate_fixed(
    field: Field,
    state: Any,
    intervals: Any,
    *,
    parameters: Sequence[Any] = (),
    tableau: Tableau,
    substeps: int = 1,
    gradient: Literal["solver", "rematerialised"] = "solver",
) -> Any:
    """Integrates a field over given intervals, each divided in equal steps.

    The gradient with respect to the state and the parameters is that of the numbers which come out, not of the flow that
    they approximate: a sweep backward over the stored starts of the steps carries the cotangent of the state through one
    step after the other. Forward and backward each are one loop, which XLA compiles on TensorFlow, too. The gradient with
    respect to the intervals is given as zero.

    Args:
        field: the right-hand side.
        state: (batch, state), where the first interval begins.
        intervals: (time - 1,), or (batch, time - 1) for intervals of each sample's own; negative ones go back in time.
        parameters: tensors that the field depends on.
        tableau: the method.
        substeps: steps in each interval.
        gradient: what is stored for the sweep: "solver", the start of every step; "rematerialised", with N steps in all
            and besides the result, at most about sqrt(N) states (Griewank 1992), from which the others are computed
            again, a little more than one further evaluation of every step.

    Returns:
        (batch, time, state): `state` itself, then the states where the intervals end.
    """
    count = intervals.shape[-1]
    if count == 0:
        return ops.expand_dims(state, 1)
    plan = _Plan(field, tableau, substeps, *_division(count, substeps, gradient))
    run = with_gradient(plan.forward, plan.backward)
    if count is None:
        # TensorFlow cannot stack the states of no step at all: one of no length comes first.
        intervals = ops.pad(intervals, [*[(0, 0)] * (len(intervals.shape) - 1), (1, 0)])
        return run(list(parameters), state, time_first(intervals) / substeps)[:, 1:]
    return run(list(parameters), state, time_first(intervals) / substeps)


def rk_step(tableau: Tableau, field: Field, parameters: Sequence[Any], state: Any, step: Any) -> Any:
    """Does one step.

    Args:
        state: (batch, state).
        step: its size, (1, 1) or (batch, 1).
    """
    derivatives: list[Any] = []
    for row in tableau.a:
        stage = state + step * weighted(row, derivatives) if any(row) else state
        derivatives.append(field(parameters, stage))
    return state + step * weighted(tableau.b, derivatives)


def weighted(weights: Sequence[float], terms: Sequence[Any]) -> Any:
    """Returns the weighted sum, without the terms of weight zero."""
    found = [term if weight == 1 else weight * term for weight, term in zip(weights, terms, strict=True) if weight]
    return sum(found[1:], found[0])


def march(advance: Callable[[Any, Any], Any], state: Any, count: Any) -> Any:
    """Applies `advance(index, state)` `count` times; returns all states (count + 1, batch, state), `state` first."""

    def body(carry: Any, index: Any) -> tuple[Any, Any]:
        new = advance(index, carry)
        return new, new

    states = ops.scan(body, state, ops.arange(count, dtype="int32"))[1]
    return ops.concatenate([ops.expand_dims(state, 0), states])


def retreat(pull: Callable[[Any, Any, Any], tuple[Any, Any]], cotangent: Any, gradients: Any, count: Any) -> Any:
    """Applies `pull(index, cotangent, gradients)` for the indices count - 1 … 0; returns the last two."""

    def body(index: Any, cotangent: Any, gradients: Any) -> tuple[Any, Any, Any]:
        return (index - 1, *pull(index, cotangent, gradients))

    start = ops.cast(count - 1, "int32")
    return ops.while_loop(lambda index, *_: index >= 0, body, (start, cotangent, gradients))[1:]


def time_first(intervals: Any) -> Any:
    """Makes (time,) or (batch, time) numbers (time, 1 or batch, 1), which go with states."""
    if len(intervals.shape) == 1:
        return ops.reshape(intervals, (-1, 1, 1))
    return ops.expand_dims(ops.transpose(intervals), -1)


def states_to_result(states: Any) -> Any:
    """(time, batch, state) → (batch, time, state), and back."""
    return ops.transpose(states, (1, 0, 2))


@dataclass(frozen=True)
class _Plan:
    """How steps are grouped: every interval consists of `chunks` chunks of `chunk` steps, whose starts are stored.

    Steps beyond the number of substeps have size zero.
    """

    field: Field
    tableau: Tableau
    substeps: int
    chunk: int
    chunks: int

    def forward(self, parameters: Any, state: Any, steps: Any) -> tuple[Any, Any]:
        """From steps (time - 1, 1 or batch, 1) to the result and the stored states (time × chunks + 1, batch, state)."""

        def advance(index: Any, state: Any) -> Any:
            return self._within(parameters, state, steps, index, self.chunk)[-1]

        states = march(advance, state, self._count(steps))
        return states_to_result(states[:: self.chunks]), (parameters, states, steps)

    def backward(self, kept: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        """Pulls the result's cotangent back."""
        parameters, states, steps = kept
        given = states_to_result(cotangent)

        def pull(index: Any, cotangent: Any, gradients: Any) -> tuple[Any, Any]:
            starts = self._within(parameters, states[index], steps, index, self.chunk - 1)

            def pull_step(inner: Any, cotangent: Any, gradients: Any) -> tuple[Any, Any]:
                step = self._step(steps, index, inner)
                _, back = vjp(lambda p, x: rk_step(self.tableau, self.field, p, x, step), parameters, starts[inner])
                found, cotangent = back(cotangent)
                return cotangent, [old + new for old, new in zip(gradients, found, strict=True)]

            if self.chunk == 1:
                cotangent, gradients = pull_step(0, cotangent, gradients)
            else:
                cotangent, gradients = retreat(pull_step, cotangent, gradients, self.chunk)
            here = given[index // self.chunks]
            if self.chunks > 1:
                here = ops.where(index % self.chunks == 0, here, ops.zeros_like(here))
            return cotangent + here, gradients

        zeros = [ops.zeros_like(parameter) for parameter in parameters]
        cotangent, gradients = retreat(pull, given[-1], zeros, self._count(steps))
        return gradients, cotangent, ops.zeros_like(steps)

    def _count(self, steps: Any) -> Any:
        return ops.shape(steps)[0] * self.chunks

    def _within(self, parameters: Any, state: Any, steps: Any, index: Any, count: int) -> Any:
        """The start of a chunk and the states after its first `count` steps: (count + 1, batch, state)."""

        def advance(inner: Any, state: Any) -> Any:
            step = self._step(steps, index, inner)
            return rk_step(self.tableau, self.field, parameters, state, step)

        if count == 0:
            return [state]
        if count == 1:
            return [state, advance(0, state)]
        return march(advance, state, count)

    def _step(self, steps: Any, index: Any, inner: Any) -> Any:
        """Size of a step of a chunk: (1, 1) or (batch, 1)."""
        step = steps[index // self.chunks]
        if self.chunk * self.chunks == self.substeps:
            return step
        return ops.where((index % self.chunks) * self.chunk + inner < self.substeps, step, ops.zeros_like(step))


def _division(intervals: int | None, substeps: int, gradient: str) -> tuple[int, int]:
    """Returns the steps of a chunk and the chunks of an interval."""
    if gradient == "solver":
        return 1, substeps
    # The ends of the intervals are stored anyway, as the result.
    length = substeps if intervals is None else min(substeps, math.isqrt(intervals * substeps - 1) + 1)
    chunks = math.ceil(substeps / length)
    return math.ceil(substeps / chunks), chunks
