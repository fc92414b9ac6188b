"""Layers between physical units and what networks compute in. They work on float32 whatever the precision policy.

16 bits would blur hectopascals, digital numbers and the small differences that denoising is about. Not-a-number passes
through all layers until a `Normalisation` fills it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import keras
import numpy as np
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.taps import POINTWISE
from geodl.physics.speckle import Unit

__all__ = ("Denormalisation", "ExpIntensity", "LogIntensity", "Normalisation", "SelectBands")

_Shape = tuple[int | None, ...]

_NEPER_PER_DB = math.log(10) / 10
_HIGHEST_LOG = 85.0
"""Exponentials in float32 become infinite a little above."""


class _Pointwise(layers.Layer):
    """A layer that leaves shapes as they are."""

    receptive = POINTWISE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape


class _Statistics(_Pointwise):
    """A layer with a mean and a standard deviation per channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
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

    def _tensors(self) -> tuple[Any, Any]:
        mean, std = (ops.convert_to_tensor(values, dtype=self.compute_dtype) for values in (self.mean, self.std))
        return mean, std

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "mean": list(self.mean), "std": list(self.std)}


@keras.saving.register_keras_serializable(package="geodl")
class Normalisation(_Statistics):
    """Brings physical units to zero mean and unit variance; pixels that are not finite become 0, the training mean.

    Args:
        mean: training mean per channel, in physical units.
        std: training standard deviation per channel, in the same units; positive.

    Example:
        >>> layer = Normalisation(mean=[280.0], std=[10.0])
        >>> layer(np.array([[300.0], [np.nan]]))  # [[2.0], [0.0]]
    """

    def call(self, inputs: Any) -> Any:
        """Normalises an array whose last axis holds the channels."""
        mean, std = self._tensors()
        return ops.where(ops.isfinite(inputs), (inputs - mean) / std, 0.0)


@keras.saving.register_keras_serializable(package="geodl")
class Denormalisation(_Statistics):
    """Brings what a `Normalisation` with the same arguments gave back to physical units.

    Where the input was not finite the result is the training mean, so that a network's output is finite everywhere:
    what is nodata there is for its caller to mask.

    Example:
        >>> layer = Denormalisation(mean=[280.0], std=[10.0])
        >>> layer(np.array([[2.0], [0.0]]))  # [[300.0], [280.0]]
    """

    def call(self, inputs: Any) -> Any:
        """Undoes the normalisation of an array whose last axis holds the channels."""
        mean, std = self._tensors()
        return inputs * std + mean


class _Radar(_Pointwise):
    """A layer that knows the unit of a radar image."""

    def __init__(self, unit: Unit, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if unit not in get_args(Unit):
            raise OptionError("unit", expected="'intensity', 'amplitude' or 'dB'", received=unit)
        self.unit = unit

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "unit": self.unit}


@keras.saving.register_keras_serializable(package="geodl")
class LogIntensity(_Radar):
    """Turns a radar image into the natural logarithm of its intensity, less a bias; undone by `ExpIntensity`.

    In the logarithm speckle is added, and its mean is not 0 but `geodl.physics.speckle.log_bias(looks)`. With that as
    bias the result has the mean of the logarithm of the clean image, so that a network which estimates means there, as
    one trained by L2 in the logarithm does, gives unbiased images. The bias belongs to speckled images only, hence to
    this layer and not to its inverse.

    Args:
        unit: what the image holds.
        floor: intensity that smaller ones, zeros (-inf in dB) and negative values are raised to; positive.
        bias: subtracted from the logarithm.

    Example:
        >>> layer = LogIntensity("amplitude", floor=1e-6)
        >>> layer(np.array([[1.0], [0.0], [np.nan]]))  # [[0.0], [-13.8], [nan]]
    """

    def __init__(self, unit: Unit, floor: float = 1e-6, bias: float = 0.0, **kwargs: Any) -> None:
        super().__init__(unit, **kwargs)
        # The smallest that is not rounded to 0 in float32 on any device.
        if not 1e-37 <= floor < math.inf:
            raise OptionError("floor", expected="an intensity of at least 1e-37", received=floor)
        if not math.isfinite(bias):
            raise OptionError("bias", expected="a finite number", received=bias)
        self.floor, self.bias = float(floor), float(bias)

    def call(self, inputs: Any) -> Any:
        """Takes the logarithm."""
        if self.unit == "dB":
            log = ops.maximum(inputs * _NEPER_PER_DB, math.log(self.floor))
        elif self.unit == "amplitude":
            log = 2.0 * ops.log(ops.maximum(inputs, math.sqrt(self.floor)))
        else:
            log = ops.log(ops.maximum(inputs, self.floor))
        # Which of a number and not-a-number is greater the runtimes do not agree about.
        return ops.where(ops.isnan(inputs), inputs, log - self.bias)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "floor": self.floor, "bias": self.bias}


@keras.saving.register_keras_serializable(package="geodl")
class ExpIntensity(_Radar):
    """Turns the natural logarithm of an intensity into a radar image in `unit`; the inverse of `LogIntensity`.

    Args:
        unit: what the image holds.

    Example:
        >>> ExpIntensity("dB")(np.array([[np.log(100.0)]]))  # [[20.0]]
    """

    def call(self, inputs: Any) -> Any:
        """Takes the exponential."""
        if self.unit == "dB":
            return inputs / _NEPER_PER_DB
        log = ops.minimum(inputs, _HIGHEST_LOG)
        return ops.exp(0.5 * log if self.unit == "amplitude" else log)


@keras.saving.register_keras_serializable(package="geodl")
class SelectBands(_Pointwise):
    """Keeps the bands `start` … `stop - 1`."""

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs: Any) -> Any:
        """Selects from the last axis."""
        return inputs[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's with fewer channels."""
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
