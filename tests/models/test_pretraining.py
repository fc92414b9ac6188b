"""Learning by reconstruction: what is hidden, and what is learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from geodl.errors import EmptyDataset, OptionError
from geodl.models.ltae import LTAE
from geodl.models.pretraining import MaskedSeries, pretrain, reconstruction_network
from geodl.models.transformer import SeriesTransformer
from tests.compiled import numbers
from tests.model_case import once

MEAN, STD = (1.0, -2.0), (0.5, 3.0)


def _series(series: int = 40, time: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(MEAN, STD, size=(series, time, 2)).astype("float32")
    values[rng.random((series, time)) < 0.3] = np.nan
    values[rng.random((series, time, 2)) < 0.1] = np.nan
    return values, np.tile(np.arange(time, dtype="float32"), (series, 1))


def _network(**options: Any) -> keras.Model:
    small = {"width": 16, "depth": 1, "heads": 2, "dropout": 0.0, "pool": "mean", **options}
    return SeriesTransformer(2, 2, mean=MEAN, std=STD, **small)


@given(share=st.floats(0.01, 0.99), run=st.floats(1, 10), seed=st.integers(0, 100))
def test_a_share_of_the_observed_dates_is_hidden_and_asked_for(share: float, run: float, seed: int) -> None:
    values, days = _series()
    batches = MaskedSeries(values, days, mean=MEAN, std=STD, batch_size=16, share=share, run=run, seed=seed)
    inputs, truth, weight = batches[3]
    shown = np.isfinite(inputs["values"])
    asked = weight > 0
    assert not (shown & asked).any()
    rows = [np.flatnonzero((days_row == days).all(1) & _agrees(row, values))[0] for row, days_row in _pairs(inputs)]
    original = values[rows]
    np.testing.assert_array_equal(shown | asked, np.isfinite(original))
    np.testing.assert_allclose(truth[asked], ((original - MEAN) / STD)[asked], rtol=1e-5, atol=1e-6)
    dates, hidden = np.isfinite(original).any(-1).sum(1), asked.any(-1).sum(1)
    assert not (asked.any(-1) & shown.any(-1)).any(), "whole dates are hidden"
    np.testing.assert_array_equal(hidden, np.clip(np.round(share * dates), 1, dates - 1))
    assert np.unique(weight).size == 2 and weight.mean(dtype=float) == pytest.approx(1)


def _pairs(inputs: dict[str, np.ndarray]) -> Any:
    return zip(inputs["values"], inputs["days"], strict=True)


def _agrees(row: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which series show what `row` shows."""
    return ((row == values) | np.isnan(row)).all((1, 2))


def test_batches_depend_on_seed_and_step_alone() -> None:
    values, days = _series()

    def batch(seed: int, start: int, item: int) -> list[np.ndarray]:
        data = MaskedSeries(values, days, mean=MEAN, std=STD, batch_size=8, seed=seed, start=start)
        return keras.tree.flatten(data[item])

    for one, other in zip(batch(1, 0, 5), batch(1, 3, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(batch(1, 0, 5)[-1], batch(2, 0, 5)[-1])
    assert not np.array_equal(batch(1, 0, 5)[-1], batch(1, 0, 6)[-1])


def test_dates_are_hidden_in_runs() -> None:
    values, days = np.zeros((1, 2000, 1), "float32"), np.arange(2000, dtype="float32")[None]
    lengths = {}
    for run in (1.0, 5.0):
        data = MaskedSeries(values, days, mean=[0], std=[1], batch_size=1, share=0.1, run=run, seed=0)
        hidden = np.pad(data[0][2][0, :, 0] > 0, 1)
        lengths[run] = 200 / (np.diff(hidden.astype(int)) == 1).sum()
    # A run goes on into the next one with a probability of `share`.
    assert lengths[1.0] == pytest.approx(1 / 0.9, rel=0.15) and lengths[5.0] == pytest.approx(5 / 0.9, rel=0.3)


@once
def test_series_that_cannot_teach_are_left_out() -> None:
    values, days = _series(3)
    values[:2] = np.nan
    values[0, 4] = 1.0
    data = MaskedSeries(values, days, mean=MEAN, std=STD, batch_size=4)
    assert np.isfinite(data[0][0]["values"]).any((1, 2)).all()
    with pytest.raises(EmptyDataset, match="two observed dates"):
        MaskedSeries(values[:2], days[:2], mean=MEAN, std=STD, batch_size=4)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Lets TensorFlow run operation by operation: a few steps are done before it has traced one."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@once
@pytest.mark.usefixtures("eagerly")
def test_training_is_deterministic_and_spares_the_head() -> None:
    values, days = _series()
    first, found = None, []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        network = _network(dropout=0.1)
        before = {variable.path: numbers(variable) for variable in network.trainable_variables}
        loss = pretrain(network, values, days, mean=MEAN, std=STD, steps=3, batch_size=8, seed=3, jit=False)
        found.append([loss, *map(numbers, network.variables)])
        first = first or {v.path: np.array_equal(numbers(v), before[v.path]) for v in network.trainable_variables}
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first is not None
    assert {path for path, same in first.items() if same} == {"logits/kernel", "logits/bias"}


def _waves(series: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Waves of two periods and any phase in noise: no date tells them apart, only how dates go together."""
    rng = np.random.default_rng(5)
    days = np.tile(np.arange(24, dtype="float32"), (series, 1))
    labels = rng.integers(0, 2, series)
    phase = rng.uniform(0, 2 * np.pi, (series, 1))
    waves = np.sin(2 * np.pi * days / np.where(labels, 6, 8)[:, None] + phase)
    values = np.repeat(waves[..., None], 2, -1) + 0.1 * rng.normal(size=(series, 24, 2))
    return values.astype("float32"), days, labels


@once
def test_features_that_reconstruct_tell_classes_apart() -> None:
    values, days, labels = _waves(600)
    keras.utils.set_random_seed(0)
    network = SeriesTransformer(2, 2, std=(0.7, 0.7), width=32, depth=1, heads=4, dropout=0.0, tau=20.0)
    features = keras.Model(network.input, network.get_layer("features").output)

    def probe() -> float:
        pooled = numbers(features([values, days], training=False)).mean(1)
        return LogisticRegression(max_iter=200).fit(pooled[:300], labels[:300]).score(pooled[300:], labels[300:])

    before = probe()
    options: dict[str, Any] = {"mean": (0, 0), "std": (0.7, 0.7), "learning_rate": 5e-3, "batch_size": 32}
    assert pretrain(network, values, days, **options, steps=150, jit=False) < 0.4
    assert probe() > before + 0.1


@once
def test_a_network_without_features_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^network: expected a network whose dates see one another.*ltae"):
        reconstruction_network(LTAE(2, 3, width=8, heads=2), bands=2)


@once
@pytest.mark.parametrize(
    ("option", "value"), [("share", 1.0), ("run", 0.5), ("batch_size", 0), ("mean", (0.0,))], ids=str
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    values, days = _series(2)
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        MaskedSeries(values, days, **{"mean": MEAN, "std": STD, "batch_size": 2, option: value})
