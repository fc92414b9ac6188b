"""Normal equations of chained segments: a Hessian that is banded in their first states, with a border of coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import linalg

__all__ = ("Arrowhead",)


@dataclass(frozen=True)
class Arrowhead:
    """The system [band, border; borderᵀ, corner] (starts, coefficients) = -(slope_starts, slope), symmetric."""

    band: np.ndarray
    """(2S, segment × S): lower diagonals of the block of the first states, as `scipy.linalg.solveh_banded` has them."""
    border: np.ndarray
    """(segment × S, P)."""
    corner: np.ndarray
    """(P, P)."""
    slope_starts: np.ndarray
    """(segment × S,)."""
    slope: np.ndarray
    """(P,)."""

    @classmethod
    def of(
        cls, hessian: np.ndarray, slope: np.ndarray, *, jump: np.ndarray, tangent: np.ndarray, weight: np.ndarray
    ) -> Self:
        """Adds up what observations and jumps ask for.

        Args:
            hessian: (segment, S + P, S + P), of the observations of each segment, by its first state and coefficients.
            slope: (segment, S + P): half their gradient.
            jump: (segment - 1, S): end of each segment less the start of the next.
            tangent: (segment - 1, S, S + P): derivatives of the ends.
            weight: (segment - 1, S): 1 / variance of the jumps; 0 where nothing ties the two.
        """
        count, size = len(hessian), jump.shape[1]
        hessian, slope = hessian.copy(), slope.copy()
        weighted = tangent * weight[:, :, None]
        hessian[:-1] += np.swapaxes(tangent, 1, 2) @ weighted
        slope[:-1] += (jump[:, None] @ weighted)[:, 0]
        each = np.arange(size)
        hessian[1:, each, each] += weight
        hessian[1:, :size, size:] -= weighted[:, :, size:]
        slope[1:, :size] -= jump * weight
        band = np.zeros((2 * size, count, size))
        for column in range(size):
            for row in range(column, size):
                band[row - column, :, column] = hessian[:, row, column]
            for row in range(size):
                band[size + row - column, :-1, column] = -weighted[:, row, column]
        return cls(
            band.reshape(2 * size, -1),
            hessian[:, :size, size:].reshape(count * size, -1),
            hessian[:, size:, size:].sum(axis=0),
            slope[:, :size].ravel(),
            slope[:, size:].sum(axis=0),
        )

    def step(self, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns the Levenberg-Marquardt changes of first states (segment × S,) and coefficients (P,)."""
        band = self.band.copy()
        band[0] *= 1 + damping
        solved = linalg.solveh_banded(band, np.column_stack([self.border, self.slope_starts]), lower=True)
        corner = self.corner - self.border.T @ solved[:, :-1]
        corner[np.diag_indices_from(corner)] += damping * np.diag(self.corner)
        change = -linalg.solve(corner, self.slope - self.border.T @ solved[:, -1], assume_a="sym")
        return -(solved[:, -1] + solved[:, :-1] @ change), change

    def covariance(self) -> np.ndarray:
        """Returns the covariance (P, P) of the coefficients."""
        return np.asarray(
            linalg.pinvh(self.corner - self.border.T @ linalg.solveh_banded(self.band, self.border, lower=True))
        )
