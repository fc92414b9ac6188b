"""Networks that take the noise out of images: each estimates the noise, and what it gives is the image less that.

All take and give physical units, and fill pixels that are not finite with the training mean. An untrained network gives
its input back, without the bias of its logarithm where the noise is speckle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from geodl.models.blocks import Norm, convolution_block, identity_block, residual_head
from geodl.models.options import check_counts, check_factor, check_norm, statistics
from geodl.models.resizing import CropLike, LocalDeviation, PadToMultiple, PixelShuffle, PixelUnshuffle
from geodl.models.scaling import Denormalisation, ExpIntensity, LogIntensity, Normalisation, SelectBands
from geodl.physics.speckle import Unit, log_bias

__all__ = ("DnCNN", "FFDNet", "ResidualUNet")


def DnCNN(
    channels: int,
    *,
    depth: int = 17,
    width: int = 64,
    norm: Norm = "batch",
    speckle: Unit | None = None,
    looks: float = 1.0,
    floor: float = 1e-6,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "dncnn",
) -> keras.Model:
    """A plain stack of convolutions (Zhang et al. 2017, section III and figure 1); by default its DnCNN-S.

    The momentum of its batch normalisation is 0.9 in Keras' sense, the share of the old statistics that each step keeps.
    PyTorch means the share of the new ones, 0.1: a momentum taken over from there as it is makes a network denoise with
    the statistics of little more than the last batch.

    Args:
        channels: bands of the image.
        depth: number of convolutions; at least 2. An output pixel sees as many pixels to each side. The paper has 17 for
            known noise, 20 for blind denoising.
        width: channels within.
        norm: normalisation after all convolutions but the first and the last: `"batch"` as in the paper, `"group"` (then
            an output pixel depends on the whole input) or None.
        speckle: None: noise is added to the image. `"intensity"`, `"amplitude"` or `"dB"`: the image is from radar, in
            that unit, and the network works on the logarithm of its intensity, where speckle is added, less its bias
            (see `LogIntensity`). It sees the deviations from the mean around each pixel only (see `LocalDeviation`), so
            that an image of another calibration is treated alike.
        looks: with `speckle`, the number of looks of the images.
        floor: with `speckle`, the intensity that zeros and all smaller ones are raised to.
        mean: training mean per band, in physical units; with `speckle`, that of the unbiased log-intensity. Defaults
            to 0.
        std: training standard deviation per band of the same. Defaults to 1.
        name: name of the model.

    Returns:
        A model from float32 (batch, height, width, channels), in physical units with not-a-number where invalid, to a
        finite float32 image of the same shape and unit, for any height and width of at least 1.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = DnCNN(channels=1, mean=[114.0], std=[63.0])
        >>> network.predict(np.zeros((1, 50, 40, 1), "float32")).shape
        (1, 50, 40, 1)
    """
    check_counts(channels=channels, width=width)
    check_counts(2, depth=depth)
    check_norm(norm)

    def noise(x: Any) -> Any:
        x = convolution_block(x, width, convolutions=1, norm=None, name="first")
        if depth > 2:
            x = convolution_block(x, width, convolutions=depth - 2, norm=norm, name="middle")
        return residual_head(x, channels)

    return _denoiser(noise, channels, speckle=speckle, looks=looks, floor=floor, mean=mean, std=std, name=name)


def ResidualUNet(
    channels: int,
    *,
    width: int = 32,
    depth: int = 2,
    blocks: int = 2,
    middle: int | None = None,
    stem: int = 2,
    norm: Norm = None,
    speckle: Unit | None = None,
    looks: float = 1.0,
    floor: float = 1e-6,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "residual_unet",
) -> keras.Model:
    """A U-Net of residual blocks without pooling, like DRUNet (Zhang et al. 2021, figure 1) but smaller.

    It works on squares of `stem` × `stem` pixels folded into channels (Shi et al. 2016), and adds its skip connections.
    It is several times faster than `DnCNN` on processors, and sees farther.

    Args:
        channels: bands of the image.
        width: channels of the first level; each further level has twice as many.
        depth: number of times that the resolution is halved, after the stem.
        blocks: residual blocks of each level, on the way down and on the way up.
        middle: residual blocks of the coarsest level. Defaults to `blocks`.
        stem: 1, 2 or 4: the side of the squares that are folded.
        norm: normalisation within the blocks, see `DnCNN`. Not needed, nor does DRUNet have one.
        speckle, looks, floor, mean, std: see `DnCNN`.
        name: name of the model.

    Returns:
        A model as `DnCNN` gives.

    Raises:
        OptionError: an argument is out of range.
    """
    check_counts(channels=channels, width=width, depth=depth, blocks=blocks)
    middle = blocks if middle is None else middle
    check_counts(middle=middle)
    check_factor("stem", stem, (1, 2, 4))
    check_norm(norm)

    def level(x: Any, count: int, name: str) -> Any:
        for i in range(1, count + 1):
            x = identity_block(x, norm=norm, name=f"{name}_block{i}")
        return x

    def noise(image: Any) -> Any:
        x = PadToMultiple(stem * 2**depth, name="pad")(image)
        if stem > 1:
            x = PixelUnshuffle(stem, name="unshuffle")(x)
        x = layers.Conv2D(width, 3, padding="same", name="first")(x)
        skips = []
        for i in range(depth):
            x = level(x, blocks, f"down{i}")
            skips.append(x)
            x = layers.Conv2D(2 * x.shape[-1], 2, strides=2, name=f"down{i}_halve")(x)
        x = level(x, middle, "middle")
        for i in reversed(range(depth)):
            x = layers.Conv2D(4 * skips[i].shape[-1], 1, name=f"up{i}_conv")(x)
            x = PixelShuffle(2, name=f"up{i}_double")(x)
            x = layers.Add(name=f"up{i}_add")([skips[i], x])
            x = level(x, blocks, f"up{i}")
        x = residual_head(x, channels * stem**2)
        if stem > 1:
            x = PixelShuffle(stem, dtype="float32", name="shuffle")(x)
        return CropLike(dtype="float32", name="crop")([x, image])

    return _denoiser(noise, channels, speckle=speckle, looks=looks, floor=floor, mean=mean, std=std, name=name)


def FFDNet(
    channels: int,
    *,
    depth: int = 15,
    width: int = 64,
    norm: Norm = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "ffdnet",
) -> keras.Model:
    """A network that is told how strong the noise is, everywhere (Zhang et al. 2018, FFDNet, section III and figure 1).

    As in the paper it works on squares of 2 × 2 pixels folded into channels. Unlike the paper's, it estimates the noise
    rather than the image, and the map of the noise's level is folded alike instead of being given at half the
    resolution.

    Args:
        channels: bands of the image.
        depth: number of convolutions; at least 2. The paper has 15 for grey images, and 12 of width 96 for colour.
        width: channels within.
        norm: normalisation after all convolutions but the first and the last, see `DnCNN`.
        mean: training mean per band of the image, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        name: name of the model.

    Returns:
        A model from float32 (batch, height, width, channels + 1) to the image without noise, float32 (batch, height,
        width, channels). The last band of the input is the standard deviation of the noise, in the image's unit.
        Sizes and invalid pixels are as in `DnCNN`.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = FFDNet(channels=1, mean=[114.0], std=[63.0])
        >>> network.predict(np.stack([noisy, np.full_like(noisy, 25.0)], axis=-1)[None])
    """
    check_counts(channels=channels, width=width)
    check_counts(2, depth=depth)
    check_norm(norm)
    means, stds = statistics(mean, std, channels)
    image = keras.Input((None, None, channels + 1), dtype="float32", name="image")
    # The level is scaled with the image, and 0 stays 0.
    scaled = Normalisation([*means, 0.0], [*stds, sum(stds) / channels], name="normalisation")(image)
    x = PadToMultiple(2, name="pad")(scaled)
    x = PixelUnshuffle(2, name="unshuffle")(x)
    x = convolution_block(x, width, convolutions=1, norm=None, name="first")
    if depth > 2:
        x = convolution_block(x, width, convolutions=depth - 2, norm=norm, name="middle")
    x = PixelShuffle(2, dtype="float32", name="shuffle")(residual_head(x, 4 * channels))
    x = CropLike(dtype="float32", name="crop")([x, image])
    noisy = SelectBands(0, channels, name="noisy")(scaled)
    x = layers.Subtract(dtype="float32", name="subtract")([noisy, x])
    return keras.Model(image, Denormalisation(means, stds, name="denormalisation")(x), name=name)


def _denoiser(
    noise: Callable[[Any], Any],
    channels: int,
    *,
    speckle: Unit | None,
    looks: float,
    floor: float,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    name: str,
) -> keras.Model:
    """Makes a network that subtracts from an image what `noise` finds in its normalised values."""
    means, stds = statistics(mean, std, channels)
    image = x = keras.Input((None, None, channels), dtype="float32", name="image")
    if speckle is not None:
        x = LogIntensity(speckle, floor=floor, bias=log_bias(looks), name="log")(x)
    physical = x
    seen = x = Normalisation(means, stds, name="normalisation")(x)
    if speckle is not None:
        # Speckle does not depend on how bright an image is, nor on its calibration.
        seen = LocalDeviation(name="deviation")([x, physical])
    # The difference of normalised values is as exact in float32 as that of the values themselves, or more so.
    x = layers.Subtract(dtype="float32", name="subtract")([x, noise(seen)])
    x = Denormalisation(means, stds, name="denormalisation")(x)
    if speckle is not None:
        x = ExpIntensity(speckle, name="exp")(x)
    return keras.Model(image, x, name=name)
