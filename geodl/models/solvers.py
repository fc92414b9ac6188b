"""Integration of a field over time: the front of all solvers.

Source of the methods: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd edition, chapter II.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from keras import ops

from geodl.autodiff import concrete
from geodl.errors import OptionError, nearest
from geodl.models.adaptive import integrate_adaptive
from geodl.models.adjoint import integrate_adjoint
from geodl.models.fixedstep import Field, integrate_fixed
from geodl.models.options import check_counts
from geodl.models.tableaus import TABLEAUS, Tableau

__all__ = ("GRADIENTS", "Field", "Gradient", "find_tableau", "integrate", "is_adaptive")

Gradient = Literal["solver", "rematerialised", "adjoint"]
GRADIENTS: tuple[Gradient, ...] = ("solver", "rematerialised", "adjoint")


def integrate(
    field: Field,
    state: Any,
    times: Any,
    *,
    parameters: Sequence[Any] = (),
    solver: str = "rk4",
    step: float | None = None,
    substeps: int | None = None,
    adaptive: bool | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int = 10_000,
    gradient: Gradient = "solver",
) -> Any:
    """Integrates dX/dt = F(X) and returns the states at the times asked for.

    It computes in the dtype of `state`, eagerly or compiled, and can be differentiated once, in reverse, with respect to
    `state` and `parameters`; the gradient with respect to `times` is zero.

    Args:
        field: F, from the parameters and states (batch, state) to derivatives (batch, state) per unit of time. What is to
            have a gradient must come to it as a parameter. The samples of a batch do not see each other.
        state: (batch, state), where `times` begins; float32 or float64.
        times: (time,), or (batch, time) for times of each sample's own. Each increases strictly, or decreases strictly, to
            go back; they need not be regular. What is known only when the network runs is not checked.
        parameters: tensors that the field depends on.
        solver: euler, heun, rk4, dopri5 or dop853, of order 1, 2, 4, 5 and 8.
        step: longest step, in the unit of `times`: each interval between two times is divided in as many equal steps as
            the longest one needs. Only for times whose numbers are known beforehand.
        substeps: instead, the number of equal steps in each interval, at least 1.
        adaptive: whether the steps are chosen by the estimated error, with dopri5 and dop853. Defaults to whether neither
            `step` nor `substeps` is given.
        rtol: with adaptive steps, the error allowed in a step, relative to the state.
        atol: the same, absolute, in units of the state.
        max_steps: with adaptive steps, how many at most; see `geodl.models.adaptive`.
        gradient: "solver": exactly that of the numbers computed, from the stored start of every step; "rematerialised": the
            same from fewer stored states, for long runs; "adjoint": the continuous adjoint, in memory that does not grow
            with the steps, and exact but for the solver's error.

    Returns:
        (batch, time, state); [:, 0] is `state` itself.

    Raises:
        OptionError: an argument is out of range, or does not go with the others.
        StepUnderflow: adaptive steps do not get there (not while code is compiled: there it is NaN from then on).

    Example:
        >>> decay = lambda parameters, x: -parameters[0] * x
        >>> integrate(decay, [[1.0]], [0.0, 1.0, 2.0], parameters=[0.5], step=0.1)
        [[[1.0], [0.60653], [0.36788]]]
    """
    tableau = find_tableau(solver)
    adapts = is_adaptive(tableau, step=step, substeps=substeps, adaptive=adaptive)
    if gradient not in GRADIENTS:
        raise OptionError("gradient", expected=f"one of: {', '.join(GRADIENTS)}", received=gradient)
    state = ops.convert_to_tensor(state)
    known = concrete(times)
    if len(state.shape) != 2:
        raise OptionError("state", expected="(batch, state)", received=tuple(state.shape))
    if known is not None:
        _check_times(known)
    shape = tuple(times.shape) if known is None else known.shape
    unfit = len(shape) == 2 and shape[0] != state.shape[0] and None not in (shape[0], state.shape[0])
    if len(shape) not in (1, 2) or unfit:
        expected = f"(time,) or (batch, time) with a batch of {state.shape[0]}"
        raise OptionError("times", expected=expected, received=shape)

    if adapts:
        given = ops.cast(ops.convert_to_tensor(times), state.dtype)
        return integrate_adaptive(
            field,
            state,
            given,
            parameters=parameters,
            tableau=tableau,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            gradient=gradient,
        )
    if known is not None:
        # Differences before they are rounded: late times of a small step have few digits to spare in float32.
        differences = np.diff(known.astype(np.float64), axis=-1)
        intervals = ops.convert_to_tensor(differences, dtype=state.dtype)
    else:
        moments = ops.cast(times, state.dtype)
        intervals = moments[..., 1:] - moments[..., :-1]
    substeps = _substeps(step, None if known is None else differences) if substeps is None else substeps
    if gradient == "adjoint":
        return integrate_adjoint(field, state, intervals, parameters=parameters, tableau=tableau, substeps=substeps)
    return integrate_fixed(
        field, state, intervals, parameters=parameters, tableau=tableau, substeps=substeps, gradient=gradient
    )


def find_tableau(solver: str) -> Tableau:
    """Returns the method of a name.

    Raises:
        OptionError: no such method.
    """
    if solver not in TABLEAUS:
        known = f"one of: {', '.join(TABLEAUS)}.{nearest(str(solver), TABLEAUS)}"
        raise OptionError("solver", expected=known.rstrip("."), received=solver)
    return TABLEAUS[solver]


def is_adaptive(tableau: Tableau, *, step: float | None, substeps: int | None, adaptive: bool | None = None) -> bool:
    """Says whether the steps adapt, and checks that what is given of them goes together.

    Raises:
        OptionError: both a step and substeps, neither for a solver of fixed steps, or one that is out of range.
    """
    if step is not None and substeps is not None:
        received = f"step={step}, substeps={substeps}"
        raise OptionError("step", expected="either step or substeps", received=received)
    if step is not None and not (isinstance(step, int | float) and 0 < step < math.inf):
        raise OptionError("step", expected="a number greater than 0", received=step)
    if substeps is not None:
        check_counts(substeps=substeps)
    given = step is not None or substeps is not None
    if adaptive and given:
        raise OptionError("adaptive", expected="False where step or substeps is given", received=adaptive)
    if adaptive and not tableau.adaptive:
        able = ", ".join(other.name for other in TABLEAUS.values() if other.adaptive)
        raise OptionError("solver", expected=f"one that can adapt its steps: {able}", received=tableau.name)
    adapts = tableau.adaptive and not given if adaptive is None else adaptive
    if not adapts and not given:
        raise OptionError("step", expected=f"a step, or substeps, as {tableau.name} takes fixed steps", received=None)
    return adapts


def _substeps(step: float | None, intervals: np.ndarray | None) -> int:
    if intervals is None:
        expected = "given instead of step, as these times are known only when the network runs"
        raise OptionError("substeps", expected=expected, received=None)
    assert step is not None
    longest = float(np.abs(intervals).max(initial=0.0))
    # Times such as 0.1, 0.2, 0.3 are not quite regular, in float32 less so; a step more for that would be one too many.
    return max(1, math.ceil(longest / step * (1 - 1e-3)))


def _check_times(times: np.ndarray) -> None:
    """Raises OptionError for times that do not go strictly one way, and says where first."""
    if times.ndim not in (1, 2) or times.shape[-1] == 0:
        raise OptionError("times", expected="(time,) or (batch, time), one time at least", received=times.shape)
    rows = np.atleast_2d(times)
    way = np.sign(rows[:, 1:2] - rows[:, :1])
    good = np.diff(rows, axis=1) * way > 0 if rows.shape[1] > 1 else np.isfinite(rows)
    if good.all() and np.isfinite(rows).all():
        return
    sample, first = np.argwhere(~good)[0] if not good.all() else (0, 0)
    pair = " then ".join(f"{time:.9g}" for time in rows[sample, first : first + 2])
    place = f"positions {first} and {first + 1}" if rows.shape[1] > 1 else "position 0"
    where = f"{pair} at {place}" + f" of sample {sample}" * (times.ndim == 2)
    raise OptionError("times", expected="finite numbers, strictly increasing or strictly decreasing", received=where)
