"""A head that forecasts rain scale by scale, as S-PROG does, but learns what to keep of each scale and what to add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from geodl.models.rain import first_level
from geodl.models.resizing import BilinearUpsampling, PixelShuffle
from geodl.models.taps import POINTWISE
from geodl.physics.rain import Transform

__all__ = ("FirstGuess", "cascade")

_Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="geodl")
class FirstGuess(layers.Layer):
    """Gives what a forecast starts from, image by image: the advected frames, or the last one at all lead times.

    Args:
        frames: number of observed frames; what follows them in time is advected.
        leads: number of lead times.
        transform: see `geodl.physics.rain.Transform`.
        std: standard deviation of the transformed training values.
    """

    receptive: Any = POINTWISE

    def __init__(
        self, frames: int, leads: int, transform: Transform = "log", *, std: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.frames, self.leads, self.transform, self.std = frames, leads, transform, float(std)

    def call(self, inputs: Any) -> Any:
        """Turns clips (batch, time, height, width, 1) in mm/h into images (batch × leads, height, width, 1).

        These are transformed rain in standard deviations, 0 where there is no rain.
        """
        level = first_level(inputs, self.frames, self.transform)
        if level.shape[1] != self.leads:
            level = ops.repeat(level, self.leads, axis=1)
        return ops.reshape(level / self.std, (-1, *ops.shape(level)[2:]))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Images of one channel."""
        batch = input_shape[0]
        return (batch and batch * self.leads, *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"frames": self.frames, "leads": self.leads, "transform": self.transform, "std": self.std}
        return {**super().get_config(), **own}


def cascade(start: Any, features: Mapping[int, Any], *, scales: int, name: str = "cascade") -> Any:
    """Corrects rain scale by scale.

    Rain of small scales lives shorter than that of large ones (Seed 2003); S-PROG lets each scale of the advected rain
    fade at a rate of its own. Here the rain is taken apart into a Laplacian pyramid (Burt & Adelson 1983), and every
    scale is weakened or strengthened and added to, pixel by pixel, as the features of that scale tell.

    Args:
        start: Keras tensor (images, height, width, 1): what is to be corrected; sizes are multiples of 2^(scales - 1)
            and of the coarsest features' factor.
        features: by the factor, a power of 2, that they are coarser by: Keras tensors (images, height / factor, width /
            factor, channels). Scales finer than the finest are told by that, scales coarser than the coarsest by its
            means over larger and larger squares.
        scales: number of scales, each twice the one before; the last holds what is left.
        name: prefix of the layers' names.

    Returns:
        Keras tensor of `start`'s shape: what is to be added to it. All zeros before training.
    """
    finest = min(features)
    pyramid = [start]
    for scale in range(1, scales):
        pyramid.append(layers.AveragePooling2D(2, dtype="float32", name=f"{name}{scale}_mean")(pyramid[-1]))
    known, correction = dict(features), None
    for scale in range(1, scales):
        factor = 2**scale
        if factor > finest and factor not in known:
            below = known[factor // 2]
            x = layers.AveragePooling2D(2, name=f"{name}{scale}_pool")(below)
            x = layers.Conv2D(min(below.shape[-1], 32), 3, padding="same", name=f"{name}{scale}_convolution")(x)
            known[factor] = layers.LeakyReLU(0.2, name=f"{name}{scale}_relu")(x)
    for scale in reversed(range(scales)):
        factor, prefix = 2**scale, f"{name}{scale}"
        told = _told(known[max(factor, finest)], max(finest // factor, 1), prefix)
        band = pyramid[scale]
        if scale + 1 < scales:
            smooth = BilinearUpsampling(2, dtype="float32", name=f"{prefix}_smooth")(pyramid[scale + 1])
            band = layers.Subtract(dtype="float32", name=f"{prefix}_band")([band, smooth])
        change = Change(dtype="float32", name=f"{prefix}_change")([band, told])
        if correction is not None:
            coarser = BilinearUpsampling(2, dtype="float32", name=f"{prefix}_coarser")(correction)
            change = layers.Add(dtype="float32", name=f"{prefix}_add")([change, coarser])
        correction = change
    return correction


def _told(features: Any, finer: int, prefix: str) -> Any:
    """Gain and addend of each pixel, from features that are `finer` times coarser."""
    x = layers.Conv2D(
        2 * finer**2, 3, padding="same", kernel_initializer="zeros", dtype="float32", name=f"{prefix}_told"
    )(features)
    return PixelShuffle(finer, dtype="float32", name=f"{prefix}_shuffle")(x) if finer > 1 else x


@keras.saving.register_keras_serializable(package="geodl")
class Change(layers.Layer):
    """Multiplies a band by a gain and adds to it: inputs (images, height, width, 1) and (images, height, width, 2)."""

    receptive = (POINTWISE, POINTWISE)

    def call(self, inputs: Any) -> Any:
        """Returns gain × band + addend."""
        band, told = inputs
        return band * told[..., :1] + told[..., 1:]

    def compute_output_shape(self, input_shape: Any) -> _Shape:
        """The band's."""
        shape: _Shape = input_shape[0]
        return shape
