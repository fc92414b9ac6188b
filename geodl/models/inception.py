"""The inception network for series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from geodl.errors import OptionError
from geodl.models.dates import DatePooling, check_series_options, date_mask, series_features, series_inputs
from geodl.models.options import check_counts
from geodl.models.partialconv import HighestObserved, ObservedNormalisation, WindowGain, partial_convolution

__all__ = ("InceptionTime",)


def InceptionTime(
    bands: int,
    classes: int,
    *,
    length: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    filters: int = 32,
    kernels: Sequence[int] = (40, 20, 10),
    depth: int = 6,
    bottleneck: int | None = 32,
    residual: int | None = 3,
    dropout: float = 0.0,
    dates: bool = True,
    validity: bool = False,
    name: str = "inception_time",
) -> keras.Model:
    """Classifies series by modules of convolutions of several lengths (Ismail Fawaz et al. 2020, figures 1 and 2).

    The convolutions leave out dates that were not observed (`geodl.models.partialconv`), as do pooling and the statistics
    of the batch normalisations. The paper averages the probabilities of five such networks.

    Args:
        bands: bands of the input.
        classes: classes of the output; at least 2.
        length: dates of a series; kernels are no longer than that. Defaults to any number.
        mean: training mean per band, in physical units. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.
        filters: channels of each of a module's branches; one for each kernel and one behind the maximum of three dates.
        kernels: dates of the convolutions' windows.
        depth: modules.
        bottleneck: channels that a module reduces its input to before the convolutions. None: it does not.
        residual: after how many modules their input is added. None: never.
        dropout: share of the values dropped in training before the classifier, from 0 to below 1.
        dates: whether the season and the time since the previous observation are read beside the bands.
        validity: whether it is read beside the bands which of them were observed.
        name: name of the model.

    Returns:
        A model from `values`, float32 (batch, time, band) with not-a-number where missing, and `days`, float32
        (batch, time), to float32 logits (batch, classes). The layer `features` gives the last module.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = InceptionTime(bands=1, classes=24, kernels=(9, 5, 3), depth=3)
        >>> series = {"values": np.zeros((1, 46, 1), "float32"), "days": np.arange(1, 47, dtype="float32")[None]}
        >>> network.predict(series).shape
        (1, 24)
    """
    check_series_options(bands, classes, length=length, dropout=dropout)
    check_counts(filters=filters, depth=depth)
    for option, count in (("bottleneck", bottleneck), ("residual", residual)):
        if count is not None:
            check_counts(**{option: count})
    if not kernels or any(not isinstance(kernel, int) or kernel < 1 for kernel in kernels):
        raise OptionError("kernels", expected="one whole number of dates or more, each at least 1", received=kernels)

    values, days = series_inputs(bands, length)
    x, mask = series_features(values, days, mean=mean, std=std, dates=dates, validity=validity)
    observed = date_mask(mask)
    clipped = [min(kernel, length or kernel) for kernel in kernels]
    gains = {kernel: WindowGain(kernel, name=f"gain{kernel}")(mask) for kernel in sorted(set(clipped))}
    shortcut = x
    for i in range(1, depth + 1):
        joined = residual is not None and i % residual == 0
        last = "features" if i == depth else f"module{i}"
        x = _module(x, mask, gains, filters, clipped, bottleneck, f"module{i}")
        x = ObservedNormalisation(name=f"module{i}_norm")(x, mask=observed)
        x = layers.Activation("relu", name=f"module{i}_relu" if joined else last)(x)
        if joined:
            shortcut = layers.Conv1D(x.shape[-1], 1, use_bias=False, name=f"shortcut{i}_conv")(shortcut)
            shortcut = ObservedNormalisation(name=f"shortcut{i}_norm")(shortcut, mask=observed)
            x = layers.Add(name=f"shortcut{i}_add")([x, shortcut])
            x = shortcut = layers.Activation("relu", name=last)(x)

    x = DatePooling("mean", name="pool")([x, mask])
    if dropout:
        x = layers.Dropout(dropout, name="pool_dropout")(x)
    logits = layers.Dense(classes, dtype="float32", name="head")(x)
    return keras.Model([values, days], logits, name=name)


def _module(
    x: Any,
    mask: Any,
    gains: Mapping[int, Any],
    filters: int,
    kernels: Sequence[int],
    bottleneck: int | None,
    name: str,
) -> Any:
    """Convolutions of several lengths of the same channels, and the maximum of three dates, side by side."""
    narrow = x
    if bottleneck is not None and x.shape[-1] > bottleneck:
        narrow = layers.Conv1D(bottleneck, 1, use_bias=False, name=f"{name}_bottleneck")(x)
    narrow = layers.Multiply(name=f"{name}_observed")([narrow, mask])
    branches = [
        partial_convolution(narrow, gains[kernel], filters, kernel, name=f"{name}_branch{i}")
        for i, kernel in enumerate(kernels, start=1)
    ]
    highest = HighestObserved(name=f"{name}_highest")([x, mask])
    branches.append(layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_highest_conv")(highest))
    return layers.Concatenate(name=f"{name}_branches")(branches)
