"""Layers between rain rates and what nowcasting networks compute in. They work on float32 whatever the precision policy.

Networks see rain as a level: a logarithm that is 0 where there is no rain and grows with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.taps import POINTWISE
from geodl.physics.rain import DRY, FAINT, FAINTEST, LOG_OFFSET, Transform

__all__ = (
    "Head",
    "RainFeatures",
    "RainForecast",
    "check_rain_options",
    "rain_level",
    "rain_rate",
    "zero_level",
)

Head = Literal["rate", "gaussian"]
"""What a network gives: rain rates; or their medians and the logarithm of the variance of the transformed rain."""

_HEAVIEST = 300.0
"""mm/h; forecasts end there."""
_HIGHEST = {"log": math.log1p(_HEAVIEST / LOG_OFFSET), "db": 10 * math.log10(_HEAVIEST) - DRY}
_FADING = 0.5
"""Standard deviations beyond the bounds in which the gradient falls to a third."""
_LOG_VARIANCE = (-6.0, 4.0)
"""Bounds of the logarithm of the variance of normalised values: standard deviations of 0.05 to 7."""
_Shape = tuple[int | None, ...]


def zero_level(transform: str) -> float:
    """Returns the transformed value of no rain: `rain_level` is the difference to it."""
    return {"log": math.log(LOG_OFFSET), "db": DRY, "none": 0.0}[transform]


def rain_level(rate: Any, transform: str) -> Any:
    """Returns transformed rain rates less the transformed value of no rain: 0 at 0 mm/h, increasing.

    "db" is 10 log10(R) from 0.1 mm/h on. Below, where pysteps gives -15 to all, a straight line leads from there to -15
    at 0 mm/h: so it has an inverse, and losses a slope.

    Args:
        rate: tensor of finite rain rates of at least 0 mm/h.
        transform: see `geodl.physics.rain.Transform`; "none" gives `rate` itself.
    """
    match transform:
        case "log":
            # Plain logarithms and exponentials: ONNX has no others.
            return ops.log(1 + rate * (1 / LOG_OFFSET))
        case "db":
            logarithm = 10 / math.log(10) * ops.log(ops.maximum(rate, FAINTEST)) - DRY
            return ops.where(rate >= FAINTEST, logarithm, rate * ((FAINT - DRY) / FAINTEST))
        case _:
            return rate


def rain_rate(level: Any, transform: Transform) -> Any:
    """Returns the rain rates (mm/h) whose `rain_level` is given; levels are at least 0."""
    if transform == "log":
        return LOG_OFFSET * (ops.exp(level) - 1)
    logarithm = ops.exp((ops.maximum(level, FAINT - DRY) + DRY) * (math.log(10) / 10))
    return ops.where(level >= FAINT - DRY, logarithm, level * (FAINTEST / (FAINT - DRY)))


def check_rain_options(transform: object, head: object, mean: object, std: object) -> None:
    """Raises OptionError for the first of these arguments of a nowcasting network that is out of range."""
    for option, value, choice in (("transform", transform, Transform), ("head", head, Head)):
        if value not in get_args(choice):
            raise OptionError(option, expected=" or ".join(map(repr, get_args(choice))), received=value)
    if not isinstance(mean, int | float) or not math.isfinite(mean):
        raise OptionError("mean", expected="a finite number", received=mean)
    if not isinstance(std, int | float) or not 0 < std < math.inf:
        raise OptionError("std", expected="a finite number greater than 0", received=std)


def _filled(x: Any, frames: int) -> tuple[Any, Any]:
    """Returns rain rates without gaps, and where they were known.

    Gaps of advected frames take the last observed frame, other gaps 0 mm/h.
    """
    known = ops.isfinite(x)
    rate = ops.where(known, ops.maximum(x, 0.0), 0.0)
    if x.shape[1] > frames:
        last = ops.broadcast_to(rate[:, frames - 1 : frames], ops.shape(rate[:, frames:]))
        rate = ops.concatenate([rate[:, :frames], ops.where(known[:, frames:], rate[:, frames:], last)], axis=1)
    return rate, known


def first_level(clip: Any, frames: int, transform: str) -> Any:
    """Returns the `rain_level` that a forecast starts from, without gaps.

    Args:
        clip: (batch, time, height, width, 1) in mm/h.
        frames: observed frames; what follows them in time is advected.
        transform: see `geodl.physics.rain.Transform`.

    Returns:
        (batch, leads, height, width, 1) of what was advected, else (batch, 1, height, width, 1), the last frame.
    """
    rate, _ = _filled(clip, frames)
    return rain_level(rate[:, frames:] if clip.shape[1] > frames else rate[:, -1:], transform)


class _Rain(layers.Layer):
    """A layer that knows the transform of rain rates and its statistics."""

    receptive: Any = POINTWISE

    def __init__(self, frames: int, transform: Transform, *, mean: float, std: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_rain_options(transform, "rate", mean, std)
        self.frames, self.transform, self.mean, self.std = frames, transform, float(mean), float(std)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"frames": self.frames, "transform": self.transform, "mean": self.mean, "std": self.std}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="geodl")
class RainFeatures(_Rain):
    """Turns rain rates (mm/h) into normalised logarithms, with a second channel of 1 where they are known, else 0.

    Gaps of advected frames are filled with the last observed frame; other gaps are 0, the training mean.

    Args:
        frames: number of observed frames; what follows them in time is advected.
        transform: see `geodl.physics.rain.Transform`.
        mean: of the transformed training values.
        std: of the same.
    """

    def __init__(
        self, frames: int, transform: Transform = "log", *, mean: float = 0.0, std: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(frames, transform, mean=mean, std=std, **kwargs)

    def call(self, inputs: Any) -> Any:
        """Transforms clips (batch, time, height, width, 1) to (batch, time, height, width, 2)."""
        rate, known = _filled(inputs, self.frames)
        normal = (rain_level(rate, self.transform) + (zero_level(self.transform) - self.mean)) / self.std
        observed = ops.where(known[:, : self.frames], normal[:, : self.frames], 0.0)
        normal = ops.concatenate([observed, normal[:, self.frames :]], axis=1)
        return ops.concatenate([normal, ops.cast(known, normal.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's, with two channels."""
        return (*input_shape[:-1], 2)


