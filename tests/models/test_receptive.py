from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L

from geodl.errors import OptionError
from geodl.models import EDSR, SRCNN, DnCNN, FFDNet, GuidedSR, ResidualUNet, UNet, receptive_margin, total_stride
from geodl.models.resizing import (
    BicubicUpsampling,
    BilinearUpsampling,
    CropLike,
    FillGaps,
    PadToMultiple,
    PixelShuffle,
    PixelUnshuffle,
)
from tests.model_case import once


def chain(*stack: Any) -> keras.Model:
    image = x = keras.Input((None, None, 1))
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def positive(network: keras.Model) -> keras.Model:
    """Gives a network weights through which whatever enters goes on: no ReLU closes, no sigmoid is saturated."""
    rng = np.random.default_rng(0)
    scales = [np.prod(w.shape[:-1]) if w.ndim > 1 else 10 for w in network.get_weights()]
    network.set_weights([rng.uniform(0.5, 1.5, w.shape) / s for w, s in zip(network.get_weights(), scales)])
    return network


def reach(network: keras.Model, margin: int, stride: int) -> int:
    """Measures the margin: the greatest distance over which one changed input pixel changes the output."""
    size = -(-(2 * margin + 3 * stride + 8) // stride) * stride
    middle = size // 2 // stride * stride
    x = np.random.default_rng(0).uniform(0.5, 1, (1, size, size, network.input_shape[-1])).astype("float32")
    x = np.repeat(x, stride, axis=0)
    changed = x.copy()
    for phase in range(stride):
        changed[phase, middle + phase, middle + phase] = 1e9
    difference = np.abs(network.predict_on_batch(changed) - network.predict_on_batch(x)).max(axis=-1) > 1e-5
    finer = difference.shape[1] // size
    farthest = 0
    for phase in range(stride):
        for axis in (0, 1):
            (rows,) = np.nonzero(difference[phase].any(axis=axis))
            farthest = max(farthest, int(abs(rows // finer - (middle + phase)).max(initial=0)))
    return farthest


STACKS: dict[str, Callable[[], keras.Model]] = {
    "odd kernels": lambda: chain(L.Conv2D(2, 3, padding="same"), L.Conv2D(1, 5, padding="same")),
    "even kernel": lambda: chain(L.Conv2D(1, (4, 2), padding="same")),
    "dilated": lambda: chain(L.Conv2D(1, 3, padding="same", dilation_rate=3)),
    "depthwise and separable": lambda: chain(
        L.DepthwiseConv2D(3, padding="same"), L.SeparableConv2D(2, 5, padding="same")
    ),
    "padded by hand": lambda: chain(L.ZeroPadding2D(((2, 0), (1, 1))), L.Conv2D(1, 3)),
    "padded and cropped": lambda: chain(L.ZeroPadding2D(3), L.Conv2D(1, 5, padding="same"), L.Cropping2D(3)),
    "pooled and repeated": lambda: chain(L.MaxPooling2D(2), L.Conv2D(1, 3, padding="same"), L.UpSampling2D(2)),
    "two poolings": lambda: chain(L.MaxPooling2D(2), L.AveragePooling2D(3), L.UpSampling2D(6)),
    "overlapping pooling": lambda: chain(L.MaxPooling2D(3, 2, padding="same"), L.UpSampling2D(2)),
    "pooled at full size": lambda: chain(L.AveragePooling2D(5, 1, padding="same")),
    "strided": lambda: chain(L.Conv2D(1, 3, strides=2, padding="same"), L.UpSampling2D(2)),
    "strided more than wide": lambda: chain(L.Conv2D(1, 2, strides=3), L.UpSampling2D(3)),
    "transposed": lambda: chain(L.MaxPooling2D(2), L.Conv2DTranspose(1, 2, strides=2)),
    "transposed, odd": lambda: chain(L.MaxPooling2D(2), L.Conv2DTranspose(1, 3, strides=2, padding="same")),
    "transposed, wide": lambda: chain(L.MaxPooling2D(2), L.Conv2DTranspose(1, 5, strides=2, padding="same")),
    "transposed, even": lambda: chain(L.MaxPooling2D(2), L.Conv2DTranspose(1, 4, strides=2, padding="same")),
    "transposed, sparse": lambda: chain(L.MaxPooling2D(3), L.Conv2DTranspose(1, 2, strides=3, padding="same")),
    "transposed at full size": lambda: chain(L.Conv2DTranspose(1, 3, padding="same")),
    "bilinear": lambda: chain(L.AveragePooling2D(2), BilinearUpsampling(2)),
    "bilinear of odd factor": lambda: chain(
        L.AveragePooling2D(3), BilinearUpsampling(3), L.Conv2D(1, 2, padding="same")
    ),
    "bicubic": lambda: chain(L.AveragePooling2D(2), BicubicUpsampling(2)),
    "bicubic of odd factor": lambda: chain(BicubicUpsampling(3)),
    "folded": lambda: chain(PixelUnshuffle(2), L.Conv2D(4, 3, padding="same"), PixelShuffle(2)),
    "unequal axes": lambda: chain(
        L.MaxPooling2D((2, 3)),
        L.Conv2D(1, (1, 3), padding="same"),
        L.UpSampling2D((2, 3)),
        L.Conv2D(1, (7, 1), padding="same"),
    ),
    "unet": lambda: UNet(1, 2, width=2, depth=2),
    "unet with gates": lambda: UNet(1, 1, width=2, depth=1, attention=True, residual=True, norm=None),
    "unet on folded pixels": lambda: UNet(1, 2, width=2, depth=1, stem=2),
    "dncnn": lambda: DnCNN(1, depth=3, width=2),
    "residual unet": lambda: ResidualUNet(1, width=2, depth=1, blocks=1),
    "ffdnet": lambda: FFDNet(1, depth=2, width=2),
    "srcnn": lambda: SRCNN(1, scale=2, width=2),
    "edsr": lambda: EDSR(1, scale=4, width=2, blocks=1),
    "guided": lambda: GuidedSR(1, 1, width=2, blocks=1),
}


# Layers may be another thing on each backend; networks are made of them, and are the dearest to compile.
NETWORKS = ("unet with gates", "unet on folded pixels", "dncnn", "residual unet", "ffdnet", "srcnn", "edsr", "guided")


@pytest.mark.parametrize("name", [pytest.param(name, marks=once) if name in NETWORKS else name for name in STACKS])
def test_margin_is_what_one_pixel_reaches(name: str) -> None:
    network = positive(STACKS[name]())
    margin = receptive_margin(network)
    assert margin is not None
    # Pixels beside a gap fill it; without a gap they are not looked at.
    filled = max((layer.radius for layer in network.layers if isinstance(layer, FillGaps)), default=0)
    assert reach(network, margin, total_stride(network)) == margin - filled


@pytest.mark.parametrize(
    ("interpolation", "margin"), [("nearest", 1), ("bilinear", 2), ("bicubic", 4), ("lanczos3", 6), ("lanczos5", 10)]
)
def test_interpolations_of_keras(interpolation: str, margin: int) -> None:
    network = chain(L.AveragePooling2D(2), L.UpSampling2D(2, interpolation=interpolation))
    assert receptive_margin(network) == margin


@once
def test_default_unet() -> None:
    # Along the finest of the 16 phases: 2 convolutions at each level down and up, 2 at the bottom: 15 × 2 × 2 + 2 × 16
    # pixels, and up to 15 more to the edge of the coarsest pixel.
    network = UNet(4, 5, width=1)
    assert total_stride(network) == 16
    assert receptive_margin(network) == 15 * 4 + 32 + 15


@once
@pytest.mark.parametrize("options", [{"depth": 2}, {"depth": 1, "stem": 2, "attention": True, "residual": True}])
def test_a_window_with_its_margin_gives_what_the_whole_gives(options: dict[str, Any]) -> None:
    keras.utils.set_random_seed(0)
    network = UNet(2, 3, width=4, **options)
    rng = np.random.default_rng(0)
    network.set_weights([w + rng.uniform(0, 0.2, w.shape) for w in network.get_weights()])
    margin, stride = receptive_margin(network), total_stride(network)
    assert margin is not None
    halo, core = -(-margin // stride) * stride, 2 * stride
    height, width = 2 * halo + core + 5, halo + 2 * core + 3
    x = rng.normal(size=(1, height, width, 2)).astype("float32")
    whole = network.predict_on_batch(x)
    for top, left in [(halo, 0), (halo, core), (0, 2 * core), (2 * halo, halo)]:
        above, before = max(top - halo, 0), max(left - halo, 0)
        part = network.predict_on_batch(x[:, above : top + core + margin, before : left + core + margin])
        inside = part[:, top - above :, left - before :][:, :core, :core]
        expected = whole[:, top : top + core, left : left + core]
        np.testing.assert_allclose(inside, expected, atol=1e-4)


def test_outputs_coarser_and_finer_than_the_input() -> None:
    coarser = chain(L.Conv2D(1, 4, strides=2, padding="same"))  # one more pixel on either side of each pair
    assert (receptive_margin(coarser), total_stride(coarser)) == (1, 2)
    finer = chain(L.Conv2D(4, 3, padding="same"), PixelShuffle(2))
    assert (receptive_margin(finer), total_stride(finer)) == (1, 1)
    uneven = chain(L.UpSampling2D(3), L.MaxPooling2D(2))  # 3 output pixels on 2 input pixels; the middle one reads both
    assert (receptive_margin(uneven), total_stride(uneven)) == (0, 2)


def test_nested_shared_and_sequential_networks() -> None:
    twice = chain(L.Conv2D(1, 3, padding="same"), L.MaxPooling2D(2), L.UpSampling2D(2))
    sequence = keras.Sequential([keras.Input((None, None, 1)), L.Conv2D(1, 5, padding="same"), L.ReLU()])
    image = keras.Input((None, None, 1))
    nested = keras.Model(image, L.Add()([sequence(twice(twice(image))), twice(image)]))
    unfolded = chain(*[layer for _ in range(2) for layer in twice.layers[1:]], L.Conv2D(1, 5, padding="same"))
    assert receptive_margin(sequence) == 2
    assert receptive_margin(nested) == receptive_margin(unfolded)
    assert total_stride(nested) == 2


def test_operations_between_layers() -> None:
    image = keras.Input((None, None, 1))
    x = L.Conv2D(1, 3, padding="same")(image)
    assert receptive_margin(keras.Model(image, keras.ops.relu(x) * 2.0 + image)) == 1


def test_several_inputs_and_outputs() -> None:
    one, other = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    x = L.Conv2D(1, 7, padding="same")(one)
    y = L.Add()([L.Conv2D(1, 3, padding="same")(other), one])
    assert receptive_margin(keras.Model([one, other], [x, y])) == 3
    assert receptive_margin(keras.Model([one, other], y)) == 1


def test_size_alone_is_no_dependence() -> None:
    image = keras.Input((None, None, 1))
    x = PadToMultiple(8)(L.Conv2D(1, 3, padding="same")(image))
    far = L.GlobalAveragePooling2D(keepdims=True)(image)
    assert receptive_margin(keras.Model(image, CropLike()([x, image]))) == 1
    assert receptive_margin(keras.Model(image, CropLike()([x, L.Multiply()([image, far])]))) == 1


class Unheard(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


class Wider(L.Conv2D):
    """A subclass that sees more than its kernel."""


@pytest.mark.parametrize(
    "layer",
    [
        L.GroupNormalization(1),
        L.GlobalAveragePooling2D(keepdims=True),
        L.GlobalMaxPooling2D(),
        L.Resizing(8, 8),
        L.Lambda(lambda x: x),
        L.Conv2DTranspose(1, 3, strides=2, padding="same", output_padding=1),
        L.Concatenate(axis=1),
        Unheard(name="unheard"),
        Wider(1, 3, padding="same", name="wider"),
    ],
    ids=lambda layer: layer.name,
)
def test_what_sees_everything_or_is_unknown_has_no_margin(layer: Any, caplog: pytest.LogCaptureFixture) -> None:
    image = keras.Input((None, None, 1))
    x = L.MaxPooling2D(2)(image)
    network = keras.Model(image, layer([x, x]) if isinstance(layer, L.Concatenate) else layer(x))
    caplog.set_level("INFO", logger="geodl")
    assert receptive_margin(network) is None
    assert layer.name in caplog.text or "is no image" in caplog.text
    assert total_stride(network) % 2 == 0


def test_what_is_learned_per_pixel_has_no_margin() -> None:
    image = keras.Input((8, 8, 1))
    assert receptive_margin(keras.Model(image, L.LayerNormalization(axis=(1, 2, 3))(image))) is None
    assert receptive_margin(keras.Model(image, L.LayerNormalization()(image))) == 0
    assert receptive_margin(keras.Model(image, L.PReLU()(image))) is None
    assert receptive_margin(keras.Model(image, L.PReLU(shared_axes=[1, 2])(image))) == 0


def test_squeeze_and_excitation_has_no_margin_but_a_stride() -> None:
    image = keras.Input((None, None, 4))
    x = L.MaxPooling2D(2)(image)
    weights = L.Dense(4, "sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    network = keras.Model(image, L.UpSampling2D(2)(L.Multiply()([x, weights])))
    assert receptive_margin(network) is None
    assert total_stride(network) == 2


def test_a_network_without_a_graph_is_refused() -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(OptionError, match="functional or a built sequential"):
        receptive_margin(Subclassed())
    with pytest.raises(OptionError, match="functional or a built sequential"):
        total_stride(Subclassed())
