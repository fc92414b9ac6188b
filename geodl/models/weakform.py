"""Weak form of dX/dt = F(X): integrals over test functions instead of derivatives of data (Messenger & Bortz 2021).

A smooth function φ that is 0 outside a short interval turns the equation into -∫ φ'(t) X dt = ∫ φ(t) F(X) dt. No noise
is differentiated, and on regular times the trapezoidal rule for such integrals is as exact as the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.interpolate import make_interp_spline

__all__ = ("Lattice", "WeakForm", "bump", "difference_noise", "integrals", "lattices", "library", "rows_within")

_DEGREE = 16
"""Exponent p of the bumps (1 - s²)^p: errors of the trapezoidal rule fall as step^(p + 1)."""
_BRIDGED = 3.5
"""Gaps up to this many typical steps are interpolated where that is asked for."""
_APART = 64
"""Gaps of more typical steps than this cut a trajectory in pieces."""
_SPLINE = 7
"""Degree of the interpolating splines; their error falls as step^8."""
_SINGULAR = 1e-13
"""Pivots below this share of the greatest are taken for 0."""
_WINDOWS = 2000
"""Places at which differences are taken, at most."""
_FEWEST = 20
"""Places that an estimate of the noise needs."""


@dataclass(frozen=True)
class Lattice:
    """States at regular times."""

    step: float
    """Time units."""
    states: np.ndarray
    """(time, state); rows with a not-a-number count as not observed."""


@dataclass(frozen=True)
class WeakForm:
    """Both sides of the equation for a number of test functions of one width."""

    left: np.ndarray
    """∫ φ library(X) dt: (function, term)."""
    right: np.ndarray
    """-∫ φ' X dt: (function, S)."""
    share: np.ndarray
    """(function,): when in its piece each lies, 0–1."""
    gain: float
    """Standard deviation of the right side where X is white noise of unit variance."""

    def solve(self, terms: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Returns the coefficients (S, chosen terms) of least squares."""
        left = self.left[:, terms]
        norm = np.linalg.norm(left, axis=0)
        # A triangle has the same solution; decomposing it is much faster than all of the rows.
        triangle = np.linalg.qr(np.concatenate([left / norm, self.right], axis=1), mode="r")[: left.shape[1]]
        square, right = np.split(triangle, [left.shape[1]], axis=1)
        pivots = np.abs(np.diag(square))
        regular = pivots.min() > _SINGULAR * pivots.max()
        found = linalg.solve_triangular(square, right) if regular else np.linalg.lstsq(square, right)[0]
        return (found / norm[:, None]).T

    def part(self, functions: np.ndarray) -> WeakForm:
        """Returns it for some of the test functions only."""
        return WeakForm(self.left[functions], self.right[functions], self.share[functions], self.gain)

    def residual(self, coefficients: np.ndarray) -> np.ndarray:
        """Returns the root mean square of what coefficients (S, term) leave of each variable: (S,)."""
        return np.sqrt(np.mean(np.square(self.left @ coefficients.T - self.right), axis=0))


def library(states: np.ndarray) -> np.ndarray:
    """Returns 1, all variables and all products x_i x_j, i ≤ j in the order of `np.triu_indices`: (…, 1 + S + S(S+1)/2)."""
    i, j = np.triu_indices(states.shape[-1])
    return np.concatenate([np.ones_like(states[..., :1]), states, states[..., i] * states[..., j]], axis=-1)


def bump(half: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns a test function and its derivative at 2 `half` + 1 points, both times the step (trapezoidal rule)."""
    s = np.arange(-half, half + 1) / half
    value = (1 - s**2) ** _DEGREE * step
    return value, -2 * _DEGREE * s * (1 - s**2) ** (_DEGREE - 1) / half


def lattices(times: np.ndarray, states: np.ndarray, *, bridge: bool) -> list[Lattice]:
    """Lays a trajectory on regular times, in one piece or several where it has long gaps.

    Args:
        times: (time,), increasing, as regular as they come.
        states: (time, state); not-a-number where a variable is not observed.
        bridge: whether short gaps are interpolated (splines of degree 7, variable by variable). Irregular times always
            are.

    Returns:
        Pieces of at least 8 times.
    """
    seen = np.isfinite(states).any(axis=1)
    times, states = times[seen], states[seen]
    if len(times) < _SPLINE + 1:
        return []
    typical = float(np.median(np.diff(times)))
    cuts = np.flatnonzero(np.diff(times) > _APART * typical) + 1
    pieces = zip(np.split(times, cuts), np.split(states, cuts))
    return [_lattice(t, x, typical, bridge) for t, x in pieces if len(t) > _SPLINE]


def _lattice(times: np.ndarray, states: np.ndarray, typical: float, bridge: bool) -> Lattice:
    span = times[-1] - times[0]
    count = max(round(span / typical), 1)
    step = span / count
    place = (times - times[0]) / step
    nearest = np.rint(place).astype(int)
    rounding = 1e-9 + 8 * np.finfo(float).eps * np.abs(times).max() / step
    if not bridge and np.abs(place - nearest).max() < rounding:
        values = np.full((count + 1, states.shape[1]), np.nan)
        values[nearest] = states
        return Lattice(step, values)
    regular = times[0] + step * np.arange(count + 1)
    columns = [_interpolated(times, column, regular, _BRIDGED * typical) for column in states.T]
    return Lattice(step, np.stack(columns, axis=1))


def _interpolated(times: np.ndarray, values: np.ndarray, at: np.ndarray, longest: float) -> np.ndarray:
    known = np.isfinite(values)
    times, values = times[known], values[known]
    result = np.full(len(at), np.nan)
    for t, x in zip(*(np.split(part, np.flatnonzero(np.diff(times) > longest) + 1) for part in (times, values))):
        if len(t) > _SPLINE:
            inside = (at >= t[0]) & (at <= t[-1])
            result[inside] = make_interp_spline(t, x, k=_SPLINE)(at[inside])
    return result


def rows_within(lattice: Lattice, half: int, stride: int) -> np.ndarray:
    """Returns the first points of the test functions of that half-width that meet observed states only."""
    count = len(lattice.states) - 2 * half
    if count <= 0:
        return np.empty(0, int)
    missing = np.concatenate([[0], np.cumsum(~np.isfinite(lattice.states).all(axis=1))])
    first = np.arange(0, count, stride)
    return first[missing[first + 2 * half + 1] == missing[first]]


def integrals(pieces: Sequence[Lattice], width: float, *, overlap: int, most: int) -> WeakForm:
    """Returns both sides of the weak form for test functions spread over all pieces.

    Args:
        pieces: states at regular times.
        width: half the length of the test functions, time units.
        overlap: test functions that begin in the time of half a one, at most.
        most: test functions, about, at most.
    """
    halves = [max(4, round(width / piece.step)) for piece in pieces]
    total = sum(len(piece.states) / math.ceil(half / overlap) for piece, half in zip(pieces, halves))
    thin = max(1, math.ceil(total / most))
    left, right, share = [], [], []
    for piece, half in zip(pieces, halves):
        first = rows_within(piece, half, math.ceil(half / overlap) * thin)
        value, slope = bump(half, piece.step)
        filled = np.nan_to_num(piece.states)
        place = (first[:, None] + np.arange(2 * half + 1)).ravel()
        ends = np.arange(len(first) + 1) * (2 * half + 1)
        phi, dphi = (
            sparse.csr_array((np.tile(values, len(first)), place, ends), shape=(len(first), len(filled)))
            for values in (value, slope)
        )
        left.append(phi @ library(filled))
        right.append(-(dphi @ filled))
        share.append((first + half) / len(filled))
    gain = float(np.linalg.norm(bump(halves[0], pieces[0].step)[1]))
    return WeakForm(np.concatenate(left), np.concatenate(right), np.concatenate(share), gain)


def difference_noise(times: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Estimates the standard deviation of white noise on smooth curves from divided differences of high order.

    Smooth curves have small differences of high order, noise has not: the smallest estimate of all orders is taken.

    Args:
        times: (time,), increasing.
        states: (time, S); not-a-number where not observed.

    Returns:
        (S,) the noise of each variable, in its units; infinity of too few states without a gap in between.
    """
    found = np.full((1, states.shape[1]), np.inf)
    for order in range(2, min(17, len(times))):
        first = np.unique(np.linspace(0, len(times) - order - 1, _WINDOWS).astype(int))
        place = first[:, None] + np.arange(order + 1)
        t = times[place]
        apart = (t[:, :, None] - t[:, None, :]) / (t[:, -1] - t[:, 0])[:, None, None]
        weight = 1 / np.prod(apart + np.eye(order + 1), axis=2)
        weight /= np.linalg.norm(weight, axis=1, keepdims=True)
        squares = np.square((weight[:, :, None] * states[place]).sum(axis=1))
        known = np.isfinite(squares)
        enough = known.sum(axis=0) >= _FEWEST
        mean = np.where(known, squares, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        found = np.append(found, np.where(enough, np.sqrt(mean), np.inf)[None], axis=0)
    return np.asarray(found.min(axis=0))
