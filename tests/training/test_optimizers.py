from __future__ import annotations

import keras
import numpy as np
import pytest

from geodl.errors import RecipeError
from geodl.training.optimizers import build_optimizer, names


def _variables() -> list[keras.Variable]:
    return [keras.Variable(np.full((2, 2), 4.0, "float32")), keras.Variable(np.full(2, 4.0, "float32"))]


@pytest.mark.parametrize("name", names())
def test_every_optimiser_of_keras_takes_a_step(name: str) -> None:
    variables = _variables()
    optimizer = build_optimizer(name, learning_rate=0.1, weight_decay=0.01, clip_norm=1.0, ema=0.9, variables=variables)
    optimizer.build(variables)
    optimizer.apply([keras.ops.ones((2, 2)), keras.ops.ones(2)], variables)
    assert all((variable.numpy() < 4).all() for variable in variables)


@pytest.mark.parametrize("name", ["adamw", "adam_w", "AdamW"])
def test_names_are_forgiving(name: str) -> None:
    assert type(build_optimizer(name, learning_rate=0.1)) is keras.optimizers.AdamW


def test_weights_decay_and_biases_do_not() -> None:
    variables = _variables()
    optimizer = build_optimizer("sgd", learning_rate=0.5, weight_decay=0.1, variables=variables)
    optimizer.apply([keras.ops.zeros((2, 2)), keras.ops.zeros(2)], variables)
    np.testing.assert_allclose(variables[0].numpy(), 4 - 4 * 0.1 * 0.5)
    np.testing.assert_allclose(variables[1].numpy(), 4)


def test_all_gradients_together_are_clipped() -> None:
    variables = _variables()
    optimizer = build_optimizer("sgd", learning_rate=1.0, clip_norm=3.0)
    optimizer.apply([keras.ops.full((2, 2), 8.0), keras.ops.full((2,), 8.0)], variables)
    change = np.concatenate([4 - variable.numpy().ravel() for variable in variables])
    np.testing.assert_allclose(change, 3 / np.sqrt(6), rtol=1e-6)


def test_options_reach_keras() -> None:
    assert build_optimizer("sgd", learning_rate=0.1, options={"momentum": 0.7}).momentum == 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "admw"}, r"train\.optimizer\.name: expected one of: .*\. Received: 'admw'\. Did you mean 'adamw'\?"),
        (
            {"name": "sgd", "options": {"momentun": 0.9}},
            r"options\.momentun: SGD has no such argument\. Did you mean 'momentum'",
        ),
        (
            {"name": "sgd", "options": {"learning_rate": 1.0}},
            r"options\.learning_rate: expected as a key of train\.optimizer",
        ),
        ({"name": "sgd", "options": {"momentum": 7}}, r"train\.optimizer: SGD refuses: "),
    ],
)
def test_mistakes(arguments: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_optimizer(learning_rate=0.1, **arguments)
