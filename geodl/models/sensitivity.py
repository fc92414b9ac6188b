"""Trajectories of a quadratic field together with their derivatives by first state and coefficients, in numpy."""

from __future__ import annotations

import numpy as np

from geodl.models.tableaus import Tableau
from geodl.models.weakform import library

__all__ = ("Sensitivity",)


class Sensitivity:
    """A quadratic field and its derivatives.

    Args:
        coefficients: (S, 1 + S + S(S+1)/2): of the terms of `geodl.models.weakform.library`.
        free: boolean, of the same shape: by which of them to derive; P in number, in the order of `np.nonzero`.
    """

    def __init__(self, coefficients: np.ndarray, free: np.ndarray) -> None:
        self.coefficients = coefficients
        rows, self._terms = np.nonzero(free)
        self.size, self.free = len(coefficients), len(rows)
        self._row = np.zeros((self.size, self.free))
        self._row[rows, np.arange(self.free)] = 1
        i, j = np.triu_indices(self.size)
        products = np.zeros((self.size,) * 3)
        products[:, i, j] += coefficients[:, 1 + self.size :]
        products[:, j, i] += coefficients[:, 1 + self.size :]
        self._linear, self._products = coefficients[:, 1 : 1 + self.size], products.reshape(-1, self.size)

    def start(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns first states (trajectory, S) and their derivatives (trajectory, S, S + P)."""
        first = np.concatenate([np.eye(self.size), np.zeros((self.size, self.free))], axis=1)
        return states, first[None].repeat(len(states), axis=0)

    def advance(
        self, states: np.ndarray, tangent: np.ndarray, step: np.ndarray, tableau: Tableau
    ) -> tuple[np.ndarray, np.ndarray]:
        """Makes one step, of each trajectory's own size (trajectory,), with states and derivatives."""
        wide, wider = step[:, None], step[:, None, None]
        rates: list[np.ndarray] = []
        changes: list[np.ndarray] = []
        for row in (*tableau.a, tableau.b):
            at = states + wide * sum((a * rate for a, rate in zip(row, rates) if a), np.zeros(1))
            by = tangent + wider * sum((a * change for a, change in zip(row, changes) if a), np.zeros(1))
            if len(rates) == tableau.stages:
                break
            rate, change = self._derivatives(at, by)
            rates.append(rate)
            changes.append(change)
        return at, by

    def _derivatives(self, states: np.ndarray, tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        terms = library(states)
        jacobian = self._linear + (states @ self._products.T).reshape(-1, self.size, self.size)
        change = jacobian @ tangent
        change[:, :, self.size :] += self._row * terms[:, None, self._terms]
        return terms @ self.coefficients.T, change
