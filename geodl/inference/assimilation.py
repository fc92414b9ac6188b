"""Assimilation: the first state from which a flow passes through noisy, partial observations best (strong-constraint
4D-Var).

Source: Pires, Vautard & Talagrand 1996, "On extending the limits of variational assimilation in nonlinear chaotic
systems", section 4: quasi-static assimilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from scipy.optimize import minimize

from geodl.errors import OptionError
from geodl.inference.rollout import between
from geodl.inference.runtime import compile_function, compile_gradient

__all__ = ("Assimilator", "Estimate", "Flow", "assimilate")

Flow = Callable[[Any, Any], Any]
"""Tensors `state` (1, state) and `times` (1, time), relative to it, to (1, time, state)."""

_FAR = 5.0
"""Errors of observation from which on a trajectory has left the observations, and its window ends."""
_WINDOWS = 50
"""Most windows: each is longer than the one before by at least such a share of the observations."""
_SIZES = (0.25, 0.5, 1.0)
"""Shares of the whole that are compiled for: short windows need not run through all of it."""
_BOUND = 6.0
"""Standard deviations of the background that the estimate may be off it: beyond, learned fields may blow up."""
_LOST = 1e30
"""Cost of a first state that the flow carries off to infinity."""


@dataclass(frozen=True)
class Estimate:
    """What assimilation found."""

    times: np.ndarray
    """Of the observations, (time,)."""
    states: np.ndarray
    """The trajectory that fits them, float64 of shape (time, state)."""
    cost: float
    """Half the sum of squares of what the first state is off the background and the trajectory off the observations,
    each in its standard deviations."""
    misfit: float
    """Root mean square of what the trajectory is off the observations, in their standard deviations: about 1 where flow
    and errors are right."""
    windows: int
    """How many windows it took."""

    @property
    def state(self) -> np.ndarray:
        """The first state, (state,)."""
        return self.states[0]  # type: ignore[no-any-return]


class Assimilator:
    """Estimates first states with one flow, which is compiled once for observations at as many times.

    Args:
        flow: differentiable, in `keras.ops`.
        dtype: that the flow computes in.
    """

    def __init__(self, flow: Flow, dtype: str = "float64") -> None:
        self._dtype = np.dtype(dtype)

        def trajectory(state: Any, times: Any) -> Any:
            return flow(state[None], times[None])[0]

        def cost(offset: Any, first: Any, scale: Any, times: Any, observations: Any, weights: Any) -> Any:
            state = first + offset * scale
            seen = weights > 0
            # What is not observed is taken out before the square, and so has no gradient.
            misfits = ops.where(seen, trajectory(state, times) - observations, 0.0) * weights
            return 0.5 * (ops.sum(offset**2) + ops.sum(misfits**2))

        self._trajectory, self._cost = compile_function(trajectory), compile_gradient(cost)

    def estimate(
        self,
        observations: np.ndarray,
        times: np.ndarray,
        *,
        background: tuple[np.ndarray, np.ndarray],
        error: np.ndarray | float,
        first_guess: np.ndarray | None = None,
        longest: float | None = None,
        iterations: int = 50,
    ) -> Estimate:
        """Estimates one first state; see `assimilate`."""
        observations, times, error = _checked(observations, times, error, iterations)
        centre, scale = (np.asarray(part, np.float64) for part in background)
        fits = centre.shape == scale.shape == observations.shape[1:] and np.isfinite(centre).all()
        if not fits or not (np.isfinite(scale) & (scale > 0)).all():
            expected = f"a mean and a positive deviation for each of {observations.shape[1]} variables"
            raise OptionError("background", expected=expected, received=background)
        guess = np.where(np.isnan(observations[0]), centre, observations[0]) if first_guess is None else first_guess
        grid, rows = _refined(times - times[0], longest)
        seen = np.full((len(grid), observations.shape[1]), np.nan)
        seen[rows] = observations
        problem = _Problem(self._cost, self._trajectory, grid, seen, error, centre, scale, self._dtype)
        offset = np.clip((np.asarray(guess, np.float64) - centre) / scale, -_BOUND, _BOUND)
        observed = rows[~np.isnan(observations).all(1)]
        least = math.ceil(len(observed) / _WINDOWS)
        reached, windows, cost = 0, 0, 0.0
        while reached < len(observed):
            good = problem.fits(offset)[observed]
            left = np.flatnonzero(~good[reached + 1 :])
            further = reached + 1 + (int(left[0]) if len(left) else len(observed))
            reached = min(max(further, reached + least), len(observed))
            offset, cost = problem.minimise(offset, int(observed[reached - 1]) + 1, iterations)
            windows += 1
        states = problem.run(offset, len(grid))
        misfits = ((states - seen) / error)[~np.isnan(seen)]
        return Estimate(times, states[rows], cost, float(np.sqrt(np.mean(misfits**2))), windows)


def assimilate(
    flow: Flow,
    observations: np.ndarray,
    times: np.ndarray,
    *,
    background: tuple[np.ndarray, np.ndarray],
    error: np.ndarray | float,
    first_guess: np.ndarray | None = None,
    longest: float | None = None,
    iterations: int = 50,
    dtype: str = "float64",
) -> Estimate:
    """Estimates the state at the first of some times, from observations at all of them.

    What is minimised, half the sum of squared standardised differences to background and observations, has ever more
    minima the longer a chaotic flow runs. So windows grow: the first ends where the first guess has left the
    observations, each further one where the estimate of the one before does, and what a window gave is where the next
    one begins.

    An estimate over many Lyapunov times ends at the precision of the flow: 14 of them in float32 amplify its rounding to
    the size of the attractor, and a flow that is not exact leaves the truth earlier. Then take a shorter window.

    Args:
        flow: differentiable, in `keras.ops`.
        observations: (time, state), not-a-number where a variable was not observed.
        times: of the observations, (time,), strictly increasing.
        background: what is known of the first state without them: its mean and standard deviation, (state,) each, such
            as those of all states.
        error: standard deviation of the observations' errors, above 0, one or (state,).
        first_guess: (state,), where the search begins. Default: the first observation, the background's mean where a
            variable is not in it.
        longest: largest interval that the flow is asked to make; default: any.
        iterations: of the minimisation in each window, at most (L-BFGS-B of scipy).
        dtype: that the flow computes in.

    Returns:
        The trajectory through the observations.

    Raises:
        OptionError: an argument is out of range, or nothing is observed.

    Example:

    >>> found = assimilate(flow, seen, times, background=(mean, std), error=0.1 * std)
    >>> found.state, found.misfit
    """
    return Assimilator(flow, dtype).estimate(
        observations,
        times,
        background=background,
        error=error,
        first_guess=first_guess,
        longest=longest,
        iterations=iterations,
    )


@dataclass(frozen=True)
class _Problem:
    """What is minimised, for the first state's offset from the background in its standard deviations."""

    cost: Callable[..., tuple[float, np.ndarray]]
    trajectory: Callable[..., np.ndarray]
    times: np.ndarray
    seen: np.ndarray
    error: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    dtype: np.dtype[Any]

    def run(self, offset: np.ndarray, length: int) -> np.ndarray:
        """The states at the first times."""
        state = self.centre + offset * self.scale
        return self.trajectory(state.astype(self.dtype), self.times[:length].astype(self.dtype)).astype(np.float64)

    def fits(self, offset: np.ndarray) -> np.ndarray:
        """At which times the trajectory is near to what is observed, (time,)."""
        off = np.abs(self.run(offset, len(self.times)) - self.seen) / self.error
        return ~((off > _FAR) | (~np.isfinite(off) & ~np.isnan(self.seen))).any(1)  # type: ignore[no-any-return]

    def minimise(self, offset: np.ndarray, length: int, iterations: int) -> tuple[np.ndarray, float]:
        """Looks for the offset that fits the observations up to a time best."""
        whole = len(self.times)
        size = next(size for share in _SIZES if (size := math.ceil(share * whole)) >= length)
        weights = np.where(np.isnan(self.seen[:size]), 0.0, 1 / self.error)
        weights[length:] = 0
        arrays = self.centre, self.scale, self.times[:size], np.nan_to_num(self.seen[:size]), weights
        fixed = [array.astype(self.dtype) for array in arrays]

        def function(offset: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.cost(offset.astype(self.dtype), *fixed)
            if math.isfinite(value) and np.isfinite(gradient).all():
                return value, gradient.astype(np.float64)
            return _LOST, np.zeros_like(offset)

        precision = 10 * float(np.finfo(self.dtype).eps)
        found = minimize(
            function,
            offset,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * len(offset),
            options={"maxiter": iterations, "ftol": precision},
        )
        return found.x, float(found.fun)


def _checked(
    observations: np.ndarray, times: np.ndarray, error: np.ndarray | float, iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seen, when = np.asarray(observations, np.float64), np.asarray(times, np.float64)
    if seen.ndim != 2 or when.shape != seen.shape[:1] or not seen.size:
        expected = "observations (time, state) and as many times"
        raise OptionError("observations", expected=expected, received=(seen.shape, when.shape))
    if not (np.isfinite(when).all() and (np.diff(when) > 0).all()):
        raise OptionError("times", expected="finite, strictly increasing times", received=when)
    if np.isinf(seen).any() or np.isnan(seen).all():
        raise OptionError("observations", expected="finite numbers, or not-a-number: not observed", received=seen)
    deviation = np.broadcast_to(np.asarray(error, np.float64), seen.shape[1:])
    if not (np.isfinite(deviation) & (deviation > 0)).all():
        raise OptionError("error", expected="standard deviations above 0", received=error)
    if iterations < 1:
        raise OptionError("iterations", expected="1 or more", received=iterations)
    return seen, when, deviation


def _refined(times: np.ndarray, longest: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Times with as many between them as are needed, and where they are among these."""
    steps = np.diff(times)
    parts = np.array([1 if longest is None else between(step, longest) for step in steps], int)
    rows = np.concatenate([[0], np.cumsum(parts)])
    return np.interp(np.arange(rows[-1] + 1), rows, times), rows
