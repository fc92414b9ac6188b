"""The front of the solvers: which one runs with what, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from geodl.errors import OptionError
from geodl.models import solvers
from geodl.models.solvers import GRADIENTS, integrate
from geodl.models.tableaus import TABLEAUS

START = np.array([[1.0, 2.0], [0.5, -1.0]], "float32")


def decay(parameters: Any, x: Any) -> Any:
    return -parameters[0] * x


def solve(times: Any, **options: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(integrate(decay, START, times, parameters=[0.5], **options)))


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_regular_irregular_and_backward(gradient: Any) -> None:
    for times in ([0.0, 0.2, 0.5], [3.0, 2.9, 2.5], [[0.0, 0.1, 0.4], [1.0, 0.9, 0.3]]):
        rows = np.broadcast_to(np.atleast_2d(times), (2, 3))
        truth = START[:, None] * np.exp(-0.5 * (rows - rows[:, :1]))[..., None]
        for given in (times, ops.convert_to_tensor(times, "float32")):
            found = solve(given, substeps=2, gradient=gradient)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, truth, rtol=1e-5)
            np.testing.assert_array_equal(found[:, 0], START)


@pytest.mark.parametrize("solver", TABLEAUS)
def test_step_gives_as_many_steps_as_the_longest_interval_needs(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr(solvers, "integrate_fixed", lambda *_, **options: seen.update(options))
    for step, expected in [(0.1, 3), (0.3, 1), (0.29, 2), (5.0, 1)]:
        integrate(decay, START, np.array([0.0, 0.1, 0.2, 0.5], "float32"), solver=solver, step=step)
        assert (seen["substeps"], seen["tableau"].name) == (expected, solver)


def test_late_times_keep_their_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(solvers, "integrate_fixed", lambda field, state, intervals, **_: seen.append(intervals))
    integrate(decay, START, 50_000 + np.array([0, 0.01, 0.02]), step=0.01)
    np.testing.assert_allclose(ops.convert_to_numpy(seen[0]), 0.01, rtol=1e-6)


@pytest.mark.parametrize("solver", ["dopri5", "dop853"])
def test_adaptive_unless_steps_are_given(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(solvers, "integrate_adaptive", lambda *_, **options: seen.update(options))
    integrate(decay, START, [0.0, 1.0], parameters=[0.5], solver=solver, rtol=1e-3, max_steps=7, gradient="adjoint")
    assert seen.pop("tableau").name == solver
    assert seen == {"parameters": [0.5], "rtol": 1e-3, "atol": 1e-6, "max_steps": 7, "gradient": "adjoint"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"solver": "rk5", "step": 0.1},
            "solver: expected one of: euler, heun, rk4, dopri5, dop853. Did you mean 'rk4'?",
        ),
        ({"step": 0.1, "substeps": 2}, "step: expected either step or substeps. Received: 'step=0.1, substeps=2'."),
        ({}, "step: expected a step, or substeps, as rk4 takes fixed steps. Received: None."),
        ({"solver": "dop853", "adaptive": False}, "step: expected a step, or substeps, as dop853 takes fixed steps."),
        ({"step": 0.0}, "step: expected a number greater than 0. Received: 0.0."),
        ({"step": float("nan")}, "step: expected a number greater than 0."),
        ({"substeps": 0}, "substeps: expected a whole number of at least 1. Received: 0."),
        ({"adaptive": True}, "solver: expected one that can adapt its steps: dopri5, dop853. Received: 'rk4'."),
        (
            {"solver": "dopri5", "adaptive": True, "step": 1.0},
            "adaptive: expected False where step or substeps is given",
        ),
        ({"step": 0.1, "gradient": "exact"}, "gradient: expected one of: solver, rematerialised, adjoint."),
    ],
    ids=lambda value: "-".join(value) or "nothing" if isinstance(value, dict) else "",
)
def test_options_that_do_not_go(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(sentence)}"):
        solve([0.0, 1.0], **options)


@pytest.mark.parametrize(
    ("times", "received"),
    [
        ([0.0, 0.1, 0.1, 0.2], "0.1 then 0.1 at positions 1 and 2'"),
        ([0.0, 0.3, 0.2], "0.3 then 0.2 at positions 1 and 2'"),
        ([2.0, 1.0, 1.5], "1 then 1.5 at positions 1 and 2'"),
        ([[0.0, 1.0, 2.0], [0.0, 1.0, 0.5]], "1 then 0.5 at positions 1 and 2 of sample 1'"),
        ([0.0, float("nan"), 1.0], "0 then nan at positions 0 and 1'"),
        ([float("nan")], "nan at position 0'"),
    ],
    ids=["repeated", "unsorted", "backward", "in a sample", "not a number", "alone"],
)
def test_times_that_do_not_go_one_way(times: list[Any], received: str) -> None:
    expected = "times: expected finite numbers, strictly increasing or strictly decreasing. Received: '"
    with pytest.raises(OptionError, match=f"^{re.escape(expected + received)}"):
        solve(times, step=0.1)


@pytest.mark.parametrize("shape", [(3, 2), (2, 2, 2), (0,), ()], ids=str)
def test_times_of_a_shape_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"^times: expected \(time,\) or \(batch, time\)"):
        solve(np.cumsum(np.ones(shape), axis=-1) if shape else 0.0, substeps=1)


def test_state_of_a_shape_that_does_not_fit() -> None:
    with pytest.raises(OptionError, match=r"^state: expected \(batch, state\)\. Received: \(2,\)\."):
        integrate(decay, START[0], [0.0, 1.0], substeps=1)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="its numbers are always known")
def test_a_step_needs_times_that_are_known() -> None:
    def run(times: Any) -> Any:
        return integrate(decay, START, times, parameters=[0.5], step=0.1)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        run = tf.function(run, autograph=False)
    else:
        import jax

        run = jax.jit(run)
    with pytest.raises(
        OptionError, match="substeps: expected given instead of step, as these times are known only when"
    ):
        run(ops.convert_to_tensor([0.0, 1.0]))
