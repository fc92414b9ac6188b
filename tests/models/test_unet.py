from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.losses import CrossEntropy
from geodl.models import UNet
from tests.model_case import once, run, run_network_case

SMALL: dict[str, Any] = {"channels": 3, "classes": 4, "width": 4, "depth": 2}


def labels(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-1, shape[-1], size=shape[:-1]).astype("int32")


@pytest.mark.parametrize(
    "options",
    [
        # What follows has all of its blocks.
        pytest.param({}, marks=once),
        {"depth": 1, "norm": "group", "residual": True},
        {"depth": 1, "norm": None, "attention": True, "dropout": 0.1},
        {"depth": 1, "stem": 2},
    ],
    ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items()) or "default",
)
def test_case(options: dict[str, Any], tmp_path: Path) -> None:
    inputs = [(1, 1, 7, 3), (2, 10, 9, 3)]
    run_network_case(
        UNet,
        {**SMALL, **options},
        inputs=inputs,
        outputs=[(*shape[:-1], 4) for shape in inputs],
        loss=CrossEntropy(),
        truth=labels,
        folder=tmp_path,
    )


@once
def test_default_is_the_network_of_the_paper_at_a_quarter_of_its_width() -> None:
    network = UNet(channels=4, classes=5)
    kernels = [layer.kernel.shape for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    down_and_up = (16, 32, 64, 128, 256, 128, 64, 32, 16)
    assert [k[-1] for k in kernels if k[0] == 3] == [filters for filters in down_and_up for _ in range(2)]
    assert network.input_shape == (None, None, None, 4)
    assert network.output_shape == (None, None, None, 5)
    assert 1.7e6 < network.count_params() < 2.0e6


def test_takes_physical_units_and_nodata() -> None:
    mean, std = np.array([5000.0, -12.0, 280.0]), np.array([900.0, 3.0, 0.5])
    keras.utils.set_random_seed(1)
    plain = UNet(**SMALL)
    physical = UNet(**SMALL, mean=mean, std=std)
    physical.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 12, 12, 3))
    x[0, 3:5, 2:9] = 0
    values = (x * std + mean).astype("float32")
    values[0, 3:5, 2:9] = np.nan
    np.testing.assert_allclose(run(physical, values), run(plain, x), atol=2e-3)


@once
@pytest.mark.parametrize("jit", [False, True])
def test_same_at_any_size_with_and_without_compilation(jit: bool) -> None:
    keras.utils.set_random_seed(2)
    network = UNet(**{**SMALL, "depth": 1}, attention=True, stem=2)
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(2, height, width, 3)).astype("float32") for height, width in [(8, 8), (5, 1), (11, 6)]]
    eager = [keras.ops.convert_to_numpy(network(x, training=False)) for x in images]
    network.compile(keras.optimizers.SGD(0.0), CrossEntropy(), jit_compile=jit)
    for x, expected in zip(images, eager):
        np.testing.assert_allclose(network.predict_on_batch(x), expected, rtol=1e-4, atol=1e-4)
    assert np.isfinite(network.train_on_batch(images[-1], labels(eager[-1].shape, rng)))


def test_pads_with_the_training_mean() -> None:
    keras.utils.set_random_seed(3)
    network = UNet(**SMALL)
    x = np.random.default_rng(0).normal(size=(1, 7, 5, 3)).astype("float32")
    padded = np.full((1, 8, 8, 3), np.nan, "float32")
    padded[:, :7, :5] = x
    np.testing.assert_allclose(run(network, x), run(network, padded)[:, :7, :5], atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "group"] if keras.backend.backend() == "tensorflow" else ["group"])
def test_logits_are_float32_under_mixed_precision(norm: Any) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = UNet(**{**SMALL, "depth": 1}, norm=norm, attention=True, stem=2, mean=[1000.0] * 3, std=[0.5] * 3)
        network.compile(keras.optimizers.Adam(), CrossEntropy(), run_eagerly=keras.backend.backend() == "tensorflow")
        x = np.random.default_rng(0).normal(1000.0, 0.5, size=(1, 9, 8, 3)).astype("float32")
        assert network.predict_on_batch(x).dtype == np.float32
        assert network.get_layer("down0_conv1").compute_dtype == "bfloat16"
        # In 16 bits all values around 1000 would be the same.
        normalised = network.get_layer("normalisation")(x)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(normalised), (x - 1000) / 0.5, atol=1e-3)
        assert np.isfinite(network.train_on_batch(x, np.zeros((1, 9, 8), "int32")))
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    ("option", "value"),
    [("channels", 0), ("classes", 0), ("width", "16"), ("depth", 0), ("norm", "layer"), ("dropout", 1.0), ("stem", 3)],
)
def test_says_which_option_is_wrong(option: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected .* Received: {value!r}"):
        UNet(**{**SMALL, option: value})


def test_refuses_statistics_of_other_bands() -> None:
    with pytest.raises(OptionError, match="3 numbers, one per channel"):
        UNet(**SMALL, mean=[0.0, 0.0], std=[1.0, 1.0])
