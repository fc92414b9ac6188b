"""Networks that give images more pixels: each adds to a bicubic enlargement what it finds missing.

All take and give physical units. Pixels that are not finite are filled from their valid neighbours before anything is
interpolated, so that neither they nor the training mean reach valid pixels. An untrained network enlarges bicubically, as
`geodl.physics.sensor.enlarge` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from geodl.models.blocks import convolution_block, identity_block, residual_head
from geodl.models.options import check_counts, check_factor, check_scaling, statistics
from geodl.models.resizing import BicubicUpsampling, FillGaps, PixelShuffle
from geodl.models.scaling import Denormalisation, Normalisation, SelectBands

__all__ = ("EDSR", "RCAN", "SRCNN", "VDSR", "GuidedSR")

_SCALES = (2, 3, 4)


def SRCNN(
    channels: int,
    *,
    scale: int,
    width: int = 64,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "srcnn",
) -> keras.Model:
    """Three convolutions, 9-1-5, on the enlarged image (Dong et al. 2014, section 3).

    Unlike the paper's, it gives what to add to the enlarged image, and pads its convolutions.

    Args:
        channels: bands of the image.
        scale: 2, 3 or 4: how many times higher and wider the result is.
        width: channels of the first convolution; the second has half as many.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        name: name of the model.

    Returns:
        A model from float32 (batch, height, width, channels), in physical units with not-a-number where invalid, to a
        finite float32 image (batch, height × scale, width × scale, channels) in the same unit, for any height and width
        of at least 1.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = SRCNN(channels=1, scale=2)
        >>> network.predict(np.zeros((1, 50, 40, 1), "float32")).shape
        (1, 100, 80, 1)
    """
    check_counts(channels=channels)
    check_counts(2, width=width)

    def details(image: Any, enlarged: Any) -> Any:
        x = enlarged
        for i, (filters, kernel) in enumerate(((width, 9), (width // 2, 1)), 1):
            x = layers.Conv2D(
                filters, kernel, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{i}"
            )(x)
        return residual_head(x, channels, kernel=5)

    return _enlarger(details, channels, scale=scale, mean=mean, std=std, name=name)


def VDSR(
    channels: int,
    *,
    scale: int,
    depth: int = 20,
    width: int = 64,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "vdsr",
) -> keras.Model:
    """A deep plain stack of 3×3 convolutions on the enlarged image (Kim et al. 2016, section 3.1 and figure 2).

    Args:
        channels: bands of the image.
        scale: 2, 3 or 4: how many times higher and wider the result is.
        depth: number of convolutions; at least 2.
        width: channels within.
        mean, std: see `SRCNN`.
        name: name of the model.

    Returns:
        A model as `SRCNN` gives.

    Raises:
        OptionError: an argument is out of range.
    """
    check_counts(channels=channels, width=width)
    check_counts(2, depth=depth)

    def details(image: Any, enlarged: Any) -> Any:
        return residual_head(
            convolution_block(enlarged, width, convolutions=depth - 1, norm=None, name="middle"), channels
        )

    return _enlarger(details, channels, scale=scale, mean=mean, std=std, name=name)


def EDSR(
    channels: int,
    *,
    scale: int,
    width: int = 64,
    blocks: int = 16,
    scaling: float = 1.0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "edsr",
) -> keras.Model:
    """Residual blocks at the image's own resolution, then sub-pixel convolution (Lim et al. 2017, section 3.2).

    By default its baseline. Unlike the paper's, it adds its result to the bicubically enlarged image.

    Args:
        channels: bands of the image.
        scale: 2, 3 or 4: how many times higher and wider the result is.
        width: channels within.
        blocks: number of residual blocks.
        scaling: what the residuals are multiplied by; 0.1 in the paper's large network of width 256.
        mean, std: see `SRCNN`.
        name: name of the model.

    Returns:
        A model as `SRCNN` gives.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = EDSR(channels=3, scale=4)
        >>> network.predict(np.zeros((1, 50, 40, 3), "float32")).shape
        (1, 200, 160, 3)
    """
    check_counts(channels=channels, width=width, blocks=blocks)
    check_scaling(scaling)

    def details(image: Any, enlarged: Any) -> Any:
        first = x = layers.Conv2D(width, 3, padding="same", name="first")(image)
        for i in range(1, blocks + 1):
            x = identity_block(x, scaling=scaling, name=f"block{i}")
        x = layers.Conv2D(width, 3, padding="same", name="last")(x)
        x = layers.Add(name="add_first")([first, x])
        return residual_head(_subpixel_convolutions(x, scale), channels)

    return _enlarger(details, channels, scale=scale, mean=mean, std=std, name=name)


def RCAN(
    channels: int,
    *,
    scale: int,
    width: int = 64,
    groups: int = 4,
    blocks: int = 4,
    reduction: int = 16,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "rcan",
) -> keras.Model:
    """Residual groups of blocks that weigh their channels by what the image holds (Zhang et al. 2018, RCAN, section 3).

    By default of the size of `EDSR`; the paper has 10 groups of 20 blocks. An output pixel depends on the whole input,
    so that a scene in tiles does not come out exactly as in one piece.

    Args:
        channels: bands of the image.
        scale: 2, 3 or 4: how many times higher and wider the result is.
        width: channels within.
        groups: number of residual groups.
        blocks: residual blocks with channel attention in each group.
        reduction: how many times fewer channels the attention goes through.
        mean, std: see `SRCNN`.
        name: name of the model.

    Returns:
        A model as `SRCNN` gives.

    Raises:
        OptionError: an argument is out of range.
    """
    check_counts(channels=channels, width=width, groups=groups, blocks=blocks, reduction=reduction)
    squeezed = max(width // reduction, 1)

    def details(image: Any, enlarged: Any) -> Any:
        first = x = layers.Conv2D(width, 3, padding="same", name="first")(image)
        for g in range(1, groups + 1):
            start = x
            for i in range(1, blocks + 1):
                x = identity_block(x, attention=squeezed, name=f"group{g}_block{i}")
            x = layers.Conv2D(width, 3, padding="same", name=f"group{g}_last")(x)
            x = layers.Add(name=f"group{g}_add")([start, x])
        x = layers.Conv2D(width, 3, padding="same", name="last")(x)
        x = layers.Add(name="add_first")([first, x])
        return residual_head(_subpixel_convolutions(x, scale), channels)

    return _enlarger(details, channels, scale=scale, mean=mean, std=std, name=name)


def GuidedSR(
    guide: int,
    targets: int,
    *,
    width: int = 64,
    blocks: int = 6,
    scaling: float = 1.0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "guided_sr",
) -> keras.Model:
    """Sharpens coarse bands by what finer bands of the same scene show (Lanaras et al. 2018, DSen2).

    Args:
        guide: number of fine bands.
        targets: number of coarse bands, which have been enlarged to the grid of the fine ones.
        width: channels within; 128 in the paper.
        blocks: number of residual blocks.
        scaling: what their residuals are multiplied by; 0.1 in the paper. Not needed: the blocks start small here.
        mean: training mean per band in physical units, those of the guide first. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        name: name of the model.

    Returns:
        A model from float32 (batch, height, width, guide + targets), in physical units with not-a-number where invalid,
        to finite float32 sharpened targets (batch, height, width, targets), for any height and width of at least 1. An
        untrained network gives the targets as they are.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = GuidedSR(guide=4, targets=6)
        >>> network.predict(np.zeros((1, 50, 40, 10), "float32")).shape
        (1, 50, 40, 6)
    """
    check_counts(guide=guide, targets=targets, width=width, blocks=blocks)
    check_scaling(scaling)
    means, stds = statistics(mean, std, guide + targets)
    image = keras.Input((None, None, guide + targets), dtype="float32", name="image")
    scaled = Normalisation(means, stds, name="normalisation")(image)
    x = convolution_block(scaled, width, convolutions=1, norm=None, name="first")
    for i in range(1, blocks + 1):
        x = identity_block(x, scaling=scaling, name=f"block{i}")
    blurred = SelectBands(guide, guide + targets, name="blurred")(scaled)
    x = layers.Add(dtype="float32", name="add")([blurred, residual_head(x, targets)])
    return keras.Model(image, Denormalisation(means[guide:], stds[guide:], name="denormalisation")(x), name=name)


def _enlarger(
    details: Callable[[Any, Any], Any],
    channels: int,
    *,
    scale: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    name: str,
) -> keras.Model:
    """Makes a network that adds `details`, of the normalised image and its enlargement, to that enlargement."""
    check_factor("scale", scale, _SCALES)
    means, stds = statistics(mean, std, channels)
    image = keras.Input((None, None, channels), dtype="float32", name="image")
    scaled = Normalisation(means, stds, name="normalisation")(image)
    scaled = FillGaps(name="fill")([scaled, image])
    # The weights of the interpolation sum to 1: normalised values may be enlarged instead of physical ones.
    enlarged = BicubicUpsampling(scale, dtype="float32", name="bicubic")(scaled)
    x = layers.Add(dtype="float32", name="add")([enlarged, details(scaled, enlarged)])
    return keras.Model(image, Denormalisation(means, stds, name="denormalisation")(x), name=name)


def _subpixel_convolutions(x: Any, scale: int) -> Any:
    """Enlarges by convolutions whose channels become pixels (Shi et al. 2016, section 2.2); by 4 in two steps."""
    width = x.shape[-1]
    for i, factor in enumerate((2, 2) if scale == 4 else (scale,), 1):
        x = layers.Conv2D(width * factor**2, 3, padding="same", name=f"up{i}_conv")(x)
        x = PixelShuffle(factor, name=f"up{i}_shuffle")(x)
    return x
