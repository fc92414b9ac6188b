from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit

from geodl.errors import OptionError
from geodl.models import ConvLSTM2D, EncoderForecaster, receptive_margin, total_stride
from tests.model_case import once, run, stirred
from tests.rain_case import advected_or_last, clip, run_rain_case

SMALL: dict[str, Any] = {"frames": 3, "leads": 2, "widths": (4, 6), "stem": 2, "scales": 2}


def _as_keras(layer: ConvLSTM2D, x: np.ndarray, state: list[np.ndarray] | None) -> np.ndarray:
    """What Keras' own layer gives with the same weights."""
    stock = keras.layers.ConvLSTM2D(
        layer.filters,
        layer.kernel,
        padding="same",
        recurrent_activation="sigmoid",
        return_sequences=layer.return_sequences,
    )
    stock.build(x.shape)
    # Keras' order of gates is input, forget, cell, output; ours has the cell last.
    order = np.r_[0:2, 3, 2][:, None] * layer.filters + np.arange(layer.filters)
    stock.set_weights([weight[..., order.ravel()] for weight in layer.get_weights()])
    return keras.ops.convert_to_numpy(stock(x, initial_state=state))


@pytest.mark.parametrize("with_state", [False, True], ids=["from zero", "from a state"])
def test_it_is_keras_own_layer(with_state: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 6, 3)).astype("float32")
    state = [rng.normal(size=(2, 5, 6, 4)).astype("float32") for _ in range(2)] if with_state else None
    layer = ConvLSTM2D(4, 3)
    mine = keras.ops.convert_to_numpy(layer(x, initial_state=state))
    np.testing.assert_allclose(mine, _as_keras(layer, x, state), atol=1e-5)


def test_peepholes_are_the_papers_equation() -> None:
    # On one pixel a convolution is a product with the middle of its kernel.
    rng = np.random.default_rng(1)
    layer = ConvLSTM2D(2, 3, peephole=True, return_sequences=False, return_state=True)
    x = rng.normal(size=(1, 3, 1, 1, 2)).astype("float32")
    hidden, cell = (rng.normal(size=(1, 1, 1, 2)).astype("float32") for _ in range(2))
    layer(x)
    weights = [rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    result = [keras.ops.convert_to_numpy(value).ravel() for value in layer(x, initial_state=[hidden, cell])]
    (w_x, w_h), bias, peep = (w[1, 1] for w in weights[:2]), weights[2], weights[3]
    h, c = hidden.ravel(), cell.ravel()
    for step in range(3):
        i, f, o, g = np.split(x[0, step].ravel() @ w_x + h @ w_h + bias, 4)
        c = expit(f + peep[1] * c) * c + expit(i + peep[0] * c) * np.tanh(g)
        h = expit(o + peep[2] * c) * np.tanh(c)
    for value, expected in zip(result, (h, h, c), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


@once
def test_what_the_layer_returns_and_how_it_starts() -> None:
    x = np.zeros((2, 3, 4, 5, 1), "float32")
    layer = ConvLSTM2D(6, 5, return_state=True)
    assert [tuple(value.shape) for value in layer(x)] == [(2, 3, 4, 5, 6), (2, 4, 5, 6), (2, 4, 5, 6)]
    assert tuple(ConvLSTM2D(6, return_sequences=False)(x).shape) == (2, 4, 5, 6)
    np.testing.assert_array_equal(layer.get_weights()[2], np.repeat([0, 1, 0, 0], 6))
    symbolic = ConvLSTM2D(6, return_state=True)(keras.Input((3, None, None, 1)))
    assert [value.shape for value in symbolic] == [(None, 3, None, None, 6), *[(None, None, None, 6)] * 2]
    again = ConvLSTM2D.from_config(ConvLSTM2D(6, 5, peephole=True, return_sequences=False).get_config())
    assert (again.kernel, again.peephole, again.return_sequences, again.return_state) == (5, True, False, False)


def test_case(tmp_path: Path) -> None:
    # Few steps: XLA compiles each one.
    options = {"frames": 2, "leads": 1, "widths": (4,), "stem": 2, "scales": 2, "advected": True}
    run_rain_case(EncoderForecaster, options, folder=tmp_path)


@once
def test_case_without_advected_frames(tmp_path: Path) -> None:
    options = {**SMALL, "scales": 0, "transform": "db", "peephole": True, "head": "gaussian"}
    run_rain_case(EncoderForecaster, options, folder=tmp_path)


@once
def test_one_level_at_full_resolution() -> None:
    options = {**SMALL, "widths": (4,), "stem": 1, "scales": 0}
    x = clip(options, advected=False)
    np.testing.assert_allclose(run(EncoderForecaster(**options), x), advected_or_last(x, options), rtol=1e-5, atol=1e-6)


@once
def test_levels_and_stem_make_the_lattice() -> None:
    network = EncoderForecaster(2, 3, widths=(2, 3, 4), stem=4, scales=0, advected=True)
    assert total_stride(network) == 16
    assert receptive_margin(network) is None
    assert [network.get_layer(f"encoder{level}").filters for level in range(3)] == [2, 3, 4]
    assert network.get_layer("encoder0").kernel == 3
    assert total_stride(EncoderForecaster(2, 3, widths=(2,), stem=2, scales=4)) == 8


@once
def test_rain_ahead_of_the_last_frame_is_seen_from_every_step() -> None:
    network = stirred(EncoderForecaster(**SMALL, advected=True))
    x = clip(SMALL, advected=True)
    plain = run(network, x)
    for step in range(5):
        other = x.copy()
        other[:, step, 2:6, 2:6] += 5
        assert np.abs(run(network, other) - plain).max() > 1e-4, step


@once
def test_in_mixed_precision_it_still_starts_from_the_advected_frames() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = EncoderForecaster(**SMALL, advected=True)
    finally:
        keras.config.set_dtype_policy(policy)
    x = clip(SMALL, advected=True)
    result = run(network, x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, advected_or_last(x, SMALL), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("frames", 0), ("leads", 0.5), ("widths", ()), ("widths", (4, 0)), ("kernel", 4), ("stem", 3)),
        *(("transform", "root"), ("head", "quantiles"), ("mean", np.nan), ("std", 0.0)),
    ],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        EncoderForecaster(**{**SMALL, option: value})


def test_the_number_of_steps_must_be_known() -> None:
    with pytest.raises(OptionError, match="^inputs: expected .* a known number of steps"):
        ConvLSTM2D(2)(keras.Input((None, 8, 8, 1)))
