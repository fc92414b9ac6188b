"""What networks for series have in common: their inputs, what is observed, the features of dates, pooling over dates.

Tensors are `(batch, time, channels)`, masks `(batch, time, 1)`: 1 where any band of the date was observed, else 0. What a
date that was not observed holds, its day included, reaches no output, so that neither gaps nor padding change a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.options import check_counts, statistics
from geodl.models.scaling import Normalisation

__all__ = (
    "AttentionPooling",
    "DateFeatures",
    "DatePooling",
    "ObservedBands",
    "ObservedDates",
    "Pooling",
    "check_series_options",
    "date_mask",
    "series_features",
    "series_inputs",
)

Pooling = Literal["mean", "max", "mean+max"]
"""What is kept of the observed dates: each channel's mean, its greatest value, or both, one behind the other."""

_Shape = tuple[int | None, ...]

_YEAR = 365.25
"""Days."""
_LONGEST = 4096
"""Dates that a series of unknown length is taken to have at most between one observation and the next."""
_NEVER = -1e9
"""A day before all others."""


def check_series_options(bands: int, classes: int, *, length: int | None = None, dropout: float = 0.0) -> None:
    """Raises OptionError for arguments that no network for series can be built from.

    Args:
        bands: bands of the input; at least 1.
        classes: classes of the output; at least 2.
        length: dates of a series; None: any number.
        dropout: share of values dropped in training, from 0 to below 1.
    """
    check_counts(bands=bands)
    check_counts(2, classes=classes)
    if length is not None:
        check_counts(length=length)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise OptionError("dropout", expected="a number from 0 to below 1", received=dropout)


def series_inputs(bands: int, length: int | None = None) -> tuple[Any, Any]:
    """Makes the inputs of a network for series.

    Args:
        bands: bands of the series.
        length: dates of a series. Defaults to any number.

    Returns:
        Keras inputs, float32: `values` (batch, time, band), in physical units with not-a-number where missing, and
        `days` (batch, time), days of the year, which increase and run on beyond 365.
    """
    values = keras.Input((length, bands), dtype="float32", name="values")
    days = keras.Input((length,), dtype="float32", name="days")
    return values, days


def series_features(
    values: Any,
    days: Any,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    dates: bool = True,
    validity: bool = False,
) -> tuple[Any, Any]:
    """Standardises the inputs of `series_inputs` and says which dates were observed.

    Args:
        values: Keras tensor (batch, time, band).
        days: Keras tensor (batch, time).
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        dates: whether three channels of `DateFeatures` follow the bands.
        validity: whether a channel per band follows that is 1 where the band was observed and 0 where it is missing.

    Returns:
        Features (batch, time, channels), 0 where nothing was observed, and the mask (batch, time, 1).

    Raises:
        OptionError: not one number per band in `mean` or `std`.
    """
    mask = ObservedDates(name="observed")(values)
    told = [Normalisation(*statistics(mean, std, values.shape[-1]), name="normalisation")(values)]
    if validity:
        told.append(ObservedBands(name="validity")(values))
    if dates:
        told.append(DateFeatures(name="date_features")([days, mask]))
    x = layers.Concatenate(dtype="float32", name="told")(told) if len(told) > 1 else told[0]
    return x, mask


def date_mask(mask: Any) -> Any:
    """Turns a mask (batch, time, 1) into what layers of Keras take as `mask`: booleans (batch, time)."""
    return ops.cast(ops.squeeze(mask, -1), "bool")


class _Dates(layers.Layer):
    """A layer that works in float32 whatever the precision policy: a sum over many dates needs it, and so do days."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Lets Keras' own masks end here, for losses would take them for theirs."""


@keras.saving.register_keras_serializable(package="geodl")
class ObservedBands(_Dates):
    """Says where values are finite: 1, else 0, in the input's shape."""

    def call(self, inputs: Any) -> Any:
        """Marks the finite values."""
        return ops.cast(ops.isfinite(inputs), self.compute_dtype)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape


