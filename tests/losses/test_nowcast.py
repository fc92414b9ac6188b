from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from geodl import losses
from geodl.errors import OptionError
from geodl.physics.rain import to_decibel, to_log

EVERY = [
    losses.RainL1(std=2.0),
    losses.RainL2("db"),
    losses.Balanced(),
    losses.Balanced("none", 10.0, [1.0], [0.5, 4.0]),
    losses.RainLikelihood(),
    losses.SoftCSI(),
]
every = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: f"{loss.name} {loss.transform}")


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    y = rng.gamma(0.5, 8.0, size=(3, 2, 6, 5, 1)).astype("float32")
    y[rng.random(y.shape) < 0.3] = 0
    y[rng.random(y.shape) < 0.2] = np.nan
    return y


@pytest.fixture
def guess() -> np.ndarray:
    rng = np.random.default_rng(1)
    rain = rng.gamma(0.5, 8.0, size=(3, 2, 6, 5, 1))
    return np.concatenate([rain, rng.normal(size=rain.shape)], axis=-1).astype("float32")


def call(loss: keras.losses.Loss, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.asarray(
        keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(p)))
    )


def test_closed_forms(truth: np.ndarray, guess: np.ndarray) -> None:
    y, p = truth[..., 0].astype(float), guess[..., 0].astype(float)
    log = to_log(p) - to_log(y)
    weight = np.array([1, 2, 5, 10, 30])[np.searchsorted([2, 5, 10, 30], np.nan_to_num(y), side="right")]
    for loss, expected in (
        (losses.RainL1(), np.abs(log)),
        (losses.RainL2(std=2.0), log**2 / 4),
        (losses.RainL1("none"), np.abs(p - y)),
        (losses.Balanced(), weight * (log**2 + np.abs(log))),
        (losses.Balanced("none", 5.0), weight * ((p - y) ** 2 / 25 + np.abs(p - y) / 5)),
        (losses.RainLikelihood(), -stats.norm.logpdf(to_log(y), to_log(p), np.exp(0.5 * guess[..., 1]))),
    ):
        np.testing.assert_allclose(call(loss, truth, guess), np.nan_to_num(expected), rtol=1e-3, atol=1e-5)


def test_decibels_are_those_of_physics_from_a_tenth_of_a_millimetre_on() -> None:
    y, p = np.array([0.0, 0.1, 20.0, 3.0]), np.array([1.0, 0.2, 0.0, 3.0])
    values = call(losses.RainL1("db"), y.reshape(1, 1, 1, 4, 1), p.reshape(1, 1, 1, 4, 1))
    np.testing.assert_allclose(values.ravel(), np.abs(to_decibel(p) - to_decibel(y)), rtol=1e-4, atol=1e-5)


def test_weights_begin_at_their_thresholds() -> None:
    y = np.array([1.99, 2.0, 5.0, 10.0, 29.9, 30.0, 99.0], "float32").reshape(1, 1, 1, 7, 1)
    ratio = call(losses.Balanced("none"), y, y + 1) / 2
    np.testing.assert_allclose(ratio.ravel(), [1, 2, 5, 10, 10, 30, 30], rtol=1e-3)


def test_soft_csi_is_the_ratio_of_sums(truth: np.ndarray, guess: np.ndarray) -> None:
    values = call(losses.SoftCSI([0.5, 5.0], 3.0, 0.2), truth, guess)
    known = ~np.isnan(truth[..., 0])
    for sample in range(len(truth)):
        y, p = (array[sample, ..., 0][known[sample]].astype(float) for array in (truth, guess))
        parts = []
        for threshold in (0.5, 5.0):
            chance, rain = expit(3 * np.log((p + 0.2) / (threshold + 0.2))), y >= threshold
            hits, misses, alarms = chance[rain].sum(), (1 - chance[rain]).sum(), chance[~rain].sum()
            parts.append(1 - (hits + 1) / (hits + misses + alarms + 1))
        np.testing.assert_allclose(values[sample], np.mean(parts) * known[sample], rtol=1e-4)


