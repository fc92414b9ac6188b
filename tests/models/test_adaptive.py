"""Adaptive solvers against scipy's on chaotic, stiff and conservative systems, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.integrate import solve_ivp

from geodl.autodiff import vjp
from geodl.errors import OptionError, StepUnderflow
from geodl.models.adaptive import integrate_adaptive, integrate_with_statistics
from geodl.models.tableaus import TABLEAUS
from tests.compiled import compiled

pytestmark = pytest.mark.usefixtures("float64")

PEERS = {"dopri5": "RK45", "dop853": "DOP853"}
STATES = np.array([[-8.0, 8.0, 27.0], [1.0, 1.0, 1.1], [5.0, -5.0, 20.0]])
TIMES = np.linspace(0, 0.5, 21)
LORENZ = np.array([10.0, 28.0, 8 / 3])


def tensors(*arrays: Any, dtype: str = "float64") -> list[Any]:
    return [ops.convert_to_tensor(np.asarray(array), dtype=dtype) for array in arrays]


def lorenz63(parameters: Any, x: Any) -> Any:
    a, b, c = parameters
    return ops.stack(
        [a * (x[:, 1] - x[:, 0]), x[:, 0] * (b - x[:, 2]) - x[:, 1], x[:, 0] * x[:, 1] - c * x[:, 2]], axis=1
    )


def many_systems(parameters: Any, x: Any) -> Any:
    """One system per sample: Lorenz-63, Rössler, Van der Pol (μ = 5), Lotka–Volterra and Lorenz-96, all of 8 variables."""
    u, v, w = x[:, 0], x[:, 1], x[:, 2]
    none = 0 * u
    small = [
        (10 * (v - u), u * (28 - w) - v, u * v - 8 / 3 * w),
        (-v - w, u + 0.2 * v, 0.2 + w * (u - 5.7)),
        (v, 5 * (1 - u * u) * v - u, none),
        (1.5 * u - u * v, u * v - 3 * v, none),
    ]
    padded = [ops.stack([*columns, *[none] * 5], axis=1)[place] for place, columns in enumerate(small)]
    ring = [x[4:, place] for place in range(8)]
    lorenz96 = [(ring[(i + 1) % 8] - ring[i - 2]) * ring[i - 1] - ring[i] + 8 for i in range(8)]
    return ops.concatenate([ops.stack(padded), ops.stack(lorenz96, axis=1)], axis=0)


MANY_STATES = np.zeros((5, 8))
MANY_STATES[:4, :3] = [[-8, 8, 27], [1, 1, 1], [2, 0, 0], [1, 1, 0]]
MANY_STATES[4] = [8, 8.5, 8, 7.5, 8, 6, 8, 9]
MANY_TIMES = np.sort(np.r_[0, np.random.default_rng(0).uniform(0, 2, 19), 2])


def many_by_numpy(sample: int) -> Callable[[float, np.ndarray], Any]:
    """The same systems, written down once more."""

    def slope(time: float, x: np.ndarray) -> Any:
        u, v, w = x[:3]
        match sample:
            case 0:
                head = [10 * (v - u), u * (28 - w) - v, u * v - 8 / 3 * w]
            case 1:
                head = [-v - w, u + v / 5, 0.2 + w * (u - 5.7)]
            case 2:
                head = [v, 5 * (1 - u**2) * v - u, 0]
            case 3:
                head = [1.5 * u - u * v, u * v - 3 * v, 0]
            case _:
                return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8
        return [*head, 0, 0, 0, 0, 0]

    return slope


@cache
def truth() -> np.ndarray:
    return np.stack(
        [
            solve_ivp(many_by_numpy(i), (0, 2), x, method="DOP853", t_eval=MANY_TIMES, rtol=1e-12, atol=1e-12).y.T
            for i, x in enumerate(MANY_STATES)
        ]
    )


@cache
def many(name: str, tolerance: float, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values at the asked times, accepted and rejected steps, and evaluations, on all systems."""

    def run(states: Any, times: Any) -> Any:
        return integrate_with_statistics(
            many_systems, states, times, tableau=TABLEAUS[name], rtol=tolerance, atol=tolerance, gradient="adjoint"
        )

    values, statistics = compiled(run)(*tensors(MANY_STATES, MANY_TIMES, dtype=dtype))
    assert keras.backend.standardize_dtype(values.dtype) == dtype
    return np.asarray(values), *(np.asarray(numbers) for numbers in statistics)


