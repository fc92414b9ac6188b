"""Derivatives on each backend: `keras.ops` computes values alone.

All functions take and return tensors of the backend in use, in eager mode as in compiled code (tf.function, XLA, jax.jit).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from geodl.errors import BackendUnavailable

__all__ = ("concrete", "enable_float64", "jvp", "value_and_gradient", "vjp", "with_gradient")

_Function = Callable[..., Any]


def vjp(function: _Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Returns a function's value and what pulls cotangents back through it (reverse mode).

    Args:
        function: of tensors; gives a tensor, or a list or tuple of tensors.
        primals: its arguments, each a floating-point tensor, or a list or tuple of tensors.

    Returns:
        The output, and a function from a cotangent of the output's structure to one cotangent per primal, of that
        primal's structure: the cotangent times the Jacobian; zeros where the output does not depend on it. It may be
        called several times.

    Example:
        >>> y, pull = vjp(lambda x: x**2, ops.array([1.0, 3.0]))
        >>> pull(ops.array([1.0, 10.0]))[0]
        [2.0, 60.0]
    """
    backend = keras.backend.backend()
    primals = tree.map_structure(ops.convert_to_tensor, primals)
    if backend == "jax":
        import jax

        output, pull = jax.vjp(function, *primals)
        return output, lambda cotangent: pull(_like(cotangent, output))
    flat = tree.flatten(primals)
    if backend == "tensorflow":
        import tensorflow as tf

        # Persistent, as nothing says how often `pull` is called.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(flat)
            output = function(*primals)

        def gradients(cotangent: Any) -> list[Any]:
            return tape.gradient(
                tree.flatten(output),
                flat,
                output_gradients=tree.flatten(cotangent),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )

    elif backend == "torch":
        import torch

        flat = [value.detach().requires_grad_() for value in flat]
        with torch.enable_grad():
            output = function(*tree.pack_sequence_as(primals, flat))

        def gradients(cotangent: Any) -> list[Any]:
            connected = [(o, c) for o, c in zip(tree.flatten(output), tree.flatten(cotangent)) if o.requires_grad]
            if not connected:
                return [torch.zeros_like(value) for value in flat]
            outputs, cotangents = zip(*connected)
            found = torch.autograd.grad(outputs, flat, cotangents, retain_graph=True, allow_unused=True)
            return [torch.zeros_like(f) if g is None else g for f, g in zip(flat, found)]

    else:
        raise _unknown(backend)
    return output, lambda cotangent: tuple(tree.pack_sequence_as(primals, gradients(cotangent)))


