"""Lightweight temporal attention: learned queries say which dates tell classes apart."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from geodl.models.attention import DateEncoding, MasterQueryAttention, check_heads
from geodl.models.dates import check_series_options, series_features, series_inputs
from geodl.models.options import check_counts

__all__ = ("LTAE",)


def LTAE(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int = 128,
    heads: int = 16,
    key: int = 8,
    mlp: Sequence[int] = (128,),
    tau: float = 1000.0,
    dropout: float = 0.2,
    name: str = "ltae",
) -> keras.Model:
    """A lightweight temporal attention encoder: dates are pooled by one learned query per head.

    Sainte Fare Garnot & Landrieu 2020, "Lightweight Temporal Self-Attention for Classifying Satellite Images Time
    Series", sections 3.2 and 3.3. What the paper takes from the pixels of a parcel, two dense layers make of each date.
    Dates do not see one another, so that there is no layer `features` to learn by reconstruction.

    Args:
        bands: bands of the series.
        classes: classes to tell apart.
        length: dates of a series. Defaults to any number.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        width: channels of a date; a multiple of `heads`.
        heads: groups of channels, each with a query.
        key: length of the queries.
        mlp: channels of the dense layers behind the pooling.
        tau: see `DateEncoding`, which every head is given with as many channels as it has.
        dropout: share of values dropped in training, from 0 to below 1.
        name: of the network.

    Returns:
        A Keras model of `values` (batch, time, band), not-a-number where missing, and `days` (batch, time), that gives
        logits (batch, classes).

    Raises:
        OptionError: no network can be built from an argument.

    Example:
        >>> network = LTAE(4, 9)
        >>> inputs = {"values": np.ones((2, 23, 4)), "days": np.tile(np.arange(23) * 16 + 1, (2, 1))}
        >>> network(inputs).shape, attention_network(network)(inputs).shape  # see geodl.models.attention
        ((2, 9), (2, 16, 23))
    """
    check_series_options(bands, classes, length=length, dropout=dropout)
    check_counts(width=width, **{f"mlp[{place}]": channels for place, channels in enumerate(mlp)})
    check_heads(heads, width)

    values, days = series_inputs(bands, length)
    x, mask = series_features(values, days, mean=mean, std=std, dates=False, validity=True)
    x = layers.Dense(width, activation="relu", name="embedding1")(x)
    x = layers.LayerNormalization(epsilon=1e-5, name="embedding_norm")(layers.Dense(width, name="embedding2")(x))
    encoding = DateEncoding(width // heads, tau=tau, name="date_encoding")(days)
    encoding = layers.Concatenate(name="date_encodings")([encoding] * heads) if heads > 1 else encoding
    x = layers.Add(name="embedding_add")([x, encoding])
    x, _ = MasterQueryAttention(heads, key=key, name="attention")([x, mask])
    for number, channels in enumerate(mlp, 1):
        x = layers.Dense(channels, use_bias=False, name=f"mlp{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"mlp{number}_norm")(x)
        x = layers.Activation("relu", name=f"mlp{number}_relu")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model([values, days], layers.Dense(classes, dtype="float32", name="logits")(x), name=name)
