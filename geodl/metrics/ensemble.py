"""Scores of forecasts that say how sure they are: ensembles (CRPS) and probabilities (reliability)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from geodl.errors import OptionError

__all__ = ("crps", "crps_of_ranked", "reliability_counts")

_SLACK = 1e-6
"""How far the outermost bins reach beyond 0 and 1, as in pysteps."""


def crps(ensemble: np.ndarray, observed: np.ndarray) -> float:
    """Returns the continuous ranked probability score of an ensemble (Hersbach 2000, equation 1).

    That is the integral over all rain rates of the squared difference between the ensemble's cumulative distribution
    and the observed step; of one member it is the mean absolute error.

    pysteps' `CRPS` is the same where no member equals the observation. Where one does (0 mm/h in both is common),
    pysteps leaves out the steps of the distribution beside it, and is too low.

    Args:
        ensemble: shape (members, …), any unit.
        observed: shape (…), the same unit.

    Returns:
        The mean over what is finite in all members and in `observed`, in their unit, best 0; not-a-number without any.

    Example:
        >>> crps(np.array([[0.0], [1.0], [4.0]]), np.array([2.0])).__round__(6)
        0.777778
    """
    if ensemble.ndim < 1 or not len(ensemble) or ensemble.shape[1:] != observed.shape:
        expected = f"shape (members, {', '.join(map(str, observed.shape))})"
        raise OptionError("ensemble", expected=expected, received=ensemble.shape)
    members, truth = ensemble.reshape(len(ensemble), -1).astype(np.float64), observed.ravel().astype(np.float64)
    known = np.isfinite(members).all(axis=0) & np.isfinite(truth)
    if not known.any():
        return float("nan")
    return float(crps_of_ranked(np.sort(members[:, known], axis=0), len(members), truth[known]).mean())


def crps_of_ranked(members: Iterable[np.ndarray], count: int, observed: np.ndarray) -> np.ndarray:
    """Returns the score of each pixel; members come one by one, from the lowest to the highest, so that few are in memory.

    Args:
        members: fields of the shape of `observed`, none anywhere below the one before it.
        count: how many there are.
        observed: of any shape, finite.

    Returns:
        Shape and type of `observed`.
    """
    score = np.zeros_like(observed)
    positive = np.empty_like(observed)
    for rank, member in enumerate(members):
        above = member - observed
        np.maximum(above, 0, out=positive)
        above *= (rank + 0.5) / count
        score += positive
        score -= above
    score *= 2 / count
    return score


def reliability_counts(
    probability: np.ndarray, observed: np.ndarray, threshold: float, *, bins: int = 10
) -> np.ndarray:
    """Returns what a reliability diagram is drawn from.

    Args:
        probability: that the rate is at least the threshold, 0 to 1, of any shape, without not-a-number.
        observed: rain rates in mm/h, shape of `probability`, without not-a-number.
        threshold: rain rate in mm/h.
        bins: equal bins of probability, each closed at its upper end, as in pysteps' `reldiag`.

    Returns:
        float64 of shape (bins, 3): number of forecasts, sum of their probabilities, and in how many of them it rained.
        Counts can be added.
    """
    edges = np.linspace(-_SLACK, 1 + _SLACK, bins + 1)
    values = probability.ravel().astype(np.float64)
    places = np.clip(np.searchsorted(edges, values) - 1, 0, bins - 1)
    rain = places[observed.ravel() >= threshold]
    return np.stack(
        [
            np.bincount(places, minlength=bins),
            np.bincount(places, weights=values, minlength=bins),
            np.bincount(rain, minlength=bins),
        ],
        axis=-1,
    )
