"""One step of the embedded pairs, against scipy's and against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops
from scipy.integrate import DOP853, RK45

from geodl.models.embedded import Pair, dense_basis
from geodl.models.tableaus import TABLEAUS

PEERS = {"dopri5": RK45, "dop853": DOP853}
STATES = np.array([[1.0, 0.5], [2.0, -1.0]], "float32")
SIZES = np.array([[0.3], [-0.2]], "float32")


def pendulum(parameters: Any, x: Any) -> Any:
    return ops.stack([x[:, 1], -parameters[0] * ops.sin(x[:, 0])], axis=1)


@pytest.mark.parametrize("name", list(PEERS))
def test_step_error_and_dense_output_are_scipys(name: str) -> None:
    pair = Pair(TABLEAUS[name])

    def slope(x: Any) -> Any:
        return pendulum([1.0], x)

    states, sizes = ops.convert_to_tensor(STATES), ops.convert_to_tensor(SIZES)
    step = pair.step(slope, states, slope(states), sizes)
    terms = np.asarray(pair.dense(slope, states, step, sizes))
    for sample, (state, size) in enumerate(zip(STATES.astype(float), SIZES[:, 0].astype(float), strict=True)):
        peer = PEERS[name](
            lambda t, x: np.array([x[1], -np.sin(x[0])]), 0.0, state, size, first_step=abs(size), rtol=1.0, atol=1.0
        )
        peer.step()
        np.testing.assert_allclose(np.asarray(step.end)[sample], peer.y, rtol=1e-6, atol=1e-6)
        places = np.linspace(0, 1, 5)
        found = state + np.tensordot(np.array(dense_basis(places, pair.terms)).T, terms[:, sample], 1)
        np.testing.assert_allclose(found, peer.dense_output()(places * size).T, rtol=1e-6, atol=1e-6)


def test_pulling_back_is_the_transpose_of_moving_on() -> None:
    pair, rng = Pair(TABLEAUS["dop853"]), np.random.default_rng(0)
    of_end = rng.normal(size=(2, 2)).astype("float32")
    of_terms = rng.normal(size=(pair.terms, 2, 2)).astype("float32")
    of_end[:, 1] += 20
    sizes = ops.convert_to_tensor(SIZES)

    def objective(states: np.ndarray, rate: float) -> float:
        def slope(x: Any) -> Any:
            return pendulum([rate], x)

        states = ops.convert_to_tensor(states.astype("float32"))
        step = pair.step(slope, states, slope(states), sizes)
        terms = np.asarray(pair.dense(slope, states, step, sizes), "float64")
        return float((of_end * np.asarray(step.end, "float64")).sum() + (of_terms * terms).sum())

    of_states, (of_rate,) = pair.pull(
        pendulum,
        [ops.ones(())],
        state=ops.convert_to_tensor(STATES),
        size=sizes,
        of_end=ops.convert_to_tensor(of_end),
        of_terms=ops.convert_to_tensor(of_terms),
        dense=ops.convert_to_tensor(True),
    )
    move = np.array([[0.0, 0.0], [0.01, 0.0]])
    by_state = (objective(STATES + move, 1.0) - objective(STATES - move, 1.0)) / 0.02
    by_rate = (objective(STATES, 1.01) - objective(STATES, 0.99)) / 0.02
    np.testing.assert_allclose(float(of_states[1, 0]), by_state, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(float(of_rate), by_rate, rtol=2e-3, atol=1e-3)
