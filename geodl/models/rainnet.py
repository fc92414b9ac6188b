"""RainNet, a U-Net for precipitation nowcasting."""

from __future__ import annotations

import keras
from keras import layers

from geodl.errors import OptionError
from geodl.models.blocks import convolution_block, residual_head
from geodl.models.options import check_counts
from geodl.models.rain import Head, RainFeatures, RainForecast, check_rain_options
from geodl.models.resizing import CropLike, PadToMultiple
from geodl.models.steps import ChannelsToTime, TimeToChannels
from geodl.physics.rain import Transform

__all__ = ("RainNet",)


def RainNet(
    frames: int,
    leads: int,
    *,
    advected: bool = False,
    width: int = 32,
    depth: int = 4,
    dropout: float = 0.5,
    transform: Transform = "log",
    head: Head = "rate",
    mean: float = 0.0,
    std: float = 1.0,
    name: str = "rainnet",
) -> keras.Model:
    """A U-Net whose input channels are the frames (Ayzel et al. 2020, figure 1).

    Unlike the paper's it forecasts all lead times at once, as channels of its output, instead of one that is fed back
    again and again, and corrects a forecast that is there already, the advected frames or the last one. An untrained
    network gives that.

    Args:
        frames: observed frames; the paper has 4.
        leads: lead times.
        advected: whether the last frame, carried on by the motion to each lead time, follows the observed frames.
        width: channels of the first level, each further one has twice as many; the paper has 64.
        depth: number of poolings; the paper has 4.
        dropout: share of values dropped in training at the two coarsest levels, 0–1.
        transform, head, mean, std: see `EncoderForecaster`.
        name: name of the model.

    Returns:
        A model as `EncoderForecaster` gives.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = RainNet(frames=4, leads=12)
        >>> network.predict(np.zeros((1, 4, 100, 90, 1), "float32")).shape
        (1, 12, 100, 90, 1)
    """
    check_counts(frames=frames, leads=leads, width=width, depth=depth)
    check_rain_options(transform, head, mean, std)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise OptionError("dropout", expected="a number from 0 to below 1", received=dropout)

    clip = keras.Input((frames + leads * advected, None, None, 1), dtype="float32", name="clip")
    features = RainFeatures(frames, transform, mean=mean, std=std, name="features")(clip)
    image = TimeToChannels(name="time_to_channels")(features)
    x = PadToMultiple(2**depth, name="pad")(image)

    skips = []
    for level in range(depth + 1):
        x = convolution_block(x, width * 2**level, norm=None, name=f"down{level}")
        if dropout and level >= depth - 1:
            x = layers.Dropout(dropout, name=f"down{level}_dropout")(x)
        if level < depth:
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    for level in reversed(range(depth)):
        x = layers.UpSampling2D(2, name=f"up{level}_repeat")(x)
        x = layers.Concatenate(name=f"up{level}_concatenate")([x, skips[level]])
        x = convolution_block(x, width * 2**level, norm=None, name=f"up{level}")

    x = residual_head(x, (1 if head == "rate" else 2) * leads, kernel=1)
    x = CropLike(dtype="float32", name="crop")([x, image])
    x = ChannelsToTime(leads, dtype="float32", name="channels_to_time")(x)
    rain = RainForecast(frames, transform, mean=mean, std=std, name="rain")([clip, x])
    return keras.Model(clip, rain, name=name)