def test_sharp_soft_csi_is_csi(truth: np.ndarray, guess: np.ndarray) -> None:
    big = [np.tile(array, (1, 20, 10, 5, 1)) for array in (truth[:1], guess[:1])]
    values = call(losses.SoftCSI([5.0], 300.0), *big)
    known = ~np.isnan(big[0])
    y, p = big[0][known] >= 5, big[1][..., :1][known] >= 5
    # The one pixel that is added above and below the line hardly counts among so many.
    assert values[known[..., 0]].mean() == pytest.approx(1 - (y & p).sum() / (y | p).sum(), abs=2e-3)


def test_where_there_is_no_rain_none_may_be_predicted() -> None:
    dry = np.zeros((1, 2, 4, 4, 1), "float32")
    loss = losses.SoftCSI(sharpness=8.0)
    assert call(loss, dry, dry) == pytest.approx(0, abs=1e-4)
    assert (call(loss, dry, dry + 9) > 0.8).all()


@every
def test_invalid_truth_is_zero_and_without_influence(loss: keras.losses.Loss, truth: Any, guess: Any) -> None:
    invalid = np.isnan(truth[..., 0])
    values = call(loss, truth, guess)
    assert values.shape == truth.shape[:-1]
    assert not values[invalid].any()
    other = guess.copy()
    other[invalid] = np.resize([np.nan, np.inf, -np.inf, 1e30, 0], (invalid.sum(), 2))
    np.testing.assert_array_equal(call(loss, truth, other), values)


@every
def test_samples_are_independent(loss: keras.losses.Loss, truth: np.ndarray, guess: np.ndarray) -> None:
    together = call(loss, truth, guess)
    for i in range(len(truth)):
        # Among copies of itself, so that JAX need not compile for another shape.
        alone = call(loss, truth[[i] * len(truth)], guess[[i] * len(truth)])
        np.testing.assert_allclose(alone, np.stack([together[i]] * len(truth)), rtol=1e-4, atol=1e-6)


@every
def test_gradients_are_finite_and_descend(loss: keras.losses.Loss, truth: np.ndarray) -> None:
    truth[0] = np.nan
    inputs = keras.Input((None, None, None, 3))
    rain = keras.layers.Dense(1, activation="softplus")(inputs)
    network = keras.Model(inputs, keras.layers.Concatenate()([rain, keras.layers.Dense(1)(inputs)]))
    network.compile(keras.optimizers.SGD(0.003), loss, jit_compile=keras.backend.backend() == "jax")
    features = np.random.default_rng(3).normal(size=(*truth.shape[:-1], 3)).astype("float32")
    steps = [network.train_on_batch(features, truth) for _ in range(5)]
    assert np.isfinite(steps).all() and steps[-1] < steps[0]
    assert all(np.isfinite(weight).all() for weight in network.get_weights())


@every
def test_recipes_name_it_and_configurations_rebuild_it(loss: keras.losses.Loss, truth: Any, guess: Any) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    np.testing.assert_array_equal(call(again, truth, guess), call(loss, truth, guess))
    assert type(losses.build(loss.name, among=losses.NOWCAST)) is type(loss)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        *(("rain_l1", "transform", "root"), ("rain_l2", "std", 0.0), ("balanced", "thresholds", (2.0, 1.0))),
        *(("balanced", "weights", (1.0, 2.0)), ("balanced", "weights", (1.0, -2.0, 5.0, 10.0, 30.0))),
        *(
            ("soft_csi", "thresholds", ()),
            ("soft_csi", "thresholds", (0.0, 1.0)),
            ("soft_csi", "sharpness", 0.0),
            ("soft_csi", "offset", 0.0),
        ),
    ],
    ids=str,
)
def test_says_which_option_is_wrong(name: str, option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        losses.build({"name": name, option: value})


def test_likelihood_needs_a_variance(truth: np.ndarray, guess: np.ndarray) -> None:
    with pytest.raises(OptionError, match=r"^y_pred: expected two channels, .* Received: .*1 channels"):
        call(losses.RainLikelihood(), truth, guess[..., :1])
