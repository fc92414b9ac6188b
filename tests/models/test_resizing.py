from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geodl.models.resizing import (
    BicubicUpsampling,
    BilinearUpsampling,
    CropLike,
    PadToMultiple,
    PixelShuffle,
    PixelUnshuffle,
)
from geodl.physics.sensor import enlarge


def arrays(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


@settings(max_examples=12 if keras.backend.backend() == "tensorflow" else 4)
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


@settings(max_examples=6 if keras.backend.backend() == "tensorflow" else 1)  # JAX compiles for every size.
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 4]))
@example(1, 1, 2)
@example(2, 3, 3)
def test_bicubic_upsampling_is_that_of_matlab(height: int, width: int, factor: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, height, width, 2)).astype("float32")
    expected = np.stack([enlarge(image, factor) for image in x])
    layer = BicubicUpsampling(factor)
    np.testing.assert_allclose(arrays(layer(x)), expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


def test_bicubic_upsampling_of_a_step_by_hand() -> None:
    # Keys' kernel at distances 1.25, 0.25, 0.75 and 1.75.
    weights = np.array([-0.0703125, 0.8671875, 0.2265625, -0.0234375])
    x = np.array([0, 0, 0, 1, 1, 1], "float32")
    rising = np.cumsum(weights[::-1])[:3], np.cumsum(weights)[:3]
    expected = [0, 0, 0, rising[0][0], rising[1][0], rising[0][1]]
    expected += [1 - value for value in reversed(expected)]
    result = arrays(BicubicUpsampling(2)(np.tile(x[None, None, :, None], (1, 2, 1, 1))))
    np.testing.assert_allclose(result[0, 0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        *(PadToMultiple(8), CropLike(), PixelUnshuffle(2), PixelShuffle(2)),
        *(BilinearUpsampling(2), BicubicUpsampling(3, dtype="float32")),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_are_rebuilt_from_their_config(layer: keras.layers.Layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