@keras.saving.register_keras_serializable(package="geodl")
class RainForecast(_Rain):
    """Adds what a network found to the advected frames, or to the last one, and gives rain rates (mm/h).

    The sum is one of logarithms. Without any correction the result is the advected frame of each lead time, in its gaps
    the last observed frame; where nothing is advected the last observed frame at all lead times. Rates are 0 … 300 mm/h;
    just beyond these bounds the correction still has a gradient: a pixel without rain can learn of rain to come.

    Inputs are the clip (batch, time, height, width, 1) in mm/h, and corrections (batch, lead, height, width, 1 or 2)
    in standard deviations of the transformed training values. Of two channels the second is the logarithm of the
    variance.

    Args:
        frames, transform, mean, std: see `RainFeatures`.
    """

    receptive = (POINTWISE, POINTWISE)

    def __init__(
        self, frames: int, transform: Transform = "log", *, mean: float = 0.0, std: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(frames, transform, mean=mean, std=std, **kwargs)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Returns rain rates and, of two channels, the logarithm of the variance of the transformed rain."""
        clip, found = inputs
        level = first_level(clip, self.frames, self.transform) + self.std * found[..., :1]
        bounded = ops.clip(level, 0.0, _HIGHEST[self.transform])
        # Adds nothing but a gradient beyond the bounds. It fades with the distance: were it the same everywhere, what is
        # dry already would be driven down without end.
        slope = ops.exp(-ops.abs(level - bounded) * (1 / (_FADING * self.std)))
        beyond = (level - bounded) * ops.stop_gradient(slope)
        rate = rain_rate(bounded + (beyond - ops.stop_gradient(beyond)), self.transform)
        if found.shape[-1] == 1:
            return rate
        log_variance = ops.clip(found[..., 1:], *_LOG_VARIANCE) + 2 * math.log(self.std)
        return ops.concatenate([rate, log_variance], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """The corrections'."""
        return input_shape[1]
