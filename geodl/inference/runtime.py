"""How a Keras network is run for inference. One of the few files that name backends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from geodl import autodiff
from geodl.inference.conversion import INPUTS
from geodl.inference.converted import Call
from geodl.models.neural_ode import integrates

__all__ = ("Call", "Gradient", "activation_bytes", "compile_function", "compile_gradient", "compile_network")

Gradient = Callable[..., tuple[float, np.ndarray]]
"""Arrays to a number and its gradient with respect to the first of them."""

_SHAPES = 16
"""Most input shapes that a network without a shape-free graph is kept compiled for."""
_UNKNOWN = 1024
"""Bytes per input pixel assumed for a network whose layers cannot be listed."""


def compile_network(network: keras.Model) -> Call:
    """Returns a function that runs a network in inference mode, on whatever backend Keras has.

    Weights are looked up at each call, so that a network still being trained can be measured with one function.
    One call at a time: it takes all cores anyway, and its memory is planned for once.

    XLA is not used with TensorFlow: on a CPU (U-Net of width 16, 1024 x 1024 pixels) it took a tenth longer per tile,
    and it compiles for each new shape, of which ragged scenes bring many. One graph for all shapes takes 1 s once.
    Networks that integrate over time are the exception: what they are is a long loop of small operations.

    Args:
        network: any Keras model with one output. Of several inputs it takes them by name.

    Returns:
        A function from (batch, …), or from a dict of such arrays, to (batch, …), float32 unless the network works in
        float64. Threads may share it.
    """
    run = _RUNNERS.get(keras.backend.backend(), _run_eagerly)(network)
    dtypes = [np.dtype(keras.backend.standardize_dtype(tensor.dtype)) for tensor in network.inputs]
    names = None if len(dtypes) == 1 else [tensor.name for tensor in network.inputs]
    lock = threading.Lock()

    def call(inputs: Any) -> np.ndarray:
        given: Any
        if names is None:
            given = np.ascontiguousarray(inputs, dtypes[0])
        else:
            pairs = zip(names, dtypes, strict=True)
            given = {name: np.ascontiguousarray(inputs[name], dtype) for name, dtype in pairs}
        with lock:
            output = run(given)
        return output if output.dtype == np.float64 else output.astype(np.float32, copy=False)

    return call


def compile_function(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Returns a function of arrays that is compiled, by XLA too, once for each combination of shapes.

    Args:
        function: from tensors to a tensor, in `keras.ops`. The weights of a network in it are, on JAX, those that it had
            when it first saw such shapes.
    """
    graph = _compile(function)
    return lambda *arrays: keras.ops.convert_to_numpy(graph(*map(keras.ops.convert_to_tensor, arrays)))


def compile_gradient(function: Callable[..., Any]) -> Gradient:
    """Returns a function that gives a number and its gradient, compiled as by `compile_function`.

    Args:
        function: from tensors to a scalar tensor.

    Returns:
        A function of the same arguments, as numpy arrays, that gives a number and its gradient with respect to the first.
    """

    def both(argument: Any, *others: Any) -> Any:
        return autodiff.value_and_gradient(lambda given: function(given, *others), argument)

    graph = _compile(both)

    def call(*arrays: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = graph(*map(keras.ops.convert_to_tensor, arrays))
        return float(keras.ops.convert_to_numpy(value)), keras.ops.convert_to_numpy(gradient)

    return call


def activation_bytes(network: keras.Model) -> int:
    """Estimates the memory that a network takes while it works, in bytes per input pixel (of the first two axes).

    Of a network for series it is bytes per date.

    Twice the largest sum of a layer's inputs and outputs: the factor stands for skip connections kept meanwhile,
    and for what allocators and convolution scratch space add. Measured on TensorFlow with U-Nets on a CPU.
    """
    inputs = getattr(network, "inputs", None) or ()
    series = {tensor.name for tensor in inputs} == set(INPUTS)
    if not inputs or (len(inputs) > 1 and not series):
        return _UNKNOWN
    side = 64 if series else 512
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    try:
        pairs = [(_tensors(layer.input), _tensors(layer.output)) for layer in layers]
        flat = [tensor for pair in pairs for tensors in pair for tensor in tensors]
        given = [keras.KerasTensor((1, *(size or side for size in each.shape[1:])), each.dtype) for each in inputs]
        shapes = iter(_tensors(keras.Function(inputs, flat).compute_output_spec(given)))
    except (AttributeError, TypeError, ValueError):
        return _UNKNOWN
    sums = [sum(_size(next(shapes)) for _ in (*inputs, *outputs)) for inputs, outputs in pairs]
    return 2 * max(sums, default=0) // max(int(np.prod(each.shape[1:-1])) for each in given)


def _tensors(nested: Any) -> list[Any]:
    return keras.tree.flatten(nested)


def _size(tensor: Any) -> int:
    sizes = [size or 1 for size in tensor.shape]
    return int(np.prod(sizes)) * np.dtype(tensor.dtype if tensor.dtype != "bfloat16" else "float16").itemsize


def _run_tensorflow(network: keras.Model) -> Call:
    import tensorflow as tf

    def forward(inputs: Any) -> Any:
        return network(inputs, training=False)

    def run(inputs: Any) -> np.ndarray:
        return np.asarray(graph(keras.tree.map_structure(tf.constant, inputs)))

    graph: Any
    if len(network.inputs) > 1 or integrates(network):
        graph = _PerShape(lambda: tf.function(forward, jit_compile=integrates(network), autograph=False))
        return run
    given = network.inputs[0]
    free = tf.TensorSpec([None, *given.shape[1:]], given.dtype)
    graph = tf.function(forward, input_signature=[free], autograph=False)
    try:
        graph.get_concrete_function()
    except (TypeError, ValueError, tf.errors.OperatorNotAllowedInGraphError):
        # Some layers (bilinear UpSampling2D of Keras 3) can only be traced for sizes that are known.
        graph = _PerShape(lambda: tf.function(forward, autograph=False))
    return run


def _run_jax(network: keras.Model) -> Call:
    import jax

    def forward(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return network.stateless_call(trainable, fixed, inputs, training=False)[0]

    graph = _PerShape(lambda: jax.jit(forward))

    def run(inputs: Any) -> np.ndarray:
        groups = network.trainable_variables, network.non_trainable_variables
        return np.asarray(graph(*([variable.value for variable in group] for group in groups), inputs))

    return run


def _run_eagerly(network: keras.Model) -> Call:
    return lambda inputs: keras.ops.convert_to_numpy(network(inputs, training=False))


class _PerShape:
    """A compiled function that forgets what it compiled once it was called with many shapes."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._function = make()
        self._seen: set[tuple[tuple[int, ...], ...]] = set()

    def __call__(self, *arguments: Any) -> Any:
        shape = tuple(tuple(array.shape) for array in keras.tree.flatten(arguments))
        if shape not in self._seen and len(self._seen) == _SHAPES:
            self._function, self._seen = self._make(), set()
        self._seen.add(shape)
        return self._function(*arguments)


_RUNNERS: dict[str, Callable[[keras.Model], Call]] = {"tensorflow": _run_tensorflow, "jax": _run_jax}


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return _PerShape(lambda: tf.function(function, jit_compile=True, autograph=False))
    if backend == "jax":
        import jax

        return _PerShape(lambda: jax.jit(function))
    return function
