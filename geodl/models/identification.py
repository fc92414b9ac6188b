"""The quadratic field dX/dt = c + A X + Q(X, X) behind observed trajectories, by least squares, in float64.

Linear in its coefficients, so no gradient descent is needed: a start for a `BilinearField`, or all there is to learn
of a system that is quadratic, such as those of Lorenz and Rössler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from geodl.errors import OptionError, TrajectoryUnusable
from geodl.models.shooting import shoot
from geodl.models.weakform import WeakForm, difference_noise, integrals, lattices, library

__all__ = ("QuadraticField", "identify_quadratic")

_HALVES = (8, 12, 16, 24, 32, 48, 64, 96)
"""Half-widths of test functions that are tried, in steps."""
_OVERLAPS = (4, 16)
"""Test functions that begin in the time of half a one: all that is independent; what may be had where that is too few."""
_MOST = 4000
"""Test functions of one width, about, at most; with many coefficients three times as many as these."""
_ERRORS = 4.0
"""Standard errors that a coefficient must differ from 0 by to be kept in a sparse field."""
_NEGLIGIBLE = 1e-5
"""Share of the derivative that a term of a sparse field must have."""
_MANY = 1500
"""Coefficients that trajectories can be fitted with, at most: memory and time grow with their square."""
_EARLY, _LATE = 0.7, 0.8
"""Shares of each trajectory before which coefficients are fitted, and after which widths are judged."""
_CLEAN = 1e-11
"""Residual, in standard deviations of the variable, below which trajectories cannot make the coefficients better."""


@dataclass(frozen=True, eq=False)
class QuadraticField:
    """dX/dt = constant + linear X + quadratic (products of X), in the units of the data and its time unit."""

    constant: np.ndarray
    """(S,)"""
    linear: np.ndarray
    """(S, S): row s holds what the derivative of variable s takes of each variable."""
    quadratic: np.ndarray
    """(S, S(S+1)/2): products x_i x_j, i ≤ j, in the order of `np.triu_indices(S)`."""
    width: float
    """Half-width of the test functions that were chosen, time units."""
    residual: np.ndarray
    """(S,): root mean square of what the weak form leaves, as a share of its left side."""
    noise: np.ndarray
    """(S,): estimated standard deviation of the observations' noise, in their units."""
    refined: bool
    """Whether the coefficients are those that make whole trajectories fit."""

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Returns the derivatives (…, S) at states (…, S)."""
        return library(states) @ np.concatenate([self.constant[:, None], self.linear, self.quadratic], axis=1).T

    def standardised(
        self, mean: np.ndarray, std: np.ndarray, rate: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns constant, linear and quadratic of the field F with dz/dt = rate × F(z), z = (x - mean) / std.

        Those are what `geodl.models.fields.BilinearField.set_quadratic` takes in a network with these statistics.

        Args:
            mean, std: (S,), in the units of the data.
            rate: (S,), per time unit.
        """
        mean, std = np.asarray(mean, float), np.asarray(std, float)
        i, j = np.triu_indices(len(mean))
        factor = 1 / (std * np.asarray(rate, float))[:, None]
        around = self.linear.copy()
        for index, (a, b) in enumerate(zip(i, j)):
            around[:, a] += self.quadratic[:, index] * mean[b]
            around[:, b] += self.quadratic[:, index] * mean[a]
        return (factor * self(mean)[:, None])[:, 0], factor * around * std, factor * self.quadratic * std[i] * std[j]


