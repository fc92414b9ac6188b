"""Fixed steps: orders of convergence, agreement with scipy, and gradients against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops, tree
from scipy.integrate import solve_ivp

from geodl.autodiff import value_and_gradient
from geodl.models import fixedstep
from geodl.models.fixedstep import integrate_fixed
from geodl.models.tableaus import TABLEAUS
from tests.compiled import compiled, numbers, tensor

pytestmark = pytest.mark.usefixtures("float64")

BACKEND = keras.backend.backend()


def _growth_and_oscillation(_: Any, x: Any) -> Any:
    """A logistic curve and a harmonic oscillator."""
    return ops.stack([x[:, 0] * (1 - x[:, 0]), x[:, 2], -x[:, 1]], axis=1)


@pytest.mark.parametrize(
    ("name", "steps"), [("euler", 200), ("heun", 40), ("rk4", 12), ("dopri5", 32), ("dop853", 5)], ids=lambda v: str(v)
)
def test_error_shrinks_with_the_order(name: str, steps: int) -> None:
    start, end = [[0.1, 1.0, 0.0]], 3.0
    truth = [1 / (1 + 9 * np.exp(-end)), np.cos(end), -np.sin(end)]
    # A sample may have steps of its own: one run shows both sizes.
    intervals = np.zeros((2, 2 * steps))
    intervals[0, :steps], intervals[1] = end / steps, end / steps / 2

    def run(intervals: Any) -> Any:
        return integrate_fixed(_growth_and_oscillation, tensor(start * 2), intervals, tableau=TABLEAUS[name])

    ends = numbers(compiled(run)(tensor(intervals)))[:, -1]
    coarse, fine = np.abs(ends - truth).max(axis=1)
    assert np.log2(coarse / fine) == pytest.approx(TABLEAUS[name].order, abs=0.2)


SYSTEMS: dict[str, tuple[list[float], Callable[[Any], list[Any]]]] = {
    "lorenz63": (
        [1.5, -1.5, 25.0],
        lambda x: [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]],
    ),
    "rossler": ([1.0, 2.0, 0.5], lambda x: [-x[1] - x[2], x[0] + 0.2 * x[1], 0.2 + x[2] * (x[0] - 5.7)]),
    "lotka_volterra": ([1.0, 0.5], lambda x: [x[0] * (1.5 - x[1]), x[1] * (x[0] - 3.0)]),
    "pendulum": ([2.5, 0.0], lambda x: [x[1], -9.81 * ops.sin(x[0])]),
}
TIMES = np.array([0.0, 0.3, 0.5, 1.1, 2.0])


@pytest.fixture(scope="module")
def trajectories(float64: None) -> dict[str, np.ndarray]:
    """All systems, integrated as one."""
    sizes = [len(start) for start, _ in SYSTEMS.values()]
    cuts = np.cumsum(sizes)[:-1].tolist()

    def field(_: Any, x: Any) -> Any:
        parts = zip(SYSTEMS.values(), ops.split(ops.transpose(x), cuts), strict=True)
        return ops.stack([value for (_, slopes), part in parts for value in slopes(part)], axis=1)

    def run(state: Any) -> Any:
        return integrate_fixed(field, state, tensor(np.diff(TIMES)), tableau=TABLEAUS["dopri5"], substeps=300)

    found = compiled(run)(tensor([[value for start, _ in SYSTEMS.values() for value in start]]))
    return dict(zip(SYSTEMS, np.split(numbers(found)[0], cuts, axis=1), strict=True))


@pytest.mark.parametrize("name", SYSTEMS)
def test_agrees_with_scipy(name: str, trajectories: dict[str, np.ndarray]) -> None:
    start, slopes = SYSTEMS[name]

    def field(_: float, x: np.ndarray) -> list[float]:
        return [float(value) for value in slopes(x)]

    truth = solve_ivp(field, (0, 2), start, "DOP853", TIMES, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(trajectories[name], truth.y.T, rtol=1e-8, atol=1e-8)


RNG = np.random.default_rng(0)
WEIGHTS, SCALES, STATES = RNG.normal(size=(3, 3)), RNG.normal(size=3), RNG.normal(size=(4, 3))
INTERVALS = RNG.uniform(0.1, 0.4, (4, 5)) * [[1], [-1], [1], [1]]
"""Irregular, each sample's own; the second goes back in time."""
GIVEN = [STATES, SCALES, WEIGHTS]
SHARES = RNG.normal(size=(4, 6, 3))


def _network(parameters: Any, x: Any) -> Any:
    scales, weights = parameters
    return ops.tanh(ops.matmul(x, weights)) * scales


def loss(given: Any, gradient: str, intervals: Any, *, substeps: int = 7) -> Any:
    """Of the state and the parameters."""
    state, *parameters = given
    states = integrate_fixed(
        _network,
        state,
        tensor(intervals),
        parameters=parameters,
        tableau=TABLEAUS["rk4"],
        substeps=substeps,
        gradient=gradient,  # type: ignore[arg-type]
    )
    return ops.sum(ops.sin(states) * tensor(SHARES[:, : states.shape[1]]))


