"""How much arithmetic a network takes, counted from its layers rather than measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from geodl.models.convlstm import ConvLSTM2D

__all__ = ("forward_flops", "training_flops")


def forward_flops(network: keras.Model, shape: Sequence[int]) -> float:
    """Counts the multiplications and additions of one forward pass over one sample.

    Those of convolutions and matrix products alone, as an accelerator's peak is stated; normalisation, activations and
    the like add a few per cent, and take time rather by the bytes that they move.

    Args:
        network: made of layers that the table below knows.
        shape: of a sample, without the batch axis.

    Returns:
        Floating-point operations, two for each multiplication with its addition.

    Raises:
        TypeError: a layer has a kernel, and is not known.

    Example:
        >>> forward_flops(geodl.models.UNet(4, 5, width=64), (256, 256, 4)) / 1e9
        93.2
    """
    sized = keras.models.clone_model(network, input_tensors=keras.Input(batch_shape=(1, *shape)))
    return float(sum(_layer_flops(layer) for layer in sized.layers))


def training_flops(network: keras.Model, shape: Sequence[int]) -> float:
    """Counts those of a training step, per sample: each kernel is met once forward and twice back, for the gradients of
    its input and of itself. That the first layer needs no gradient of its input is overlooked."""
    return 3 * forward_flops(network, shape)


def _layer_flops(layer: keras.Layer) -> float:
    match layer:
        case ConvLSTM2D():
            sequence, *state = _tensors(layer.input)
            batch, steps, height, width, _ = sequence.shape
            pixels = batch * height * width
            # The first step has no state to convolve, unless it is given one.
            recurrent = (steps - (not state)) * math.prod(layer.recurrent_kernel.shape)
            return 2.0 * pixels * (steps * math.prod(layer.input_kernel.shape) + recurrent)
        case keras.layers.Conv2D() | keras.layers.Dense() if not isinstance(layer, keras.layers.DepthwiseConv2D):
            # Each output value of a channel is a product with that channel's part of the kernel.
            (output,) = _tensors(layer.output)
            return 2.0 * math.prod(output.shape[:-1]) * math.prod(layer.kernel.shape)
        case _ if any(weight.name.endswith("kernel") for weight in layer.weights):
            raise TypeError(f"forward_flops does not know {type(layer).__name__} ({layer.name}).")
        case _:
            return 0.0


def _tensors(nested: Any) -> list[Any]:
    return keras.tree.flatten(nested)
