"""L-TAE against plain numpy with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.special

from geodl.errors import OptionError
from geodl.models.attention import attention_network
from geodl.models.ltae import LTAE
from tests.compiled import numbers
from tests.model_case import run

SMALL: dict[str, Any] = {"bands": 2, "classes": 3, "width": 8, "heads": 2, "key": 3, "mlp": (6, 5), "dropout": 0.0}
MEAN, STD = np.array([0.3, 20.0]), np.array([0.2, 5.0])


def _series(series: int = 4, time: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """With missing bands, missing dates and, last, a series without any value."""
    rng = np.random.default_rng(0)
    values = rng.normal(MEAN, STD, size=(series, time, 2)).astype("float32")
    values[0, 0, 1] = np.nan
    values[rng.random((series, time)) < 0.3] = np.nan
    values[-1] = np.nan
    return values, np.cumsum(rng.integers(1, 20, size=(series, time)), axis=1).astype("float32")


def _run(network: keras.Model, values: np.ndarray, days: np.ndarray) -> np.ndarray:
    return run(network, [values, days])


def _by_hand(network: keras.Model, values: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and weights (head, time) of one series whose dates were all observed in some band."""

    def weights(name: str) -> list[np.ndarray]:
        return [weight.astype(float) for weight in network.get_layer(name).get_weights()]

    finite = np.isfinite(values)
    x = np.concatenate([np.where(finite, (values - MEAN) / STD, 0), finite], axis=-1)
    kernel, bias = weights("embedding1")
    x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = weights("embedding2")
    x = x @ kernel + bias
    gamma, beta = weights("embedding_norm")
    x = gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + beta
    angles = days[:, None] / 1000.0 ** (np.array([0, 2]) / 4)
    x += np.tile(np.stack([np.sin(angles), np.cos(angles)], -1).reshape(len(days), 4), 2)
    pooled, attention = [], []
    for group, key, query in zip(np.split(x, 2, axis=-1), *weights("attention"), strict=True):
        attention.append(scipy.special.softmax(group @ key @ query[:, 0] / np.sqrt(3)))
        pooled.append(attention[-1] @ group)
    y = np.concatenate(pooled)
    for number in (1, 2):
        gamma, beta, mean, variance = weights(f"mlp{number}_norm")
        y = np.maximum(gamma * (y @ weights(f"mlp{number}")[0] - mean) / np.sqrt(variance + 1e-3) + beta, 0)
    kernel, bias = weights("logits")
    return y @ kernel + bias, np.array(attention)


def test_it_is_the_papers_and_missing_dates_do_not_count() -> None:
    keras.utils.set_random_seed(0)
    network = LTAE(**SMALL, mean=MEAN.tolist(), std=STD.tolist())
    rng = np.random.default_rng(2)
    network.set_weights(
        [np.abs(w + 0.1 * rng.normal(size=w.shape)) if w.ndim == 1 else w for w in network.get_weights()]
    )
    values, days = _series()
    logits, weights = _run(network, values, days), _run(attention_network(network), values, days)
    assert logits.shape == (4, 3) and weights.shape == (4, 2, 9) and np.isfinite(logits).all()
    missing = np.isnan(values).all(-1)
    for series in range(3):
        own = ~missing[series]
        expected = _by_hand(network, values[series, own].astype(float), days[series, own].astype(float))
        np.testing.assert_allclose(logits[series], expected[0], atol=1e-4)
        np.testing.assert_allclose(weights[series][:, own], expected[1], atol=1e-5)
        assert not weights[series][:, ~own].any()
    assert not weights[3].any()

    np.testing.assert_allclose(_run(network, values, np.where(missing, 1e4, days)), logits, atol=1e-5)
    longer = np.pad(values, ((0, 0), (0, 4), (0, 0)), constant_values=np.nan), np.pad(days, ((0, 0), (0, 4)))
    np.testing.assert_allclose(_run(network, *longer), logits, atol=1e-5)


def test_it_learns_and_is_saved(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = LTAE(**SMALL, mean=MEAN.tolist(), std=STD.tolist())
    values, days = _series()
    labels = np.array([0, 1, 2, 0])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=keras.backend.backend() == "jax")
    before = network.get_weights()
    losses = [float(network.train_on_batch([values, days], labels)) for _ in range(6)]
    still = [v.path for v, b in zip(network.weights, before) if v.trainable and np.array_equal(b, numbers(v))]
    assert not still and np.isfinite(losses).all() and losses[-1] < losses[0]

    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_allclose(_run(again, values, days), _run(network, values, days), atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("bands", 0),
        ("length", 0),
        ("width", 0),
        ("heads", 3),
        ("key", 0),
        ("mlp", (8, 0)),
        ("tau", 0),
        ("dropout", -0.1),
    ],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}(\[1\])?: expected "):
        LTAE(**{**SMALL, option: value})
