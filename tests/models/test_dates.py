"""What is observed, the features of dates, and pooling, against plain numpy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import softmax

from geodl.errors import OptionError
from geodl.models.dates import (
    AttentionPooling,
    DateFeatures,
    DatePooling,
    check_series_options,
    series_features,
    series_inputs,
)
from tests.compiled import numbers
from tests.model_case import once
from tests.series_case import BANDS, MEAN, STD, TIME, answer, gappy


def _features(values: np.ndarray, days: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    inputs = series_inputs(values.shape[-1])
    x, mask = keras.Model(inputs, series_features(*inputs, **options))([values, days])
    return numbers(x), numbers(mask)


def test_features_are_the_standardised_bands_which_are_there_and_the_date() -> None:
    values, days = gappy()
    x, mask = _features(values, days, mean=MEAN, std=STD, validity=True, dates=True)
    there = np.isfinite(values)
    np.testing.assert_array_equal(mask[..., 0], there.any(-1))
    np.testing.assert_allclose(x[..., :BANDS], np.where(there, (values - MEAN) / np.array(STD), 0), atol=1e-5)
    np.testing.assert_array_equal(x[..., BANDS : 2 * BANDS], there)
    expected = np.zeros((*days.shape, 3))
    for series, row in enumerate(days):
        seen = np.flatnonzero(there[series].any(-1))
        turn = 2 * np.pi * (row[seen] - 1) / 365.25
        since = np.diff(row[seen], prepend=row[seen[:1]])
        expected[series, seen] = np.stack([np.sin(turn), np.cos(turn), np.log1p(since) / np.log1p(365.25)], axis=-1)
    np.testing.assert_allclose(x[..., 2 * BANDS :], expected, atol=1e-5)


@once
def test_features_without_dates_are_the_bands_alone() -> None:
    values, days = gappy()
    x, _ = _features(values, days, dates=False)
    np.testing.assert_array_equal(x, np.nan_to_num(values))


def test_what_stands_in_days_of_missing_dates_is_not_read() -> None:
    values, days = gappy()
    strange = np.where(np.isnan(values).all(-1), np.nan, days)
    np.testing.assert_array_equal(_features(values, strange)[0], _features(values, days)[0])


@once
@pytest.mark.parametrize("time", [1, 2, 7, 64, 65], ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["length known", "any length"])
def test_the_previous_observation_may_lie_any_number_of_dates_back(time: int, known: bool) -> None:
    days, mask = np.arange(1, time + 1, dtype="float32")[None], np.zeros((1, time, 1), "float32")
    mask[:, [0, -1]] = 1
    inputs = keras.Input((time if known else None,)), keras.Input((time if known else None, 1))
    network = keras.Model(inputs, DateFeatures()(inputs))
    since = network.predict([days, mask], verbose=0)[0, -1, 2]
    assert since == pytest.approx(np.log1p(time - 1) / np.log1p(365.25), abs=1e-6)


@pytest.mark.parametrize("how", ["mean", "max", "mean+max"])
def test_pooling_is_numpys_over_the_observed_dates(how: Any) -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(5, TIME, 4)) - 3, rng.random((5, TIME, 1)) < 0.5
    mask[-1] = False
    result = numbers(DatePooling(how)([x.astype("float32"), mask.astype("float32")]))
    for row, features, there in zip(result, x, mask[..., 0], strict=True):
        kept = features[there] if there.any() else np.zeros((1, 4))
        expected = {"mean": kept.mean(0), "max": kept.max(0), "mean+max": np.r_[kept.mean(0), kept.max(0)]}[how]
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_attention_is_a_softmax_over_the_observed_dates() -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(3, TIME, 4)).astype("float32"), (rng.random((3, TIME, 1)) < 0.5).astype("float32")
    mask[-1] = 0
    layer = AttentionPooling(6)
    layer.build([x.shape, mask.shape])
    kernel, bias, context = weights = [10 * rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    result = numbers(layer([x, mask]))
    for row, features, there in zip(result[:-1], x, mask[..., 0] > 0, strict=False):
        shares = softmax(np.tanh(features[there] @ kernel + bias) @ context, axis=0)
        np.testing.assert_allclose(row, (shares * features[there]).sum(0), atol=1e-5)
    np.testing.assert_array_equal(result[-1], 0)


@once
def test_16_bits_change_neither_days_nor_pools() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = series_inputs(BANDS)
        x, mask = series_features(*inputs, mean=MEAN, std=STD)
        network = keras.Model(inputs, DatePooling("mean+max")([x, mask]))
    finally:
        keras.config.set_dtype_policy(policy)
    inputs = series_inputs(BANDS)
    x, mask = series_features(*inputs, mean=MEAN, std=STD)
    exact = keras.Model(inputs, DatePooling("mean+max")([x, mask]))
    np.testing.assert_array_equal(answer(network, *gappy()), answer(exact, *gappy()))


@pytest.mark.parametrize(
    ("option", "value"),
    [("bands", 0), ("classes", 1), ("length", 0), ("dropout", 1.0), ("dropout", None)],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        check_series_options(**{"bands": 1, "classes": 2, option: value})


def test_says_which_pooling_is_wrong() -> None:
    with pytest.raises(OptionError, match="^how: expected 'mean', 'max' or 'mean\\+max'"):
        DatePooling("median")  # type: ignore[arg-type]
