from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from geodl.inference import runtime
from geodl.inference.runtime import activation_bytes, compile_function, compile_gradient, compile_network
from geodl.models import UNet
from geodl.models.fields import MLPField
from geodl.models.neural_ode import NeuralODE


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return UNet(channels=3, classes=4, width=4, depth=2)


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_any_shape_gives_what_keras_gives(network: keras.Model) -> None:
    call = compile_network(network)
    for shape in ((1, 16, 16, 3), (3, 7, 21, 3), (1, 1, 1, 3)):
        x = image(*shape)
        got = call(x)
        assert isinstance(got, np.ndarray) and got.dtype == np.float32
        np.testing.assert_allclose(got, keras.ops.convert_to_numpy(network(x, training=False)), atol=1e-5)


def test_weights_are_looked_up_at_each_call(network: keras.Model) -> None:
    other = keras.models.clone_model(network)
    call, x = compile_network(other), image(1, 8, 8, 3)
    call(x)
    other.set_weights([weight * 1.1 for weight in other.get_weights()])
    np.testing.assert_allclose(call(x), keras.ops.convert_to_numpy(other(x, training=False)), atol=1e-4)


def test_networks_without_a_shape_free_graph_run_and_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = keras.Input((None, None, 2))
    network = keras.Model(inputs, layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D()(inputs)))
    monkeypatch.setattr(runtime, "_SHAPES", 2)
    call = compile_network(network)
    for side in (4, 6, 8, 4):
        x = image(1, side, side, 2)
        np.testing.assert_allclose(call(x), keras.ops.convert_to_numpy(network(x, training=False)), atol=1e-5)


def test_threads_may_share_it(network: keras.Model) -> None:
    call = compile_network(network)
    images = [image(1, 8 + k, 9, 3) for k in range(6)]
    expected = [call(x) for x in images]
    with ThreadPoolExecutor(3) as pool:
        for got, wanted in zip(pool.map(call, images), expected):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no double precision unless told to")
def test_double_precision_is_kept() -> None:
    inputs = keras.Input((3,), dtype="float64")
    network = keras.Model(inputs, layers.Dense(2, dtype="float64")(inputs))
    assert compile_network(network)(np.ones((4, 3))).dtype == np.float64


def test_several_inputs_are_given_by_name() -> None:
    inputs = {name: keras.Input((None,), name=name) for name in ("b", "a")}
    network = keras.Model(inputs, inputs["a"] - 2 * inputs["b"])
    call = compile_network(network)
    for width in (2, 5):
        a, b = image(3, width), image(4, width)[:3]
        got = call({"a": a.astype(np.float64), "b": b, "more": "is not looked at"})
        np.testing.assert_allclose(got, a - 2 * b, rtol=1e-6)
        assert got.dtype == np.float32
    assert activation_bytes(network) == 1024


def test_loops_over_time_are_compiled_whole() -> None:
    """A network that integrates gives what it gives eagerly, whatever the numbers of states and of times."""
    state, times = keras.Input((3,), name="state"), keras.Input((None,), name="times")
    flow = NeuralODE(MLPField(3, widths=(8,)), solver="rk4", substeps=2)(state, times)
    network = keras.Model({"state": state, "times": times}, flow)
    call = compile_network(network)
    for batch, count in ((2, 9), (1, 4)):
        given = {"state": image(batch, 3), "times": np.tile(np.linspace(0, 1, count, dtype=np.float32), (batch, 1))}
        expected = keras.ops.convert_to_numpy(network(given, training=False))
        np.testing.assert_allclose(call(given), expected, atol=1e-5)


def test_functions_and_gradients_are_compiled() -> None:
    def total(x: Any, scale: Any) -> Any:
        return keras.ops.sum(scale * x**3)

    value_and_gradient = compile_gradient(total)
    for width in (3, 4):
        x, scale = image(width), image(width, 1)[:, 0]
        value, gradient = value_and_gradient(x, scale)
        np.testing.assert_allclose(value, (scale * x**3).sum(), rtol=1e-5)
        np.testing.assert_allclose(gradient, 3 * scale * x**2, rtol=1e-5)
        np.testing.assert_allclose(compile_function(total)(x, scale), value, rtol=1e-5)


def test_memory_is_that_of_the_largest_layer_twice() -> None:
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    assert activation_bytes(keras.Model(inputs, x)) == 2 * 4 * (16 + 16 // 4)
    wide = activation_bytes(UNet(channels=6, classes=6, width=32))
    assert 1.8 < wide / activation_bytes(UNet(channels=6, classes=6, width=16)) < 2.2


def test_memory_of_networks_that_cannot_be_listed_is_assumed() -> None:
    class Opaque(keras.Model):
        def call(self, inputs: object) -> object:
            return inputs

    assert activation_bytes(Opaque()) == 1024
