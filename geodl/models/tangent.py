"""The tangent of a flow: how small differences of states grow, for Lyapunov exponents."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from geodl.autodiff import jvp
from geodl.models.neural_ode import NeuralODE

__all__ = ("TangentField", "tangent_flow")


@keras.saving.register_keras_serializable(package="geodl")
class TangentField(keras.layers.Layer):
    """The field of a state and of one tangent to it: (x, v) → (F(x), J(x) v), J the Jacobian of F.

    Args:
        field: a layer from states (batch, state) to derivatives of the same shape.

    Example:
        >>> TangentField(keras.layers.Activation("tanh"))(np.zeros((1, 2)))  # (tanh(0), 1 × 0)
    """

    def __init__(self, field: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**{"dtype": field.dtype_policy, **kwargs})
        self.field = field

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the field, if it is not."""
        if not self.field.built:
            self.field.build((input_shape[0], (input_shape[-1] or 0) // 2))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns (batch, 2 × state) derivatives at (batch, 2 × state) states and tangents."""
        state, tangent = ops.split(inputs, 2, axis=-1)
        return ops.concatenate(jvp(self.field, (state,), (tangent,)), axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "field": keras.saving.serialize_keras_object(self.field)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TangentField:
        """Builds what `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config.pop("field")), **config)


def tangent_flow(flow: NeuralODE, *, states: int) -> keras.Model:
    """Returns the flow of states and tangents: for fixed steps exactly the derivative of the flow that is computed.

    Args:
        flow: of states (batch, state), built.
        states: number of variables.

    Returns:
        A Keras model with inputs `state` (batch, 2 × state): state, then tangent; and `times` (batch, time). Its output is
        (batch, time, 2 × state). It shares the weights of `flow`.
    """
    config = {**flow.get_config(), "name": "tangent_flow"}
    config.pop("field")
    if config["rate"] is not None:
        config["rate"] = 2 * list(config["rate"])
    dtype = flow.compute_dtype
    state = keras.Input((2 * states,), dtype=dtype, name="state")
    times = keras.Input((None,), dtype=dtype, name="times")
    both = NeuralODE(TangentField(flow.field), **config)
    return keras.Model({"state": state, "times": times}, both(state, times), name="tangent")
