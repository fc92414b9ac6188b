"""The continuous adjoint: a second integration, backward in time, which needs nothing of the steps of the first.

Source: Chen et al., Neural Ordinary Differential Equations, NeurIPS 2018, appendix B. As the parameters' gradient is but an
integral along the adjoint, its error does not bound the steps (Kidger, Chen & Lyons, "Hey, that's not an ODE", ICML 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from geodl.autodiff import vjp
from geodl.models.attempts import ARRIVED, RUNNING, UNDERFLOW
from geodl.models.denseoutput import AskedTimes
from geodl.models.embedded import Pair
from geodl.models.fixedstep import Field
from geodl.models.stepcontrol import StepControl

__all__ = ("adjoint_back",)


class _Return(NamedTuple):
    """How far back a batch has come."""

    attempts: Any
    status: Any
    time: Any
    both: Any
    """State and adjoint, side by side, (batch, 2 S)."""
    step: Any
    error: Any
    rejected: Any
    target: Any
    """Index of the asked time that is gone back to, int32 (batch,)."""
    gradients: list[Any]
    """Of the parameters."""


def adjoint_back(
    field: Field,
    parameters: Sequence[Any],
    *,
    pair: Pair,
    control: StepControl,
    asked: AskedTimes,
    values: Any,
    following: Any,
    cotangents: Any,
    max_steps: int,
) -> tuple[Any, list[Any]]:
    """Integrates the adjoint from the last asked time back to the first.

    At each asked time the state is set to its value there, and the value's cotangent is added to the adjoint.

    Args:
        field: from parameters and states (batch, S) to derivatives (batch, S).
        parameters: of the field.
        pair: the method.
        control: chooses the steps; its `atol` holds for the adjoint in units of a sample's largest cotangent.
        asked: the asked times.
        values: states there, (batch, time, S).
        following: index of the first asked time that was not reached, int32 (batch,).
        cotangents: of the values, (batch, time, S).
        max_steps: steps that each sample may attempt, besides one for each asked time.

    Returns:
        Cotangents of the first state, (batch, S), and of each parameter. They are not a number where a sample did not
        come back to its first time.
    """
    states = int(values.shape[2])
    parameters = list(parameters)
    weights = [(stage, weight) for stage, weight in enumerate(pair.tableau.b) if weight]
    bound = max_steps + asked.count
    # The adjoint is linear in the cotangents, so that its unit may be chosen.
    unit = ops.max(ops.absolute(cotangents), axis=(1, 2))
    unit = ops.where(unit > 0, unit, ops.ones_like(unit))
    cotangents = cotangents / unit[:, None, None]

    def slope(both: Any) -> Any:
        derivative, pull = vjp(lambda state: field(parameters, state), both[:, :states])
        return ops.concatenate([derivative, -pull(both[:, states:])[0]], axis=1)

    def at(index: Any) -> tuple[Any, Any]:
        """Time, and value and cotangent side by side, at an index for each sample."""
        index = ops.maximum(index, 0)[:, None]
        time = ops.take_along_axis(asked.times, index, axis=1)[:, 0]
        found = [ops.take_along_axis(array, index[:, :, None], axis=1)[:, 0] for array in (values, cotangents)]
        return time, ops.concatenate(found, axis=1)

    def going(back: _Return) -> Any:
        return ops.any(back.status == RUNNING) & (back.attempts < bound)

    def attempt(back: _Return) -> tuple[_Return]:
        running = back.status == RUNNING
        goal, arriving = at(back.target)
        left = ops.absolute(goal - back.time)
        last = 1.01 * back.step >= left
        end = ops.where(last, goal, back.time - asked.direction * back.step)
        end = ops.where(running, end, back.time)
        size = (end - back.time)[:, None]
        step = pair.step(slope, back.both, slope(back.both), size)
        error = pair.error(step, size, control.scale(back.both, step.end))
        taken = running & (error <= 1.0)

        proposed, last_error = control.after(
            ops.absolute(size[:, 0]), error, last_error=back.error, accepted=taken, rejected_before=back.rejected
        )
        # A step that was cut short to end at an asked time says nothing against longer ones.
        proposed = ops.where(taken & last, ops.maximum(proposed, back.step), proposed)
        time = ops.where(taken, end, back.time)
        reached = taken & last
        stuck = running & (proposed < control.smallest(time))
        both = ops.where(taken[:, None], step.end, back.both)
        landed = ops.concatenate([arriving[:, :states], both[:, states:] + arriving[:, states:]], axis=1)
        status = ops.where(reached & (back.target == 0), ARRIVED, ops.where(stuck, UNDERFLOW, back.status))
        return (
            _Return(
                attempts=back.attempts + 1,
                status=ops.cast(status, "int32"),
                time=time,
                both=ops.where(reached[:, None], landed, both),
                step=ops.where(running, proposed, back.step),
                error=ops.where(running, last_error, back.error),
                rejected=running & ~taken,
                target=back.target - ops.cast(reached, "int32"),
                gradients=collect(back.gradients, pair.places(back.both, step, size), taken, size),
            ),
        )

    def collect(gradients: list[Any], places: Any, taken: Any, size: Any) -> list[Any]:
        """Adds the integral over a step: all its stages in one batch, those of samples that stay with weight 0."""
        if not parameters:
            return gradients
        taken = taken[:, None]
        shares = [(weight * -size * unit[:, None], places[stage]) for stage, weight in weights]
        at = ops.concatenate([ops.where(taken, both, places[0])[:, :states] for _, both in shares], axis=0)
        pushed = [
            ops.where(taken, share * both[:, states:], ops.zeros_like(both[:, states:])) for share, both in shares
        ]
        found = vjp(lambda parameters: field(parameters, at), parameters)[1](ops.concatenate(pushed, axis=0))[0]
        return [total + more for total, more in zip(gradients, found)]

    time, both = at(following - 1)
    step = control.first(slope, both, slope(both), -asked.direction)
    able = ops.isfinite(step)
    none = ops.zeros_like(following)
    status = ops.where(following <= 1, ARRIVED, ops.where(able, RUNNING, UNDERFLOW))
    start = _Return(
        attempts=ops.zeros((), "int32"),
        status=ops.cast(status, "int32"),
        time=time,
        both=both,
        step=ops.where(able, step, ops.zeros_like(step)),
        error=ops.ones_like(step),
        rejected=none > 0,
        target=following - 2,
        gradients=[ops.zeros_like(value) for value in parameters],
    )
    back = ops.while_loop(going, attempt, (start,))[0]
    arrived = back.status == ARRIVED
    adjoint = ops.where(arrived[:, None], back.both[:, states:] * unit[:, None], float("nan") * unit[:, None])
    lost = ops.where(ops.all(arrived), ops.zeros_like(unit[0]), float("nan") * unit[0])
    return adjoint, [value + lost for value in back.gradients]