@keras.saving.register_keras_serializable(package="geodl")
class ObservedDates(_Dates):
    """Makes the mask of a series: 1 where any band of a date is finite, else 0.

    Example:
        >>> ObservedDates()(np.array([[[0.3, np.nan], [np.nan, np.nan]]]))  # [[[1.0], [0.0]]]
    """

    def call(self, inputs: Any) -> Any:
        """Turns (batch, time, band) into (batch, time, 1)."""
        return ops.max(ops.cast(ops.isfinite(inputs), self.compute_dtype), axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """A mask."""
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="geodl")
class DateFeatures(_Dates):
    """Tells when a date was observed: three channels, all 0 where it was not.

    They are the sine and cosine of the season, with a period of 365.25 days from 1 January, and the days since the
    previous observation, ln(1 + days) / ln(1 + 365.25): 0 for the first observation, 1 after a year.

    Example:
        >>> layer = DateFeatures()
        >>> days, mask = np.array([[1.0, 20.0, 92.3125]]), np.array([[[1.0], [0.0], [1.0]]])
        >>> layer([days, mask])  # [[[0, 1, 0], [0, 0, 0], [1, 0, 0.767]]]
    """

    def call(self, inputs: Any) -> Any:
        """Turns days (batch, time) and a mask (batch, time, 1) into (batch, time, 3)."""
        days, mask = inputs
        observed = mask[..., 0] > 0
        days = ops.where(observed, days, _NEVER)
        before = _last_before(days)
        gap = ops.where(before > _NEVER, ops.maximum(days - before, 0.0), 0.0)
        season = (ops.where(observed, days, 1.0) - 1.0) * (2 * math.pi / _YEAR)
        features = ops.stack([ops.sin(season), ops.cos(season), ops.log1p(gap) / math.log1p(_YEAR)], axis=-1)
        return features * mask

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """Three channels."""
        return (*input_shape[0], 3)


def _last_before(days: Any) -> Any:
    """Returns the last observed day before each date, `_NEVER` where there is none. By doubling: keras.ops can't cummax."""
    latest, reach = _later(days, 1), 1
    while reach < (days.shape[1] or _LONGEST):
        latest, reach = ops.maximum(latest, _later(latest, reach)), 2 * reach
    return latest


def _later(days: Any, steps: int) -> Any:
    return ops.pad(days, ((0, 0), (steps, 0)), constant_values=_NEVER)[:, :-steps]


@keras.saving.register_keras_serializable(package="geodl")
class DatePooling(_Dates):
    """Pools over the observed dates; 0 where none was.

    Args:
        how: see `Pooling`.

    Example:
        >>> x, mask = np.array([[[1.0], [3.0], [9.0]]]), np.array([[[1.0], [1.0], [0.0]]])
        >>> DatePooling("mean+max")([x, mask])  # [[2.0, 3.0]]
    """

    def __init__(self, how: Pooling = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if how not in get_args(Pooling):
            raise OptionError("how", expected="'mean', 'max' or 'mean+max'", received=how)
        self.how = how

    def call(self, inputs: Any) -> Any:
        """Turns features (batch, time, channels) and their mask into (batch, channels), or twice as many."""
        x, mask = inputs
        count = ops.sum(mask, axis=1)
        found = []
        if "mean" in self.how:
            found.append(ops.sum(x * mask, axis=1) / ops.maximum(count, 1.0))
        if "max" in self.how:
            highest = ops.max(ops.where(mask > 0, x, _NEVER), axis=1)
            found.append(ops.where(count > 0, highest, 0.0))
        return ops.concatenate(found, axis=-1) if len(found) > 1 else found[0]

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """No dates any more."""
        batch, _, channels = input_shape[0]
        return (batch, channels and channels * len(self.how.split("+")))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "how": self.how}


@keras.saving.register_keras_serializable(package="geodl")
class AttentionPooling(_Dates):
    """A mean over the observed dates, weighted by what each holds (Yang et al. 2016, equations 5–7); 0 where none was.

    Args:
        units: length of the vectors that the dates' importance is told by.

    Example:
        >>> x, mask = np.ones((2, 5, 3)), np.ones((2, 5, 1))
        >>> AttentionPooling(8)([x, mask])  # ones (2, 3)
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(units=units)
        self.units = units

    def build(self, input_shape: Sequence[_Shape]) -> None:
        """Makes the weights."""
        channels = input_shape[0][-1]
        self.kernel = self.add_weight(name="kernel", shape=(channels, self.units), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.context = self.add_weight(name="context", shape=(self.units, 1), initializer="glorot_uniform")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Turns features (batch, time, channels) and their mask (batch, time, 1) into (batch, channels)."""
        x, mask = inputs
        scores = ops.matmul(ops.tanh(ops.matmul(x, self.kernel) + self.bias), self.context)
        scores = ops.where(mask > 0, scores, _NEVER)
        weights = ops.exp(scores - ops.max(scores, axis=1, keepdims=True)) * mask
        # With any date observed the greatest weight is 1.
        return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """No dates any more."""
        batch, _, channels = input_shape[0]
        return (batch, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "units": self.units}