def differences(function: Callable[[Any], Any], given: list[np.ndarray], direction: list[np.ndarray]) -> float:
    """Derivative in a direction by central differences of fourth order."""
    h = 1e-3
    values = [
        float(function([tensor(g + k * h * d) for g, d in zip(given, direction, strict=True)])) for k in (-2, -1, 1, 2)
    ]
    return float(np.dot([1 / 12, -2 / 3, 2 / 3, -1 / 12], values)) / h


@pytest.mark.parametrize("intervals", [INTERVALS, INTERVALS[0]], ids=["each its own", "one for all"])
def test_gradients_are_those_of_differences(intervals: np.ndarray) -> None:
    value = compiled(lambda given: loss(given, "solver", intervals))
    derived = compiled(lambda given: value_and_gradient(lambda g: loss(g, "solver", intervals), given))
    _, gradients = derived([tensor(g) for g in GIVEN])
    for of in range(3):
        rng = np.random.default_rng(of)
        direction = [rng.normal(size=g.shape) * (k == of) for k, g in enumerate(GIVEN)]
        expected = differences(value, GIVEN, direction)
        assert np.vdot(numbers(gradients[of]), direction[of]) == pytest.approx(expected, rel=1e-8)


def test_both_gradients_are_the_same_and_xla_compiles_them() -> None:
    def one(given: Any, gradient: str) -> list[Any]:
        return tree.flatten(value_and_gradient(lambda g: loss(g, gradient, INTERVALS[:, :2], substeps=30), given))

    def derived(*gradients: str, xla: bool) -> list[np.ndarray]:
        run = compiled(lambda given: [one(given, gradient) for gradient in gradients], xla=xla)
        return [numbers(part) for part in tree.flatten(run([tensor(g) for g in GIVEN]))]

    both = derived("solver", "rematerialised", xla=True)
    for k, plain in enumerate(derived("solver", xla=False)):
        np.testing.assert_allclose(both[k], plain, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(both[k + 4], plain, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("intervals", "substeps"), [(1, 1000), (5, 30), (40, 25), (3, 1)], ids=str)
def test_rematerialised_stores_about_the_root_of_the_steps(
    intervals: int, substeps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def spy(forward: Callable[..., Any], backward: Any) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            output, (_, states, _) = forward(*arguments)
            stored.append(states.shape[0])
            return output

        return run

    monkeypatch.setattr(fixedstep, "with_gradient", spy)
    compiled(lambda x: loss_of_nothing(x, intervals, substeps, "solver"))(tensor(STATES))
    compiled(lambda x: loss_of_nothing(x, intervals, substeps, "rematerialised"))(tensor(STATES))
    all_of_them, few = stored
    steps = intervals * substeps
    assert all_of_them == steps + 1
    assert few <= intervals + 1 + np.sqrt(steps)


def loss_of_nothing(state: Any, intervals: int, substeps: int, gradient: Any) -> Any:
    steps = tensor(np.full(intervals, 0.1))
    return integrate_fixed(
        lambda _, x: ops.zeros_like(x), state, steps, tableau=TABLEAUS["euler"], substeps=substeps, gradient=gradient
    )


def test_float32_stays_float32_eagerly_too() -> None:
    state, scales, weights = (tensor(g, "float32") for g in GIVEN)

    def run(state: Any, substeps: int) -> Any:
        return integrate_fixed(
            _network,
            state,
            tensor([0.2], "float32"),
            parameters=[scales, weights],
            tableau=TABLEAUS["heun"],
            substeps=substeps,
        )

    eager = run(state, 2)
    assert keras.backend.standardize_dtype(eager.dtype) == "float32"
    np.testing.assert_allclose(numbers(eager), numbers(compiled(lambda state: run(state, 2))(state)), rtol=1e-6)
    np.testing.assert_array_equal(numbers(eager)[:, 0], numbers(state))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has sizes that are not known beforehand")
@pytest.mark.parametrize("gradient", ["solver", "rematerialised"])
def test_any_number_of_samples_and_times(gradient: Any) -> None:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, 3), "float64"), tf.TensorSpec((None, None), "float64")]

    @tf.function(input_signature=signature, autograph=False)
    def run(state: Any, intervals: Any) -> Any:
        def total(state: Any) -> Any:
            states = integrate_fixed(
                lambda _, x: -x, state, intervals, tableau=TABLEAUS["rk4"], substeps=3, gradient=gradient
            )
            return ops.sum(states), states

        with tf.GradientTape() as tape:
            tape.watch(state)
            value, states = total(state)
        return states, tape.gradient(value, state)

    for batch, count in [(4, 5), (2, 1), (3, 0)]:
        lengths = np.full((batch, count), 0.1)
        states, gradient_of_state = run(tensor(STATES[:batch]), tensor(lengths))
        decay = np.exp(-0.1 * np.arange(count + 1))
        np.testing.assert_allclose(states, STATES[:batch, None] * decay[:, None], rtol=1e-7)
        np.testing.assert_allclose(gradient_of_state, np.full((batch, 3), decay.sum()), rtol=1e-7)


def test_one_time_is_the_state_itself() -> None:
    found = integrate_fixed(_network, tensor(STATES), tensor(np.zeros((4, 0))), tableau=TABLEAUS["rk4"])
    np.testing.assert_array_equal(numbers(found), STATES[:, None])
