"""Whether a long run visits the states that the system visits, as often, and changes as fast: the climate of a model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.signal import welch
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from geodl.errors import OptionError

__all__ = (
    "SamplingError",
    "attractor_distance",
    "power_spectrum",
    "sampling_error",
    "spectral_distance",
    "wasserstein",
)

_DIRECTIONS = 50
"""Random directions, beside the axes."""
_SEGMENT = 4096
"""Most states in a segment of Welch's method."""
_SEGMENTS = 8
"""Least number of segments that a series is cut in, by half overlapping."""
_FLOOR = 1e-6
"""Share of the largest power below which rounding and leakage are all that there is."""


class SamplingError(NamedTuple):
    """What two runs of the same system, of the same length, differ by."""

    mean: float
    """Mean distance of two runs."""
    upper: float
    """95 % of the distances are no larger."""


def wasserstein(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> float:
    """Returns a distance of two invariant measures, from the states that two long runs visited.

    It is the sliced 1-Wasserstein distance (Bonneel et al. 2015): of the projections of both on lines, the mean over the
    axes and 50 random directions. Each variable is in units of its standard deviation in `first`.

    Args:
        first: states of the truth, (time, state) in physical units; not-a-number where not observed.
        second: states of the forecast, (other time, state).
        seed: of the directions. Distances are compared in the same ones.

    Returns:
        At least 0, in standard deviations; infinite if a state of `second` is not finite.

    Raises:
        OptionError: shapes do not fit, or no state is complete.

    Example:
        >>> wasserstein(np.array([[-1.0], [1.0]]), np.array([[0.0], [2.0]]))
        1.0
    """
    first = _complete("first", first)
    second = np.asarray(second, np.float64)
    if second.ndim != 2 or second.shape[1] != first.shape[1] or not len(second):
        raise OptionError("second", expected=f"shape (time, {first.shape[1]})", received=second.shape)
    if not np.isfinite(second).all():
        return float("inf")
    centre, scale = _scaling(first)
    with np.errstate(over="ignore"):
        return float(_sliced([(first - centre) / scale, (second - centre) / scale], seed)[0])


def sampling_error(truth: np.ndarray, *, blocks: int = 8, length: int | None = None, seed: int = 0) -> SamplingError:
    """Returns what two equally long runs of the truth differ by: a forecast that differs by no more is as good as a run.

    Runs are compared in pairs by `wasserstein`. A single one is cut in blocks; as the distance of samples of one measure
    falls with the square root of their length, that of blocks is scaled to `length`.

    Args:
        truth: one long run (time, state), which is cut, or several independent ones (run, time, state), which are not.
        blocks: how many blocks a single run is cut in, 2 or more; each must be many Lyapunov times long.
        length: states of the runs whose difference is asked for; None: as many as `truth` (each of several) has.
        seed: of the directions.

    Returns:
        Mean and upper bound, in standard deviations.

    Raises:
        OptionError: shapes do not fit, there are too few blocks or states.

    Example:
        >>> run = np.random.default_rng(0).standard_normal((4000, 2))
        >>> 0.01 < sampling_error(run).mean < 0.03
        True
    """
    truth = np.asarray(truth, np.float64)
    if truth.ndim == 2:
        truth = _complete("truth", truth)
        asked = len(truth) if length is None else length
        if not 2 <= blocks <= len(truth) // 2:
            raise OptionError("blocks", expected=f"2 to {len(truth) // 2}", received=blocks)
        runs = list(truth[: len(truth) // blocks * blocks].reshape(blocks, -1, truth.shape[1]))
    elif truth.ndim == 3 and len(truth) >= 2:
        runs = [_complete("truth", run) for run in truth]
        asked = truth.shape[1] if length is None else length
    else:
        raise OptionError("truth", expected="shape (time, state) or (run, time, state)", received=truth.shape)
    if asked < 1:
        raise OptionError("length", expected="1 or more", received=asked)
    centre, scale = _scaling(np.concatenate(runs))
    distances = _sliced([(run - centre) / scale for run in runs], seed)
    distances *= np.sqrt(np.mean([len(run) for run in runs]) / asked)
    return SamplingError(float(distances.mean()), float(np.quantile(distances, 0.95)))


def power_spectrum(series: np.ndarray, *, step: float, segment: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the power of a series by frequency, by Welch's method (1967): Hann windows that overlap by half.

    Args:
        series: (time,) or (time, state) at a regular step.
        step: time units between states.
        segment: states in a window; None: an eighth of the series, 4096 at most.

    Returns:
        `frequency`, of shape (frequency,), in cycles per time unit, without 0; `power` (frequency,) or (frequency, state),
        in squared units per cycle per time unit: its integral is the variance.

    Raises:
        OptionError: fewer than 16 states, a step or segment out of range, values that are not finite.

    Example:
        >>> frequency, power = power_spectrum(np.sin(2 * np.pi * 1.5 * np.arange(4096) / 128), step=1 / 128)
        >>> float(frequency[power.argmax()])
        1.5
    """
    series = np.asarray(series, np.float64)
    if series.ndim not in (1, 2) or len(series) < 16 or not np.isfinite(series).all():
        raise OptionError("series", expected="16 or more finite values (time,) or (time, state)", received=series.shape)
    if not 0 < step < np.inf:
        raise OptionError("step", expected="a number above 0", received=step)
    width = max(16, min(_SEGMENT, len(series) // _SEGMENTS)) if segment is None else segment
    if not 2 <= width <= len(series):
        raise OptionError("segment", expected=f"2 to {len(series)}", received=segment)
    frequency, power = welch(series, fs=1 / step, nperseg=width, axis=0)
    return frequency[1:], power[1:]


def spectral_distance(first: np.ndarray, second: np.ndarray, *, step: float) -> float:
    """Returns the mean absolute difference of the logarithms of two spectra (Gray & Markel 1976, p = 1), in decades.

    Only frequencies count at which `first` has more than a millionth of its largest power. Series of different lengths
    are compared in segments that suit the shorter one.

    Args:
        first: the truth, (time,) or (time, state), at a regular step.
        second: the forecast, (other time,) or (other time, state), at the same step.
        step: time units between states.

    Returns:
        At least 0: 0.3 is a factor of 2. The mean over variables. Infinite if a state of `second` is not finite.

    Raises:
        OptionError: shapes do not fit; see `power_spectrum`.

    Example:
        >>> series = np.random.default_rng(0).standard_normal(1000)
        >>> round(spectral_distance(series, 10 * series, step=0.1), 6)
        2.0
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if second.shape[1:] != first.shape[1:]:
        raise OptionError("second", expected=f"shape (time, {first.shape[1:]})", received=second.shape)
    if not np.isfinite(second).all():
        return float("inf")
    segment = max(16, min(_SEGMENT, min(len(first), len(second)) // _SEGMENTS))
    truth = power_spectrum(first, step=step, segment=segment)[1]
    power = power_spectrum(second, step=step, segment=segment)[1]
    counts = truth > _FLOOR * truth.max(axis=0)
    away = np.abs(np.log10(np.maximum(power, np.finfo(np.float64).tiny)) - np.log10(np.where(counts, truth, 1)))
    return float(np.mean(np.where(counts, away, 0).sum(axis=0) / counts.sum(axis=0)))


def attractor_distance(forecast: np.ndarray, attractor: np.ndarray) -> np.ndarray:
    """Returns how far each state of a forecast is from the nearest one of the attractor.

    A part of the truth that is not in `attractor` says how large it is for states that are on it.

    Args:
        forecast: (time, state) in physical units.
        attractor: (other time, state): states of a long run of the truth, whose standard deviation is the unit.

    Returns:
        float64 of shape (time,), in standard deviations; infinite where the forecast is not finite.

    Raises:
        OptionError: shapes do not fit, or no state of `attractor` is complete.

    Example:
        >>> attractor_distance(np.array([[3.0]]), np.array([[-1.0], [1.0]]))
        array([2.])
    """
    attractor = _complete("attractor", attractor)
    forecast = np.asarray(forecast, np.float64)
    if forecast.ndim != 2 or forecast.shape[1] != attractor.shape[1]:
        raise OptionError("forecast", expected=f"shape (time, {attractor.shape[1]})", received=forecast.shape)
    centre, scale = _scaling(attractor)
    with np.errstate(over="ignore", invalid="ignore"):
        states = (forecast - centre) / scale
    # Squares of larger numbers overflow.
    known = (np.abs(states) < 1e150).all(axis=1)
    distance = np.full(len(states), np.inf)
    distance[known] = cKDTree((attractor - centre) / scale).query(states[known])[0]
    return distance


def _complete(name: str, states: np.ndarray) -> np.ndarray:
    """The states of which every variable is observed."""
    states = np.asarray(states, np.float64)
    if states.ndim != 2:
        raise OptionError(name, expected="shape (time, state)", received=states.shape)
    states = states[np.isfinite(states).all(axis=1)]
    if not states.size:
        raise OptionError(name, expected="at least one complete state", received=states.shape)
    return states


def _scaling(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    deviation = states.std(axis=0)
    return states.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _directions(variables: int, seed: int) -> np.ndarray:
    """Unit vectors (direction, state): the axes, then random ones."""
    if variables == 1:
        return np.ones((1, 1))
    drawn = np.random.default_rng(seed).standard_normal((_DIRECTIONS, variables))
    return np.concatenate([np.eye(variables), drawn / np.linalg.norm(drawn, axis=1, keepdims=True)])


def _sliced(runs: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Distances of all pairs of runs: the mean over directions of those of their projections."""
    total = np.zeros(len(runs) * (len(runs) - 1) // 2)
    directions = _directions(runs[0].shape[1], seed)
    for line in directions:
        shadows = [np.sort(run @ line) for run in runs]
        total += [_between(one, other) for one, other in combinations(shadows, 2)]
    return total / len(directions)


def _between(one: np.ndarray, other: np.ndarray) -> float:
    """1-Wasserstein distance of sorted numbers."""
    if len(one) == len(other):
        return float(np.abs(one - other).mean())
    return float(wasserstein_distance(one, other))
