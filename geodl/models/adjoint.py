"""The continuous adjoint of a flow: gradients by integrating backward, in memory that does not grow with the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from geodl.autodiff import vjp, with_gradient
from geodl.models.fixedstep import Field, march, retreat, rk_step, states_to_result, time_first, weighted
from geodl.models.tableaus import Tableau

__all__ = ("integrate_adjoint",)


def integrate_adjoint(
    field: Field,
    state: Any,
    intervals: Any,
    *,
    parameters: Sequence[Any] = (),
    tableau: Tableau,
    substeps: int = 1,
) -> Any:
    """Integrates at fixed steps like `integrate_fixed`, with the gradient of the flow itself (Chen et al. 2018).

    The adjoint λ, the gradient with respect to the state at time t, obeys dλ/dt = -(∂F/∂X)ᵀ λ and, at each time asked for,
    takes up the cotangent of the result there (Pontryagin's principle). It is integrated backward together with the
    state, by the same method in the same steps; the gradient with respect to the parameters is the integral of
    (∂F/∂θ)ᵀ λ. Only the result is kept: from each of its times the state is computed backward anew, so that errors of
    going back, which grow fast on an attractor, do not pile up over more than one interval.

    It differs from the gradient of the numbers computed by errors of the method's order.

    Args, returns: those of `integrate_fixed`.
    """
    if intervals.shape[-1] == 0:
        return ops.expand_dims(state, 1)

    def forward(parameters: Any, state: Any, steps: Any) -> tuple[Any, Any]:
        def advance(index: Any, state: Any) -> Any:
            def inner(_: Any, state: Any) -> Any:
                return rk_step(tableau, field, parameters, state, steps[index])

            return inner(0, state) if substeps == 1 else _repeated(inner, state, substeps)

        states = march(advance, state, ops.shape(steps)[0])
        return states_to_result(states), (parameters, states, steps)

    def backward(kept: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        parameters, states, steps = kept
        given = states_to_result(cotangent)

        def back(index: Any, adjoint: Any, gradients: Any) -> tuple[Any, Any]:
            def one(_: Any, values: Any) -> Any:
                return _adjoint_step(tableau, field, parameters, values, steps[index])

            values = (states[index + 1], adjoint, gradients)
            _, adjoint, gradients = one(0, values) if substeps == 1 else _repeated(one, values, substeps)
            return adjoint + given[index], gradients

        zeros = [ops.zeros_like(parameter) for parameter in parameters]
        adjoint, gradients = retreat(back, given[-1], zeros, ops.shape(steps)[0])
        return gradients, adjoint, ops.zeros_like(steps)

    run = with_gradient(forward, backward)
    return run(list(parameters), state, time_first(intervals) / substeps)


def _adjoint_step(tableau: Tableau, field: Field, parameters: Any, values: Any, step: Any) -> Any:
    """One step back of the state, the adjoint and the integral over the parameters."""
    state, adjoint, gradients = values
    increments: list[Any] = []
    for row in tableau.a:
        x, a = state, adjoint
        if any(row):
            x = x - weighted(row, [increment[0] for increment in increments])
            a = a + weighted(row, [increment[1] for increment in increments])
        derivative, pull = vjp(field, parameters, x)
        # A sample's step multiplies its adjoint beforehand: in the parameters' gradient the samples are summed up.
        found, change = pull(step * a)
        increments.append((step * derivative, change, found))
    states, adjoints, integrands = zip(*increments, strict=True)
    gradients = [gradient + weighted(tableau.b, terms) for gradient, *terms in zip(gradients, *integrands, strict=True)]
    return state - weighted(tableau.b, states), adjoint + weighted(tableau.b, adjoints), gradients


def _repeated(function: Any, values: Any, count: int) -> Any:
    """Applies `function(index, values)` `count` times, in one loop."""
    start = ops.convert_to_tensor(0, "int32")
    return ops.while_loop(lambda i, _: i < count, lambda i, values: (i + 1, function(i, values)), (start, values))[1]
