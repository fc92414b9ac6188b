"""Members of an ensemble: first states that differ by normal noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ("perturbed", "told_factors")


def perturbed(states: np.ndarray, factors: np.ndarray, *, members: int, seed: int) -> np.ndarray:
    """Adds noise to states.

    Args:
        states: (start, state).
        factors: L of the noise's covariance L L^T, (start, state, state).
        members: how many of each.
        seed: of the noise; the first members are the same however many there are.

    Returns:
        float64 of shape (member, start, state).
    """
    noise = np.random.default_rng(seed).normal(size=(members, *states.shape))
    return states + np.einsum("nij,mnj->mni", factors, noise)  # type: ignore[no-any-return]


def told_factors(call: Callable[[Any], np.ndarray], states: np.ndarray, step: float) -> np.ndarray:
    """Returns Cholesky factors of the covariance of the first states' errors, as a network tells it.

    Args:
        call: a network whose channels beyond the state hold the factors' lower triangles, row by row.
        states: (start, state).
        step: that the network was trained with, in the system's time unit.

    Returns:
        float64 of shape (start, state, state), in the units of the variables.
    """
    count, size = states.shape
    times = np.broadcast_to(np.array([0.0, step]), (count, 2))
    factors = np.zeros((count, size, size))
    factors[:, *np.tril_indices(size)] = call({"state": states, "times": times})[:, 0, size:]
    return factors
