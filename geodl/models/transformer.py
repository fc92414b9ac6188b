"""A Transformer encoder for time series: every date sees every observed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import keras
from keras import layers

from geodl.errors import OptionError
from geodl.models.attention import (
    DateEncoding,
    DatePositions,
    MasterQueryAttention,
    attention_block,
    check_heads,
)
from geodl.models.dates import DatePooling, check_series_options, series_features, series_inputs
from geodl.models.options import check_counts

__all__ = ("SeriesTransformer",)

_Pool = Literal["mean", "max", "attention"]


def SeriesTransformer(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int = 64,
    depth: int = 3,
    heads: int = 4,
    dropout: float = 0.1,
    pool: _Pool = "max",
    dates: bool = True,
    tau: float = 1000.0,
    name: str = "transformer",
) -> keras.Model:
    """A Transformer encoder over the dates of a series, with the day of each as its position.

    Rußwurm & Körner 2020, "Self-attention for raw optical Satellite Time Series Classification", section 3; normalised
    before attention and not after it, so that it learns without a warm-up. Dates that were not observed answer no
    query; their features, which reconstruction learns from, are asked for by their day alone.

    Args:
        bands: bands of the series.
        classes: classes to tell apart.
        length: dates of a series. Defaults to any number.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        width: channels of the features; a multiple of `heads`. Between the dense layers there are four times as many.
        depth: blocks of attention.
        heads: of attention.
        dropout: share of values dropped in training, from 0 to below 1.
        pool: how the features of observed dates become one: their mean, their maximum as in the paper, or a mean weighted
            by attention (see `MasterQueryAttention`), whose weights `geodl.models.attention.attention_network` gives.
        dates: whether positions are the days, so that gaps and irregular dates are seen; False: 0, 1, 2, ….
        tau: see `DateEncoding`.
        name: of the network.

    Returns:
        A Keras model of `values` (batch, time, band), not-a-number where missing, and `days` (batch, time), that gives
        logits (batch, classes). Its layer `features` gives (batch, time, width).

    Raises:
        OptionError: no network can be built from an argument.

    Example:
        >>> network = SeriesTransformer(4, 9)
        >>> network({"values": np.ones((2, 23, 4)), "days": np.tile(np.arange(23) * 16 + 1, (2, 1))}).shape
        (2, 9)
    """
    check_series_options(bands, classes, length=length, dropout=dropout)
    check_counts(width=width, depth=depth)
    check_heads(heads, width)
    if pool not in get_args(_Pool):
        raise OptionError("pool", expected="'mean', 'max' or 'attention'", received=pool)

    values, days = series_inputs(bands, length)
    x, mask = series_features(values, days, mean=mean, std=std, dates=False, validity=True)
    positions = days if dates else DatePositions(name="positions")(days)
    x = layers.Dense(width, name="embedding")(x)
    x = layers.Add(name="embedding_add")([x, DateEncoding(width, tau=tau, name="date_encoding")(positions)])
    for number in range(1, depth + 1):
        x = attention_block(x, mask, heads=heads, hidden=4 * width, dropout=dropout, name=f"block{number}")
    x = layers.LayerNormalization(epsilon=1e-5, name="features")(x)
    if pool == "attention":
        x, _ = MasterQueryAttention(heads, name="attention")([x, mask])
    else:
        x = DatePooling(pool, name="pool")([x, mask])
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model([values, days], layers.Dense(classes, dtype="float32", name="logits")(x), name=name)
