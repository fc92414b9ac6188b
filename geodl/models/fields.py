"""Fields for neural ODEs: layers from the state of a system to its derivative, both in standardised units.

A field knows no units of its own: `geodl.models.NeuralODE` scales its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.options import check_counts

__all__ = ("BilinearField", "MLPField", "ResidualField")

_register = keras.saving.register_keras_serializable(package="geodl")
_Shape = tuple[int | None, ...]
_FAINT = 0.1
"""Standard deviation of a new field's products, about."""


class _Field(layers.Layer):
    """A layer from states (batch, S) to derivatives (batch, S)."""

    def __init__(self, states: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(states=states)
        self.states = states

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "states": self.states}


@_register
class MLPField(_Field):
    """A multilayer perceptron.

    Args:
        states: S, variables of the state.
        widths: units of each hidden layer.
        activation: of the hidden layers, by its name in Keras; a smooth one, or solvers lose their order.

    Example:
        >>> MLPField(3, widths=(64, 64))(np.zeros((8, 3), "float32")).shape
        (8, 3)
    """

    def __init__(self, states: int, widths: Sequence[int] = (64, 64), activation: str = "tanh", **kwargs: Any) -> None:
        super().__init__(states, **kwargs)
        for width in widths:
            check_counts(widths=width)
        self.widths, self.activation = tuple(widths), activation
        hidden = [_dense(width, f"hidden{index}", self, activation) for index, width in enumerate(self.widths)]
        self._layers_in_order = [*hidden, _dense(states, "derivative", self)]

    def build(self, input_shape: _Shape) -> None:
        """Makes the weights."""
        _build_chain(self._layers_in_order, self.states)

    def call(self, states: Any) -> Any:
        """Returns the derivatives."""
        for layer in self._layers_in_order:
            states = layer(states)
        return states

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "widths": list(self.widths), "activation": self.activation}


@_register
class ResidualField(_Field):
    """A residual network: an input layer, blocks x + W₂ σ(W₁ x), and an output layer.

    Args:
        states: S, variables of the state.
        width: units of the residual stream and of each block's hidden layer.
        blocks: residual blocks.
        activation: σ, by its name in Keras; a smooth one.
    """

    def __init__(self, states: int, width: int = 64, blocks: int = 2, activation: str = "tanh", **kwargs: Any) -> None:
        super().__init__(states, **kwargs)
        check_counts(width=width, blocks=blocks)
        self.width, self.blocks, self.activation = width, blocks, activation
        self._entry = _dense(width, "entry", self)
        self._hidden = [_dense(width, f"block{index}_hidden", self, activation) for index in range(blocks)]
        self._added = [_dense(width, f"block{index}_added", self) for index in range(blocks)]
        self._derivative = _dense(states, "derivative", self)

    def build(self, input_shape: _Shape) -> None:
        """Makes the weights."""
        self._entry.build((None, self.states))
        for layer in (*self._hidden, *self._added, self._derivative):
            layer.build((None, self.width))

    def call(self, states: Any) -> Any:
        """Returns the derivatives."""
        x = self._entry(states)
        for hidden, added in zip(self._hidden, self._added):
            x = x + added(hidden(x))
        return self._derivative(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"width": self.width, "blocks": self.blocks, "activation": self.activation}
        return {**super().get_config(), **own}


