from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit

from geodl.errors import OptionError
from geodl.models.recurrent import SeriesGRU, SeriesLSTM
from tests.model_case import once
from tests.series_case import BANDS, CLASSES, answer, check_missing, gappy, run_series_case

SMALL: dict[str, Any] = {"units": 5, "dropout": 0.0}


@once
def test_case(tmp_path: Path) -> None:
    run_series_case(SeriesLSTM, {"units": 8, "layers": 1, "bidirectional": False, "pool": "attention"}, tmp_path)


@once
@pytest.mark.parametrize("build", [SeriesLSTM, SeriesGRU])
def test_what_was_not_observed_does_not_count(build: Any) -> None:
    check_missing(build(BANDS, CLASSES, validity=True, **SMALL), removable=True)


@once
@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_nor_does_it_when_dates_are_pooled(pool: Any) -> None:
    check_missing(SeriesLSTM(BANDS, CLASSES, pool=pool, layers=1, bidirectional=False, **SMALL), removable=True)


def test_states_are_the_equations_over_the_observed_dates() -> None:
    network = SeriesLSTM(BANDS, CLASSES, dates=False, layers=1, **SMALL)
    states = keras.Model(network.inputs, network.get_layer("features").output)
    values, days = gappy()
    result = answer(states, values, days)
    for half, direction in ((slice(0, 5), "forward"), (slice(5, 10), "backward")):
        kernel, recurrent, bias = network.get_layer(f"layer1_{direction}").get_weights()
        for series, row in enumerate(values):
            h = c = np.zeros(5)
            dates = range(len(row)) if half.start == 0 else range(len(row))[::-1]
            for date in dates:
                if np.isfinite(row[date]).any():
                    i, f, g, o = np.split(np.nan_to_num(row[date]) @ kernel + h @ recurrent + bias, 4)
                    c = expit(f) * c + expit(i) * np.tanh(g)
                    h = expit(o) * np.tanh(c)
                np.testing.assert_allclose(result[series, date, half], h, atol=1e-5)


@once
def test_without_gaps_they_are_keras_own_layers() -> None:
    network = SeriesGRU(BANDS, CLASSES, dates=False, **SMALL)
    x = np.random.default_rng(0).normal(size=(4, 6, BANDS)).astype("float32")
    expected: Any = x
    for name, whole in (("layer1", True), ("layer2", False)):
        stock = keras.layers.Bidirectional(keras.layers.GRU(5, return_sequences=whole))
        stock.build(expected.shape)
        stock.set_weights(
            [w for way in ("forward", "backward") for w in network.get_layer(f"{name}_{way}").get_weights()]
        )
        expected = stock(expected)
    logits = keras.ops.convert_to_numpy(network.get_layer("head")(expected))
    np.testing.assert_allclose(answer(network, x, np.zeros((4, 6), "float32")), logits, atol=1e-5)


@once
def test_number_of_weights() -> None:
    # Keras' GRU has two biases.
    for build, gates, biases in ((SeriesLSTM, 4, 1), (SeriesGRU, 3, 2)):
        network = build(10, 24, validity=True)
        first, second = (2 * gates * 128 * (inputs + 128 + biases) for inputs in (2 * 10 + 3, 256))
        assert network.count_params() == first + second + 257 * 24


@once
def test_in_mixed_precision_logits_are_nearly_the_same() -> None:
    network = SeriesLSTM(BANDS, CLASSES, **SMALL)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = SeriesLSTM(BANDS, CLASSES, **SMALL)
    finally:
        keras.config.set_dtype_policy(policy)
    mixed.set_weights(network.get_weights())
    values, days = gappy()
    result = answer(mixed, values / 20, days)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, answer(network, values / 20, days), atol=0.05)


@once
@pytest.mark.parametrize(
    ("option", "value"),
    [("units", 0), ("layers", 0), ("dropout", 1.0), ("pool", "first"), ("classes", 1), ("mean", [0.0])],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        SeriesLSTM(**{"bands": BANDS, "classes": CLASSES, option: value})
