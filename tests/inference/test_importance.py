"""Importance of dates and bands against the axioms and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from geodl.errors import OptionError
from geodl.inference.importance import attention_importance, gradient_importance, integrated_gradients
from geodl.models.committee import Committee
from geodl.models.dates import DatePooling, series_features, series_inputs
from geodl.models.ltae import LTAE
from geodl.models.transformer import SeriesTransformer
from tests.compiled import numbers
from tests.model_case import once

MEAN, STD = np.array([0.3, 20.0]), np.array([0.2, 5.0])
STATISTICS: dict[str, Any] = {"mean": MEAN.tolist(), "std": STD.tolist()}


def _series(series: int = 5, time: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(MEAN, STD, size=(series, time, 2)).astype("float32")
    values[rng.random((series, time)) < 0.3] = np.nan
    values[0, :2, 1] = np.nan
    days = np.cumsum(rng.integers(1, 20, size=(series, time)), axis=1).astype("float32")
    values[1, -2:], days[1, -2:] = np.nan, np.nan
    return values, days


def _logits(network: keras.Model, values: np.ndarray, days: np.ndarray) -> np.ndarray:
    return numbers(network([values.astype("float32"), np.nan_to_num(days).astype("float32")], training=False))


def _linear() -> keras.Model:
    """Logits are the mean over dates of the standardised values, times a matrix."""
    values, days = series_inputs(2)
    x, mask = series_features(values, days, **STATISTICS, dates=False)
    x = DatePooling("mean")([x, mask])
    network = keras.Model([values, days], layers.Dense(3, use_bias=False)(x))
    network.set_weights([np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])])
    return network


def test_of_a_linear_network_it_is_weight_times_value() -> None:
    network = _linear()
    values, days = _series()
    classes = np.array([0, 1, 2, 1, 0])
    finite = np.isfinite(values)
    share = np.where(finite, (values - MEAN) / STD, 0) * network.get_weights()[0].T[classes][:, None]
    share /= finite.any(-1).sum(1)[:, None, None]
    found = integrated_gradients(network, values, days, classes=classes, steps=1, batch_size=2)
    np.testing.assert_allclose(found, share, atol=1e-5)
    assert not found[~finite].any()
    np.testing.assert_allclose(
        gradient_importance(network, values, days, classes=classes, steps=1), np.abs(share).mean(0), atol=1e-5
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: SeriesTransformer(2, 3, **STATISTICS, width=8, depth=1, heads=2, pool="mean"),
        pytest.param(lambda: LTAE(2, 3, **STATISTICS, width=8, heads=2, mlp=(8,)), marks=once),
    ],
    ids=["transformer", "ltae"],
)
def test_shares_add_up_to_the_difference_from_the_mean(build: Callable[[], keras.Model]) -> None:
    keras.utils.set_random_seed(0)
    network = build()
    values, days = _series()
    # Rectifiers make gradients jump along the path, which takes more points than a mean over many series does.
    moved = integrated_gradients(network, values, days, steps=100, batch_size=3).sum((1, 2))
    logits = _logits(network, values, days)
    rest = _logits(network, np.where(np.isfinite(values), MEAN, np.nan), days)
    best = logits.argmax(-1)
    expected = (logits - rest)[np.arange(5), best]
    np.testing.assert_allclose(moved, expected, atol=0.01 * np.abs(expected).max())


@once
def test_a_committee_is_explained_by_its_members_means() -> None:
    members = [LTAE(2, 3, **STATISTICS, width=8, heads=2, mlp=(8,), name=name) for name in "ab"]
    values, days = _series()
    committee = Committee(members)
    assert gradient_importance(committee, values, days, steps=2).shape == (7, 2)
    both = [attention_importance(member, values, days) for member in members]
    np.testing.assert_allclose(attention_importance(committee, values, days), np.mean(both, 0), rtol=1e-5)


def test_dates_are_counted_to_the_nearest_of_a_calendar() -> None:
    values, days = _series()
    network, calendar = _linear(), np.array([5.0, 30.0, 60.0])
    each = np.abs(integrated_gradients(network, values, days))
    expected = np.zeros((3, 2))
    for series, date in np.argwhere(np.isfinite(values).any(-1)):
        expected[np.abs(calendar - days[series, date]).argmin()] += each[series, date] / 5
    np.testing.assert_allclose(gradient_importance(network, values, days, calendar=calendar), expected, rtol=1e-5)


def test_attention_is_shared_out_among_observed_dates() -> None:
    network = LTAE(2, 3, **STATISTICS, width=8, heads=2, mlp=(8,))
    attention = network.get_layer("attention")
    attention.set_weights([attention.get_weights()[0], 0 * attention.get_weights()[1]])
    values, days = _series()
    observed = np.isfinite(values).any(-1)
    even = observed / observed.sum(1, keepdims=True)
    np.testing.assert_allclose(attention_importance(network, values, days, batch_size=2), even.mean(0), atol=1e-6)
    assert attention_importance(network, values, days, calendar=np.array([10.0, 50.0])).sum() == pytest.approx(1)


@once
@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"classes": np.array([0])}, "classes"),
        ({"mean": [0.0]}, "mean"),
        ({"classes": np.zeros(5, int), "calendar": np.array([2.0, 1.0])}, "calendar"),
        ({"days": np.zeros((5, 3))}, "days"),
    ],
    ids=["classes", "mean", "calendar", "days"],
)
def test_says_which_option_is_wrong(options: dict[str, Any], wrong: str) -> None:
    values, days = _series()
    with pytest.raises(OptionError, match=rf"^{wrong}: expected "):
        gradient_importance(_linear(), values, **{"days": days, **options})


@once
def test_says_that_a_network_has_no_attention_or_mean() -> None:
    values, days = _series()
    with pytest.raises(OptionError, match="^network: expected a network that pools dates by attention"):
        attention_importance(_linear(), values, days)
    inputs = series_inputs(2)
    bare = keras.Model(list(inputs), layers.Dense(2)(layers.GlobalAveragePooling1D()(inputs[0])))
    with pytest.raises(OptionError, match="^mean: expected the training mean"):
        gradient_importance(bare, values, days)
