"""The one-step LSTM: its roll-out against Keras, and a rotation that it learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from geodl.baselines import Baseline
from geodl.baselines.lstm import OneStepLSTM, _Pieces
from tests.baselines.dynamics_case import Segments, Trajectory, batch


def _rotation(times: np.ndarray) -> np.ndarray:
    return np.stack([100 + 3 * np.cos(times), 0.2 * np.sin(times)], axis=1)


@pytest.fixture(scope="module")
def trained() -> OneStepLSTM:
    times = np.arange(400) * 0.1
    short = Trajectory(times[:9], _rotation(times[:9]))
    segments = Segments([Trajectory(times, _rotation(times)), short])
    return OneStepLSTM(units=16, length=12, batch=32, steps=250).fit(segments, seed=3)  # type: ignore[arg-type]


def test_it_learns_a_rotation(trained: OneStepLSTM) -> None:
    assert isinstance(trained, Baseline)
    times = 50 + np.arange(200) * 0.1
    x, y = batch(_rotation(times), [20, 45, 90], step=0.1, horizon=60)
    forecast = trained(x)
    error = np.linalg.norm((forecast - y) / [3, 0.2], axis=-1)
    assert error.max() < 0.5
    np.testing.assert_array_equal(forecast[:, 0], x["state"])
    without = trained({name: x[name].astype(np.float32) for name in ("state", "times")})
    assert without.dtype == np.float32
    assert np.linalg.norm((without - y) / [3, 0.2], axis=-1)[:, :20].max() < 0.5


def test_the_roll_out_is_the_network_of_keras(trained: OneStepLSTM) -> None:
    inputs = keras.Input((None, 2))
    memory = keras.layers.LSTM(16)
    dense = keras.layers.Dense(2)
    network = keras.Model(inputs, dense(memory(inputs)))
    network.set_weights(trained._weights)
    read = list((_rotation(np.arange(6) * 0.1) - trained._mean) / trained._scale)
    for _ in range(4):
        change = keras.ops.convert_to_numpy(network(np.stack(read)[None].astype(np.float32)))[0]
        read.append(read[-1] + change * trained._change)
    expected = np.stack(read[5:]) * trained._scale + trained._mean
    states = _rotation(np.arange(6) * 0.1)
    x = {"state": states[5:], "past": np.concatenate([np.full((2, 2), np.nan), states[:5]])[None]}
    x["times"] = np.arange(5)[None] * 0.1
    np.testing.assert_allclose(trained(x)[0], expected, rtol=1e-5)


def test_the_seed_alone_gives_the_first_weights_and_the_batches() -> None:
    one, same, other = (OneStepLSTM(units=4, length=6)._network(2, seed).get_weights() for seed in (1, 1, 2))
    for first, second in zip(one, same, strict=True):
        np.testing.assert_array_equal(first, second)
    assert all(np.abs(one[number] - other[number]).max() > 0.1 for number in (0, 1, 3))
    runs = [_rotation(np.arange(60) * 0.1), _rotation(np.arange(4) * 0.1)]
    batches = [_Pieces(runs, np.ones(2), 6, 32, 5, seed) for seed in (1, 1, 2)]
    for first, second in zip(batches[0][3], batches[1][3], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(batches[0][3][0], batches[2][3][0])
    assert not np.array_equal(batches[0][3][0], batches[0][2][0])
    pieces, changes, weight = batches[0][0]
    counts = weight[:, 1:] > 0
    np.testing.assert_allclose((pieces[:, :-1] + changes[:, :-1])[counts], pieces[:, 1:][counts], rtol=1e-5, atol=1e-6)
    assert set(weight.sum(axis=1)) <= {3, 6}


def test_it_wants_to_be_fitted_first() -> None:
    with pytest.raises(RuntimeError):
        OneStepLSTM()({"state": np.zeros((1, 1)), "times": np.zeros((1, 1))})
