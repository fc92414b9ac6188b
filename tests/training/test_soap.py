"""SOAP against Adam, where they are the same, and against its own symmetry, where they are not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import ortho_group

from geodl.errors import OptionError
from geodl.training.optimizers import build_optimizer
from geodl.training.soap import SOAP


def walked(optimizer: keras.optimizers.Optimizer, start: np.ndarray, gradients: Any, steps: int) -> np.ndarray:
    """Where an optimiser gets from `start` with gradients that are a function of where it is."""
    variable = keras.Variable(start.astype("float32"))
    optimizer.build([variable])
    for _ in range(steps):
        gradient = gradients(np.asarray(keras.ops.convert_to_numpy(variable.value)))
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype("float32"))])
    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def test_of_one_number_it_is_adam() -> None:
    settings = {"learning_rate": 0.05, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}
    found, expected = (
        walked(kind(**settings), np.array(3.0), lambda at: 2 * at + np.sin(5 * at), 40)
        for kind in (SOAP, keras.optimizers.Adam)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_does_not_see_how_rows_and_columns_are_turned() -> None:
    rng = np.random.default_rng(0)
    left, right = ortho_group(3, seed=1).rvs(), ortho_group(3, seed=2).rvs()
    target, start = rng.normal(size=(2, 3, 3))
    scale = np.geomspace(1, 0.1, 9).reshape(3, 3)
    plain = walked(SOAP(0.05, every=1), start, lambda at: scale * (at - target), 12)
    turned = walked(
        SOAP(0.05, every=1),
        left @ start @ right,
        lambda at: left @ (scale * (left.T @ at @ right.T - target)) @ right,
        12,
    )
    np.testing.assert_allclose(turned, left @ plain @ right, atol=2e-3)


def test_a_narrow_valley_across_the_axes_is_followed_further_than_by_adam() -> None:
    turn = ortho_group(8, seed=3).rvs()
    hessian = turn @ np.diag(np.geomspace(1, 1e-4, 8)) @ turn.T
    start = turn @ np.ones((8, 1))

    def left_over(optimizer: keras.optimizers.Optimizer) -> float:
        end = walked(optimizer, start, lambda at: hessian @ at, 400)
        return float((end.T @ hessian @ end).item())

    schedule = keras.optimizers.schedules.CosineDecay(0.05, 400)
    assert left_over(SOAP(schedule, every=5)) < 0.1 * left_over(keras.optimizers.Adam(schedule))


def test_recipes_name_it_and_it_is_saved() -> None:
    optimizer = build_optimizer("soap", learning_rate=1e-3, options={"every": 7}, ema=0.9)
    again = SOAP.from_config(optimizer.get_config())
    assert (again.every, again.use_ema, again.beta_1) == (7, True, 0.95)


def test_weights_of_more_axes_and_long_ones() -> None:
    optimizer = SOAP(0.1)
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in ((2, 3, 4), (1030, 2), (5,))]
    optimizer.build(variables)
    optimizer.apply([keras.ops.ones(variable.shape) for variable in variables])
    assert all((np.asarray(variable) < 0).all() for variable in variables)
    assert len(optimizer.variables) == 2 + 2 * 3 + 2 * (2 + 1 + 1)


@pytest.mark.parametrize("options", [{"beta_1": 1.0}, {"beta_2": -0.1}, {"every": 0}])
def test_arguments_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        SOAP(**options)
