from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models import EDSR, RCAN, SRCNN, VDSR, GuidedSR, receptive_margin, total_stride
from geodl.physics.sensor import enlarge
from tests.model_case import once, run, run_network_case, some, stirred

SMALL: dict[Any, dict[str, Any]] = {
    SRCNN: {"channels": 2, "scale": 4, "width": 4},
    VDSR: {"channels": 2, "scale": 3, "depth": 3, "width": 4},
    EDSR: {"channels": 2, "scale": 2, "width": 4, "blocks": 1},
    RCAN: {"channels": 2, "scale": 2, "width": 4, "groups": 1, "blocks": 1, "reduction": 1},
    GuidedSR: {"guide": 1, "targets": 2, "width": 4, "blocks": 1},
}


@some(EDSR, RCAN, GuidedSR)
def test_case(build: Any, tmp_path: Path) -> None:
    bands, scale = (3, 1) if build is GuidedSR else (2, SMALL[build]["scale"])
    run_network_case(
        lambda **options: stirred(build(**options)),
        SMALL[build],
        inputs=[(2, 4, 5, bands)],
        outputs=[(2, 4 * scale, 5 * scale, 2)],
        loss=keras.losses.MeanSquaredError(),
        truth=lambda shape, rng: rng.normal(size=shape).astype("float32"),
        folder=tmp_path,
    )


@some(EDSR, SRCNN, VDSR, RCAN)
def test_untrained_it_enlarges_bicubically(build: Any) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(**SMALL[build], mean=[101325.0, -12.0], std=[900.0, 3.0])
    finally:
        keras.config.set_dtype_policy(policy)
    x = np.random.default_rng(0).normal([101000.0, -10.0], [900.0, 3.0], size=(4, 5, 2))
    expected = enlarge(x, SMALL[build]["scale"])
    result = run(network, x[None])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], expected, rtol=3e-7, atol=1e-5)
    scale = SMALL[build]["scale"]
    assert run(network, x[None, :1, :1]).shape == (1, scale, scale, 2)


@some(EDSR, SRCNN, VDSR, RCAN, GuidedSR)
def test_units_make_no_difference(build: Any) -> None:
    keras.utils.set_random_seed(0)
    plain = stirred(build(**SMALL[build]))
    bands = plain.input_shape[-1]
    mean, std = np.array([300.0, 500.0, -12.0])[-bands:], np.array([1.0, 20.0, 3.0])[-bands:]
    physical = build(**SMALL[build], mean=mean, std=std)
    physical.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 6, 5, bands))
    x[0, 2:4, 1] = np.nan
    np.testing.assert_allclose(run(physical, x * std + mean), run(plain, x) * std[-2:] + mean[-2:], atol=1e-3)


@some(EDSR, SRCNN, VDSR, RCAN)
def test_gaps_do_not_reach_valid_pixels(build: Any) -> None:
    scale = SMALL[build]["scale"]
    network = build(**SMALL[build], mean=[500.0] * 2, std=[300.0] * 2)
    x = np.full((1, 8, 11, 2), 1500.0)
    x[0, :, :6, 0] = np.nan
    found = run(network, x)
    assert np.isfinite(found).all()
    # A constant scene stays constant, however far from the training mean.
    np.testing.assert_allclose(found[0, :, 6 * scale :, 0], 1500, rtol=1e-6)
    np.testing.assert_allclose(found[..., 1], 1500, rtol=1e-6)


@once
def test_guided_starts_from_its_targets() -> None:
    network = GuidedSR(guide=2, targets=3, width=4, blocks=1, mean=[1000.0] * 5, std=[300.0] * 5)
    x = np.random.default_rng(0).normal(1000, 300, (1, 4, 5, 5))
    np.testing.assert_allclose(run(network, x), x[..., 2:], rtol=1e-6)


@once
@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        # The authors' programs print these of their baseline.
        *(((lambda s=s: EDSR(3, scale=s)), count) for s, count in ((2, 1369859), (4, 1517571))),
        (lambda: SRCNN(1, scale=2), 8032 + 97),  # Dong et al. 2016: 8,032 weights, and here the biases
        (lambda: VDSR(1, scale=2), 576 + 18 * 36864 + 576 + 19 * 64 + 1),  # 20 layers of width 64
    ],
)
def test_networks_have_the_published_size(network: Any, parameters: int) -> None:
    assert network().count_params() == parameters


@once
def test_guided_has_the_published_size() -> None:
    # Lanaras et al. 2018: 1.8 million parameters.
    assert 1.75e6 < GuidedSR(guide=4, targets=6, width=128, blocks=6).count_params() < 1.85e6


@once
@pytest.mark.parametrize("scale", [2, 3])
def test_a_window_with_its_margin_gives_what_the_whole_gives(scale: int) -> None:
    keras.utils.set_random_seed(0)
    network = stirred(EDSR(1, scale=scale, width=4, blocks=1))
    margin = receptive_margin(network)
    assert margin is not None and total_stride(network) == 1
    x = np.random.default_rng(0).normal(size=(1, 20, 2 * margin + 5, 1))
    whole, part = run(network, x), run(network, x[:, :, 3:])
    inside = scale * margin
    np.testing.assert_allclose(part[:, :, inside:], whole[:, :, inside + 3 * scale :], atol=1e-5)
    assert np.abs(part[:, :, : scale * margin] - whole[:, :, 3 * scale : scale * (margin + 3)]).max() > 1e-3


@once
def test_attention_has_no_margin() -> None:
    assert receptive_margin(RCAN(**SMALL[RCAN])) is None


@pytest.mark.parametrize(
    ("build", "option", "value"),
    [
        *((SRCNN, "scale", 1), (SRCNN, "width", 1), (VDSR, "depth", 1), (VDSR, "scale", 2.5)),
        *((EDSR, "scale", 8), (EDSR, "blocks", 0), (EDSR, "scaling", 0), (RCAN, "groups", 0)),
        *((RCAN, "reduction", -1), (GuidedSR, "guide", 0), (GuidedSR, "targets", 0), (GuidedSR, "scaling", -1.0)),
        *((EDSR, "std", [1.0]), (GuidedSR, "mean", [0.0, 0.0])),
    ],
)
def test_says_which_option_is_wrong(build: Any, option: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        build(**{**SMALL[build], option: value})
