"""Recurrent layers as one operation each, for which ONNX Runtime and OpenVINO have fast code, whatever the gaps.

Keras runs them as a loop over time, which other runtimes run step by step. A date that is masked leaves the state as it
was, so a series with gaps gives what its observed dates alone give: these are brought to the front, one after the other,
and afterwards each date is given the state behind the last observed one up to it.

This file names a backend because it changes what is traced in the process that converts, see `geodl.inference.conversion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

__all__ = ("Recurrences",)

_MARK = "CudnnRNN"
"""TensorFlow's operation that stands for a recurrent layer while its graph is converted; nothing runs it. Where its
weights should be stands a number, that of the layer."""
_GATES = {"LSTM": "ifco", "GRU": "zrh"}
"""Order in which Keras holds what belongs to each gate."""


@dataclass(frozen=True)
class _Weights:
    """A recurrent layer's weights, as Keras orders them."""

    kind: str
    kernel: np.ndarray
    """(channels, gate × unit)."""
    recurrent: np.ndarray
    """(unit, gate × unit)."""
    bias: np.ndarray
    """Of the input and of the state: (2, gate × unit)."""

    @property
    def units(self) -> int:
        return len(self.recurrent)

    def ordered(self, gates: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns (1, gate × unit, channels), (1, gate × unit, unit) and (2, gate × unit) with the gates in this order."""
        parts = [_GATES[self.kind].index(gate) for gate in gates]

        def turned(array: np.ndarray) -> np.ndarray:
            split = array.reshape(len(array), len(parts), self.units)
            return np.ascontiguousarray(split[:, parts].reshape(array.shape))

        kernel, recurrent = (np.ascontiguousarray(turned(a).T[None]) for a in (self.kernel, self.recurrent))
        return kernel, recurrent, turned(self.bias)


class Recurrences:
    """The recurrent layers of networks that are converted.

    Example:

    >>> found = Recurrences()
    >>> for layer in network.layers:
    ...     found.take(layer)
    >>> openvino.convert_model(graph, extension=found.openvino_extensions)
    """

    def __init__(self) -> None:
        self._taken: list[_Weights] = []

    def take(self, layer: Any) -> None:
        """Has a layer become one operation, unless it is none that this is known of.

        Args:
            layer: of Keras. What is traced of it afterwards TensorFlow itself cannot run.
        """
        if not _is_plain(layer):
            return
        kernel, recurrent = (np.asarray(weight) for weight in (layer.cell.kernel, layer.cell.recurrent_kernel))
        bias = np.zeros((2, kernel.shape[1]), np.float32)
        if layer.cell.bias is not None:
            given = np.asarray(layer.cell.bias)
            bias[: given.ndim] = given  # An LSTM has one, a GRU two.
        number = len(self._taken)
        self._taken.append(_Weights(type(layer).__name__, kernel, recurrent, bias))

        def inner_loop(sequences: Any, initial_state: Any, mask: Any = None, training: bool = False) -> Any:
            states = keras.tree.flatten(initial_state)
            outputs = _traced(sequences, states[0], states[-1], mask, number, backwards=layer.go_backwards)
            return outputs[:, -1], outputs, states

        layer.inner_loop = inner_loop

    @property
    def onnx_handlers(self) -> dict[str, tuple[Any, list[str]]]:
        """What tf2onnx is to do with the operations that stand for the layers."""
        return {_MARK: (self._to_onnx, [])}

    @cached_property
    def openvino_extensions(self) -> list[Any]:
        """The same for OpenVINO; they must live as long as it converts."""
        from openvino.frontend.tensorflow import ConversionExtension

        return [ConversionExtension(_MARK, self._to_openvino)]

    def _to_onnx(self, context: Any, node: Any, name: str, arguments: list[str]) -> None:
        from tf2onnx.utils import make_name

        def constant(value: np.ndarray) -> str:
            return context.make_const(make_name(name), value).output[0]

        given, state, cell, number = node.input
        weights = self._taken[int(context.get_node_by_output(number).get_tensor_value(as_list=False)[0])]
        lstm = weights.kind == "LSTM"
        kernel, recurrent, bias = weights.ordered("iofc" if lstm else "zrh")
        told = [*map(constant, (kernel, recurrent, bias.reshape(1, -1))), "", state, *([cell] if lstm else [])]
        found = node.output[0]
        context.remove_node(node.name)
        options = {"hidden_size": weights.units} | ({} if lstm else {"linear_before_reset": 1})
        made = context.make_node(weights.kind, [given, *told], attr=options, op_name_scope=name)
        context.make_node("Squeeze", [made.output[0], constant(np.array([1]))], outputs=[found])

    def _to_openvino(self, node: Any) -> list[Any]:
        import openvino.opset13 as ops

        given, state, cell, number = (node.get_input(k) for k in range(4))
        weights = self._taken[int(number.get_node().get_data()[0])]
        lstm = weights.kind == "LSTM"
        kernel, recurrent, bias = weights.ordered("fico" if lstm else "zrh")
        swapped = ops.constant(np.array([1, 0, 2]))
        series, state, cell = (ops.transpose(value, swapped) for value in (given, state, cell))
        sizes = ops.shape_of(series, "i32")
        batch, time = (ops.gather(sizes, ops.constant(np.array([k])), ops.constant(0)) for k in (0, 1))
        lengths = ops.broadcast(time, batch)
        if lstm:
            told = *map(ops.constant, (kernel, recurrent, bias.sum(0)[None])), weights.units, "forward"
            made = ops.lstm_sequence(series, state, cell, lengths, *told)
        else:
            z_r, h = bias[:, : 2 * weights.units].sum(0), bias[:, 2 * weights.units :].reshape(-1)
            told = *map(ops.constant, (kernel, recurrent, np.concatenate([z_r, h])[None])), weights.units, "forward"
            made = ops.gru_sequence(series, state, lengths, *told, linear_before_reset=True)
        found = ops.transpose(ops.squeeze(made.output(0), ops.constant(np.array([1]))), swapped)
        return [found.output(0)] * 5


def _is_plain(layer: Any) -> bool:
    """Whether a layer is an LSTM or a GRU as papers have them, and no more is asked of it than outputs."""
    if type(layer) not in (keras.layers.LSTM, keras.layers.GRU) or layer.compute_dtype != "float32":
        return False
    usual = layer.activation is keras.activations.tanh and layer.recurrent_activation is keras.activations.sigmoid
    more = layer.stateful or layer.return_state or layer.zero_output_for_mask
    return usual and not more and getattr(layer, "reset_after", True)


def _traced(series: Any, state: Any, cell: Any, mask: Any, number: int, *, backwards: bool) -> Any:
    """What stands for a layer in TensorFlow's graph: series (batch, time, channels) to states (batch, time, unit).

    If it reads `backwards`, its outputs stand in the order in which it gives them, as Keras has it.
    """
    import tensorflow as tf

    batch, time = tf.unstack(tf.shape(series)[:2])
    place = tf.range(time)[None]
    first = time - 1 - place if backwards else place
    # Rows of what is gathered from: series by series, date by date. So nothing need be transposed.
    if mask is None:
        order, behind = first, place + 1
    else:
        mask = mask[..., 0] if mask.shape.rank == 3 else mask
        order = tf.argsort(tf.where(mask, first, time + place), axis=1)
        seen = tf.cast(tf.reverse(mask, [1]) if backwards else mask, tf.int32)
        behind = tf.cumsum(seen, axis=1)
    one = tf.range(batch)[:, None]
    rows = tf.transpose(order + time * one)
    given = tf.gather(tf.reshape(series, [-1, series.shape[-1]]), rows)
    mark = tf.raw_ops.CudnnRNN(
        input=given,
        input_h=state[None],
        input_c=cell[None],
        params=tf.constant([number], given.dtype),
        rnn_mode="lstm",
        is_training=False,
    )
    found = tf.ensure_shape(mark.output, [None, None, state.shape[-1]])
    states = tf.reshape(tf.concat([state[None], found], 0), [-1, state.shape[-1]])
    return tf.gather(states, behind * batch + one)
