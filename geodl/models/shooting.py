"""Multiple shooting: the quadratic field whose trajectories pass through noisy observations (Bock 1983).

Trajectories are cut in short segments, each with a first state of its own. Coefficients and first states are improved
together, by Levenberg-Marquardt steps, while the end of each segment is tied ever more closely to the start of the next:
in the end the segments are one trajectory, and its coefficients those of the greatest likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from geodl.models.arrowhead import Arrowhead
from geodl.models.sensitivity import Sensitivity
from geodl.models.tableaus import TABLEAUS
from geodl.models.weakform import library

__all__ = ("Fit", "Segments", "shoot", "significant")

_TIES = (1.0, 0.03, 1e-3)
"""Standard deviations of the jumps between segments, in those of the noise: one round of steps with each."""
_STEPS = 12
"""Levenberg-Marquardt steps in a round, at most."""
_HOPELESS = 1e8
"""Damping at which no step is expected to bring anything more."""
_ENOUGH = 1e-5
"""Share of the misfit that a step must bring, or the round ends."""
_TURN = 2.0
"""Length of a segment, in the time in which the fastest variable moves by its standard deviation."""
_COARSE = 1e-3
"""Noise, in standard deviations of the variables, from which RK4 is exact enough."""
_APART = 64
"""Gaps of more typical steps than this are not bridged by a segment."""
_LONGEST = 0.2
"""Longest step of the solver, in that time."""
_WORSE = 1.2
"""Where tying the segments raises the squared misfit by more than this, the data are of no such field: it stops."""


@dataclass(frozen=True)
class Segments:
    """Observations, cut in segments of equally many intervals."""

    starts: np.ndarray
    """(segment, S): observed or interpolated first states."""
    intervals: np.ndarray
    """(segment, n): time between observations; 0 pads the last segment of a trajectory."""
    states: np.ndarray
    """(segment, n + 1, S): observed states; not-a-number where there is none, and where the next segment has it."""
    tied: np.ndarray
    """(segment,): whether the next segment goes on where this one ends."""

    @classmethod
    def of(cls, trajectories: Sequence[tuple[np.ndarray, np.ndarray]], *, length: float) -> Self:
        """Cuts trajectories, pairs of times (time,) and states (time, S), in segments of about that length in time."""
        observed = [(t[seen], x[seen]) for t, x in trajectories for seen in [np.isfinite(x).any(axis=1)]]
        typical = float(np.median(np.concatenate([np.diff(times) for times, _ in observed])))
        count = int(np.clip(round(length / typical), 4, 64))
        parts = []
        for all_times, all_states in observed:
            cuts = np.flatnonzero(np.diff(all_times) > _APART * typical) + 1
            for t, x in zip(np.split(all_times, cuts), np.split(all_states, cuts)):
                if len(t) > 1 and np.isfinite(x).any(axis=0).all():
                    parts.append(_cut(t, x, count))
        starts, intervals, states, tied = (np.concatenate(part) for part in zip(*parts))
        return cls(starts, intervals, states, tied)


def _cut(times: np.ndarray, states: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """Returns starts, intervals, states and ties of a piece without long gaps."""
    known = [np.isfinite(column) for column in states.T]
    filled = [np.interp(times, times[seen], column[seen]) for seen, column in zip(known, states.T)]
    pieces = math.ceil((len(times) - 1) / count)
    padded = pieces * count + 1 - len(times)
    rows = np.pad(states, ((0, padded), (0, 0)), constant_values=np.nan)
    ends = np.full((pieces, 1, states.shape[1]), np.nan)
    ends[-1, 0] = rows[-1]
    return (
        np.stack(filled, axis=1)[:-1:count],
        np.pad(np.diff(times), (0, padded)).reshape(pieces, count),
        np.concatenate([rows[:-1].reshape(pieces, count, -1), ends], axis=1),
        np.arange(pieces) < pieces - 1,
    )


@dataclass(frozen=True)
class Fit:
    """A field and first states of segments, how well they fit, and which way to go from there."""

    coefficients: np.ndarray
    """(S, 1 + S + S(S+1)/2): of the terms of `geodl.models.weakform.library`."""
    starts: np.ndarray
    """(segment, S): first states."""
    squares: np.ndarray
    """(S,): sums of squared residuals of the observations."""
    misfit: float
    """Their sum in units of the noise."""
    cost: float
    """The same, with the squared jumps between segments in units of their ties."""
    normal: Arrowhead
    """Normal equations."""


def significant(values: np.ndarray, covariance: np.ndarray, errors: float) -> np.ndarray:
    """Chooses among estimated values those that are not 0, by setting the least significant to 0 one after the other.

    After each the others take the values that are most likely without it (backward elimination).

    Args:
        values: (P,).
        covariance: (P, P), positive on its diagonal.
        errors: standard errors that a value must differ from 0 by.

    Returns:
        Indices of those that are kept, in order.
    """
    kept = np.arange(len(values))
    while len(kept):
        ratio = np.square(values) / np.diag(covariance)
        weakest = int(np.argmin(ratio))
        if ratio[weakest] > errors**2:
            break
        column = covariance[:, weakest] / covariance[weakest, weakest]
        others = np.arange(len(kept)) != weakest
        values, kept = (values - column * values[weakest])[others], kept[others]
        covariance = (covariance - np.outer(column, covariance[weakest]))[np.ix_(others, others)]
    return kept


def shoot(
    trajectories: Sequence[tuple[np.ndarray, np.ndarray]],
    coefficients: np.ndarray,
    noise: np.ndarray,
    *,
    free: np.ndarray | None = None,
    errors: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Improves the coefficients of a quadratic field until its trajectories fit observations.

    Args:
        trajectories: pairs of times (time,), increasing, and states (time, S) in standard deviations of the variables;
            not-a-number where a variable is not observed.
        coefficients: first guess, (S, 1 + S + S(S+1)/2): of the terms of `geodl.models.weakform.library`.
        noise: (S,): about the standard deviation of the observations' noise, in the same units; positive.
        free: boolean, of the shape of `coefficients`: those that may change, the others being 0. None stands for all.
        errors: sets coefficients to 0 that are fewer standard errors away from it; None keeps them all.

    Returns:
        The coefficients, and the noise (S,): root mean square of what is left of the observations.
    """
    speeds = [np.nanmean(np.square(library(states) @ coefficients.T), axis=0) for _, states in trajectories]
    turn = 1 / math.sqrt(np.max(speeds))
    segments = Segments.of(trajectories, length=_TURN * turn)
    counts = np.isfinite(segments.states).sum(axis=(0, 1))
    shooting = _Shooting(segments, np.ones(coefficients.shape, bool) if free is None else free, noise, _LONGEST * turn)
    best = shooting.round(coefficients, segments.starts, _TIES[0])
    # The first guess of the noise was made without a field.
    left = np.sqrt(best.squares / counts)
    shooting.noise = np.maximum(left, 1e-3 * left.max())
    tie = _TIES[0]
    for tighter in _TIES[1:]:
        tried = shooting.round(best.coefficients, best.starts, tighter)
        if tried.misfit > _WORSE * counts.sum():
            break
        best, tie = tried, tighter
    while errors is not None:
        free = shooting.free
        kept = significant(best.coefficients[free], best.normal.covariance(), errors)
        if len(kept) == np.count_nonzero(free):
            break
        shooting.free = np.zeros_like(free)
        shooting.free[tuple(index[kept] for index in np.nonzero(free))] = True
        best = shooting.round(np.where(shooting.free, best.coefficients, 0.0), best.starts, tie)
    return best.coefficients, np.sqrt(best.squares / counts)