@pytest.mark.parametrize(("name", "coarsely"), [("dopri5", "float64"), ("dop853", "float32")], ids=["dopri5", "dop853"])
def test_errors_follow_the_tolerance_and_steps_are_as_many_as_scipys(name: str, coarsely: str) -> None:
    errors = []
    for tolerance, dtype in ((1e-4, coarsely), (1e-8, "float64")):
        values, accepted, _, evaluations = many(name, tolerance, dtype)
        error = np.abs(values - truth()).max((1, 2)) / np.abs(truth()).max((1, 2))
        for sample, state in enumerate(MANY_STATES):
            peer = solve_ivp(
                many_by_numpy(sample),
                (0, 2),
                state,
                method=PEERS[name],
                t_eval=MANY_TIMES,
                dense_output=True,
                rtol=tolerance,
                atol=tolerance,
            )
            # Chaos and stiffness make of each step's error what they make of scipy's.
            allowed = np.abs(peer.y.T - truth()[sample]).max() / np.abs(truth()[sample]).max()
            assert error[sample] < max(5 * allowed, 20 * tolerance)
            assert 0.7 < accepted[sample] / (len(peer.sol.ts) - 1) < 1.4
            assert 0.6 < evaluations[sample] / peer.nfev < 1.4
        errors.append(error)
    # 4 powers of ten between the tolerances.
    assert (errors[1] < errors[0] * 1e-2).all()


def run_lorenz(states: Any, times: Any, parameters: Any) -> Any:
    return integrate_adaptive(
        lorenz63, states, times, parameters=parameters, tableau=TABLEAUS["dopri5"], rtol=1e-8, atol=1e-8, max_steps=500
    )


@cache
def compiled_lorenz() -> Callable[..., Any]:
    return compiled(run_lorenz)


def lorenz(states: Any = STATES, times: Any = TIMES, parameters: Any = LORENZ) -> np.ndarray:
    times = np.broadcast_to(times, (len(STATES), len(TIMES)))
    return np.asarray(compiled_lorenz()(*tensors(states, times), tensors(*parameters)))


def test_samples_do_not_see_each_other() -> None:
    together = lorenz()
    for sample, state in enumerate(STATES):
        alone = lorenz(np.stack([state] * 3))
        np.testing.assert_allclose(alone, together[[sample] * 3], rtol=1e-12, atol=1e-12)


def test_backward_in_time_is_forward_with_the_field_reversed() -> None:
    backward = lorenz(times=-TIMES / 5)
    forward = solve_ivp(
        lambda t, x: -np.array([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]),
        (0, 0.1),
        STATES[0],
        method="DOP853",
        t_eval=TIMES / 5,
        rtol=1e-12,
        atol=1e-12,
    ).y.T
    np.testing.assert_allclose(backward[0], forward, rtol=1e-6, atol=1e-6)


@settings(max_examples=15)
@given(
    st.lists(st.floats(0.001, 0.499), min_size=19, max_size=19, unique_by=lambda time: round(time, 4)),
    st.booleans(),
)
def test_values_do_not_depend_on_the_other_times_asked_for(asked: list[float], own: bool) -> None:
    shared = TIMES[[0, 5, 10, 15, 20]]
    times = np.unique(np.r_[shared, asked[:16]])
    times = np.sort(np.r_[times, 0.4999 - 1e-5 * np.arange(len(TIMES) - len(times))])
    batch = np.stack([times, times, TIMES]) if own else np.stack([times] * 3)
    found, usual = lorenz(times=batch), lorenz()
    np.testing.assert_allclose(
        found[:2, np.searchsorted(times, shared)], usual[:2, [0, 5, 10, 15, 20]], rtol=1e-9, atol=1e-9
    )


@cache
def gradients(name: str, gradient: str) -> list[np.ndarray]:
    """Of a smooth function of all values, with respect to the states and the three parameters."""

    def run(states: Any, parameters: Any) -> Any:
        def values(states: Any, parameters: Any) -> Any:
            return integrate_adaptive(
                lorenz63,
                states,
                times,
                parameters=parameters,
                tableau=TABLEAUS[name],
                rtol=1e-8,
                atol=1e-8,
                max_steps=500,
                gradient=gradient,
            )

        found, pull = vjp(values, states, parameters)
        return pull(ops.cos(found / 10))

    # Own times, one sample backward: what differs between samples is told apart.
    times = tensors(own_times())[0]
    of_states, of_parameters = compiled(run, xla=gradient == "solver")(*tensors(STATES), tensors(*LORENZ))
    return [np.asarray(of_states), np.array([float(value) for value in of_parameters])]


