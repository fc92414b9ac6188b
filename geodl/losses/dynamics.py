"""Losses of dynamics: how far forecast states lie from observed ones.

Truth is an array (batch, time, S) in physical units, not-a-number where a variable was not observed. Predictions have
the same first S channels. `call` gives (batch, time): 0, and no gradient, where nothing was observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError

__all__ = ("StateLikelihood", "StateNorm")

_register = keras.saving.register_keras_serializable(package="geodl")


class _StateLoss(keras.losses.Loss):
    """Base of losses that compare standardised states.

    Args:
        std: standard deviation of each variable, (S,), in its unit; one number stands for all.
    """

    def __init__(self, std: Sequence[float] | float, *, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        values = np.atleast_1d(np.asarray(std, float))
        if values.ndim != 1 or not (np.isfinite(values).all() and (values > 0).all()):
            raise OptionError("std", expected="finite numbers greater than 0, one per variable", received=std)
        self.std = [float(value) for value in values]

    def difference(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Returns standardised errors (batch, time, S), 0 where nothing was observed, and 1 where something was."""
        size = y_true.shape[-1]
        if len(self.std) not in (1, size):
            raise OptionError("std", expected=f"{size} numbers, one per variable", received=self.std)
        known = ops.isfinite(y_true)
        # Before any arithmetic: not-a-number would come back through the gradient of whatever it went through.
        truth = ops.where(known, y_true, ops.zeros_like(y_true))
        guess = ops.where(known, y_pred[..., :size], ops.zeros_like(y_true))
        std = ops.convert_to_tensor(self.std, dtype=y_pred.dtype)
        return (guess - truth) / std, ops.cast(known, y_pred.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "std": self.std}


@_register
class StateNorm(_StateLoss):
    """The p-norm of the error to the power p, over the number of variables: the mean of |x̂ - x|^p of those observed.

    Args:
        p: 2 for the mean square, 1 for the mean absolute error; at least 1.
        std: standard deviation of each variable, by which errors are divided.

    Example:
        >>> loss = StateNorm(std=[8.0, 9.0, 8.6])
        >>> loss(np.zeros((4, 11, 3)), np.ones((4, 11, 3)))  # (1/64 + 1/81 + 1/73.96) / 3
    """

    def __init__(
        self, p: float = 2.0, std: Sequence[float] | float = 1.0, *, name: str = "state_norm", **kwargs: Any
    ) -> None:
        super().__init__(std, name=name, **kwargs)
        if not isinstance(p, int | float) or not 1 <= p < math.inf:
            raise OptionError("p", expected="a number of at least 1", received=p)
        self.p = float(p)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each time."""
        error, known = self.difference(y_true, y_pred)
        if self.p == 2:
            power = ops.square(error)
        elif self.p == 1:
            power = ops.abs(error)
        else:
            # The power's derivative is not finite at 0 on all backends.
            apart = ops.abs(error) > 0
            power = ops.where(apart, ops.power(ops.where(apart, ops.abs(error), 1.0), self.p), 0.0)
        return ops.sum(power, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "p": self.p}


@_register
class StateLikelihood(_StateLoss):
    """Negative log-likelihood of standardised states whose errors are normally distributed, in nats.

    The prediction is that of a network with the head "gaussian": states, and the rows of the lower triangle L of the
    Cholesky factor of the errors' covariance, in physical units. Where some variables were not observed it is the likelihood
    of the others.

    Args:
        std: standard deviation of each variable, those that the network was made with.
    """

    def __init__(self, std: Sequence[float] | float = 1.0, *, name: str = "state_likelihood", **kwargs: Any) -> None:
        super().__init__(std, name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each time."""
        size = y_true.shape[-1]
        channels = size + size * (size + 1) // 2
        if y_pred.shape[-1] != channels:
            expected = f"{channels} channels, states and a triangle (the head 'gaussian')"
            raise OptionError("state_likelihood", expected=expected, received=y_pred.shape[-1])
        error, known = self.difference(y_true, y_pred)
        std = ops.reshape(ops.convert_to_tensor(self.std, dtype=y_pred.dtype), (-1, 1))
        factor = _triangle(y_pred[..., size:], size) / std * known[..., None]
        covariance = ops.matmul(factor, ops.swapaxes(factor, -1, -2))
        # What was not observed is a variable of its own, of variance 1 and error 0: it adds nothing.
        covariance = covariance + ops.eye(size, dtype=error.dtype) * (1 - known)[..., None]
        cholesky = ops.cholesky(covariance)
        whitened = ops.solve_triangular(cholesky, error[..., None], lower=True)[..., 0]
        diagonal = ops.diagonal(cholesky, axis1=-2, axis2=-1)
        observed = ops.sum(known, axis=-1) * (0.5 * math.log(2 * math.pi))
        return 0.5 * ops.sum(ops.square(whitened), axis=-1) + ops.sum(ops.log(diagonal), axis=-1) + observed


def _triangle(rows: Any, size: int) -> Any:
    """Lays (…, S(S+1)/2) out as lower triangles (…, S, S)."""
    place = np.zeros((size, size), int)
    place[np.tril_indices(size)] = np.arange(size * (size + 1) // 2)
    square = ops.take(rows, place.ravel(), axis=-1)
    square = ops.reshape(square, (*ops.shape(rows)[:-1], size, size))
    return square * ops.convert_to_tensor(np.tri(size), dtype=rows.dtype)
