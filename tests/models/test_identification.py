from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from geodl.errors import OptionError, TrajectoryUnusable
from geodl.models.identification import QuadraticField, identify_quadratic
from tests.model_case import once

pytestmark = once

# Columns: 1, x, y, z, xx, xy, xz, yy, yz, zz.
LORENZ = np.array(
    [[0, -10, 10, 0, 0, 0, 0, 0, 0, 0], [0, 28, -1, 0, 0, 0, -1, 0, 0, 0], [0, 0, 0, -8 / 3, 0, 1, 0, 0, 0, 0]]
)


def lorenz(time: float, state: np.ndarray) -> list[float]:
    x, y, z = state
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]


def solved(times: np.ndarray) -> np.ndarray:
    start = [-5.9, -5.5, 24.6]
    return solve_ivp(lorenz, (0.0, times[-1]), start, "DOP853", t_eval=times, rtol=1e-13, atol=1e-13).y.T


def matrix(found: QuadraticField) -> np.ndarray:
    return np.concatenate([found.constant[:, None], found.linear, found.quadratic], axis=1)


@pytest.fixture(scope="module")
def times() -> np.ndarray:
    return np.arange(2000) * 0.01


@pytest.fixture(scope="module")
def states(times: np.ndarray) -> np.ndarray:
    return solved(times)


@pytest.fixture(scope="module")
def noisy(states: np.ndarray) -> np.ndarray:
    return states + 0.01 * states.std(axis=0) * np.random.default_rng(0).normal(size=states.shape)


def test_clean_data_give_the_coefficients(times: np.ndarray, states: np.ndarray) -> None:
    found = identify_quadratic([(times, states)])
    # Of 1e-10 two trajectories of Lorenz-63 stay together for some 25 Lyapunov times.
    np.testing.assert_allclose(matrix(found), LORENZ, atol=1e-10)
    np.testing.assert_allclose(found(states[:5]), [lorenz(0, state) for state in states[:5]], rtol=1e-9)
    assert (found.noise < 1e-9).all() and not found.refined


@pytest.mark.parametrize("case", ["a gap", "states missing", "short runs", "late times"])
def test_gaps_are_left_out(times: np.ndarray, states: np.ndarray, case: str) -> None:
    states = states.copy()
    data = [(times, states)]
    if case == "a gap":
        states[500:700, 1] = np.nan
    elif case == "states missing":
        states[::111] = np.nan
    elif case == "short runs":
        data = [(times[start : start + 100], states[start : start + 100]) for start in range(0, 2000, 100)]
    else:
        data = [(times + 1e4, states)]
    tolerance = 1e-6 if case == "late times" else 1e-9
    np.testing.assert_allclose(matrix(identify_quadratic(data)), LORENZ, atol=tolerance)


def test_irregular_times_and_scattered_gaps_are_interpolated() -> None:
    rng = np.random.default_rng(1)
    times = np.arange(1000) * 0.01
    times[1:] += rng.uniform(-0.003, 0.003, 999)
    states = solved(times)
    np.testing.assert_allclose(matrix(identify_quadratic([(times, states)])), LORENZ, atol=1e-5)
    states[rng.random(states.shape) < 0.1] = np.nan
    np.testing.assert_allclose(matrix(identify_quadratic([(times, states)])), LORENZ, atol=1e-2)


def test_trajectories_refine_what_interpolation_blurs() -> None:
    times = np.sort(np.random.default_rng(2).uniform(0, 2, 200))
    states = solved(times)
    rough, refined = (matrix(identify_quadratic([(times, states)], refine=refine)) for refine in (False, True))
    assert np.abs(refined - LORENZ).max() < 1e-3 * np.abs(rough - LORENZ).max()


def test_of_noisy_data_trajectories_and_significance_find_the_terms(times: np.ndarray, noisy: np.ndarray) -> None:
    rough = identify_quadratic([(times, noisy)])
    np.testing.assert_allclose(rough.noise / noisy.std(axis=0), 0.01, rtol=0.1)
    assert np.abs(matrix(rough) - LORENZ).max() < 2.5
    found = identify_quadratic([(times, noisy)], sparse=True, refine=True)
    assert found.refined
    np.testing.assert_array_equal(matrix(found) != 0, LORENZ != 0)
    np.testing.assert_allclose(matrix(found), LORENZ, atol=0.05)
    np.testing.assert_allclose(found.noise / noisy.std(axis=0), 0.01, rtol=0.05)


def test_many_variables() -> None:
    size = 12
    rng = np.random.default_rng(0)

    def lorenz96(time: float, x: np.ndarray) -> np.ndarray:
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8

    times = np.arange(600) * 0.05
    states = solve_ivp(lorenz96, (0, 30), rng.normal(8, 1, size), "DOP853", t_eval=times, rtol=1e-10, atol=1e-10).y.T
    found = identify_quadratic([(times, states)], sparse=True)
    test = rng.normal(2, 3, (20, size))
    np.testing.assert_allclose(found(test), [lorenz96(0, x) for x in test], atol=1e-3)
    assert np.count_nonzero(matrix(found)) < 0.2 * matrix(found).size


def test_standardised_coefficients_are_of_the_standardised_state() -> None:
    rng = np.random.default_rng(0)
    mean, std, rate, x = rng.normal(size=3), rng.uniform(1, 3, 3), rng.uniform(1, 3, 3), rng.normal(size=(5, 3))
    field = QuadraticField(*np.split(rng.normal(size=(3, 10)), [1, 4], axis=1), 1.0, np.ones(3), np.ones(3), False)
    field = QuadraticField(field.constant[:, 0], field.linear, field.quadratic, 1.0, np.ones(3), np.ones(3), False)
    other = QuadraticField(*field.standardised(mean, std, rate), 1.0, np.ones(3), np.ones(3), False)
    np.testing.assert_allclose(rate * other((x - mean) / std), field(x) / std)


def test_a_system_in_large_units_is_the_same(times: np.ndarray, states: np.ndarray) -> None:
    scale = np.array([1e6, 1e-3, 1.0])
    found = identify_quadratic([(times, states * scale)])
    np.testing.assert_allclose(found(states * scale) / scale, [lorenz(0, state) for state in states], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t, x: (t[:30], x[:30]), "10 coefficients of each variable need at least 20 stretches"),
        (lambda t, x: (t, x * [1, np.nan, 1]), "never changes, or was never observed"),
        (lambda t, x: (t, np.where(np.arange(2000)[:, None] % 8 < 4, np.nan, x)), "need at least 20 stretches"),
        (lambda t, x: (t, x * [1, 1, 0]), "variable 2 never changes"),
        (lambda t, x: (t[::-1], x), "its times do not increase strictly"),
        (lambda t, x: (t[1:], x), "times have the shape"),
    ],
    ids=["too short", "nothing", "all gaps", "constant", "backward", "shapes"],
)
def test_what_cannot_be_identified(times: np.ndarray, states: np.ndarray, change: object, sentence: str) -> None:
    with pytest.raises(TrajectoryUnusable, match=sentence):
        identify_quadratic([change(times, states)])  # type: ignore[operator]


def test_options_are_checked(times: np.ndarray, states: np.ndarray) -> None:
    with pytest.raises(OptionError, match="width: expected a positive number"):
        identify_quadratic([(times, states)], width=-1)
    with pytest.raises(OptionError, match="trajectories: expected at least one"):
        identify_quadratic([])