def identify_quadratic(
    trajectories: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    width: float | None = None,
    sparse: bool = False,
    refine: bool = False,
) -> QuadraticField:
    """Finds the quadratic field that fits trajectories best.

    Least squares in weak form, with bumps (1 - s²)^16 as test functions (Messenger & Bortz 2021). Test functions that
    meet a gap are left out; where that leaves too few, gaps of up to two states are interpolated by splines. Of several
    widths the one is taken whose coefficients fit test functions of all widths best in the part of the data that was
    held back. Irregular times are interpolated to regular ones (splines of degree 7).

    Args:
        trajectories: pairs of times (time,), strictly increasing, and states (time, S), not-a-number where a variable
            was not observed.
        width: half-width of the test functions in time units; None tries several.
        sparse: whether coefficients that do not differ from 0 significantly (four standard errors) are set to 0. For
            systems with few terms: with noise the others become much more exact.
        refine: whether the coefficients are then improved until whole trajectories fit the observations (multiple
            shooting, see `geodl.models.shooting.shoot`). Of noisy data much more exact, and slow with many
            coefficients; data without noise is left as it is.

    Raises:
        OptionError: `width` is not positive.
        TrajectoryUnusable: too few states in a row for as many coefficients, a variable that does not change, or times
            and states that do not fit each other.

    Example:
        >>> field = identify_quadratic([(times, states)])  # 2000 states of Lorenz-63, 0.01 apart
        >>> field.linear.round(6)
        array([[-10.      ,  10.      ,   0.      ],
               [ 28.      ,  -1.      ,   0.      ],
               [  0.      ,   0.      ,  -2.666667]])
    """
    if width is not None and not 0 < width < math.inf:
        raise OptionError("width", expected="a positive number of time units", received=width)
    observed = [_checked(index, *trajectory) for index, trajectory in enumerate(trajectories)]
    if not observed:
        raise OptionError("trajectories", expected="at least one trajectory", received=trajectories)
    every = np.concatenate([states for _, states in observed])
    scale = np.ma.filled(np.ma.masked_invalid(every).std(axis=0), 0.0)
    if not (scale > 0).all():
        problem = f"variable {int(np.argmin(scale > 0))} never changes, or was never observed"
        raise TrajectoryUnusable("The data", problem, advice="Leave that variable out.")
    scaled = [(times, states / scale) for times, states in observed]
    noise = np.min([difference_noise(*pair) for pair in scaled], axis=0)

    systems = _systems(scaled, width)
    chosen = _best(systems)
    coefficients, residual, gain = _fitted(systems[chosen], sparse)
    # Of irregular or coarse data the residual is not all noise, but trajectories can make it smaller all the same.
    refined = refine and bool((residual / gain > _CLEAN).any())
    noise = np.minimum(noise, residual / gain)
    if refined:
        # Least squares from noisy data are biased: they may well have set to 0 what is not.
        free = (coefficients != 0) if coefficients.size > _MANY else np.ones(coefficients.shape, bool)
        if np.count_nonzero(free) > _MANY:
            expected = f"at most {_MANY} coefficients that are not 0 (sparse=True, or fewer variables)"
            raise OptionError("refine", expected=expected, received=f"{np.count_nonzero(free)} of them")
        errors = _ERRORS if sparse else None
        coefficients, noise = shoot(scaled, coefficients, np.maximum(noise, _CLEAN), free=free, errors=errors)
    unit = library(scale[None])[0]
    coefficients = coefficients * scale[:, None] / unit
    constant, linear, quadratic = np.split(coefficients, [1, 1 + len(scale)], axis=1)
    return QuadraticField(constant[:, 0], linear, quadratic, chosen, residual * scale, noise * scale, refined)


