"""Attention over dates against plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import scipy.special

from geodl.errors import OptionError
from geodl.models.attention import (
    DateEncoding,
    DatePositions,
    MaskedSelfAttention,
    MasterQueryAttention,
    attention_network,
    masked_softmax,
)
from tests.compiled import numbers

X = np.random.default_rng(0).normal(size=(3, 7, 8)).astype("float32")
OBSERVED = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]], bool)
MASK = OBSERVED[..., None].astype("float32")


def test_masked_softmax_is_scipys_of_what_is_observed() -> None:
    scores = 50 * X[..., 0]
    found = numbers(masked_softmax(scores, OBSERVED))
    assert not found[~OBSERVED].any()
    for row in (0, 1):
        np.testing.assert_allclose(
            found[row][OBSERVED[row]], scipy.special.softmax(scores[row][OBSERVED[row]]), rtol=1e-5, atol=1e-30
        )


def test_half_precision_keeps_its_type() -> None:
    found = masked_softmax(X[..., 0].astype("float16"), OBSERVED)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(numbers(found).sum(1), [1, 1, 0], atol=2e-3)


def test_days_are_encoded_as_in_the_paper() -> None:
    days, tau, channels = np.array([1.0, 366.0, 700.0]), 1000.0, 6
    found = numbers(DateEncoding(channels, tau=tau)(days[None].astype("float32")))[0]
    for place in range(0, channels, 2):
        angle = days / tau ** (place / channels)
        np.testing.assert_allclose(found[:, place], np.sin(angle), atol=1e-4)
        np.testing.assert_allclose(found[:, place + 1], np.cos(angle), atol=1e-4)


def test_days_that_are_not_finite_count_as_zero() -> None:
    found = numbers(DateEncoding(4)(np.array([[np.nan, np.inf, 0.0]], "float32")))
    np.testing.assert_allclose(found[0], np.tile([0.0, 1.0, 0.0, 1.0], (3, 1)), atol=1e-7)


def test_positions_count_dates() -> None:
    assert numbers(DatePositions()(np.array([[5.0, 9.0, 400.0]]))).tolist() == [[0, 1, 2]]


def test_self_attention_is_softmax_of_products_of_observed_dates() -> None:
    layer = MaskedSelfAttention(2)
    found = numbers(layer([X, MASK]))
    kernel, _, joined, _ = layer.get_weights()
    query, key, value = np.split(X.astype(float) @ kernel, 3, axis=-1)
    for series in (0, 1):
        own, heads = OBSERVED[series], []
        for channels in (slice(0, 4), slice(4, 8)):
            scores = query[series][:, channels] @ key[series][own][:, channels].T / 2
            heads.append(scipy.special.softmax(scores, axis=-1) @ value[series][own][:, channels])
        np.testing.assert_allclose(found[series], np.concatenate(heads, -1) @ joined, atol=1e-5)
    assert not found[2].any()


def _pooled_by_the_paper(
    x: np.ndarray, keys: np.ndarray, bias: np.ndarray, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Equations of section 3.2 for one series (time, channels), head by head, keys with their bias."""
    pooled, weights = [], []
    for group, kernel, offset, query in zip(np.split(x, len(keys), axis=-1), keys, bias, queries, strict=True):
        weights.append(scipy.special.softmax((group @ kernel + offset) @ query[:, 0] / np.sqrt(len(query))))
        pooled.append(weights[-1] @ group)
    return np.concatenate(pooled), np.array(weights)


def test_master_queries_pool_as_in_the_paper() -> None:
    layer = MasterQueryAttention(4, key=3)
    pooled, weights = map(numbers, layer([X, MASK]))
    bias = np.random.default_rng(1).normal(size=(4, 3))
    for series in (0, 1):
        own = OBSERVED[series]
        expected = _pooled_by_the_paper(
            X[series][own].astype(float), layer.get_weights()[0], bias, layer.get_weights()[1]
        )
        np.testing.assert_allclose(pooled[series], expected[0], atol=1e-5)
        np.testing.assert_allclose(weights[series][:, own], expected[1], atol=1e-5)
    assert not weights[np.broadcast_to(~OBSERVED[:, None], weights.shape)].any() and not pooled[2].any()


def test_without_queries_it_is_the_mean_of_observed_dates() -> None:
    layer = MasterQueryAttention(4)
    layer.build([X.shape, MASK.shape])
    layer.set_weights([layer.get_weights()[0], 0 * layer.get_weights()[1]])
    np.testing.assert_allclose(numbers(layer([X, MASK])[0])[1], X[1][OBSERVED[1]].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: DateEncoding(0), "channels"),
        (lambda: DateEncoding(4, tau=1), "tau"),
        (lambda: MasterQueryAttention(2, key=0), "key"),
        (lambda: MasterQueryAttention(3)([X, MASK]), "heads"),
        (lambda: MaskedSelfAttention(3)([X, MASK]), "heads"),
        (lambda: attention_network(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])), "network"),
    ],
    ids=["channels", "tau", "key", "heads of pooling", "heads", "network"],
)
def test_says_which_option_is_wrong(make: Callable[[], Any], option: str) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        make()
