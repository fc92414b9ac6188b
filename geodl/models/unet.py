"""The U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from geodl.errors import OptionError
from geodl.models.blocks import Norm, attention_gate, convolution_block, residual_block
from geodl.models.options import check_counts, check_factor, check_norm, statistics
from geodl.models.resizing import CropLike, PadToMultiple, PixelShuffle, PixelUnshuffle
from geodl.models.scaling import Normalisation

__all__ = ("UNet",)


def UNet(
    channels: int,
    classes: int,
    *,
    width: int = 16,
    depth: int = 4,
    norm: Norm = "batch",
    attention: bool = False,
    residual: bool = False,
    dropout: float = 0.0,
    stem: int = 1,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "unet",
) -> keras.Model:
    """A network that gives every pixel of a scene its class (Ronneberger et al. 2015, figure 1).

    Unlike the paper's, its convolutions are padded, so that the output has the input's size, and normalised.

    Args:
        channels: bands of the input.
        classes: classes of the output.
        width: channels of the first level; each further level has twice as many.
        depth: number of poolings.
        norm: normalisation after each convolution: `"batch"`, `"group"` (8 groups; then an output pixel depends on the
            whole input) or None.
        attention: whether skip connections go through attention gates.
        residual: whether each level's block is residual.
        dropout: share of channels dropped in training at the two coarsest levels, 0–1.
        stem: 2 or 4: fold squares of so many pixels a side into channels first and unfold them last, which divides the
            cost by about the square of it and sees that much farther. 1: do not.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        name: name of the model.

    Returns:
        A model from float32 (batch, height, width, channels), in physical units with not-a-number where invalid, to
        float32 logits (batch, height, width, classes), for any height and width of at least 1.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = UNet(channels=4, classes=5)
        >>> network.predict(np.zeros((1, 300, 200, 4), "float32")).shape
        (1, 300, 200, 5)
    """
    check_counts(channels=channels, classes=classes, width=width, depth=depth)
    check_norm(norm)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise OptionError("dropout", expected="a number from 0 to below 1", received=dropout)
    check_factor("stem", stem, (1, 2, 4))
    block = residual_block if residual else convolution_block
    widths = [width * 2**level for level in range(depth + 1)]

    image = keras.Input((None, None, channels), dtype="float32", name="image")
    x = Normalisation(*statistics(mean, std, channels), name="normalisation")(image)
    x = PadToMultiple(stem * 2**depth, name="pad")(x)
    if stem > 1:
        x = PixelUnshuffle(stem, name="unshuffle")(x)

    skips = []
    for level, filters in enumerate(widths):
        x = block(x, filters, norm=norm, name=f"down{level}")
        if dropout and level >= depth - 1:
            x = layers.SpatialDropout2D(dropout, name=f"down{level}_dropout")(x)
        if level < depth:
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)

    for level in reversed(range(depth)):
        skip = attention_gate(skips[level], x, name=f"up{level}_gate") if attention else skips[level]
        # A 1×1 convolution and a repetition commute: done in this order the convolution costs a quarter. Cheaper than a
        # transposed convolution, and free of its chequered pattern.
        x = layers.Conv2D(widths[level], 1, name=f"up{level}_conv")(x)
        x = layers.UpSampling2D(2, name=f"up{level}_repeat")(x)
        x = layers.Concatenate(name=f"up{level}_concatenate")([skip, x])
        x = block(x, widths[level], norm=norm, name=f"up{level}")

    logits = layers.Conv2D(classes * stem**2, 1, dtype="float32", name="head")(x)
    if stem > 1:
        logits = PixelShuffle(stem, dtype="float32", name="shuffle")(logits)
    logits = CropLike(dtype="float32", name="crop")([logits, image])
    return keras.Model(image, logits, name=name)