def _checked(index: int, times: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times, states = np.asarray(times, float), np.asarray(states, float)
    where = f"Trajectory {index}"
    if times.ndim != 1 or states.ndim != 2 or len(times) != len(states):
        problem = f"times have the shape {times.shape}, states {states.shape}"
        raise TrajectoryUnusable(where, problem, advice="Give times (time,) and states (time, variable).")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        problem = "its times do not increase strictly"
        raise TrajectoryUnusable(where, problem, advice="Sort it, and leave repeated times out.")
    return times, np.where(np.isfinite(states), states, np.nan)


def _systems(trajectories: Sequence[tuple[np.ndarray, np.ndarray]], width: float | None) -> dict[float, WeakForm]:
    """Returns the weak form for each width (time units) that has enough test functions."""
    size = trajectories[0][1].shape[1]
    terms = 1 + size + size * (size + 1) // 2
    # Many coefficients of each variable cost time.
    most, halves = (_MOST, _HALVES) if terms < _MOST // 10 else (3 * terms, _HALVES[:5:2])
    found = 0
    for bridge in (False, True):
        pieces = [piece for pair in trajectories for piece in lattices(*pair, bridge=bridge)]
        if not pieces:
            continue
        step = min(piece.step for piece in pieces)
        systems = {}
        for wanted in [half * step for half in halves] if width is None else [width]:
            for overlap in _OVERLAPS:
                system = integrals(pieces, wanted, overlap=overlap, most=most)
                found = max(found, len(system.left))
                if len(system.left) >= 2 * terms:
                    systems[wanted] = system
                    break
        if systems:
            return systems
    raise TrajectoryUnusable(
        "The data",
        f"{terms} coefficients of each variable need at least {2 * terms} stretches of "
        f"{'one test function' if width else f'{2 * _HALVES[0] + 1} states'} without a gap, and there are {found}",
        advice="Give longer trajectories or more of them, fill the gaps, or leave variables out.",
    )


def _best(systems: dict[float, WeakForm]) -> float:
    """Returns the width whose coefficients fit held-back test functions of all widths best."""
    early = {width: system.part(system.share < _EARLY) for width, system in systems.items()}
    late = [system.part(system.share > _LATE) for system in systems.values()]
    score = {}
    for width, system in early.items():
        if len(system.left) >= system.left.shape[1]:
            coefficients = system.solve()
            score[width] = sum(float(np.log(part.residual(coefficients)).sum()) for part in late if len(part.left))
    return min(score, key=lambda width: score[width]) if score else min(systems)


def _fitted(system: WeakForm, sparse: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns coefficients (S, terms), what they leave (S,), and how much of white noise of unit variance is left."""
    coefficients = system.solve()
    if sparse:
        norm = np.linalg.norm(system.left, axis=0)
        terms = len(norm)
        # A triangle has the same sums of squares as all of the rows, and far fewer of them.
        triangle: Any = np.linalg.qr(np.concatenate([system.left / norm, system.right], axis=1), mode="r")
        left, count = triangle[:, :terms], len(system.left)
        gram = left.T @ left
        inverse = _inverse(gram)
        for row, right in enumerate(triangle[:, terms:].T):
            kept = _kept(left, right, gram, inverse, count)
            coefficients[row] = 0
            coefficients[row, kept] = np.linalg.lstsq(left[:, kept], right)[0] / norm[kept]
    spare = 1 - np.count_nonzero(coefficients, axis=1) / len(system.left)
    return coefficients, system.residual(coefficients) / np.sqrt(spare), system.gain


def _kept(left: np.ndarray, right: np.ndarray, gram: np.ndarray, inverse: np.ndarray, count: int) -> np.ndarray:
    """Returns which terms are left when the least significant ones are left out, round by round."""
    moment = left.T @ right
    kept = np.arange(len(gram))
    while len(kept):
        values = inverse @ moment[kept]
        variance = np.square(left[:, kept] @ values - right).sum() / (count - len(kept))
        ratio = np.square(values) / (variance * np.diag(inverse))
        # Of data without noise the residual is no measure of the coefficients' errors.
        ratio = np.where(np.abs(values) < _NEGLIGIBLE * np.linalg.norm(right), 0.0, ratio)
        weak = np.count_nonzero(ratio < _ERRORS**2)
        if not weak:
            break
        # Not all of them: the others become more significant without these.
        kept = np.sort(np.delete(kept, np.argsort(ratio)[: math.ceil(weak / 2)]))
        inverse = _inverse(gram[np.ix_(kept, kept)])
    return kept


def _inverse(gram: np.ndarray) -> np.ndarray:
    try:
        factor = linalg.cho_factor(gram, lower=True)
    except linalg.LinAlgError:
        return np.linalg.pinv(gram, hermitian=True)
    return np.asarray(linalg.cho_solve(factor, np.eye(len(gram))))
