"""The covariance of a forecast's errors as it grows with time."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.options import check_counts

__all__ = ("ErrorGrowth",)

_Shape = tuple[int | None, ...]

_FIRST_ERROR = -4.0
_GROWTH = -2.25
"""Weights of a new `ErrorGrowth`: errors of 0.025 standard deviations, that grow by a tenth in 1 / rate."""


@keras.saving.register_keras_serializable(package="geodl")
class ErrorGrowth(layers.Layer):
    """How the errors of a forecast grow with time: the Cholesky factor L of their covariance, in standardised units.

    L(t) = √2 diag(sigmoid(a + g t)) M, with a unit lower triangle M, growth rates g ≥ 0 and first errors a, all trained.
    Small errors grow exponentially, and end at the difference of two states that know nothing of each other (the
    logistic law of Lorenz 1982).

    Args:
        states: S, variables of the state.
        rate: how often a variable turns in a unit of time, about: growth is counted in these.

    Example:
        >>> ErrorGrowth(3)(np.array([[0.0, 1.0]], "float32")).shape  # L11, L21, L22, L31, L32, L33
        (1, 2, 6)
    """

    def __init__(self, states: int, rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(states=states)
        if not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise OptionError("rate", expected="a number greater than 0", received=rate)
        self.states, self.rate = states, float(rate)

    def build(self, input_shape: _Shape) -> None:
        """Makes the weights."""
        size = self.states
        first, growth = (keras.initializers.Constant(value) for value in (_FIRST_ERROR, _GROWTH))
        self.first = self.add_weight(name="first", shape=(size,), initializer=first)
        self.growth = self.add_weight(name="growth", shape=(size,), initializer=growth)
        self.mixing = self.add_weight(name="mixing", shape=(size * (size + 1) // 2,), initializer="zeros")

    def call(self, times: Any) -> Any:
        """Returns the rows of L (batch, time, S(S+1)/2) at times (batch, time) after the first."""
        rows, columns = np.tril_indices(self.states)
        exponent = self.first + ops.softplus(self.growth) * (times[..., None] * self.rate)
        scale = math.sqrt(2) * ops.sigmoid(exponent)
        mixing = ops.where(rows == columns, 1.0, ops.convert_to_tensor(self.mixing))
        return ops.take(scale, rows, axis=-1) * mixing

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's with the axis of the triangle."""
        return (*input_shape, self.states * (self.states + 1) // 2)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "states": self.states, "rate": self.rate}
