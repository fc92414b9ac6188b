"""The test that every network for series passes: what is missing does not count, gradients, learning, saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.compiled import numbers
from tests.model_case import run

BANDS, CLASSES, TIME = 2, 3, 9
MEAN, STD = (0.3, 20.0), (0.2, 5.0)


def gappy(series: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Values (series, time, band) and days (series, time), with missing bands and dates; the last has no value at all."""
    rng = np.random.default_rng(0)
    values = rng.normal(MEAN, STD, size=(series, TIME, BANDS)).astype("float32")
    values[rng.random((series, TIME)) < 0.3] = np.nan
    values[0, :3] = values[1, -2:] = values[2, ::2, 0] = values[-1] = np.nan
    return values, np.cumsum(rng.integers(1, 20, size=(series, TIME)), axis=1).astype("float32")


def answer(network: keras.Model, values: np.ndarray, days: np.ndarray) -> np.ndarray:
    return run(network, [values, days])


def stirred_norms(network: keras.Model) -> keras.Model:
    """Gives batch normalisations statistics and weights that no shortcut would find by chance."""
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return network


def check_missing(network: keras.Model, *, removable: bool, padded: bool = True) -> None:
    """Whatever stands in `days` of missing dates, and behind the last one, the logits are the same, and finite.

    Args:
        removable: whether missing dates may be left out altogether.
        padded: whether the network takes any length.
    """
    network = stirred_norms(network)
    values, days = gappy()
    expected = answer(network, values, days)
    assert expected.shape == (len(values), CLASSES) and np.isfinite(expected).all()
    assert np.ptp(expected[:-1], axis=0).min() > 1e-3
    missing = np.isnan(values).all(-1)
    for strange in (-1e4, 1e6):
        np.testing.assert_allclose(answer(network, values, np.where(missing, strange, days)), expected, atol=1e-5)
    if padded:
        longer = np.pad(values, ((0, 0), (0, 4), (0, 0)), constant_values=np.nan), np.pad(days, ((0, 0), (0, 4)))
        np.testing.assert_allclose(answer(network, *longer), expected, atol=1e-5)
    if removable:
        kept = ~missing[2]
        alone = answer(network, values[2:3, kept], days[2:3, kept])
        np.testing.assert_allclose(alone[0], expected[2], atol=1e-5)


def run_series_case(build: Callable[..., keras.Model], init_kwargs: Mapping[str, Any], folder: Path) -> None:
    """Learns to tell three levels apart in a few steps, one series being all missing; is saved and read.

    Args:
        build: makes the network from `init_kwargs`, beside bands, classes, mean and std.
        folder: for the saved network.
    """
    keras.utils.set_random_seed(0)
    network = build(BANDS, CLASSES, mean=MEAN, std=STD, **init_kwargs)
    assert [tensor.name for tensor in network.inputs] == ["values", "days"]
    assert len(network.get_layer("features").output.shape) == 3
    values, days = gappy(24)
    labels = np.arange(24) % CLASSES
    values += np.array(STD, "float32") * 2 * (labels[:, None, None] - 1)
    # Keras' masks must not reach what others put on the features, or a loss.
    assert not any(hasattr(tensor, "_keras_mask") for tensor in (network.output, network.get_layer("features").output))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA would take most of the test's time on TensorFlow; JAX has no other way.
    network.compile(keras.optimizers.Adam(5e-2), loss, jit_compile=keras.backend.backend() != "tensorflow")
    before = network.get_weights()
    losses = [float(network.train_on_batch([values, days], labels)) for _ in range(12)]
    still = [v.path for v, b in zip(network.weights, before) if v.trainable and np.array_equal(b, numbers(v))]
    assert not still, still
    assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]
    assert all(np.isfinite(weight).all() for weight in network.get_weights())

    network.save(folder / "network.keras")
    again = keras.saving.load_model(folder / "network.keras", compile=False)
    np.testing.assert_allclose(answer(again, values, days), answer(network, values, days), atol=1e-6)
