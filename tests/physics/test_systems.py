"""Systems: derivatives, published exponents and solutions against closed forms and Taylor series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from geodl.errors import OptionError, StepUnderflow
from geodl.physics import systems
from geodl.physics.systems import SYSTEMS, Lorenz63, Lorenz96, Rossler, System, find_system, solve

ALL = [Lorenz63(), Lorenz96(), Lorenz96(size=5), Rossler()]


def called(system: System) -> str:
    return f"{system.name}_{len(system.variables)}"


def lorenz_series(state: np.ndarray, step: float, order: int = 30) -> np.ndarray:
    """Taylor series of a solution of Lorenz-63 in extended precision: exact to 1e-18 for a step of 0.01."""
    x, y, z = ([np.longdouble(value)] for value in state)
    beta = np.longdouble(8 / 3)
    for n in range(order):
        xz = sum(x[i] * z[n - i] for i in range(n + 1))
        xy = sum(x[i] * y[n - i] for i in range(n + 1))
        x.append(10 * (y[n] - x[n]) / (n + 1))
        y.append((28 * x[n] - xz - y[n]) / (n + 1))
        z.append((xy - beta * z[n]) / (n + 1))
    powers = np.longdouble(step) ** np.arange(order + 1)
    return np.array([np.sum(np.array(series) * powers) for series in (x, y, z)])


@pytest.mark.parametrize("system", ALL, ids=called)
def test_jacobian_is_the_derivative_of_the_field(system: System) -> None:
    state = np.random.default_rng(0).normal(1, 3, len(system.variables))
    eye = np.eye(len(state))
    # The fields are quadratic: a central difference of any width is exact.
    numerical = np.stack([(system(state + row) - system(state - row)) / 2 for row in eye], -1)
    np.testing.assert_allclose(system.jacobian(state), numerical, atol=1e-12)


@pytest.mark.parametrize("system", ALL, ids=called)
def test_many_states_at_once_are_each_state_by_itself(system: System) -> None:
    states = np.random.default_rng(1).normal(1, 3, (2, 3, len(system.variables)))
    for found, each in ((system(states), system), (system.jacobian(states), system.jacobian)):
        np.testing.assert_array_equal(found, [[each(state) for state in row] for row in states])


def test_fields_as_they_are_published() -> None:
    np.testing.assert_allclose(Lorenz63()(np.array([1.0, 2.0, 3.0])), [10, 23, 2 - 8])
    np.testing.assert_allclose(Rossler()(np.array([1.0, 2.0, 3.0])), [-5, 1.4, 0.2 + 3 * (1 - 5.7)])
    x = np.random.default_rng(0).normal(size=7)
    expected = [(x[(k + 1) % 7] - x[k - 2]) * x[k - 1] - x[k] + 8 for k in range(7)]
    np.testing.assert_allclose(Lorenz96(size=7)(x), expected)


def test_published_exponents_add_up_to_the_divergence() -> None:
    assert sum(Lorenz63().spectrum) == pytest.approx(-10 - 1 - 8 / 3, abs=1e-4)
    system = Rossler()
    start = solve(system, np.array([1.0, 1.0, 0.1]), [0, 100], rtol=1e-5, atol=1e-5)[0, -1]
    states = solve(system, start, np.arange(0, 400, 0.5), rtol=1e-5, atol=1e-5)[0]
    divergence = np.trace(system.jacobian(states), axis1=-2, axis2=-1).mean()
    assert sum(system.spectrum) == pytest.approx(divergence, abs=0.05)


def test_the_largest_exponent_of_lorenz96_is_the_growth_of_small_differences() -> None:
    system, rng = Lorenz96(), np.random.default_rng(0)
    start = solve(system, system.start(rng, 60), [0, 15], rtol=1e-6, atol=1e-6)[:, -1]
    near = start + 1e-7 * rng.standard_normal(start.shape)
    both = solve(system, np.concatenate([start, near]), np.arange(2, 8.5, 0.5), rtol=1e-9, atol=1e-9)
    growth = np.log(np.linalg.norm(both[:60] - both[60:], axis=-1)).mean(0)
    assert np.polyfit(np.arange(len(growth)) * 0.5, growth, 1)[0] == pytest.approx(system.lyapunov, rel=0.12)


def test_exponents_are_known_for_the_default_parameters_only() -> None:
    assert Lorenz63().lyapunov == 0.9056 and Lorenz63(rho=20).lyapunov is None
    assert Lorenz96().lyapunov == 1.68 and Lorenz96(size=8).lyapunov is None and Lorenz96().spectrum is None
    assert Rossler().lyapunov == 0.0714 and Rossler(c=4).spectrum is None


def test_solutions_are_exact_to_the_last_digits() -> None:
    times = np.arange(101) * 0.01
    states = solve(Lorenz63(), np.array([-5.0, -6.0, 22.0]), times)[0]
    errors = [
        np.abs(lorenz_series(states[k], times[k + 1] - times[k]) - states[k + 1]).max() for k in range(0, 100, 5)
    ]  # fmt: skip
    assert max(errors) < 2e-13


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
def test_methods_agree_with_solve_ivp(method: str) -> None:
    system, start, times = Rossler(), np.array([1.0, 2.0, 0.5]), np.array([0, 0.3, 1.0, 4.0])
    exact = solve_ivp(lambda _, x: system(x), (0, 4), start, "LSODA", times, rtol=1e-11, atol=1e-11).y.T
    found = solve(system, start, times, method=method, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(found[0], exact, atol=2e-5)
    np.testing.assert_array_equal(found[0, 0], start)


@pytest.mark.parametrize("system", [Lorenz63(), Lorenz96(), Rossler()], ids=called)
def test_all_starts_come_to_the_attractor(system: System) -> None:
    rng = np.random.default_rng(3)
    start = system.start(rng, 50)
    assert start.shape == (50, len(system.variables))
    end = solve(system, start, [0, system.transient, system.transient + 5], rtol=1e-6, atol=1e-6)[:, 1:]
    # Bounds of the attractors, seen in long runs by others' solvers.
    bounds = {
        "lorenz63": ((-21, -29, 0), (21, 29, 50)),
        "lorenz96": ((-14,), (18,)),
        "rossler": ((-10, -12, 0), (13, 9, 25)),
    }
    low, high = bounds[system.name]
    assert (end > np.array(low)).all() and (end < np.array(high)).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_starts_depend_on_the_generator_only(seed: int) -> None:
    for system in ALL:
        one, same = (system.start(np.random.default_rng(seed), 3) for _ in range(2))
        np.testing.assert_array_equal(one, same)


def test_systems_are_found_by_name() -> None:
    assert [find_system(name).name for name in SYSTEMS] == ["lorenz63", "lorenz96", "rossler"]
    assert find_system(Lorenz63(rho=20)) == Lorenz63(rho=20)
    with pytest.raises(OptionError, match="Did you mean 'lorenz63'"):
        find_system("lorentz63")


def test_what_cannot_be_solved_is_refused() -> None:
    with pytest.raises(OptionError, match="at least 4"):
        Lorenz96(size=3)
    with pytest.raises(OptionError, match="strictly increasing"):
        solve(Lorenz63(), np.ones(3), [0, 1, 1])
    with pytest.raises(OptionError, match=r"\(count, 3\)"):
        solve(Lorenz63(), np.ones(4), [0, 1])


class Explosion(Lorenz63):
    """dX/dt = X²: from X = 1 infinite at time 1."""

    def __call__(self, state: np.ndarray) -> np.ndarray:
        return state**2


def test_a_system_that_diverges_is_told_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepUnderflow, match="DOP853 stopped at time 1 with a step of .*: the step became too small"):
        solve(Explosion(), np.ones(3), [0, 2], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(systems, "_MOST_STEPS", 300)
    with pytest.raises(StepUnderflow, match="300 steps were taken from time 0 on"):
        solve(Rossler(), np.array([0.0, -200.0, 100.0]), [0, 200], rtol=1e-6, atol=1e-6)
