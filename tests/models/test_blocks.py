from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.models.blocks import (
    BilinearUpsampling,
    CropLike,
    Normalisation,
    PadToMultiple,
    PixelShuffle,
    PixelUnshuffle,
    attention_gate,
    convolution_block,
    residual_block,
)


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


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8))
def test_pad_then_crop(height: int, width: int, multiple: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, height, width, 1)).astype("float32")
    padded = arrays(PadToMultiple(multiple)(x))
    rows, columns = padded.shape[1:3]
    assert rows % multiple == columns % multiple == 0
    assert 0 <= rows - height < multiple and 0 <= columns - width < multiple
    assert not padded[:, height:].any() and not padded[:, :, width:].any()
    assert PadToMultiple(multiple).compute_output_shape(x.shape) == padded.shape
    np.testing.assert_array_equal(arrays(CropLike()([padded, x])), x)


def test_shapes_are_known_where_the_input_is() -> None:
    image = keras.Input((None, 10, 3))
    x = PadToMultiple(4)(image)
    assert x.shape == (None, None, 12, 3)
    assert PixelUnshuffle(2)(x).shape == (None, None, 6, 12)
    assert PixelShuffle(2)(PixelUnshuffle(2)(x)).shape == x.shape
    assert CropLike()([x, image]).shape == image.shape


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_unshuffle_folds_squares(factor: int) -> None:
    x = np.arange(2 * 6 * 12 * 2, dtype="float32").reshape(2, 6, 12, 2)
    folded = arrays(PixelUnshuffle(factor)(x))
    for row in range(factor):
        for column in range(factor):
            first = (row * factor + column) * 2
            square = folded[..., first : first + 2]
            np.testing.assert_array_equal(square, x[:, row::factor, column::factor])
    np.testing.assert_array_equal(arrays(PixelShuffle(factor)(folded)), x)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_bilinear_upsampling_is_that_of_keras(factor: int, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    expected = keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)
    layer = BilinearUpsampling(factor)
    np.testing.assert_allclose(arrays(layer(x)), arrays(expected), atol=1e-6)
    assert layer.compute_output_shape(x.shape) == tuple(expected.shape)


@pytest.mark.parametrize(
    "layer",
    [
        *(Normalisation([1.0], [2.0]), PadToMultiple(8), CropLike()),
        *(PixelUnshuffle(2), PixelShuffle(2), BilinearUpsampling(2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_are_rebuilt_from_their_config(layer: keras.layers.Layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


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