@dataclass
class _Shooting:
    segments: Segments
    free: np.ndarray
    noise: np.ndarray
    longest: float

    def round(self, coefficients: np.ndarray, starts: np.ndarray, tie: float) -> Fit:
        """Makes Levenberg-Marquardt steps until they bring nothing more."""
        fit = self.fit(coefficients, starts, tie)
        damping = 1e-3
        for _ in range(_STEPS):
            while damping < _HOPELESS:
                move, change = fit.normal.step(damping)
                new = fit.coefficients.copy()
                new[self.free] += change
                tried = self.fit(new, fit.starts + move.reshape(starts.shape), tie)
                if tried.cost < fit.cost:
                    break
                damping *= 10
            else:
                return fit
            enough = fit.cost - tried.cost < _ENOUGH * fit.cost
            fit, damping = tried, max(damping / 10, 1e-12)
            if enough:
                break
        return fit

    def fit(self, coefficients: np.ndarray, starts: np.ndarray, tie: float) -> Fit:
        """Follows all segments, with their sensitivities."""
        segments, field = self.segments, Sensitivity(coefficients, self.free)
        tableau = TABLEAUS["rk4" if self.noise.min() > _COARSE else "dop853"]
        states, tangent = field.start(starts)
        hessian = np.zeros((len(starts), *tangent.shape[2:] * 2))
        slope = np.zeros(hessian.shape[:2])
        squares = np.zeros(field.size)
        with np.errstate(over="ignore", invalid="ignore"):
            for index in range(segments.states.shape[1]):
                if index:
                    step = segments.intervals[:, index - 1]
                    parts = max(1, math.ceil(step.max() / self.longest))
                    for _ in range(parts):
                        states, tangent = field.advance(states, tangent, step / parts, tableau)
                observed = segments.states[:, index]
                known = np.isfinite(observed)
                left = np.where(known, states - observed, 0.0)
                squares += np.square(left).sum(axis=0)
                weighted = tangent * (known / self.noise)[:, :, None]
                hessian += np.swapaxes(weighted, 1, 2) @ weighted
                slope += ((left / self.noise)[:, None] @ weighted)[:, 0]
            jump = states[:-1] - starts[1:]
            weight = segments.tied[:-1, None] / np.square(tie * self.noise)
            misfit = float((squares / np.square(self.noise)).sum())
            cost = misfit + float((weight * np.square(jump)).sum())
            normal = Arrowhead.of(hessian, slope, jump=jump, tangent=tangent[:-1], weight=weight)
        return Fit(coefficients, starts, squares, misfit, cost, normal)
