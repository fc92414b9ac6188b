"""Adaptive solvers: each sample of a batch goes through the asked times in steps that its own error allows.

Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd edition, section II.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from geodl.autodiff import concrete, with_gradient
from geodl.errors import OptionError, StepUnderflow
from geodl.models.adaptive_adjoint import adjoint_back
from geodl.models.attempts import ARRIVED, UNDERFLOW, Course, Traveller
from geodl.models.denseoutput import AskedTimes, as_batch
from geodl.models.embedded import Pair
from geodl.models.fixedstep import Field
from geodl.models.stepcontrol import StepControl
from geodl.models.sweepback import sweep_back
from geodl.models.tableaus import Tableau

__all__ = ("Statistics", "integrate_adaptive", "integrate_with_statistics")

_BLOCK = 64
"""Attempts whose states are written to the journal at once: rarely, as some backends copy all of it to do so."""


class Statistics(NamedTuple):
    """What an integration took, for each sample."""

    accepted: Any
    """Steps taken, (batch,)."""
    rejected: Any
    """Attempted steps whose error was too large, (batch,)."""
    evaluations: Any
    """Evaluations of the field, (batch,)."""


def integrate_adaptive(
    field: Field,
    state: Any,
    times: Any,
    *,
    parameters: Sequence[Any] = (),
    tableau: Tableau,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: str = "solver",
) -> Any:
    """Integrates an autonomous field, with steps chosen by the estimated error of each sample.

    A sample stops where it is out of steps, where its step becomes too small for the precision of its times, or where the
    field is not finite. In compiled code it is not a number at the times behind, and its gradient from there on none.

    Args:
        field: from parameters and states (batch, S) to derivatives (batch, S), per time unit.
        state: at the first time, (batch, S), float32 or float64; the computation is in its precision.
        times: (time,) or (batch, time), increasing in each sample, or decreasing. The first is that of `state`.
        parameters: tensors handed to `field`, which may have gradients.
        tableau: a method with an error estimate: dopri5 or dop853 of `geodl.models.tableaus`.
        rtol: error allowed in a step, relative to the state, for each variable.
        atol: error allowed besides, in units of the state.
        max_steps: steps that each sample may attempt.
        gradient: how gradients with respect to `state` and `parameters` are computed.
            - `"solver"`: exactly those of what was computed, the sizes of the steps taken as given. Keeps all states.
            - `"rematerialised"`: the same, from about √`max_steps` states, by computing the others again. Keeps two times
              per step.
            - `"adjoint"`: the adjoint equation, integrated backward at the same tolerances. Keeps nothing of the steps:
              to choose, too, for a long run of which no gradient is wanted.

    Returns:
        States at the times, (batch, time, S).

    Raises:
        OptionError: for an argument out of its range.
        StepUnderflow: a sample stopped, and its arrays are not being traced.

    Example:
        >>> from geodl.models.tableaus import TABLEAUS
        >>> decay = lambda parameters, x: -parameters[0] * x
        >>> integrate_adaptive(decay, ops.ones((1, 1)), [0.0, 1.0], parameters=[ops.ones(())], tableau=TABLEAUS["dopri5"])
        [[[1.0], [0.3678795]]]
    """
    return integrate_with_statistics(
        field,
        state,
        times,
        parameters=parameters,
        tableau=tableau,
        rtol=rtol,
        atol=atol,
        max_steps=max_steps,
        gradient=gradient,
    )[0]


def integrate_with_statistics(
    field: Field,
    state: Any,
    times: Any,
    *,
    parameters: Sequence[Any] = (),
    tableau: Tableau,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: str = "solver",
) -> tuple[Any, Statistics]:
    """Integrates as `integrate_adaptive` does, and counts steps.

    Args:
        field: and all other arguments as for `integrate_adaptive`.

    Returns:
        States at the times, (batch, time, S), and the `Statistics`.
    """
    _check(tableau, rtol, atol, max_steps, gradient)
    state = ops.convert_to_tensor(state)
    times = as_batch(times, state)
    pair, control = Pair(tableau), StepControl(tableau.error_order, rtol, atol)

    def forward(state: Any, times: Any, parameters: Any) -> tuple[Any, Any]:
        # The gradient is ours: TensorFlow's persistent tapes would look for one of each operation in here.
        state, times, *parameters = (ops.stop_gradient(value) for value in (state, times, *parameters))
        asked = AskedTimes(times)
        traveller = Traveller(pair, control, lambda state: field(parameters, state), asked, max_steps)
        course = traveller.start(state)
        kept: Any
        if gradient == "adjoint":
            course = traveller.travel(course)
            kept = ()
        else:
            exact = gradient == "solver"
            block = min(_BLOCK, max_steps) if exact else math.isqrt(max_steps - 1) + 1
            course, kept = traveller.travel_with_journal(course, block=block, all_states=exact)
        values = asked.shaped(course.values)
        return [values, _report(course, pair)], (times, parameters, values, course.attempts, course.following, kept)

    def backward(kept: Any, cotangent: Any) -> tuple[Any, ...]:
        cotangents = cotangent[0]
        times, parameters, values, attempts, following, kept = kept
        asked = AskedTimes(times)
        if gradient == "adjoint":
            of_state, of_parameters = adjoint_back(
                field,
                parameters,
                pair=pair,
                control=control,
                asked=asked,
                values=values,
                following=following,
                cotangents=cotangents,
                max_steps=max_steps,
            )
        else:
            of_state, of_parameters = sweep_back(
                field,
                parameters,
                pair=pair,
                asked=asked,
                journal=kept,
                attempts=attempts,
                following=following,
                cotangents=cotangents,
            )
        return of_state, ops.zeros_like(times), of_parameters

    values, report = with_gradient(forward, backward)(state, times, list(parameters))
    report = ops.stop_gradient(report)
    _raise_if_stopped(report, times, tableau, max_steps)
    return values, Statistics(report[:, 3], report[:, 4], report[:, 5])


def _report(course: Course, pair: Pair) -> Any:
    """How each sample ended, (batch, 6): status, time, step, accepted and rejected steps, evaluations."""
    evaluations = 2 + pair.stages * course.tried + pair.extra * course.dense
    columns = [course.status, course.time, course.step, course.accepted, course.tried - course.accepted, evaluations]
    return ops.stack([ops.cast(column, course.state.dtype) for column in columns], axis=1)


def _raise_if_stopped(report: Any, times: Any, tableau: Tableau, max_steps: int) -> None:
    numbers, asked = concrete(report), concrete(times)
    if numbers is None or asked is None or (numbers[:, 0] == ARRIVED).all():
        return
    sample = int(np.argmax(numbers[:, 0] != ARRIVED))
    status, time, step = (float(number) for number in numbers[sample, :3])
    if status == UNDERFLOW:
        raise StepUnderflow(time, step, solver=tableau.name)
    why = f"{max_steps} attempted steps (max_steps) did not reach time {float(asked[sample, -1]):.6g}"
    raise StepUnderflow(time, step, solver=tableau.name, why=why)


def _check(tableau: Tableau, rtol: float, atol: float, max_steps: int, gradient: str) -> None:
    if not tableau.adaptive:
        raise OptionError("solver", expected="one that estimates its error, dopri5 or dop853", received=tableau.name)
    for option, tolerance in (("rtol", rtol), ("atol", atol)):
        if not 0 < tolerance < math.inf:
            raise OptionError(option, expected="a number greater than 0", received=tolerance)
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise OptionError("max_steps", expected="a whole number of at least 1", received=max_steps)
    if gradient not in ("solver", "rematerialised", "adjoint"):
        raise OptionError("gradient", expected="'solver', 'rematerialised' or 'adjoint'", received=gradient)
