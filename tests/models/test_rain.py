from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl.models.rain import RainFeatures, RainForecast, rain_level, rain_rate, zero_level
from geodl.physics.rain import to_decibel, to_log

RATES = np.array([0.0, 0.05, 0.1, 0.7, 2.0, 30.0, 250.0], "float32")


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@pytest.mark.parametrize(("transform", "numpy"), [("log", to_log), ("db", to_decibel)], ids=["log", "db"])
def test_levels_are_the_transforms_of_physics_and_have_an_inverse(transform: Any, numpy: Any) -> None:
    level = _numpy(rain_level(keras.ops.convert_to_tensor(RATES), transform))
    # Below 0.1 mm/h "db" of physics has no inverse.
    same = slice(None) if transform == "log" else ~np.isclose(RATES, 0.05)
    np.testing.assert_allclose(level[same] + zero_level(transform), numpy(RATES)[same], rtol=1e-4, atol=1e-5)
    assert level[0] == 0 and (np.diff(level) > 0).all()
    np.testing.assert_allclose(_numpy(rain_rate(keras.ops.convert_to_tensor(level), transform)), RATES, rtol=1e-5)


def test_features_are_normalised_and_say_what_is_known() -> None:
    x = np.zeros((1, 3, 1, 2, 1), "float32")
    x[0, :, 0, :, 0] = [[1.0, np.nan], [3.0, 5.0], [np.nan, 2.0]]
    features = _numpy(RainFeatures(2, "log", mean=0.5, std=2.0)(x))[0, :, 0]
    # Gaps of observed frames are the training mean; the last frame stands for what the advected one lacks.
    expected = (np.log(np.array([[1.0, np.nan], [3.0, 5.0], [3.0, 2.0]]) + 0.01) - 0.5) / 2
    np.testing.assert_allclose(features[..., 0], np.nan_to_num(expected), rtol=1e-4)
    np.testing.assert_array_equal(features[..., 1], [[1, 0], [1, 1], [0, 1]])


@pytest.mark.parametrize("transform", ["log", "db"])
def test_corrections_are_added_to_logarithms(transform: Any) -> None:
    clip = np.full((1, 2, 1, 1, 1), 2.0, "float32")
    layer = RainForecast(2, transform, mean=-1.0, std=1.5)
    found = np.array([0.4, -0.4, 1e6, -1e6], "float32").reshape(1, 4, 1, 1, 1)
    result = _numpy(layer([clip, found])).ravel()
    factor = np.exp(0.6) if transform == "log" else 10**0.06
    offset = 0.01 if transform == "log" else 0.0
    expected = [(2 + offset) * factor - offset, (2 + offset) / factor - offset, 300, 0]
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_a_dry_pixel_can_learn_of_rain_to_come() -> None:
    clip = keras.Input((1, 1, 1, 1))
    found = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="zeros", name="found")(clip)
    network = keras.Model(clip, RainForecast(1)([clip, keras.layers.Rescaling(1.0, offset=-2.0)(found)]))
    network.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=keras.backend.backend() == "jax")
    dry = np.zeros((1, 1, 1, 1, 1), "float32")
    network.train_on_batch(dry, dry + 5)
    assert network.get_layer("found").get_weights()[1] > 0