def jvp(function: _Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Returns a function's value and the Jacobian times a tangent (forward mode).

    A function made by `with_gradient` has no forward mode. To carry tangents along a flow, integrate them with the
    state, their derivative being the `jvp` of the field.

    Args:
        function: of floating-point tensors; gives a tensor.
        primals: its arguments.
        tangents: one for each, of its shape and dtype.

    Returns:
        The output and its tangent.

    Example:
        >>> jvp(lambda x: x**2, [ops.array([1.0, 3.0])], [ops.array([1.0, 10.0])])
        ([1.0, 9.0], [2.0, 60.0])
    """
    backend = keras.backend.backend()
    primals, tangents = ([ops.convert_to_tensor(value) for value in values] for values in (primals, tangents))
    if backend == "jax":
        import jax

        return jax.jvp(function, tuple(primals), tuple(tangents))
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.autodiff.ForwardAccumulator(primals, tangents) as accumulator:
            output = function(*primals)
        return output, accumulator.jvp(output, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if backend == "torch":
        import torch

        return torch.func.jvp(function, tuple(primals), tuple(tangents))
    raise _unknown(backend)


def value_and_gradient(function: Callable[[Any], Any], argument: Any) -> tuple[Any, Any]:
    """Returns a scalar function's value and its gradient.

    Args:
        function: of one tensor, or of one list of tensors; gives a scalar.
        argument: where.

    Returns:
        The value, and the gradient with the argument's structure.

    Example:
        >>> value_and_gradient(lambda x: ops.sum(x**2), ops.array([1.0, 3.0]))
        (10.0, [2.0, 6.0])
    """
    value, pull = vjp(function, argument)
    return value, pull(ops.ones_like(value))[0]


def with_gradient(
    forward: Callable[..., tuple[Any, Any]], backward: Callable[[Any, Any], Sequence[Any]]
) -> Callable[..., Any]:
    """Makes a function whose gradient is given rather than derived. It can be differentiated once, in reverse.

    Args:
        forward: from the arguments to the output and whatever `backward` needs of it. It must use no tensor besides
            its arguments that is to have a gradient.
        backward: from what was kept and the output's cotangent to one gradient per argument, of that argument's
            structure.

    Returns:
        A function of floating-point tensors, or of lists of such; it gives the output, one of these too.

    Example:
        >>> clipped = with_gradient(lambda x: (ops.exp(x), x), lambda x, g: (ops.clip(g * ops.exp(x), -1, 1),))
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        def output_alone(*arguments: Any) -> Any:
            return forward(*arguments)[0]

        def forward_and_shape(*arguments: Any) -> tuple[Any, Any]:
            output, kept = forward(*arguments)
            return output, (arguments, kept)

        def pulled(kept: Any, cotangent: Any) -> Any:
            arguments, rest = kept
            return tree.pack_sequence_as(arguments, tree.flatten(list(backward(rest, cotangent))))

        made = jax.custom_vjp(output_alone)
        made.defvjp(forward_and_shape, pulled)
    elif backend == "tensorflow":
        made = _with_gradient_tensorflow(forward, backward)
    elif backend == "torch":
        made = _with_gradient_torch(forward, backward)
    else:
        raise _unknown(backend)
    return lambda *arguments: made(*tree.map_structure(ops.convert_to_tensor, arguments))


def concrete(value: Any) -> np.ndarray | None:
    """Returns an array's numbers, or None while it is traced: compiled code is being made, there are no numbers yet.

    Args:
        value: a tensor, numpy array or (nested) sequence of numbers.
    """
    if not keras.ops.is_tensor(value):
        return np.asarray(value)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return np.asarray(value) if isinstance(value, tf.__internal__.EagerTensor) else None
    if backend == "jax":
        import jax

        return None if isinstance(value, jax.core.Tracer) else np.asarray(value)
    return np.asarray(ops.convert_to_numpy(value))


def enable_float64() -> None:
    """Lets tensors be float64 and stay so, for the whole process; to be called before networks are built.

    JAX makes all of them float32 without it, and Keras, on every backend but TensorFlow, gives float32 for the tanh or the
    sine of float64, whatever `keras.config.floatx` says.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    if backend != "tensorflow":
        from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

        BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def _with_gradient_tensorflow(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    def made(*arguments: Any) -> Any:
        @tf.custom_gradient
        def flat_function(*flat: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
            # What a tape sees of a loop is made ready to be differentiated, which XLA cannot compile.
            unseen = [tf.stop_gradient(value) for value in flat]
            output, kept = forward(*tree.pack_sequence_as(arguments, unseen))

            def pull(*cotangents: Any) -> list[Any]:
                return tree.flatten(list(backward(kept, tree.pack_sequence_as(output, list(cotangents)))))

            return output, pull

        return flat_function(*tree.flatten(arguments))

    return made


def _with_gradient_torch(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def made(*arguments: Any) -> Any:
        structure: list[Any] = []

        class Flat(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *flat: Any) -> Any:
                output, ctx.kept = forward(*tree.pack_sequence_as(arguments, list(flat)))
                structure.append(output)
                return tuple(tree.flatten(output))

            @staticmethod
            def backward(ctx: Any, *cotangents: Any) -> Any:
                cotangent = tree.pack_sequence_as(structure[0], list(cotangents))
                return tuple(tree.flatten(list(backward(ctx.kept, cotangent))))

        outputs = Flat.apply(*tree.flatten(arguments))
        return tree.pack_sequence_as(structure[0], list(outputs))

    return made


def _like(cotangent: Any, output: Any) -> Any:
    """Gives a cotangent the output's containers, lists or tuples."""
    return tree.pack_sequence_as(output, tree.flatten(cotangent))


def _unknown(backend: str) -> BackendUnavailable:
    why = f"the backend {backend} has none"
    return BackendUnavailable("Derivatives", why, advice="Set KERAS_BACKEND to tensorflow, jax or torch.")
