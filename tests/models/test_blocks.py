from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl.models.blocks import attention_gate, convolution_block, identity_block, residual_block, residual_head


def arrays(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("norm", ["batch", "group", None])
@pytest.mark.parametrize("block", [convolution_block, residual_block])
def test_blocks_name_and_count_their_layers(block: Any, norm: Any) -> None:
    image = keras.Input((8, 8, 4))
    network = keras.Model(image, block(image, 6, convolutions=3, norm=norm, name="level"))
    names = [layer.name for layer in network.layers[1:]]
    assert all(name.startswith("level_") for name in names)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sum(layer.kernel_size == (3, 3) for layer in convolutions) == 3
    assert all(layer.use_bias == (norm is None) for layer in convolutions)
    assert network.output_shape == (None, 8, 8, 6)


def test_residual_block_adds_its_input() -> None:
    image = keras.Input((5, 5, 3))
    network = keras.Model(image, residual_block(image, 3, norm=None))
    network.set_weights([np.zeros_like(w) for w in network.get_weights()])
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype("float32")
    np.testing.assert_allclose(arrays(network(x)), np.maximum(x, 0))


def test_identity_block_adds_a_scaled_residual_and_stops() -> None:
    image = keras.Input((4, 4, 2))
    network = keras.Model(image, identity_block(image, scaling=0.5, name="block"))
    first, first_bias, second, second_bias = network.get_weights()
    first[:], second[:] = 0, 0
    first[1, 1], first_bias[:] = [[1, 0], [0, -1]], [0, 2]
    second[1, 1], second_bias[:] = [[3, 0], [0, 1]], [-1, 0]
    network.set_weights([first, first_bias, second, second_bias])
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype("float32")
    residual = np.maximum(x * [1, -1] + [0, 2], 0) * [3, 1] + [-1, 0]
    np.testing.assert_allclose(arrays(network(x)), x + 0.5 * residual, atol=1e-6)


def test_channel_attention_weighs_by_the_mean_of_the_image() -> None:
    image = keras.Input((4, 5, 3))
    plain = keras.Model(image, identity_block(image, name="block"))
    network = keras.Model(image, identity_block(image, attention=2, name="block"))
    rng = np.random.default_rng(0)
    squeeze, excite = rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
    network.set_weights([*plain.get_weights(), squeeze[None, None], np.ones(2), excite[None, None], np.zeros(3)])
    x = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    residual = arrays(plain(x)) - x
    joint = np.maximum(residual.mean(axis=(1, 2)) @ squeeze + 1, 0) @ excite
    expected = x + residual / (1 + np.exp(-joint))[:, None, None]
    np.testing.assert_allclose(arrays(network(x)), expected, atol=1e-5)


def test_head_starts_at_zero() -> None:
    image = keras.Input((None, None, 2))
    network = keras.Model(image, residual_head(image, 3, kernel=5))
    assert network.get_layer("head").kernel.shape == (5, 5, 2, 3)
    assert not arrays(network(np.ones((1, 4, 4, 2), "float32"))).any()


def test_attention_gate_is_the_papers() -> None:
    skip, gate = keras.Input((4, 4, 2)), keras.Input((2, 2, 3))
    network = keras.Model([skip, gate], attention_gate(skip, gate, name="gate"))
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(1, 4, 4, 2)).astype("float32"), rng.normal(size=(1, 2, 2, 3)).astype("float32")
    theta = arrays(network.get_layer("gate_theta").kernel)
    phi, phi_bias = map(arrays, network.get_layer("gate_phi").get_weights())
    psi, psi_bias = map(arrays, network.get_layer("gate_psi").get_weights())
    squares = x.reshape(1, 2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5)
    joint = np.maximum(np.einsum("byxijc,ijcf->byxf", squares, theta) + g @ phi[0, 0] + phi_bias, 0)
    alpha = 1 / (1 + np.exp(-(joint @ psi[0, 0] + psi_bias)))
    # Bilinear interpolation to twice the size, by hand.
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    expected = x * np.einsum("yi,xj,bijc->byxc", weights, weights, alpha)
    np.testing.assert_allclose(arrays(network([x, g])), expected, atol=1e-5)
