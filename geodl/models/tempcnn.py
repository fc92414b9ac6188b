"""The temporal convolutional network for satellite time series."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from geodl.models.dates import DatePooling, check_series_options, date_mask, series_features, series_inputs
from geodl.models.options import check_counts
from geodl.models.partialconv import ObservedNormalisation, WindowGain, partial_convolution

__all__ = ("TempCNN",)


def TempCNN(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    filters: int = 64,
    kernel: int = 5,
    depth: int = 3,
    dense: int = 256,
    dropout: float = 0.5,
    dates: bool = True,
    validity: bool = False,
    name: str = "tempcnn",
) -> keras.Model:
    """Classifies series by a few convolutions and a dense layer (Pelletier, Webb and Petitjean 2019, figure 4).

    The convolutions leave out dates that were not observed (`geodl.models.partialconv`), as do the statistics of the
    batch normalisations. Unlike the paper's they have no bias: the normalisation that follows has one.

    Args:
        bands: bands of the input.
        classes: classes of the output; at least 2.
        length: dates of a series; then every date has weights of its own in the dense layer, as in the paper, and 0
            there where it was not observed. Defaults to any number: then mean and maximum over the dates take the place
            of the flattened series.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        filters: channels of each convolution.
        kernel: dates of each convolution's window.
        depth: convolutions.
        dense: units of the dense layer.
        dropout: share of values dropped in training behind each convolution and the dense layer, from 0 to below 1.
        dates: whether the season and the time since the previous observation are read beside the bands.
        validity: whether it is read beside the bands which of them were observed.
        name: name of the model.

    Returns:
        A model from `values`, float32 (batch, time, band) with not-a-number where missing, and `days`, float32
        (batch, time), to float32 logits (batch, classes). The layer `features` gives the last convolution.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = TempCNN(bands=4, classes=9, length=23)
        >>> series = {"values": np.zeros((1, 23, 4), "float32"), "days": np.arange(1, 24, dtype="float32")[None]}
        >>> network.predict(series).shape
        (1, 9)
    """
    check_series_options(bands, classes, length=length, dropout=dropout)
    check_counts(filters=filters, kernel=kernel, depth=depth, dense=dense)

    values, days = series_inputs(bands, length)
    x, mask = series_features(values, days, mean=mean, std=std, dates=dates, validity=validity)
    observed = date_mask(mask)
    gain = WindowGain(kernel, name="gain")(mask)
    for i in range(1, depth + 1):
        if i > 1:
            x = layers.Multiply(name=f"block{i}_observed")([x, mask])
        x = partial_convolution(x, gain, filters, kernel, name=f"block{i}")
        x = ObservedNormalisation(name=f"block{i}_norm")(x, mask=observed)
        x = layers.Activation("relu", name="features" if i == depth else f"block{i}_relu")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"block{i}_dropout")(x)

    if length is None:
        x = DatePooling("mean+max", name="pool")([x, mask])
    else:
        x = layers.Flatten(name="flatten")(layers.Multiply(name="observed_features")([x, mask]))
    x = layers.Dense(dense, use_bias=False, kernel_initializer="he_uniform", name="dense")(x)
    x = layers.BatchNormalization(momentum=0.9, name="dense_norm")(x)
    x = layers.Activation("relu", name="dense_relu")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dense_dropout")(x)
    logits = layers.Dense(classes, dtype="float32", name="head")(x)
    return keras.Model([values, days], logits, name=name)
