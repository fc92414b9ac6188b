"""Layers and blocks that networks for rasters are made of. Tensors are `(batch, height, width, channels)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.taps import NOTHING, POINTWISE, Gather, Interpolate, Scatter

__all__ = (
    "BilinearUpsampling",
    "CropLike",
    "Norm",
    "Normalisation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
    "attention_gate",
    "convolution_block",
    "residual_block",
)

Norm = Literal["batch", "group"] | None
"""Normalisation within blocks: over the batch; over groups of channels of an image (no finite margin); or none."""

_Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="geodl")
class Normalisation(layers.Layer):
    """Brings physical units to zero mean and unit variance; pixels that are not finite become 0, the training mean.

    It computes in float32 whatever the precision policy: 16 bits would blur hectopascals or digital numbers.

    Args:
        mean: training mean per channel, in physical units.
        std: training standard deviation per channel, in the same units; positive.

    Example:
        >>> layer = Normalisation(mean=[280.0], std=[10.0])
        >>> layer(np.array([[300.0], [np.nan]]))  # [[2.0], [0.0]]
    """

    receptive = POINTWISE

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        count = len(self.std)
        if len(self.mean) != count or not np.isfinite(self.mean).all():
            raise OptionError("mean", expected=f"{count} finite numbers, as many as std has", received=self.mean)
        if not (np.isfinite(self.std).all() and np.greater(self.std, 0).all()):
            raise OptionError("std", expected="finite numbers greater than 0", received=self.std)

    def build(self, input_shape: _Shape) -> None:
        """Checks the number of channels."""
        if input_shape[-1] != len(self.mean):
            raise OptionError("mean", expected=f"{input_shape[-1]} numbers, one per channel", received=self.mean)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Normalises an array whose last axis holds the channels."""
        mean, std = (ops.convert_to_tensor(values, dtype=self.compute_dtype) for values in (self.mean, self.std))
        return ops.where(ops.isfinite(inputs), (inputs - mean) / std, 0.0)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "mean": list(self.mean), "std": list(self.std)}


@keras.saving.register_keras_serializable(package="geodl")
class PadToMultiple(layers.Layer):
    """Pads with zeros below and to the right until height and width are multiples of `multiple`.

    Behind a `Normalisation` zero is the training mean. Undone by `CropLike`.
    """

    receptive = POINTWISE

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs: Any) -> Any:
        """Pads images."""
        _, height, width, _ = ops.shape(inputs)
        # Not -size % multiple: ONNX divides integers towards zero, and tf2onnx builds its remainder from that.
        below, right = ((self.multiple - size % self.multiple) % self.multiple for size in (height, width))
        return ops.pad(inputs, ((0, 0), (0, below), (0, right), (0, 0)))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Height and width rounded up to the multiple, where they are known."""
        batch, height, width, channels = input_shape
        return (batch, *(size and size + -size % self.multiple for size in (height, width)), channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="geodl")
class CropLike(layers.Layer):
    """Crops the first of two inputs, below and to the right, to the height and width of the second."""

    receptive = (POINTWISE, NOTHING)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Crops `inputs[0]`; of `inputs[1]` only the size is used."""
        images, like = inputs
        _, height, width, _ = ops.shape(like)
        return images[:, :height, :width, :]

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """Size of the second input, channels of the first."""
        images, like = input_shape
        return (images[0], like[1], like[2], images[3])


@keras.saving.register_keras_serializable(package="geodl")
class PixelUnshuffle(layers.Layer):
    """Folds each square of `factor` × `factor` pixels into the channels of one pixel; sizes must be multiples of it."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.receptive = Gather(kernel=factor, stride=factor)

    def call(self, inputs: Any) -> Any:
        """Folds images."""
        s = self.factor
        batch, height, width, channels = ops.shape(inputs)
        x = ops.reshape(inputs, (batch, height // s, s, width // s, s * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (batch, height // s, width // s, s * s * channels))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Height and width divided by the factor."""
        batch, height, width, channels = input_shape
        s = self.factor
        return (batch, height and height // s, width and width // s, channels and channels * s * s)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="geodl")
class PixelShuffle(layers.Layer):
    """Unfolds channels into squares of `factor` × `factor` pixels (Shi et al. 2016, section 2.2)."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.receptive = Scatter(kernel=factor, stride=factor)

    def call(self, inputs: Any) -> Any:
        """Unfolds images."""
        s = self.factor
        batch, height, width, channels = ops.shape(inputs)
        x = ops.reshape(inputs, (batch, height, width, s, channels // s))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (batch, height * s, width * s, channels // (s * s)))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Height and width times the factor."""
        batch, height, width, channels = input_shape
        s = self.factor
        return (batch, height and height * s, width and width * s, channels and channels // (s * s))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="geodl")
class BilinearUpsampling(layers.Layer):
    """Enlarges images by a whole factor, as Keras' bilinear `UpSampling2D`, but also where the size is open."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.receptive = Interpolate(factor, reach=1)

    def call(self, inputs: Any) -> Any:
        """Enlarges images."""
        x = self._enlarge(inputs)
        return ops.transpose(self._enlarge(ops.transpose(x, (0, 2, 1, 3))), (0, 2, 1, 3))

    def _enlarge(self, x: Any) -> Any:
        """Enlarges along the rows."""
        # No slice of it may be empty, not even of a single row: converted networks stumble over that.
        repeated = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        before, after = repeated[:, :-2], repeated[:, 2:]
        rows = []
        for phase in range(self.factor):
            shift = (phase + 0.5) / self.factor - 0.5
            rows.append((1 - abs(shift)) * x + abs(shift) * (before if shift < 0 else after))
        batch, height, width, channels = ops.shape(x)
        return ops.reshape(ops.stack(rows, axis=2), (batch, height * self.factor, width, channels))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Height and width times the factor."""
        batch, height, width, channels = input_shape
        return (batch, height and height * self.factor, width and width * self.factor, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "factor": self.factor}


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


def _convolution(x: Any, filters: int, kernel: int, norm: Norm, name: str) -> Any:
    x = layers.Conv2D(
        filters, kernel, padding="same", use_bias=norm is None, kernel_initializer="he_normal", name=name
    )(x)
    if norm == "batch":
        # Keras' momentum of 0.99 takes 500 steps to forget its start, too many for short runs. Its epsilon of 1e-3
        # stays: channels are nearly constant in batches that are mostly nodata or water, and a smaller one would blow
        # up their noise.
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)
    if norm == "group":
        return layers.GroupNormalization(math.gcd(8, filters), epsilon=1e-3, name=f"{name}_norm")(x)
    return x
