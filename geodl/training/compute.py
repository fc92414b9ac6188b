"""How a network computes: its precision, and whether XLA compiles the training step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import keras

from geodl.autodiff import enable_float64
from geodl.errors import RecipeError
from geodl.models.neural_ode import integrates
from geodl.training.distribution import accelerators, replicas

__all__ = ("PRECISIONS", "precision_scope", "use_jit")

PRECISIONS = ("float32", "float64", "mixed_bfloat16", "mixed_float16")


@contextmanager
def precision_scope(name: str) -> Iterator[None]:
    """Networks built inside compute in this precision; weights are float32, but float64 with `float64`.

    With `mixed_float16`, `fit` scales the loss so that small gradients survive; Micikevicius et al. 2018, "Mixed
    Precision Training".

    Args:
        name: `float32`, `float64`, `mixed_bfloat16` or `mixed_float16`.

    Raises:
        RecipeError: no such precision.

    Example:
        >>> with precision_scope("mixed_bfloat16"):
        ...     network = geodl.models.UNet(channels=4, classes=5)
    """
    if name not in PRECISIONS:
        problem = f"expected one of: {', '.join(PRECISIONS)}. Received: {name!r}."
        raise RecipeError("train.precision", problem, valid=PRECISIONS, nearest_to=name)
    before, kind = keras.config.dtype_policy(), keras.config.floatx()
    if name == "float64":
        enable_float64()
        # Losses and metrics of Keras compute in this type, whatever a network's policy.
        keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(kind)
        keras.config.set_dtype_policy(before)


def use_jit(model: keras.Model, asked: bool | Literal["auto"] = "auto") -> bool:
    """Decides whether XLA compiles the training step.

    `auto` is what was measured to be faster. TensorFlow 2.21, Keras 3.15, AdamW, float32, x86-64, two cores shared with
    other work, hence seconds of processor time (of the first step, which compiles, and of each further one):

    | network, batch                        | first step: without, with XLA | further steps: without, with XLA |
    | ------------------------------------- | ----------------------------- | -------------------------------- |
    | UNet(width=16), 8 × 128²              | 6.3, 13.1                     | 0.46, 0.60                       |
    | UNet(width=16, stem=2), 8 × 256²      | 5.7, 13.4                     | 0.50, 0.68                       |
    | U-Net, bilinear upsampling, 8 × 128²  | 6.6, 17.3                     | 0.56, 0.91                       |
    | ConvLSTM2D(16), 4 × 8 steps of 64²    | 1.1, 5.9                      | 0.12, 2.67                       |

    On the same cores idle, seconds of a further step of UNet(width=16), 8 × 256²: 0.97 without XLA, 1.24 with it.

    Networks for series, 64 × 46 dates of 10 bands, on one core of the same machine in use, milliseconds of a further step
    on TensorFlow without and with XLA, and on JAX: LSTM of 2 × 128 units both ways 214, 599, 231; TempCNN 30, 40, 26; L-TAE
    12, 16, 17; InceptionTime 234, 166, 208, of which the first step takes 10 s longer with XLA.

    Neural ODEs are the exception: 21 ms a step without XLA, 17 with it (`benchmarks/neural_ode.py`).

    So on processors TensorFlow's own kernels win, everywhere, before XLA's compilation is counted, which every new
    shape pays again; with loops XLA is no choice at all. On accelerators, not measured here, Keras's own default is
    followed, XLA, but for those loops. JAX is always compiled; networks under `tf.distribute` are not.

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
            if integrates(model):
                return replicas() == 1
            layers = list(model._flatten_layers())
            return (
                bool(accelerators())
                and replicas() == 1
                and all(layer.supports_jit for layer in layers)
                and not any(isinstance(layer, keras.layers.RNN) for layer in layers)
            )
        case _:
            return False
