"""The test that every network passes: shapes, saving, learning. A network's own test is `init_kwargs` and one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest


def run_network_case(
    build: Callable[..., keras.Model],
    init_kwargs: Mapping[str, Any],
    *,
    inputs: Sequence[tuple[int, ...]],
    outputs: Sequence[tuple[int, ...]],
    loss: keras.losses.Loss,
    truth: Callable[[tuple[int, ...], np.random.Generator], np.ndarray],
    folder: Path,
) -> keras.Model:
    """Builds a network; checks the output shape for every input shape, save/load equality, and one gradient step.

    Args:
        build: makes the network from `init_kwargs`.
        inputs: input shapes with batch axis, odd ones among them; the last is used for saving and for the step.
        outputs: the output shapes that belong to them.
        truth: makes a truth array for an output shape.
        folder: for the saved network.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    network = build(**init_kwargs)

    for shape, expected in zip(inputs, outputs, strict=True):
        result = run(network, rng.normal(size=shape))
        assert result.shape == expected
        assert np.isfinite(result).all()

    x, y = rng.normal(size=inputs[-1]).astype("float32"), truth(outputs[-1], rng)
    # Nine steps of so small a network are done before TensorFlow has traced one, let alone XLA compiled it.
    network.compile(keras.optimizers.Adam(1e-2), loss, run_eagerly=keras.backend.backend() == "tensorflow")
    before = network.get_weights()
    first = network.train_on_batch(x, y)
    after = network.get_weights()
    still = [v.path for v, b, a in zip(network.weights, before, after) if v.trainable and np.array_equal(b, a)]
    assert not still, still
    last = [network.train_on_batch(x, y) for _ in range(8)][-1]
    assert np.isfinite([first, last]).all() and last < first

    network.save(folder / "network.keras")
    again = keras.saving.load_model(folder / "network.keras", compile=False)
    # The one traced or compiled, the other, with TensorFlow, operation by operation.
    np.testing.assert_allclose(again.predict_on_batch(x), run(network, x), rtol=1e-5, atol=1e-5)
    return network


once = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="says nothing new on another backend")


def some(first: Any, *others: Any) -> Any:
    """Runs a test for several networks, but for the first alone on another backend: their layers are the same."""
    networks = [first, *(pytest.param(build, marks=once) for build in others)]
    return pytest.mark.parametrize("build", networks, ids=lambda build: build.__name__)


def run(network: keras.Model, x: Any) -> np.ndarray:
    """Returns what a network gives for an array, or for a list of them."""
    x = keras.tree.map_structure(lambda array: array.astype("float32"), x)
    if keras.backend.backend() == "jax":
        # It compiles once; else each operation of it would be compiled for itself.
        return np.asarray(network.predict_on_batch(x))
    return keras.ops.convert_to_numpy(network(x, training=False))


def stirred(network: keras.Model) -> keras.Model:
    """Moves what starts at zero: behind a head of zeros nothing else would matter, or learn in a first step."""
    rng = np.random.default_rng(1)
    network.set_weights([w + 0.1 * rng.normal(size=w.shape) * (not w.any()) for w in network.get_weights()])
    return network
