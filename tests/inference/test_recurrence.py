"""Recurrent layers that became one operation give what each series' observed dates alone give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import expit

from geodl.inference import converted
from geodl.inference.conversion import available
from geodl.inference.recurrence import Recurrences
from geodl.models.dates import date_mask, series_features, series_inputs
from tests.inference.convertedseries import convert_here, random_series

MEAN, STD = 0.3, 0.2
OPEN = {"onnx": converted._open_onnx, "openvino": converted._open_openvino}


def make_network() -> keras.Model:
    """An LSTM that reads forwards and a GRU that reads backwards; what it gives are both last states."""
    keras.utils.set_random_seed(3)
    values, days = series_inputs(2)
    x, mask = series_features(values, days, mean=[MEAN] * 2, std=[STD] * 2, dates=False)
    x, observed = layers.Concatenate()([x, layers.Reshape((-1, 1))(days / 365)]), date_mask(mask)
    options: dict[str, Any] = {"return_sequences": True, "use_cudnn": False, "bias_initializer": "glorot_normal"}
    forward = layers.LSTM(3, name="forward", **options)(x, mask=observed)
    backward = layers.GRU(4, go_backwards=True, name="backward", **options)(x, mask=observed)
    return keras.Model([values, days], layers.Concatenate()([forward[:, -1], backward[:, -1]]))


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Last state of an LSTM (Hochreiter and Schmidhuber 1997, with forget gates) on (time, channels)."""
    h = c = np.zeros(len(recurrent))
    for row in x:
        i, f, g, o = np.split(row @ kernel + h @ recurrent + bias, 4)
        c = expit(f) * c + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
    return h


def gru(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Last state of a GRU whose reset gate acts behind the matrix, on (time, channels)."""
    h = np.zeros(len(recurrent))
    for row in x:
        (z, r, g), (hz, hr, hg) = np.split(row @ kernel + bias[0], 3), np.split(h @ recurrent + bias[1], 3)
        z = expit(z + hz)
        h = z * h + (1 - z) * np.tanh(g + expit(r + hr) * hg)
    return h


def expected(network: keras.Model, values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Both last states of each series, of which only what was observed is read."""
    weights = {name: network.get_layer(name).get_weights() for name in ("forward", "backward")}
    found = []
    for row, at in zip(values, days, strict=True):
        seen = np.isfinite(row).any(-1)
        x = np.concatenate([np.nan_to_num((row[seen] - MEAN) / STD), at[seen, None] / 365], -1)
        found.append(np.concatenate([lstm(x, *weights["forward"]), gru(x[::-1], *weights["backward"])]))
    return np.stack(found)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="converted in a process that runs TensorFlow")
@pytest.mark.parametrize("format", OPEN)
def test_gaps_are_as_if_there_were_no_dates(tmp_path: Path, format: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    monkeypatch.setattr(converted, "_STATIC_DATES", 50)
    network = make_network()
    network.save(tmp_path / "network.keras")
    target = tmp_path / ("network.xml" if format == "openvino" else "network.onnx")
    convert_here(tmp_path / "network.keras", target, format=format)
    if format == "onnx":
        import onnx

        kinds = {node.op_type for node in onnx.load(target).graph.node}
        assert {"LSTM", "GRU"} <= kinds and not {"Loop", "Scan"} & kinds
    else:
        assert 'type="LSTMSequence"' in target.read_text() and 'type="GRUSequence"' in target.read_text()
    call = OPEN[format](target)
    for shape in ((6, 17), (2, 1), (3, 8), (6, 17)):
        values, days = random_series(shape, bands=2, seed=shape[1])
        wanted = expected(network, values, days)
        given = {"values": values, "days": days, "more": "is not looked at"}
        np.testing.assert_allclose(call(given), wanted, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(wanted[0], 0)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(2, activation="relu"),
        lambda: layers.LSTM(2, return_state=True),
        lambda: layers.GRU(2, reset_after=False),
        lambda: layers.LSTM(2, dtype="float64"),
        lambda: layers.SimpleRNN(2),
        lambda: layers.Dense(2),
    ],
    ids=["other-activation", "asked-for-states", "other-gru", "other-precision", "other-cell", "no-recurrence"],
)
def test_layers_that_no_operation_stands_for_are_left_as_they_are(layer: Any) -> None:
    made = layer()
    Recurrences().take(made)
    assert "inner_loop" not in vars(made)
