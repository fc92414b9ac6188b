from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models.scaling import Denormalisation, ExpIntensity, LogIntensity, Normalisation, SelectBands
from geodl.physics.speckle import add_speckle, from_intensity, log_bias


def arrays(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def test_normalisation_centres_scales_and_fills() -> None:
    layer = Normalisation(mean=[10.0, -3.0], std=[2.0, 0.5])
    x = np.array([[14.0, -3.0], [np.nan, -2.0], [np.inf, -np.inf]], "float32")
    np.testing.assert_allclose(arrays(layer(x)), [[2, 0], [0, 2], [0, 0]])


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.0], [0.0], "std: expected finite numbers greater than 0"),
        ([0.0], [np.nan], "std: expected finite"),
        ([np.inf], [1.0], "mean: expected 1 finite"),
        ([0.0, 1.0], [1.0], "mean: expected 1 finite numbers, as many as std has"),
    ],
)
def test_normalisation_refuses_what_is_no_statistic(mean: list[float], std: list[float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Normalisation(mean, std)


def test_denormalisation_gives_back_what_was_normalised() -> None:
    mean, std = [101325.0, -3.0], [900.0, 0.5]
    x = np.array([[98765.4, -3.0], [np.nan, -2.0]], "float32")
    result = arrays(Denormalisation(mean, std)(Normalisation(mean, std)(x)))
    np.testing.assert_allclose(result, [[98765.4, -3], [101325, -2]], rtol=1e-7)


@pytest.mark.parametrize(("unit", "lowest"), [("intensity", -5.0), ("amplitude", -5.0), ("dB", -np.inf)])
def test_log_intensity_is_that_of_the_physics(unit: Any, lowest: float) -> None:
    intensity = np.array([1e-4, 0.3, 1, 7e5], "float32")
    x = np.append(from_intensity(intensity, unit), [lowest, np.nan]).astype("float32")
    log = arrays(LogIntensity(unit, floor=1e-3, bias=-0.25)(x))
    expected = np.log([1e-3, 0.3, 1, 7e5, 1e-3, np.nan]) + 0.25
    np.testing.assert_allclose(log, expected, atol=1e-5)
    back = arrays(ExpIntensity(unit)(log[1:4] - 0.25))
    np.testing.assert_allclose(back, from_intensity(intensity[1:], unit), rtol=1e-5, atol=1e-5)


def test_zeros_are_raised_to_the_floor() -> None:
    for unit in ("intensity", "amplitude"):
        log = arrays(LogIntensity(unit)(np.zeros((1, 1), "float32")))
        assert log == pytest.approx(math.log(1e-6), abs=1e-5)


@pytest.mark.parametrize("unit", ["intensity", "amplitude"])
def test_the_exponential_stays_finite(unit: Any) -> None:
    assert np.isfinite(arrays(ExpIntensity(unit)(np.array([-1e9, 100.0, 1e9], "float32")))).all()


@pytest.mark.parametrize("looks", [1, 4])
def test_speckle_has_no_bias_in_the_logarithm(looks: int) -> None:
    clean = np.full((200, 200, 1), 0.2, "float32")
    noisy = add_speckle(clean, looks, unit="intensity", rng=np.random.default_rng(0))
    log = arrays(LogIntensity("intensity", bias=log_bias(looks))(noisy))
    assert log.mean() == pytest.approx(math.log(0.2), abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "power"}, "unit: expected 'intensity', 'amplitude' or 'dB'. Received: 'power'"),
        ({"unit": "dB", "floor": 0.0}, "floor: expected an intensity of at least 1e-37. Received: 0.0"),
        ({"unit": "dB", "floor": math.nan}, "floor: expected"),
        ({"unit": "dB", "bias": math.inf}, "bias: expected a finite number"),
    ],
)
def test_log_intensity_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LogIntensity(**options)


def test_bands_are_selected() -> None:
    layer = SelectBands(1, 3)
    x = np.arange(10.0, dtype="float32").reshape(1, 2, 5)
    np.testing.assert_array_equal(arrays(layer(x)), x[..., 1:3])
    assert layer(keras.Input((None, None, 5))).shape == (None, None, None, 2)


@pytest.mark.parametrize(
    "layer",
    [
        *(Normalisation([1.0], [2.0]), Denormalisation([1.0], [2.0])),
        *(LogIntensity("amplitude", floor=1e-3, bias=-0.5), ExpIntensity("dB"), SelectBands(1, 3)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_are_rebuilt_from_their_config(layer: keras.layers.Layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert layer.dtype_policy.name == "float32"
