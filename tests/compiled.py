"""Functions of tensors as they are run: compiled, and between numpy and the backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def compiled(function: Callable[..., Any], *, xla: bool = False) -> Callable[..., Any]:
    """Eagerly TensorFlow would take a hundred times as long, and JAX would compile at each call."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(function, jit_compile=xla, autograph=False)
        case "jax":
            import jax

            return jax.jit(function)
        case _:
            return function


def tensor(value: Any, dtype: str = "float64") -> Any:
    return ops.convert_to_tensor(np.asarray(value, dtype))


def numbers(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value))
