from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models.inception import InceptionTime
from tests.model_case import once
from tests.series_case import BANDS, CLASSES, MEAN, STD, TIME, answer, check_missing, run_series_case

SMALL: dict[str, Any] = {"filters": 3, "kernels": (5, 2), "depth": 2, "bottleneck": 4, "residual": 2}


@once
def test_case(tmp_path: Path) -> None:
    run_series_case(InceptionTime, {**SMALL, "depth": 1, "residual": 1, "dropout": 0.1}, tmp_path)


@once
def test_what_was_not_observed_does_not_count() -> None:
    check_missing(InceptionTime(BANDS, CLASSES, mean=MEAN, std=STD, validity=True, **SMALL), removable=False)


@once
def test_nor_does_it_in_a_series_of_given_length() -> None:
    network = InceptionTime(BANDS, CLASSES, mean=MEAN, std=STD, length=TIME, **SMALL)
    check_missing(network, removable=False, padded=False)


@once
def test_without_gaps_a_module_is_the_papers() -> None:
    network = InceptionTime(BANDS, CLASSES, dates=False, **{**SMALL, "depth": 1, "bottleneck": 1, "residual": None})
    module = keras.Model(network.inputs, network.get_layer("module1_branches").output)
    x = np.random.default_rng(0).normal(size=(4, 7, BANDS)).astype("float32")
    weights = [
        network.get_layer(f"module1_{name}").get_weights()[0]
        for name in ("bottleneck", "branch1_conv", "branch2_conv", "highest_conv")
    ]
    narrow = keras.ops.conv(x, weights[0])
    branches = [keras.ops.conv(narrow, kernel, padding="same") for kernel in weights[1:3]]
    highest = keras.ops.max_pool(x, 3, 1, padding="same")
    expected = keras.ops.concatenate([*branches, keras.ops.conv(highest, weights[3])], axis=-1)
    result = answer(module, x, np.zeros((4, 7), "float32"))
    np.testing.assert_allclose(result, keras.ops.convert_to_numpy(expected), atol=1e-5)


@once
def test_number_of_weights_is_the_papers() -> None:
    network = InceptionTime(1, 24, dates=False)
    first, others = 70 * 32 + 32, 128 * 32 + 70 * 32 * 32 + 128 * 32
    shortcuts = 128 + 128 * 128
    assert network.count_params() == first + 5 * others + shortcuts + 8 * 4 * 128 + 129 * 24


@once
def test_kernels_are_no_longer_than_the_series() -> None:
    network = InceptionTime(1, 2, length=12, depth=1)
    sizes = [network.get_layer(f"module1_branch{i}_conv").kernel_size for i in (1, 2, 3)]
    assert sizes == [(12,), (12,), (10,)]


@once
@pytest.mark.parametrize(
    ("option", "value"),
    [("filters", 0), ("depth", 0), ("kernels", ()), ("kernels", (3, 0)), ("bottleneck", 0), ("residual", 0)],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        InceptionTime(**{"bands": BANDS, "classes": CLASSES, option: value})
