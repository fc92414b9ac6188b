"""How a network computes: its precision, and whether XLA compiles the training step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import keras

from geodl.errors import RecipeError
from geodl.training.distribution import accelerators, replicas

__all__ = ("PRECISIONS", "precision_scope", "use_jit")

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@contextmanager
def precision_scope(name: str) -> Iterator[None]:
    """Networks built inside compute in this precision; their weights are float32 all the same.

    With `mixed_float16`, `fit` scales the loss so that small gradients survive; Micikevicius et al. 2018, "Mixed
    Precision Training".

    Args:
        name: `float32`, `mixed_bfloat16` or `mixed_float16`.

    Raises:
        RecipeError: no such precision.

    Example:
        >>> with precision_scope("mixed_bfloat16"):
        ...     network = geodl.models.UNet(channels=4, classes=5)
    """
    if name not in PRECISIONS:
        problem = f"expected one of: {', '.join(PRECISIONS)}. Received: {name!r}."
        raise RecipeError("train.precision", problem, valid=PRECISIONS, nearest_to=name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def use_jit(model: keras.Model, asked: bool | Literal["auto"] = "auto") -> bool:
    """Decides whether XLA compiles the training step.

    `auto` is what was measured to be faster (TensorFlow 2.21, Keras 3.15, x86-64, 2 cores shared with other work;
    AdamW, float32, a plain U-Net of 1.9 M parameters, batch 8 × 128 × 128 × 4; seconds of processor time per step):

    | network                            | without XLA | with XLA | first step without | first step with |
    | ---------------------------------- | ----------- | -------- | ------------------ | --------------- |
    | U-Net, nearest upsampling          | 0.57        | 0.78     | 7                  | 17              |
    | U-Net, bilinear upsampling         | 0.56        | 0.91     | 7                  | 17              |
    | U-Net, transposed convolutions     | 0.52        | 0.73     | 6                  | 17              |
    | U-Net, stride-2 stem, 4 × 256²     | 0.73        | 1.05     | 7                  | 18              |

    On processors TensorFlow's own kernels (oneDNN) win, before XLA's compilation is counted, which every new shape pays
    again. Recurrent layers are slower still (a ConvLSTM2D about 20 times): XLA unrolls nothing in their loops. On
    accelerators XLA's fusion pays, but for those loops. JAX is always compiled. `tf.distribute` cannot be.

    Args:
        model: the network.
        asked: True or False settles it; `auto` decides as above.
    """
    if asked != "auto":
        return asked
    match keras.backend.backend():
        case "jax":
            return True
        case "tensorflow":
            layers = model._flatten_layers()
            return (
                bool(accelerators())
                and replicas() == 1
                and all(layer.supports_jit for layer in layers)
                and not any(isinstance(layer, keras.layers.RNN) for layer in layers)
            )
        case _:
            return False
