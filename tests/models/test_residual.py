from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models import DnCNN, FFDNet, ResidualUNet, receptive_margin, total_stride
from geodl.physics.speckle import from_intensity, log_bias
from tests.model_case import once, run, run_network_case, some, stirred

SMALL: dict[Any, dict[str, Any]] = {
    DnCNN: {"channels": 2, "depth": 3, "width": 4},
    ResidualUNet: {"channels": 2, "width": 4, "depth": 1, "blocks": 1},
    FFDNet: {"channels": 2, "depth": 3, "width": 4},
}


@some(DnCNN, ResidualUNet, FFDNet)
def test_case(build: Any, tmp_path: Path) -> None:
    bands = 3 if build is FFDNet else 2
    run_network_case(
        lambda **options: stirred(build(**options)),
        SMALL[build],
        inputs=[(2, 5, 7, bands)],
        outputs=[(2, 5, 7, 2)],
        loss=keras.losses.MeanSquaredError(),
        truth=lambda shape, rng: rng.normal(size=shape).astype("float32"),
        folder=tmp_path,
    )


@some(ResidualUNet, DnCNN, FFDNet)
def test_untrained_it_gives_its_input_back_with_gaps_filled(build: Any) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(**{**SMALL[build], "norm": None}, mean=[101325.0, -12.0], std=[900.0, 3.0])
    finally:
        keras.config.set_dtype_policy(policy)
    x = np.random.default_rng(0).normal([101000.0, -10.0], [900.0, 3.0], size=(1, 5, 7, 2)).astype("float32")
    x[0, 2, 3] = np.nan
    given = np.concatenate([x, np.ones((1, 5, 7, 1), "float32")], axis=-1) if build is FFDNet else x
    result = run(network, given)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.where(np.isnan(x), [101325.0, -12.0], x), rtol=3e-7)
    assert run(network, given[:, :1, :1]).shape == (1, 1, 1, 2)


@some(FFDNet, DnCNN, ResidualUNet)
def test_units_make_no_difference(build: Any) -> None:
    keras.utils.set_random_seed(0)
    plain = stirred(build(**SMALL[build]))
    mean, std = np.array([500.0, -12.0]), np.array([20.0, 20.0])
    physical = build(**SMALL[build], mean=mean, std=std)
    physical.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 2))
    x[0, 2:4, 1] = 0
    values = x * std + mean
    values[0, 2:4, 1] = np.nan
    if build is FFDNet:
        x, values = (np.insert(image, 2, level, axis=-1) for image, level in ((x, 0.7), (values, 14.0)))
    np.testing.assert_allclose(run(physical, values), run(plain, x) * std + mean, atol=1e-3)


@once
@pytest.mark.parametrize("unit", ["intensity", "amplitude", "dB"])
def test_of_speckle_it_removes_the_bias_of_the_logarithm(unit: Any) -> None:
    options: dict[str, Any] = {**SMALL[DnCNN], "speckle": unit, "looks": 2.0, "floor": 1e-3}
    intensity = np.random.default_rng(0).gamma(2, 3, (1, 4, 5, 2))
    intensity[0, 0, 0], intensity[0, 1, 1] = 0, np.nan
    result = run(DnCNN(**options, mean=[1.0, 1.0], std=[2.0, 2.0]), from_intensity(intensity, unit))
    expected = np.maximum(intensity, 1e-3) * np.exp(-log_bias(2.0))
    expected[0, 1, 1] = np.exp(1.0)
    np.testing.assert_allclose(result, from_intensity(expected, unit), rtol=1e-4, atol=1e-5)


@once
def test_dncnn_is_the_papers() -> None:
    network = DnCNN(channels=1)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [layer.filters for layer in convolutions] == [64] * 16 + [1]
    assert len(norms) == 15 and {layer.momentum for layer in norms} == {0.9}
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == 640 + 15 * (64 * 64 * 9 + 128) + 577
    assert receptive_margin(network) == 17  # section III-A: a field of 35 × 35


@once
def test_the_noise_level_is_heard() -> None:
    network = stirred(FFDNet(**SMALL[FFDNet]))
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 3))
    quiet, loud = (run(network, np.concatenate([x[..., :2], np.full_like(x[..., :1], s)], -1)) for s in (0.1, 2.0))
    assert np.abs(quiet - loud).min() > 0


@once
def test_ffdnet_has_the_published_size() -> None:
    # The authors' has 485,316; the level's map has 4 channels here instead of 1.
    assert FFDNet(channels=1).count_params() == 485316 + 3 * 64 * 9


@once
def test_levels_blocks_and_stem_are_those_asked_for() -> None:
    network = ResidualUNet(channels=3, width=8, depth=2, blocks=1, middle=3, stem=4)
    assert total_stride(network) == 16
    assert network.get_layer("first").input.shape == (None, None, None, 48)
    assert network.get_layer("middle_block3_conv2").filters == 32
    assert len([layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]) == 2 * 7 + 2 + 4


@pytest.mark.parametrize(
    ("build", "option", "value"),
    [
        *((DnCNN, "channels", 0), (DnCNN, "depth", 1), (DnCNN, "width", 0), (DnCNN, "norm", "layer")),
        *((DnCNN, "speckle", "power"), (ResidualUNet, "stem", 3), (ResidualUNet, "middle", 0)),
        *((ResidualUNet, "blocks", 0.5), (FFDNet, "depth", 1), (FFDNet, "norm", "instance"), (FFDNet, "mean", [0.0])),
    ],
)
def test_says_which_option_is_wrong(build: Any, option: str, value: object) -> None:
    expected = "unit" if option == "speckle" else option
    with pytest.raises(OptionError, match=rf"^{expected}: expected "):
        build(**{**SMALL[build], option: value})


@pytest.mark.parametrize(("option", "value"), [("looks", 0.0), ("floor", 0.0)])
def test_refuses_impossible_speckle(option: str, value: float) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        DnCNN(**SMALL[DnCNN], speckle="intensity", **{option: value})


@once
@pytest.mark.parametrize("unit", ["intensity", "amplitude"])
def test_radar_images_of_another_calibration_are_treated_alike(unit: Any) -> None:
    keras.utils.set_random_seed(0)
    network = stirred(DnCNN(1, depth=3, width=4, speckle=unit, floor=1e-20, mean=[2.0], std=[1.5]))
    x = np.random.default_rng(0).gamma(1, 7, (1, 40, 45, 1)).astype(np.float32)
    x[0, 5:9, 5:9] = np.nan
    known = np.isfinite(x)
    one, other = run(network, x)[known], run(network, 1000 * x)[known]
    assert not np.allclose(one, x[known], rtol=0.01)
    np.testing.assert_allclose(other, 1000 * one, rtol=2e-4)