@_register
class BilinearField(_Field):
    """c + A z + W [(B z) ∘ (C z)]: all that a quadratic field can be (Fablet, Ouala & Herzet 2018).

    Args:
        states: S, variables of the state.
        products: "all" for the S (S + 1) / 2 products z_i z_j, with B and C fixed; or their number, with B and C learned.
        energy_preserving: whether the products neither make nor take energy: Σ e_i z_i Q_i(z) = 0 for all z, as
            in fluids without forcing and friction (Schlegel & Noack 2015). They are then K(z) z / e with a matrix
            K that is skew-symmetric and linear in z; `products` must be "all".
        energy: e, (S,), positive: weight of each variable in the energy ½ Σ e_i z_i². None stands for ones.

    Example:
        >>> field = BilinearField(3)
        >>> field.set_quadratic(constant, linear, quadratic)  # of `identify_quadratic`, standardised
    """

    def __init__(
        self,
        states: int,
        products: int | Literal["all"] = "all",
        energy_preserving: bool = False,
        energy: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(states, **kwargs)
        if products != "all":
            check_counts(products=products)
            if energy_preserving:
                raise OptionError("products", expected="'all' with energy_preserving", received=products)
        weights = np.ones(states) if energy is None else np.asarray(energy, float)
        if weights.shape != (states,) or not (np.isfinite(weights).all() and (weights > 0).all()):
            raise OptionError("energy", expected=f"{states} positive numbers", received=energy)
        self.products: int | Literal["all"] = products
        self.energy_preserving, self.energy = energy_preserving, tuple(float(weight) for weight in weights)

    def build(self, input_shape: _Shape) -> None:
        """Makes the weights."""
        size = self.states
        self.constant = self.add_weight(name="constant", shape=(size,), initializer="zeros")
        self.linear = self.add_weight(name="linear", shape=(size, size), initializer="glorot_uniform")
        faint = keras.initializers.RandomNormal(stddev=_FAINT / size)
        if self.energy_preserving:
            self.quadratic = self.add_weight(name="quadratic", shape=(size, size, size), initializer=faint)
        elif self.products == "all":
            count = size * (size + 1) // 2
            self.quadratic = self.add_weight(name="quadratic", shape=(count, size), initializer=faint)
        else:
            shape, glorot = (size, self.products), "glorot_uniform"
            self.left = self.add_weight(name="left", shape=shape, initializer=glorot)
            self.right = self.add_weight(name="right", shape=shape, initializer=glorot)
            self.quadratic = self.add_weight(name="quadratic", shape=shape[::-1], initializer=faint)

    def call(self, states: Any) -> Any:
        """Returns the derivatives."""
        return self.constant + ops.matmul(states, self.linear) + self._quadratic(states)

    def _quadratic(self, states: Any) -> Any:
        size = self.states
        if self.energy_preserving:
            skew = self.quadratic - ops.swapaxes(self.quadratic, 0, 1)
            # (a, b, c) → (b c, a): a row for each product.
            matrix = ops.transpose(ops.reshape(skew, (size, size * size)))
            products = ops.reshape(states[:, :, None] * states[:, None, :], (-1, size * size))
            return ops.matmul(products, matrix) / ops.convert_to_tensor(self.energy, dtype=states.dtype)
        if self.products == "all":
            rows = [states[:, index : index + 1] * states[:, index:] for index in range(size)]
            return ops.matmul(ops.concatenate(rows, axis=-1), self.quadratic)
        return ops.matmul(ops.matmul(states, self.left) * ops.matmul(states, self.right), self.quadratic)

    def coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the field as constant (S,), linear (S, S) and quadratic (S, S(S+1)/2), float64.

        Row s of each is of the derivative of variable s; products are in the order of `np.triu_indices(S)`.
        """
        constant, linear, weights = (
            np.asarray(ops.convert_to_numpy(value), float) for value in (self.constant, self.linear, self.quadratic)
        )
        i, j = np.triu_indices(self.states)
        if self.products == "all" and not self.energy_preserving:
            return constant, linear.T, weights.T
        if self.energy_preserving:
            tensor = (weights - weights.swapaxes(0, 1)) / np.asarray(self.energy)[:, None, None]
        else:
            left, right = (np.asarray(ops.convert_to_numpy(value), float) for value in (self.left, self.right))
            tensor = np.einsum("ka,bk,ck->abc", weights, left, right)
        both = tensor[:, i, j] + np.where(i == j, 0.0, tensor[:, j, i])
        return constant, linear.T, both

    def set_quadratic(self, constant: np.ndarray, linear: np.ndarray, quadratic: np.ndarray) -> None:
        """Sets the weights to given coefficients, those of `coefficients`.

        An energy-preserving field takes the nearest quadratic part that preserves energy.

        Raises:
            OptionError: wrong shapes, or more products that are not 0 than the field has.
        """
        size = self.states
        expected = {"constant": (size,), "linear": (size, size), "quadratic": (size, size * (size + 1) // 2)}
        for (option, shape), values in zip(expected.items(), (constant, linear, quadratic)):
            if np.shape(values) != shape or not np.isfinite(values).all():
                raise OptionError(option, expected=f"finite numbers of the shape {shape}", received=np.shape(values))
        if not getattr(self, "built", False):
            self.build((None, size))
        if self.energy_preserving:
            self.quadratic.assign(_skew(np.asarray(quadratic, float), np.asarray(self.energy)))
        elif self.products == "all":
            self.quadratic.assign(np.transpose(quadratic))
        else:
            self._set_products(np.asarray(quadratic, float))
        self.constant.assign(constant)
        self.linear.assign(np.transpose(linear))

    def _set_products(self, quadratic: np.ndarray) -> None:
        used = np.flatnonzero(np.any(quadratic, axis=0))
        if len(used) > int(self.products):
            expected = f"at most {self.products} products that are not 0 (products='all' takes any)"
            raise OptionError("quadratic", expected=expected, received=f"{len(used)} of them")
        i, j = (index[used] for index in np.triu_indices(self.states))
        left, right, weights = (
            np.asarray(ops.convert_to_numpy(v)).copy() for v in (self.left, self.right, self.quadratic)
        )
        unit, slots = np.eye(self.states), np.arange(len(used))
        left[:, slots], right[:, slots] = unit[:, i], unit[:, j]
        weights[:] = 0
        weights[slots] = quadratic[:, used].T
        for variable, values in ((self.left, left), (self.right, right), (self.quadratic, weights)):
            variable.assign(values)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"products": self.products, "energy_preserving": self.energy_preserving, "energy": list(self.energy)}
        return {**super().get_config(), **own}


def _skew(quadratic: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Returns weights whose difference with their transpose is the skew part K of the nearest such quadratic part."""
    size = len(quadratic)
    i, j = np.triu_indices(size)
    tensor = np.zeros((size, size, size))
    tensor[:, i, j] += quadratic / 2
    tensor[:, j, i] += quadratic / 2
    tensor *= energy[:, None, None]
    # Energy is made by what is symmetric in all three.
    tensor -= (tensor + tensor.transpose(1, 0, 2) + tensor.transpose(2, 1, 0)) / 3
    return (tensor - tensor.transpose(1, 0, 2)) / 3


def _dense(units: int, name: str, field: layers.Layer, activation: str | None = None) -> layers.Dense:
    return layers.Dense(units, activation=activation, dtype=field.dtype_policy, name=name)


def _build_chain(chain: Sequence[layers.Dense], size: int) -> None:
    for layer in chain:
        layer.build((None, size))
        size = layer.units
