"""One step of an embedded Runge–Kutta pair: its stages, its estimated error, its dense output, and the way back.

Each sample has its own step. The stages are computed in a loop, which runs as fast as one operation after the other
written out, but holds the field once: compilers need a tenth of the time.

Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd edition: sections II.4 to II.6 and II.10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.polynomial import Polynomial

from geodl.autodiff import vjp
from geodl.models.fixedstep import Field
from geodl.models.tableaus import Tableau

__all__ = ("Pair", "Step", "dense_basis", "root_mean_square", "written")

_Slope = Callable[[Any], Any]
"""The field with its parameters: states (batch, S) to derivatives (batch, S)."""


class Step(NamedTuple):
    """What a step computed."""

    derivatives: Any
    """Of the stages, then at the end: (stages + 1, batch, S)."""
    end: Any
    """State at the end, (batch, S)."""


class Pair:
    """A method with an error estimate and a dense output.

    Args:
        tableau: its coefficients.
    """

    def __init__(self, tableau: Tableau) -> None:
        self.tableau = tableau
        self.stages = tableau.stages
        """Stages of a step, and evaluations of the field in one whose first derivative is known from the step before."""
        self.extra = len(tableau.extra_a)
        """Evaluations of the field that the dense output needs besides."""
        self.terms = len(tableau.dense[0])
        """Degree of the dense output, and number of its terms."""

    @cached_property
    def _rows(self) -> np.ndarray:
        """Weights of the derivatives before, for each derivative: the stages, the end of the step, the extra stages."""
        rows = [*self.tableau.a, self.tableau.b, *self.tableau.extra_a]
        table = np.zeros((len(rows), len(rows)))
        for place, row in enumerate(rows):
            table[place, : len(row)] = row
        return table

    @cached_property
    def _dense_weights(self) -> np.ndarray:
        """Weights of the derivatives in each term of the dense output, (terms, derivatives), in its published form.

        Powers of θ with their large coefficients of both signs would lose two digits.
        """
        powers = np.array(self.tableau.dense)
        first, end, step = (np.zeros(len(powers)) for _ in range(3))
        first[0], end[self.stages], step[: self.stages] = 1.0, 1.0, self.tableau.b
        to_powers = np.zeros((self.terms, self.terms))
        up, down = Polynomial([0.0, 1.0]), Polynomial([1.0, -1.0])
        for term, row in enumerate(to_powers):
            shape = (up ** (term // 2 + 1) * down ** ((term + 1) // 2)).coef[1:]
            row[: len(shape)] = shape
        weights = np.linalg.solve(to_powers.T, powers.T)
        weights[:3] = step, first - step, 2 * step - first - end
        return weights

    def step(self, slope: _Slope, state: Any, first: Any, size: Any) -> Step:
        """Returns a step.

        Args:
            slope: the field.
            state: at the start, (batch, S).
            first: derivative at the start, (batch, S).
            size: of each sample's step, (batch, 1); negative backward in time.
        """
        derivatives = self._derivatives(slope, state, first, size, self.stages + 1)[: self.stages + 1]
        return Step(derivatives, state + size * _combined(self._rows[self.stages], derivatives))

    def advance(self, slope: _Slope, state: Any, size: Any) -> Any:
        """Returns the state at the end of a step alone, (batch, S); arguments as for `step`."""
        derivatives = self._derivatives(slope, state, slope(state), size, self.stages)
        return state + size * _combined(self._rows[self.stages], derivatives)

    def places(self, state: Any, step: Step, size: Any) -> Any:
        """Returns the states at which the stages were evaluated, (stages, batch, S); arguments as for `step`."""
        return state + size * _combined(self._rows[: self.stages], step.derivatives)

    def error(self, step: Step, size: Any, scale: Any) -> Any:
        """Returns the norm of the estimated error: at most 1 where the step is good enough, (batch,).

        Args:
            step: a step.
            size: its size, (batch, 1).
            scale: the tolerance of each variable, (batch, S).
        """
        weights = [row for row in (self.tableau.error, self.tableau.error_third) if row]
        estimates = root_mean_square(size / scale * _combined(np.array(weights), step.derivatives))
        if len(weights) == 1:
            return estimates[0]
        fifth, third = estimates[0], estimates[1]
        both = ops.sqrt(fifth * fifth + 0.01 * third * third)
        return fifth * fifth / ops.where(both > 0, both, ops.ones_like(both))

    def dense(self, slope: _Slope, state: Any, step: Step, size: Any) -> Any:
        """Returns the terms of the dense output, (terms, batch, S): see `dense_basis`. Arguments as for `step`."""
        derivatives = step.derivatives
        for row in self._rows[self.stages + 1 :]:
            derivatives = ops.concatenate(
                [derivatives, slope(state + size * _combined(row, derivatives))[None]], axis=0
            )
        return size * _combined(self._dense_weights, derivatives)

    def pull(
        self,
        field: Field,
        parameters: list[Any],
        *,
        state: Any,
        size: Any,
        of_end: Any,
        of_terms: Any,
        dense: Any,
    ) -> tuple[Any, list[Any]]:
        """Pulls cotangents back through a step, whose stages are computed again.

        Args:
            field: from parameters and states to derivatives.
            parameters: of the field.
            state: at the start, (batch, S).
            size: of the step, (batch, 1).
            of_end: cotangent of the state at the end, (batch, S).
            of_terms: cotangent of the dense output, (terms, batch, S).
            dense: whether `of_terms` differs from 0 anywhere, bool: saves the extra stages otherwise.

        Returns:
            Cotangents of the state at the start, and of each parameter.
        """

        def slope(state: Any) -> Any:
            return field(parameters, state)

        count = ops.where(dense, len(self._rows), self.stages)
        derivatives = self._derivatives(slope, state, slope(state), size, ops.cast(count, "int32"))
        table = ops.convert_to_tensor(self._rows, dtype=state.dtype)
        back = _combined(self._dense_weights.T, of_terms) + _outer(table[self.stages], of_end)

        def stage_back(place: Any, back: Any, adjoint: Any, gradients: Any) -> tuple[Any, ...]:
            row = ops.take(table, place, axis=0)
            at = state + size * ops.sum(row[:, None, None] * derivatives, axis=0)
            of_parameters, found = vjp(field, parameters, at)[1](size * ops.take(back, place, axis=0))
            gradients = [total + more for total, more in zip(gradients, of_parameters)]
            return place - 1, back + _outer(row, found), adjoint + found, gradients

        start = (ops.cast(count, "int32") - 1, back, of_end, [ops.zeros_like(value) for value in parameters])
        _, _, adjoint, gradients = ops.while_loop(lambda place, *rest: place >= 0, stage_back, start)
        return adjoint, list(gradients)

    def _derivatives(self, slope: _Slope, state: Any, first: Any, size: Any, count: Any) -> Any:
        """Returns the first `count` derivatives, zeros behind, (derivatives, batch, S); other arguments as for `step`."""
        table = ops.convert_to_tensor(self._rows, dtype=state.dtype)

        def stage(place: Any, derivatives: Any) -> tuple[Any, Any]:
            row = ops.take(table, place, axis=0)
            at = state + size * ops.sum(row[:, None, None] * derivatives, axis=0)
            return place + 1, written(derivatives, place, slope(at))

        start = ops.concatenate(
            [first[None], ops.repeat(ops.zeros_like(first)[None], len(self._rows) - 1, axis=0)], axis=0
        )
        return ops.while_loop(lambda place, found: place < count, stage, (ops.ones((), "int32"), start))[1]


def dense_basis(place: Any, terms: int) -> list[Any]:
    """Returns θ, θ(1 - θ), θ²(1 - θ), θ²(1 - θ)², …: the state at θ is that at the start plus their sum with the terms.

    Args:
        place: θ, from 0 to 1 of the step.
        terms: how many.
    """
    found, left = [place], 1.0 - place
    for term in range(1, terms):
        found.append(found[-1] * (left if term % 2 else place))
    return found


def root_mean_square(values: Any) -> Any:
    """Returns the root of the mean square over the variables: (…, S) to (…)."""
    return ops.sqrt(ops.mean(values * values, axis=-1))


def written(array: Any, place: Any, entry: Any) -> Any:
    """Returns an array with the entry at a place of its first axis replaced."""
    none = np.int32(0)
    return ops.slice_update(array, (ops.cast(place, "int32"), *[none] * (len(array.shape) - 1)), entry[None])


def _combined(weights: np.ndarray, derivatives: Any) -> Any:
    """Adds up derivatives by one row of weights, (batch, S), or by several, (rows, batch, S).

    Elementwise: GPUs compute a product of matrices in fewer bits.
    """
    weights = weights[..., : derivatives.shape[0], None, None]
    return ops.sum(ops.convert_to_tensor(weights, dtype=derivatives.dtype) * derivatives, axis=-3)


def _outer(row: Any, values: Any) -> Any:
    return row[:, None, None] * values[None]
