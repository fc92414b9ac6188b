"""Layers that change the size of images. Tensors are `(batch, height, width, channels)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from geodl.models.taps import NOTHING, POINTWISE, Gather, Interpolate, Scatter

__all__ = (
    "BicubicUpsampling",
    "BilinearUpsampling",
    "CropLike",
    "FillGaps",
    "LocalDeviation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
)

_Shape = tuple[int | None, ...]


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


class _Upsampling(layers.Layer):
    """Enlarges images by a whole factor, first along the rows, then along the columns, also where the size is open."""

    reach: int

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.receptive = Interpolate(factor, reach=self.reach)

    def call(self, inputs: Any) -> Any:
        """Enlarges images."""
        x = self._enlarge(inputs)
        return ops.transpose(self._enlarge(ops.transpose(x, (0, 2, 1, 3))), (0, 2, 1, 3))

    def _enlarge(self, x: Any) -> Any:
        """Enlarges along the rows."""
        # The centre of an output row lies that many input rows below that of the input row which it is part of.
        shifts = [(phase + 0.5) / self.factor - 0.5 for phase in range(self.factor)]
        batch, height, width, channels = ops.shape(x)
        rows = ops.stack(self._rows(x, shifts), axis=2)
        return ops.reshape(rows, (batch, height * self.factor, width, channels))

    def _rows(self, x: Any, shifts: Sequence[float]) -> list[Any]:
        """Returns the image shifted up by each of `shifts`, -0.5 … 0.5 rows."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Height and width times the factor."""
        batch, height, width, channels = input_shape
        return (batch, height and height * self.factor, width and width * self.factor, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="geodl")
class BilinearUpsampling(_Upsampling):
    """Enlarges images by a whole factor, as Keras' bilinear `UpSampling2D`, but also where the size is open."""

    reach = 1

    def _rows(self, x: Any, shifts: Sequence[float]) -> list[Any]:
        # No slice of it may be empty, not even of a single row: converted networks stumble over that.
        repeated = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        before, after = repeated[:, :-2], repeated[:, 2:]
        return [(1 - abs(shift)) * x + abs(shift) * (before if shift < 0 else after) for shift in shifts]


class _Around(layers.Layer):
    """A layer that knows the mean of the valid pixels in a square around each pixel.

    Inputs are a normalised image and the image itself, whose gaps are not finite.

    Args:
        radius: of the square, in pixels.
    """

    def __init__(self, radius: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.radius = radius
        self.receptive = Gather(kernel=2 * radius + 1, before=radius)

    def known_and_mean(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Returns 1 where `inputs[1]` is finite and 0 elsewhere; and the mean of `inputs[0]` over the former, 0 of none."""
        image, physical = inputs
        known = ops.cast(ops.isfinite(physical), image.dtype)
        total, share = (
            ops.average_pool(values, 2 * self.radius + 1, strides=1, padding="same")
            for values in (image * known, known)
        )
        return known, total / ops.maximum(share, 1e-6)

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """The image's."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "radius": self.radius}


@keras.saving.register_keras_serializable(package="geodl")
class FillGaps(_Around):
    """Fills gaps with the mean of the valid pixels around them, 0 where there are none.

    Interpolation, unlike a convolution with weights, hands what stands in a gap to the valid pixels beside it; the
    training mean would be a fringe there. Inputs are a normalised image and the image itself, whose gaps are not finite.

    Args:
        radius: of the square that is looked at, in pixels.
    """

    def __init__(self, radius: int = 2, **kwargs: Any) -> None:
        super().__init__(radius, **kwargs)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Fills the gaps of `inputs[0]` where `inputs[1]` is not finite."""
        known, mean = self.known_and_mean(inputs)
        return ops.where(known > 0, inputs[0], mean)


@keras.saving.register_keras_serializable(package="geodl")
class LocalDeviation(_Around):
    """Subtracts from each pixel the mean of the valid pixels around it; gaps become 0.

    What follows does not see by how much a whole image is brighter: in logarithms that is its calibration. Inputs are a
    normalised image and the image itself, whose gaps are not finite.

    Args:
        radius: of the square that the mean is taken over, in pixels.
    """

    def __init__(self, radius: int = 16, **kwargs: Any) -> None:
        super().__init__(radius, **kwargs)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Returns the deviations of `inputs[0]`."""
        known, mean = self.known_and_mean(inputs)
        return (inputs[0] - mean) * known


@keras.saving.register_keras_serializable(package="geodl")
class BicubicUpsampling(_Upsampling):
    """Enlarges images by a whole factor as MATLAB's bicubic `imresize`, like `geodl.physics.sensor.enlarge`.

    Cubic convolution with a = -1/2 (Keys 1981, equation 15) between the centres of pixels; images are mirrored at their
    edges.
    """

    reach = 2

    def _rows(self, x: Any, shifts: Sequence[float]) -> list[Any]:
        # The second row from either edge, or the only one; no slice may be empty, as above.
        second = ops.concatenate([x[:, :1], x[:, :2]], axis=1)[:, -1:]
        second_last = ops.concatenate([x[:, -2:], x[:, -1:]], axis=1)[:, :1]
        mirrored = ops.concatenate([second, x[:, :1], x, x[:, -1:], second_last], axis=1)
        offsets = range(-2, 3)
        moved = [mirrored[:, 2 + offset : (offset - 2) or None] for offset in offsets]
        return [
            sum(_keys(shift - offset) * rows for offset, rows in zip(offsets, moved) if abs(shift - offset) < 2)
            for shift in shifts
        ]


def _keys(distance: float) -> float:
    """The kernel of cubic convolution, 0 from 2 on."""
    t = abs(distance)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
