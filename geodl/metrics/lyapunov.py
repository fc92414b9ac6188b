"""Lyapunov exponents: how fast nearby states of a system part, in each direction; and the dimension that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geodl.errors import OptionError

__all__ = ("Advance", "Spectrum", "kaplan_yorke", "lyapunov_spectrum")

Advance = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Takes states (batch, state) and tangents (batch, state, k), and returns both one step later."""

_PARTS = 200
"""Most points of the curve of convergence; sums are kept of each part."""
_DRAWS = 20
"""Least number of independent means that the standard error is taken from, if there are as many parts."""


@dataclass(frozen=True)
class Spectrum:
    """Lyapunov exponents and how well they are known."""

    exponents: np.ndarray
    """Per time unit, of shape (k,), the largest first."""
    error: np.ndarray
    """Standard error of each, of shape (k,), from the parts of all runs: what another start would change."""
    times: np.ndarray
    """Time units after the transient, of shape (point,), at most 200 points."""
    convergence: np.ndarray
    """Exponents until then, of shape (point, k)."""
    runs: int
    """How many starting states they are the mean of."""
    diverged: int
    """How many starting states were left out, because they did not stay finite."""

    @property
    def dimension(self) -> float:
        """Kaplan–Yorke dimension; see `kaplan_yorke`."""
        return kaplan_yorke(self.exponents)


def lyapunov_spectrum(
    advance: Advance,
    state: np.ndarray,
    *,
    step: float,
    steps: int,
    exponents: int | None = None,
    transient: int = 0,
    seed: int = 0,
) -> Spectrum:
    """Measures the Lyapunov exponents of a system from its states and tangents.

    Tangents are made orthonormal again after each step by a QR decomposition, and the logarithms of the diagonal of R are
    averaged (Benettin et al. 1980; the discrete QR method of Dieci, Russell & Van Vleck 1997). Exact tangents of a
    numerical flow give the exponents of that flow.

    Args:
        advance: takes states (batch, state) and tangents (batch, state, k), and returns both one step later: tangents are
            multiplied by the Jacobian of the flow over that step. What a step is, is the caller's affair; it must be so
            short that tangents do not become parallel.
        state: (state,) or (batch, state): starting states. Several are advanced at once, and averaged.
        step: length of a step in time units.
        steps: how many steps count.
        exponents: how many are measured, the largest first; None: all.
        transient: steps before that, for the state to come to the attractor and the tangents to line up.
        seed: of the first tangents.

    Returns:
        The exponents, per time unit. Starting states that do not stay finite are left out; not-a-number if none does.

    Raises:
        OptionError: a number out of range, or no starting state.

    Example:
        >>> rates = np.array([0.5, -1.0])
        >>> def advance(state, tangents):
        ...     growth = np.exp(rates * 0.1)
        ...     return state * growth, tangents * growth[:, None]
        >>> lyapunov_spectrum(advance, np.zeros(2), step=0.1, steps=200, transient=200).exponents.round(6)
        array([ 0.5, -1. ])
    """
    state = np.atleast_2d(np.asarray(state))
    if state.ndim != 2 or not state.size:
        raise OptionError("state", expected="shape (state,) or (batch, state)", received=state.shape)
    runs, variables = state.shape
    exponents = variables if exponents is None else exponents
    if not 1 <= exponents <= variables:
        raise OptionError("exponents", expected=f"1 to {variables}", received=exponents)
    if not 0 < step < np.inf:
        raise OptionError("step", expected="a number above 0", received=step)
    if steps < 1 or transient < 0:
        raise OptionError("steps", expected="1 or more, and a transient of 0 or more", received=(steps, transient))
    parts = min(steps, _PARTS)
    sums = np.zeros((parts, runs, exponents))
    tangents = np.random.default_rng(seed).standard_normal((runs, variables, exponents))
    tangents = np.linalg.qr(tangents)[0].astype(state.dtype)
    alive = np.ones(runs, bool)
    rest = state
    for count in range(-transient, steps):
        state, tangents = map(np.asarray, advance(state, tangents))
        alive &= np.isfinite(state).all(axis=1) & np.isfinite(tangents).all(axis=(1, 2))
        if not alive.any():
            break
        if not alive.all():
            # A run that is lost stands still, so that it cannot raise floating-point errors for the others.
            state = np.where(alive[:, None], state, rest)
            tangents = np.where(alive[:, None, None], tangents, np.eye(variables, exponents, dtype=tangents.dtype))
        tangents, triangle = np.linalg.qr(tangents)
        if count >= 0:
            growth = np.abs(np.diagonal(triangle, axis1=1, axis2=2)).astype(np.float64)
            sums[count * parts // steps] += np.log(np.maximum(growth, np.finfo(np.float64).tiny))
    ends = -(-np.arange(1, parts + 1) * steps // parts)
    return _spectrum(sums[:, alive], ends * step, runs=runs)


def kaplan_yorke(exponents: np.ndarray) -> float:
    """Returns the Kaplan–Yorke dimension of an attractor (Kaplan & Yorke 1979).

    Args:
        exponents: Lyapunov exponents, of shape (k,), in any order; all, or the largest so many that their sum is negative.

    Returns:
        j + (λ₁ + … + λⱼ) / |λⱼ₊₁|, with j the most exponents whose sum is not negative; 0 if there is none. A sum of all
        that is not negative gives their number: the dimension is that at least. Not-a-number of exponents that are.

    Raises:
        OptionError: there are none.

    Example:
        >>> round(kaplan_yorke(np.array([0.906, 0.0, -14.572])), 3)
        2.062
    """
    ordered = np.sort(np.asarray(exponents, np.float64))[::-1]
    if ordered.ndim != 1 or not ordered.size:
        raise OptionError("exponents", expected="shape (k,), 1 or more", received=ordered.shape)
    if np.isnan(ordered).any():
        return float("nan")
    total = np.cumsum(ordered)
    held = np.flatnonzero(total >= 0)
    if not held.size:
        return 0.0
    count = int(held[-1]) + 1
    return float(count) if count == ordered.size else float(count + total[count - 1] / -ordered[count])


def _spectrum(sums: np.ndarray, times: np.ndarray, *, runs: int) -> Spectrum:
    """From the sums of the logarithms of growth, of shape (part, run, k), of parts that end at `times`."""
    parts, alive, exponents = sums.shape
    if not alive:
        lost = np.full(exponents, np.nan)
        return Spectrum(lost, lost, times, np.full((parts, exponents), np.nan), 0, runs)
    lengths = np.diff(times, prepend=0.0)
    blocks = min(parts, -(-_DRAWS // alive))
    starts = np.arange(blocks) * parts // blocks
    means = np.add.reduceat(sums, starts) / np.add.reduceat(lengths, starts)[:, None, None]
    draws = blocks * alive
    error = np.full(exponents, np.nan)
    if draws > 1:
        error = means.reshape(draws, exponents).std(axis=0, ddof=1) / np.sqrt(draws)
    convergence = np.cumsum(sums.mean(axis=1), axis=0) / times[:, None]
    order = np.argsort(-convergence[-1], kind="stable")
    return Spectrum(convergence[-1, order], error[order], times, convergence[:, order], alive, runs - alive)