def own_times() -> np.ndarray:
    return np.stack([TIMES, TIMES**2, -TIMES / 5])


WAYS = [("dop853", "solver"), ("dop853", "rematerialised"), ("dopri5", "adjoint")]


@pytest.mark.parametrize(("name", "gradient"), WAYS, ids=["solver", "rematerialised", "adjoint"])
def test_gradients_are_those_of_finite_differences(name: str, gradient: str) -> None:
    def objective(states: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        return 10 * np.sin(lorenz(states, own_times(), parameters) / 10).sum((1, 2))

    of_states, of_parameters = gradients(name, gradient)
    # The steps change with the state, so that differences are no better than the tolerance by the distance.
    for variable in range(3):
        move = 1e-3 * np.eye(3)[variable]
        slope = (objective(STATES + move, LORENZ) - objective(STATES - move, LORENZ)) / 2e-3
        np.testing.assert_allclose(of_states[:, variable], slope, rtol=1e-4, atol=1e-3)
        slope = (objective(STATES, LORENZ + move) - objective(STATES, LORENZ - move)).sum() / 2e-3
        np.testing.assert_allclose(of_parameters[variable], slope, rtol=1e-4, atol=1e-3)


def test_the_three_gradients_agree() -> None:
    for first, second, third in zip(*(gradients(*way) for way in WAYS), strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(third, first, rtol=1e-5, atol=1e-5)


def blow_up(states: Any, times: Any, max_steps: int = 200) -> Any:
    """dx/dt = x² is infinite at time 1 / x(0)."""
    return integrate_adaptive(
        lambda parameters, x: x * x,
        states,
        times,
        tableau=TABLEAUS["dopri5"],
        rtol=1e-3,
        atol=1e-3,
        max_steps=max_steps,
        gradient="adjoint",
    )


def test_a_field_that_blows_up_is_told() -> None:
    with pytest.raises(StepUnderflow, match=r"dopri5 stopped at time (1|0\.99\d*) with a step of .*the field diverges"):
        blow_up(*tensors([[0.1], [1.0]], [0, 0.5, 2], dtype="float32"))


def test_too_few_steps_are_told() -> None:
    with pytest.raises(StepUnderflow, match=r"3 attempted steps \(max_steps\) did not reach time 0\.99"):
        blow_up(*tensors([[0.1], [1.0]], [0, 0.5, 0.99], dtype="float32"), max_steps=3)


@cache
def compiled_blow_up() -> Callable[..., Any]:
    return compiled(blow_up)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is compiled there")
def test_compiled_values_are_not_numbers_behind_the_end_and_the_others_go_on() -> None:
    times = [0, 0.5, 2.0]
    values = np.asarray(compiled_blow_up()(*tensors([[0.1], [1.0]], times, dtype="float32")))[..., 0]
    np.testing.assert_allclose(values[0], 0.1 / (1 - 0.1 * np.array(times)), rtol=1e-2)
    np.testing.assert_allclose(values[1, :2], [1, 2], rtol=1e-2)
    assert np.isnan(values[1, 2])


def test_eagerly_as_compiled() -> None:
    arrays = tensors([[0.1], [1.0]], [0, 0.25, 0.5], dtype="float32")
    np.testing.assert_allclose(np.asarray(blow_up(*arrays)), np.asarray(compiled_blow_up()(*arrays)), rtol=1e-5)


@pytest.mark.parametrize(
    ("option", "value"),
    [("rtol", 0.0), ("atol", float("nan")), ("max_steps", 0), ("gradient", "none")],
    ids=["rtol", "atol", "max_steps", "gradient"],
)
def test_options_out_of_range_are_refused(option: str, value: Any) -> None:
    settings = {"tableau": TABLEAUS["dopri5"], option: value}
    with pytest.raises(OptionError, match=f"^{option}: expected "):
        integrate_adaptive(lambda parameters, x: x, np.ones((1, 1)), [0.0, 1.0], **settings)


def test_a_method_without_error_estimate_is_refused() -> None:
    with pytest.raises(OptionError, match="solver: expected one that estimates its error"):
        integrate_adaptive(lambda parameters, x: x, np.ones((1, 1)), [0.0, 1.0], tableau=TABLEAUS["rk4"])
