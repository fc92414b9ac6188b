"""The Transformer encoder: what it must not see, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models.attention import attention_network
from geodl.models.transformer import SeriesTransformer
from tests.compiled import numbers
from tests.model_case import once, run

SMALL: dict[str, Any] = {"bands": 2, "classes": 3, "width": 8, "depth": 2, "heads": 2, "dropout": 0.0}
MEAN, STD = (0.3, 20.0), (0.2, 5.0)


def _series(series: int = 4, time: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """With missing bands, missing dates and, last, a series without any value."""
    rng = np.random.default_rng(0)
    values = rng.normal(MEAN, STD, size=(series, time, 2)).astype("float32")
    values[0, 3, 1] = np.nan
    values[rng.random((series, time)) < 0.3] = np.nan
    values[-1] = np.nan
    return values, np.cumsum(rng.integers(1, 20, size=(series, time)), axis=1).astype("float32")


def _run(network: keras.Model, values: np.ndarray, days: np.ndarray) -> np.ndarray:
    return run(network, [values, days])


@pytest.mark.parametrize("pool", ["max", pytest.param("attention", marks=once)])
def test_it_learns_and_is_saved(pool: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = SeriesTransformer(**{**SMALL, "depth": 1}, mean=MEAN, std=STD, pool=pool)
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
    assert network.get_layer("features").output.shape == (None, None, 8)


@pytest.mark.parametrize("pool", ["max", pytest.param("mean", marks=once), pytest.param("attention", marks=once)])
def test_what_was_not_observed_does_not_count(pool: Any) -> None:
    network = SeriesTransformer(**SMALL, mean=MEAN, std=STD, pool=pool)
    values, days = _series()
    expected = _run(network, values, days)
    assert expected.shape == (4, 3) and np.isfinite(expected).all()
    missing = np.isnan(values).all(-1)
    np.testing.assert_allclose(_run(network, values, np.where(missing, 1e4, days)), expected, atol=1e-5)
    longer = np.pad(values, ((0, 0), (0, 4), (0, 0)), constant_values=np.nan), np.pad(days, ((0, 0), (0, 4)))
    np.testing.assert_allclose(_run(network, *longer), expected, atol=1e-5)
    for series in range(3):
        kept = ~missing[series]
        alone = _run(network, values[series : series + 1, kept], days[series : series + 1, kept])
        np.testing.assert_allclose(alone[0], expected[series], atol=1e-5)


def test_days_count_or_their_order() -> None:
    values, days = _series()
    for dates in (True, False):
        network = SeriesTransformer(**SMALL, mean=MEAN, std=STD, dates=dates)
        same = np.allclose(_run(network, values, days + 100), _run(network, values, days), atol=1e-5)
        assert same is not dates
        assert not np.allclose(
            _run(network, values[:1, ::-1], days[:1]), _run(network, values[:1], days[:1]), atol=1e-5
        )


@once
def test_attention_weights_lie_on_observed_dates() -> None:
    values, days = _series()
    network = SeriesTransformer(**SMALL, pool="attention")
    weights = _run(attention_network(network), values, days)
    assert weights.shape == (4, 2, 9)
    assert not weights.swapaxes(0, 1)[:, np.isnan(values).all(-1)].any()
    np.testing.assert_allclose(weights.sum(-1), [[1, 1], [1, 1], [1, 1], [0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [("bands", 0), ("classes", 1), ("width", 0), ("depth", 0), ("heads", 3), ("dropout", 1.0), ("pool", "sum")],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        SeriesTransformer(**{**SMALL, option: value})
