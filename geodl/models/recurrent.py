"""Recurrent networks for series: dates that were not observed leave the state as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.dates import (
    AttentionPooling,
    DatePooling,
    check_series_options,
    date_mask,
    series_features,
    series_inputs,
)
from geodl.models.options import check_counts

__all__ = ("BothWays", "LastStates", "OneWay", "RecurrentPooling", "SeriesGRU", "SeriesLSTM")

RecurrentPooling = Literal["last", "mean", "max", "attention"]
"""What of the states goes to the classifier: those after the whole series, or all of the observed dates, pooled."""

_Shape = tuple[int | None, ...]


class _States(layers.Layer):
    """A layer behind recurrent ones, at which Keras' own masks end: losses would take them for theirs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None."""


@keras.saving.register_keras_serializable(package="geodl")
class BothWays(_States):
    """Puts the states of two layers, one of which reads backwards, side by side, date by date.

    Example:
        >>> BothWays()([np.array([[[1.0], [2.0]]]), np.array([[[3.0], [4.0]]])])  # [[[1.0, 4.0], [2.0, 3.0]]]
    """

    def call(self, inputs: Sequence[Any]) -> Any:
        """Joins states (batch, time, units), the second ones in the order in which they were read."""
        forward, backward = inputs
        return ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """The channels of both."""
        (*lead, forward), (*_, backward) = input_shape
        return (*lead, forward and backward and forward + backward)


@keras.saving.register_keras_serializable(package="geodl")
class LastStates(_States):
    """Keeps the states of recurrent layers that have read the whole series.

    Args:
        backward: how many of the channels, the last ones, belong to a layer that reads backwards: its last state stands
            at the first date.

    Example:
        >>> LastStates(backward=1)(np.array([[[1.0, 6.0], [2.0, 5.0], [3.0, 4.0]]]))  # [[3.0, 6.0]]
    """

    def __init__(self, backward: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(0, backward=backward)
        self.backward = backward

    def call(self, inputs: Any) -> Any:
        """Turns (batch, time, channels) into (batch, channels)."""
        if not self.backward:
            return inputs[:, -1]
        return ops.concatenate([inputs[:, -1, : -self.backward], inputs[:, 0, -self.backward :]], axis=-1)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """No dates any more."""
        return (input_shape[0], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "backward": self.backward}


@keras.saving.register_keras_serializable(package="geodl")
class OneWay(_States):
    """Hands states on as they are."""

    def call(self, inputs: Any) -> Any:
        """Returns the states."""
        return inputs

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape


def SeriesLSTM(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    units: int = 128,
    layers: int = 2,
    bidirectional: bool = True,
    dropout: float = 0.2,
    dates: bool = True,
    validity: bool = False,
    pool: RecurrentPooling = "last",
    name: str = "series_lstm",
) -> keras.Model:
    """Classifies series by layers of long short-term memory (Hochreiter and Schmidhuber 1997; for crops Rußwurm and
    Körner 2017, who read series backwards too in 2018).

    A date that was not observed leaves the state as it was; the backward layers begin at the last observed date.

    Args:
        bands: bands of the input.
        classes: classes of the output; at least 2.
        length: dates of a series. Defaults to any number.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        units: length of the state of each direction.
        layers: how many, one upon the other.
        bidirectional: whether each layer reads the series backwards too.
        dropout: share of the values that each layer hands on which is dropped in training, from 0 to below 1.
        dates: whether the season and the time since the previous observation are read beside the bands.
        validity: whether it is read beside the bands which of them were observed.
        pool: "last", "mean", "max" or "attention"; see `RecurrentPooling`.
        name: name of the model.

    Returns:
        A model from `values`, float32 (batch, time, band) with not-a-number where missing, and `days`, float32
        (batch, time), to float32 logits (batch, classes). The layer `features` gives the states of all dates.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = SeriesLSTM(bands=4, classes=9)
        >>> series = {"values": np.zeros((1, 23, 4), "float32"), "days": np.arange(1, 24, dtype="float32")[None]}
        >>> network.predict(series).shape
        (1, 9)
    """
    return _recurrent(
        keras.layers.LSTM,
        *(bands, classes, length, mean, std, units, layers, bidirectional, dropout, dates, validity, pool, name),
    )


def SeriesGRU(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    units: int = 128,
    layers: int = 2,
    bidirectional: bool = True,
    dropout: float = 0.2,
    dates: bool = True,
    validity: bool = False,
    pool: RecurrentPooling = "last",
    name: str = "series_gru",
) -> keras.Model:
    """Classifies series by layers of gated recurrent units (Cho et al. 2014), which have three quarters of an LSTM's weights.

    Arguments, result and errors as for `SeriesLSTM`.
    """
    return _recurrent(
        keras.layers.GRU,
        *(bands, classes, length, mean, std, units, layers, bidirectional, dropout, dates, validity, pool, name),
    )


def _recurrent(
    kind: type[layers.LSTM] | type[layers.GRU],
    bands: int,
    classes: int,
    length: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    units: int,
    depth: int,
    bidirectional: bool,
    dropout: float,
    dates: bool,
    validity: bool,
    pool: RecurrentPooling,
    name: str,
) -> keras.Model:
    check_series_options(bands, classes, length=length, dropout=dropout)
    check_counts(units=units, layers=depth)
    if pool not in get_args(RecurrentPooling):
        raise OptionError("pool", expected="'last', 'mean', 'max' or 'attention'", received=pool)

    values, days = series_inputs(bands, length)
    x, mask = series_features(values, days, mean=mean, std=std, dates=dates, validity=validity)
    observed = date_mask(mask)
    for i in range(1, depth + 1):
        # cuDNN refuses masks with gaps.
        options = {"units": units, "return_sequences": True, "use_cudnn": False}
        last = "features" if i == depth else f"layer{i}"
        forward = kind(**options, name=f"layer{i}_forward")(x, mask=observed)
        if bidirectional:
            backward = kind(**options, go_backwards=True, name=f"layer{i}_backward")(x, mask=observed)
            x = BothWays(name=last)([forward, backward])
        else:
            x = OneWay(name=last)(forward)
        if dropout and i < depth:
            x = layers.Dropout(dropout, name=f"layer{i}_dropout")(x)

    if pool == "last":
        x = LastStates(units if bidirectional else 0, name="pool")(x)
    elif pool == "attention":
        x = AttentionPooling(units, name="pool")([x, mask])
    else:
        x = DatePooling(pool, name="pool")([x, mask])
    if dropout:
        x = layers.Dropout(dropout, name="pool_dropout")(x)
    logits = layers.Dense(classes, dtype="float32", name="head")(x)
    return keras.Model([values, days], logits, name=name)
