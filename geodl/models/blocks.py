"""Blocks that networks for rasters are made of, and the layers in them. Tensors are `(batch, height, width, channels)`."""

from __future__ import annotations

import math
from typing import Any, Literal

import keras
from keras import layers

from geodl.models.resizing import (
    BicubicUpsampling,
    BilinearUpsampling,
    CropLike,
    FillGaps,
    LocalDeviation,
    PadToMultiple,
    PixelShuffle,
    PixelUnshuffle,
)
from geodl.models.scaling import Denormalisation, ExpIntensity, LogIntensity, Normalisation, SelectBands

__all__ = (
    "BicubicUpsampling",
    "BilinearUpsampling",
    "CropLike",
    "FillGaps",
    "LocalDeviation",
    "Denormalisation",
    "ExpIntensity",
    "LogIntensity",
    "Norm",
    "Normalisation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
    "SelectBands",
    "attention_gate",
    "convolution_block",
    "identity_block",
    "residual_block",
    "residual_head",
)

Norm = Literal["batch", "group"] | None
"""Normalisation within blocks: over the batch; over groups of channels of an image (no finite margin); or none."""


def convolution_block(
    x: Any, filters: int, *, convolutions: int = 2, norm: Norm = "batch", activation: str = "relu", name: str = "block"
) -> Any:
    """`convolutions` times: 3×3 convolution, normalisation, activation.

    Args:
        x: Keras tensor (batch, height, width, channels).
        filters: channels of the result.
        convolutions: how many.
        norm: see `Norm`; without one the convolutions have a bias.
        activation: name of a Keras activation.
        name: prefix of the layers' names.

    Returns:
        Keras tensor (batch, height, width, filters).
    """
    for i in range(1, convolutions + 1):
        x = _convolution(x, filters, 3, norm, f"{name}_conv{i}")
        x = layers.Activation(activation, name=f"{name}_{activation}{i}")(x)
    return x


def residual_block(
    x: Any, filters: int, *, convolutions: int = 2, norm: Norm = "batch", activation: str = "relu", name: str = "block"
) -> Any:
    """A convolution block whose input is added before the last activation (He et al. 2016, figure 2).

    The input goes through a 1×1 convolution where its channels differ. Arguments as in `convolution_block`.
    """
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = _convolution(x, filters, 1, norm, f"{name}_shortcut")
    x = convolution_block(x, filters, convolutions=convolutions - 1, norm=norm, activation=activation, name=name)
    x = _convolution(x, filters, 3, norm, f"{name}_conv{convolutions}")
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.Activation(activation, name=f"{name}_{activation}{convolutions}")(x)


def identity_block(
    x: Any, *, norm: Norm = None, scaling: float = 1.0, attention: int | None = None, name: str = "block"
) -> Any:
    """A residual block of two 3×3 convolutions with nothing after the addition (Lim et al. 2017, figure 2c).

    Args:
        x: Keras tensor (batch, height, width, channels).
        norm: see `Norm`; the paper has none.
        scaling: what the residual is multiplied by before it is added.
        attention: weigh the channels of the residual by what the whole image holds (Zhang et al. 2018, section 3.3),
            through so many channels. None: do not.
        name: prefix of the layers' names.

    Returns:
        Keras tensor of the same shape.
    """
    filters = x.shape[-1]
    residual = convolution_block(x, filters, convolutions=1, norm=norm, name=name)
    # With a tenth of He's variance the sum hardly grows from block to block, and deep stacks learn from the first step.
    residual = _convolution(
        residual, filters, 3, norm, f"{name}_conv2", initializer=keras.initializers.VarianceScaling(0.2)
    )
    if attention is not None:
        weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(residual)
        weights = layers.Conv2D(attention, 1, activation="relu", name=f"{name}_squeeze")(weights)
        weights = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_excite")(weights)
        residual = layers.Multiply(name=f"{name}_multiply")([residual, weights])
    if scaling != 1:
        residual = layers.Rescaling(scaling, name=f"{name}_scaling")(residual)
    return layers.Add(name=f"{name}_add")([x, residual])


def residual_head(x: Any, filters: int, *, kernel: int = 3, name: str = "head") -> Any:
    """A last convolution, in float32, that starts at zero: what an untrained network adds is nothing."""
    return layers.Conv2D(filters, kernel, padding="same", kernel_initializer="zeros", dtype="float32", name=name)(x)


def attention_gate(skip: Any, gate: Any, *, name: str = "gate") -> Any:
    """Weighs the pixels of a skip connection by what the coarser level found (Oktay et al. 2018, section 2.2).

    Args:
        skip: Keras tensor (batch, 2 × height, 2 × width, channels).
        gate: Keras tensor (batch, height, width, any): the next coarser level of the decoder.
        name: prefix of the layers' names.

    Returns:
        `skip` times attention coefficients in 0–1, one per pixel, interpolated from the coarser level.
    """
    inner = max(skip.shape[-1] // 2, 1)
    theta = layers.Conv2D(inner, 2, strides=2, use_bias=False, name=f"{name}_theta")(skip)
    phi = layers.Conv2D(inner, 1, name=f"{name}_phi")(gate)
    joint = layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([theta, phi]))
    alpha = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}_psi")(joint)
    alpha = BilinearUpsampling(2, name=f"{name}_up")(alpha)
    return layers.Multiply(name=f"{name}_multiply")([skip, alpha])


def _convolution(x: Any, filters: int, kernel: int, norm: Norm, name: str, *, initializer: Any = "he_normal") -> Any:
    x = layers.Conv2D(
        filters, kernel, padding="same", use_bias=norm is None, kernel_initializer=initializer, name=name
    )(x)
    if norm == "batch":
        # Keras' momentum of 0.99 takes 500 steps to forget its start, too many for short runs. Its epsilon of 1e-3
        # stays: channels are nearly constant in batches that are mostly nodata or water, and a smaller one would blow
        # up their noise.
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)
    if norm == "group":
        return layers.GroupNormalization(math.gcd(8, filters), epsilon=1e-3, name=f"{name}_norm")(x)
    return x
