from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models.partialconv import HighestObserved, WindowGain
from geodl.models.tempcnn import TempCNN
from tests.compiled import numbers
from tests.model_case import once
from tests.series_case import BANDS, CLASSES, MEAN, STD, TIME, answer, check_missing, gappy, run_series_case

SMALL: dict[str, Any] = {"filters": 6, "dense": 10, "dropout": 0.0, "depth": 2}


@once
def test_case(tmp_path: Path) -> None:
    run_series_case(TempCNN, SMALL, tmp_path)


def test_what_was_not_observed_does_not_count() -> None:
    check_missing(TempCNN(BANDS, CLASSES, mean=MEAN, std=STD, **SMALL), removable=False)


@once
def test_nor_does_it_in_a_series_of_given_length() -> None:
    network = TempCNN(BANDS, CLASSES, mean=MEAN, std=STD, length=TIME, **SMALL)
    check_missing(network, removable=False, padded=False)


@pytest.mark.parametrize("kernel", [1, 4, 5], ids=str)
def test_a_window_gains_what_it_misses(kernel: int) -> None:
    values, _ = gappy()
    there = np.isfinite(values).any(-1)
    result = numbers(WindowGain(kernel)(there[..., None].astype("float32")))[..., 0]
    for row, seen in zip(result, there, strict=True):
        dates = np.flatnonzero(seen)
        for date in range(TIME):
            window = range(date - (kernel - 1) // 2, date + kernel // 2 + 1)
            observed = len(set(window) & set(dates))
            covered = len(set(window) & set(range(dates[0], dates[-1] + 1))) if len(dates) else 0
            assert row[date] == pytest.approx(covered / observed if observed else 0)


@once
def test_a_constant_series_stays_constant_whatever_is_missing() -> None:
    network = TempCNN(1, 2, filters=4, kernel=3, depth=1, dates=False)
    block = keras.Model(network.inputs, network.get_layer("block1_gain").output)
    # With weights that are all the same: with others it matters which of a window's dates are missing.
    network.get_layer("block1_conv").set_weights([np.full((3, 1, 4), 0.5)])
    values = np.ones((1, 12, 1), "float32")
    values[0, [3, 4, 8]] = np.nan
    np.testing.assert_allclose(answer(block, values, np.zeros((1, 12), "float32"))[0, 1:-1], 1.5, atol=1e-6)


@once
@pytest.mark.parametrize("kernel", [4, 5], ids=str)
def test_without_gaps_it_is_a_convolution_between_zeros(kernel: int) -> None:
    network = TempCNN(BANDS, CLASSES, filters=3, kernel=kernel, depth=1, dates=False)
    block = keras.Model(network.inputs, network.get_layer("block1_gain").output)
    x = np.random.default_rng(0).normal(size=(2, 8, BANDS)).astype("float32")
    (weights,) = network.get_layer("block1_conv").get_weights()
    padded = np.pad(x, ((0, 0), ((kernel - 1) // 2, kernel // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=1)
    expected = np.einsum("ntck,kcf->ntf", windows, weights)
    np.testing.assert_allclose(answer(block, x, np.zeros((2, 8), "float32")), expected, atol=1e-5)


def test_the_maximum_is_that_of_observed_neighbours() -> None:
    values, _ = gappy()
    there = np.isfinite(values).any(-1, keepdims=True)
    x = np.where(there, -np.abs(np.nan_to_num(values)), 99).astype("float32")
    result = numbers(HighestObserved()([x, there.astype("float32")]))
    around = np.pad(np.where(there, x, -np.inf), ((0, 0), (1, 1), (0, 0)), constant_values=-np.inf)
    expected = np.lib.stride_tricks.sliding_window_view(around, 3, axis=1).max(-1)
    np.testing.assert_array_equal(result, np.where(np.isinf(expected), 0, expected))


def test_statistics_are_those_of_observed_dates() -> None:
    network = TempCNN(BANDS, CLASSES, mean=MEAN, std=STD, **SMALL)
    block = keras.Model(network.inputs, network.get_layer("block1_gain").output)
    values, days = gappy()
    seen = np.isfinite(values).any(-1)
    found = answer(block, values, days)[seen]
    network([values, days], training=True)
    _, _, mean, variance = network.get_layer("block1_norm").get_weights()
    np.testing.assert_allclose(mean, 0.1 * found.mean(0), atol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * found.var(0), atol=1e-5)


@once
def test_number_of_weights_is_the_papers() -> None:
    # Less the biases of convolutions and of the dense layer, which normalisation makes idle.
    network = TempCNN(10, 24, length=46, dates=False)
    convolutions = 5 * 64 * (10 + 64 + 64) + 3 * 4 * 64
    assert network.count_params() == convolutions + 46 * 64 * 256 + 4 * 256 + 257 * 24
    assert TempCNN(10, 24, dates=False).count_params() == convolutions + 128 * 256 + 4 * 256 + 257 * 24


@once
@pytest.mark.parametrize(
    ("option", "value"), [("filters", 0), ("kernel", 0), ("depth", 0), ("dense", 0), ("length", 0)], ids=str
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        TempCNN(**{"bands": BANDS, "classes": CLASSES, option: value})
