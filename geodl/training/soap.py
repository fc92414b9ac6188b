"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, which Keras has not."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError

__all__ = ("SOAP",)

_ROUNDING = 16
"""Roundings of the largest gradient below which another is none."""
_LARGEST = 1024
"""Longest axis that is preconditioned: eigenvectors of larger matrices cost more than they bring."""


@keras.saving.register_keras_serializable(package="geodl")
class SOAP(keras.optimizers.Optimizer):
    """Adam, run in the slowly turning eigenbasis of the gradient's second moments (Vyas et al. 2024, "SOAP: Improving and
    Stabilizing Shampoo using Adam", algorithm 3).

    For small networks that are to fit smooth functions to many digits: where Adam's steps jump across narrow valleys
    these follow them. Weights with more than two axes are treated as matrices of their last axis against all others.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of the mean of gradients, 0 to 1.
        beta_2: decay of their second moments, and of the matrices of these, 0 to 1.
        epsilon: is added to the root of the second moments.
        every: steps after which eigenvectors are computed anew. That is dear with XLA on TensorFlow; learning to emulate
            Lorenz-63, 50 were as good as 10.

    Raises:
        OptionError: a decay or `every` is out of range.

    Example:

    >>> SOAP(learning_rate=3e-3, beta_2=0.99)
    """

    def __init__(
        self,
        learning_rate: Any = 3e-3,
        beta_1: float = 0.95,
        beta_2: float = 0.99,
        epsilon: float = 1e-8,
        every: int = 50,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str = "soap",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            name=name,
            **kwargs,
        )
        for option, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise OptionError(option, expected="a number from 0 to below 1", received=value)
        if every < 1:
            raise OptionError("every", expected="at least 1 step", received=every)
        self.beta_1, self.beta_2, self.epsilon, self.every = beta_1, beta_2, epsilon, every

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes what is remembered of each variable."""
        if self.built:
            return
        super().build(variables)
        self._means = self.add_optimizer_variables(variables, "mean")
        self._squares = self.add_optimizer_variables(variables, "square")
        self._moments, self._bases = [], []
        for variable in variables:
            moments: list[keras.Variable | None] = []
            bases: list[keras.Variable | None] = []
            for axis, size in enumerate(_matrix(variable.shape)):
                if size == 1 or size > _LARGEST:
                    moments.append(None)
                    bases.append(None)
                    continue
                shape, dtype, base = (size, size), variable.dtype, f"{variable.name}_{axis}"
                moments.append(self.add_variable(shape, initializer="zeros", dtype=dtype, name=f"moment_{base}"))
                bases.append(self.add_variable(shape, initializer="identity", dtype=dtype, name=f"basis_{base}"))
            self._moments.append(moments)
            self._bases.append(bases)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Changes one variable."""
        index = self._get_variable_index(variable)
        dtype, size = variable.dtype, _matrix(variable.shape)
        rate, gradient = ops.cast(learning_rate, dtype), ops.reshape(ops.cast(gradient, dtype), size)
        step = ops.cast(self.iterations + 1, dtype)
        anew = ops.equal(self.iterations % self.every, 0)
        mean = self.beta_1 * ops.reshape(self._means[index], size) + (1 - self.beta_1) * gradient
        turned, turned_mean = gradient, mean
        bases: list[Any] = []
        for axis, (moment, basis) in enumerate(zip(self._moments[index], self._bases[index], strict=True)):
            if moment is None:
                bases.append(None)
                continue
            product = (
                ops.matmul(gradient, ops.transpose(gradient))
                if axis == 0
                else ops.matmul(ops.transpose(gradient), gradient)
            )
            found = self.beta_2 * moment + (1 - self.beta_2) * product
            self.assign(moment, found)
            vectors = ops.cond(
                anew, lambda found=found: ops.eigh(found)[1], lambda basis=basis: ops.convert_to_tensor(basis)
            )
            self.assign(basis, vectors)
            bases.append(vectors)
            turned, turned_mean = _turned(turned, vectors, axis), _turned(turned_mean, vectors, axis)
        square = self.beta_2 * ops.reshape(self._squares[index], size) + (1 - self.beta_2) * ops.square(turned)
        change = turned_mean / (1 - self.beta_1**step)
        size_of = ops.sqrt(square / (1 - self.beta_2**step))
        # In a direction without any gradient there is still what rounding leaves of the others.
        rounding = _ROUNDING * float(np.finfo(keras.backend.standardize_dtype(dtype)).eps) * ops.max(size_of)
        change = change / (size_of + rounding + self.epsilon)
        for axis, vectors in enumerate(bases):
            if vectors is not None:
                change = _turned(change, ops.transpose(vectors), axis)
        self.assign(self._means[index], ops.reshape(mean, variable.shape))
        self.assign(self._squares[index], ops.reshape(square, variable.shape))
        self.assign_sub(variable, rate * ops.reshape(change, variable.shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {name: getattr(self, name) for name in ("beta_1", "beta_2", "epsilon", "every")}
        return {**super().get_config(), **own}


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a variable as a matrix; one of one axis is a row."""
    *others, columns = tuple(shape) or (1,)
    return math.prod(others), columns


def _turned(values: Any, vectors: Any, axis: int) -> Any:
    """A matrix whose rows (axis 0) or columns (axis 1) are given in another basis."""
    return ops.matmul(ops.transpose(vectors), values) if axis == 0 else ops.matmul(values, vectors)
