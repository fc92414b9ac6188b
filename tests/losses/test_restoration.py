from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from geodl import losses
from geodl.errors import OptionError

BANDS = 2
EVERY = [
    losses.L1([2.0, 5.0]),
    losses.L2(unit="amplitude"),
    losses.Charbonnier(0.1, [2.0, 5.0], unit="intensity"),
    losses.GammaLikelihood(4.0),
    losses.SSIMLoss(20.0),
    losses.SSIMLoss(scale=[2.0, 5.0], unit="intensity"),
]
every = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: f"{loss.name} {loss.unit}")


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    y = rng.gamma(4.0, 2.0, size=(3, 7, 6, BANDS)).astype("float32")
    y[rng.random(y.shape) < 0.2] = np.nan
    y[1, 2] = np.nan
    return y


@pytest.fixture
def guess() -> np.ndarray:
    return np.random.default_rng(1).gamma(4.0, 2.0, size=(3, 7, 6, BANDS)).astype("float32")


def call(loss: keras.losses.Loss, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(p)))


def mean_of_valid(per_band: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.ma.masked_invalid(per_band).mean(axis=-1).filled(0))


def decibel(values: np.ndarray) -> np.ndarray:
    return 10 * np.log10(values)


def test_closed_forms(truth: np.ndarray, guess: np.ndarray) -> None:
    d = (guess.astype(float) - truth) / [2, 5]
    for loss, expected in (
        (losses.L1([2, 5]), np.abs(d)),
        (losses.L2([2, 5]), d**2),
        (losses.Charbonnier(0.5, [2, 5]), np.hypot(d, 0.5)),
    ):
        np.testing.assert_allclose(call(loss, truth, guess), mean_of_valid(expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("unit", "as_unit"),
    [("intensity", lambda i: i), ("amplitude", np.sqrt), ("dB", decibel)],
    ids=["intensity", "amplitude", "dB"],
)
def test_radar_values_are_compared_as_logarithms_of_intensity(unit: Any, as_unit: Any, truth: Any, guess: Any) -> None:
    expected = mean_of_valid(np.abs(np.log(guess.astype(float)) - np.log(truth)) / [2, 5])
    values = call(losses.L1([2, 5], unit=unit), as_unit(truth), as_unit(guess))
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("unit", "least"), [("intensity", 0.01), ("amplitude", 0.1), ("dB", -20.0)])
def test_values_below_the_floor_are_the_floor(unit: Any, least: float) -> None:
    y = np.array([[[[0.5 * least if unit != "dB" else -np.inf]]]], "float32")
    y = np.where(np.isinf(y), np.float32(-300), y)
    p = np.full_like(y, least if unit == "dB" else -7.0)
    assert call(losses.L1(unit=unit, floor=0.01), y, p) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("looks", [0.5, 1.0, 4.0])
def test_gamma_is_the_likelihood_of_scipy(looks: float, truth: np.ndarray, guess: np.ndarray) -> None:
    t, p = truth.astype(float), guess.astype(float)
    expected = stats.gamma.logpdf(t, looks, scale=t / looks) - stats.gamma.logpdf(t, looks, scale=p / looks)
    values = call(losses.GammaLikelihood(looks), truth, guess)
    np.testing.assert_allclose(values, mean_of_valid(expected), rtol=1e-4, atol=1e-6)


def test_gamma_is_least_at_the_mean_of_speckled_truths() -> None:
    speckled = np.random.default_rng(2).gamma(1.0, 30.0, size=(1, 100, 100, 1)).astype("float32")
    candidates = speckled.mean() * np.linspace(0.8, 1.25, 46)
    costs = [call(losses.GammaLikelihood(), speckled, np.full_like(speckled, p)).mean() for p in candidates]
    assert candidates[np.argmin(costs)] == pytest.approx(speckled.mean(), rel=0.006)
    # Its least value: L (ln L − ψ(L)), Euler's constant for one look.
    assert min(costs) == pytest.approx(np.euler_gamma, abs=0.03)


def test_gamma_bears_zeros() -> None:
    y = np.zeros((1, 2, 2, 1), "float32")
    assert call(losses.GammaLikelihood(), y, y + 1) == pytest.approx(1e-6 - np.log(1e-6) - 1)


@every
def test_invalid_truth_is_zero_and_without_influence(loss: keras.losses.Loss, truth: Any, guess: Any) -> None:
    invalid = np.isnan(truth)
    values = call(loss, truth, guess)
    assert values.shape == truth.shape[:-1]
    assert not values[invalid.all(axis=-1)].any() and (values[~invalid.all(axis=-1)] > 0).all()
    other = guess.copy()
    other[invalid] = np.resize([np.nan, np.inf, -np.inf, 1e30, 0], invalid.sum())
    np.testing.assert_array_equal(call(loss, truth, other), values)


@every
def test_samples_are_independent(loss: keras.losses.Loss, truth: np.ndarray, guess: np.ndarray) -> None:
    together = call(loss, truth, guess)
    for i in range(len(truth)):
        # Among copies of itself, so that JAX need not compile for another shape.
        alone = call(loss, truth[[i] * len(truth)], guess[[i] * len(truth)])
        np.testing.assert_allclose(alone, np.stack([together[i]] * len(truth)), rtol=1e-5, atol=1e-6)


@every
def test_gradients_are_finite_and_descend(loss: keras.losses.Loss, truth: np.ndarray) -> None:
    truth[0] = np.nan
    # A positive answer at any weight, as a network in the log domain gives.
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Dense(BANDS, activation="softplus")])
    network.compile(keras.optimizers.SGD(0.01), loss)
    rng = np.random.default_rng(3)
    features = rng.normal(size=(*truth.shape[:-1], 3)).astype("float32")
    start = [rng.normal(size=w.shape) for w in network.get_weights()]
    network.set_weights(start)
    steps = [network.train_on_batch(features, truth) for _ in range(5)]
    assert np.isfinite(steps).all() and steps[-1] < steps[0]

    end = network.get_weights()
    network.set_weights(start)
    features[np.isnan(truth).all(axis=-1)] = 1e3
    for _ in range(5):
        network.train_on_batch(features, truth)
    for one, other in zip(end, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert network.train_on_batch(features, np.full_like(truth, np.nan)) == 0  # nothing but invalid pixels
    for one, other in zip(end, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@every
def test_config_gives_the_loss_again(loss: keras.losses.Loss, truth: np.ndarray, guess: np.ndarray) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    np.testing.assert_array_equal(call(again, truth, guess), call(loss, truth, guess))


ONE = np.ones((1, 2, 2, 3), "float32")


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: losses.L1([1.0, 0.0]), "scale"),
        (lambda: losses.L2([1.0, np.nan]), "scale"),
        (lambda: call(losses.L1([1.0, 2.0]), ONE, ONE), "scale"),
        (lambda: losses.L1(unit="decibel"), "unit"),
        (lambda: losses.L1(unit="dB", floor=0), "floor"),
        (lambda: losses.Charbonnier(0), "epsilon"),
        (lambda: losses.GammaLikelihood(0), "looks"),
        (lambda: losses.GammaLikelihood(unit=None), "unit"),
        (lambda: losses.SSIMLoss(-1.0), "peak"),
        (lambda: call(losses.SSIMLoss([1.0, 2.0]), ONE, ONE), "peak"),
    ],
)
def test_says_which_option_is_wrong(make: Any, option: str) -> None:
    with pytest.raises(OptionError, match=f"^{option}: expected"):
        make()
