from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from geodl.errors import RecipeError
from geodl.training.schedules import NAMES, build_schedule

_RATE, _TOTAL, _EVERY = 0.2, 100, 10

_CLOSED_FORMS = {
    "constant": lambda s, total: _RATE,
    "cosine": lambda s, total: _RATE * (0.05 + 0.95 * (1 + math.cos(math.pi * s / total)) / 2),
    "exponential": lambda s, total: _RATE * 0.5 ** (s / _EVERY),
    "step": lambda s, total: _RATE * 0.5 ** (s // _EVERY),
    "time": lambda s, total: _RATE / (1 + s / _EVERY),
}


def _build(name: str, warmup: int) -> object:
    return build_schedule(
        name, learning_rate=_RATE, total_steps=_TOTAL, warmup=warmup, final=0.05, factor=0.5, every=_EVERY
    )


def test_all_have_a_closed_form() -> None:
    assert tuple(_CLOSED_FORMS) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0, 20])
def test_values(name: str, warmup: int) -> None:
    schedule = _build(name, warmup)
    for step in (0, 1, 7, 19, 20, 29, 30, 75, 99, 100):
        value = float(schedule(keras.ops.convert_to_tensor(step))) if callable(schedule) else schedule
        full = _CLOSED_FORMS[name](max(step - warmup, 0), _TOTAL - warmup)
        assert value == pytest.approx(full * min(1, step / warmup) if warmup else full, rel=2e-5, abs=1e-9), step


@pytest.mark.parametrize("name", NAMES)
def test_an_optimiser_with_it_can_be_stored(name: str) -> None:
    optimizer = keras.optimizers.SGD(_build(name, 5))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for iteration in (0, 3, 50):
        for each in (optimizer, again):
            each.iterations.assign(iteration)
        assert float(again.learning_rate) == float(optimizer.learning_rate)


def test_the_rate_follows_the_optimisers_own_count() -> None:
    optimizer = keras.optimizers.SGD(_build("time", 4))
    weight = keras.Variable(np.zeros(1, "float32"))
    steps = []
    for _ in range(6):
        before = weight.numpy()[0]
        optimizer.apply([keras.ops.ones(1)], [weight])
        steps.append(before - weight.numpy()[0])
    expected = [_RATE * min(1, step / 4) / (1 + max(step - 4, 0) / _EVERY) for step in range(6)]
    np.testing.assert_allclose(steps, expected, rtol=1e-5)


def test_mistakes() -> None:
    with pytest.raises(RecipeError, match=r"train\.schedule\.name: .* Did you mean 'cosine'\?"):
        build_schedule("cosin", learning_rate=0.1, total_steps=10)
    with pytest.raises(RecipeError, match=r"train\.schedule\.warmup: expected fewer than the 10 steps"):
        build_schedule("cosine", learning_rate=0.1, total_steps=10, warmup=10)
