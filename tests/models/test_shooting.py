from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from geodl.models.arrowhead import Arrowhead
from geodl.models.sensitivity import Sensitivity
from geodl.models.shooting import Segments, shoot, significant
from geodl.models.tableaus import TABLEAUS
from geodl.models.weakform import library
from tests.model_case import once

pytestmark = once

# dx = y, dy = (1 - x y) y - x, scaled to be no limit to anything: a stable spiral with products.
FIELD = np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [0.2, -1.0, -0.1, 0.0, -0.3, 0.0]])


def solved(times: np.ndarray, start: np.ndarray, field: np.ndarray = FIELD) -> np.ndarray:
    run = solve_ivp(
        lambda _, x: library(x) @ field.T, (0, times[-1]), start, "DOP853", t_eval=times, rtol=1e-12, atol=1e-12
    )
    return run.y.T


def test_sensitivities_are_those_of_finite_differences() -> None:
    start, free = np.array([1.0, -0.5]), FIELD != 0
    field = Sensitivity(FIELD, free)
    states, tangent = field.start(start[None])
    for _ in range(10):
        states, tangent = field.advance(states, tangent, np.array([0.1]), TABLEAUS["dop853"])
    times = np.array([0.0, 1.0])
    np.testing.assert_allclose(states[0], solved(times, start)[-1], rtol=1e-9)
    for column, (row, term) in enumerate([(0, None), (1, None), *np.argwhere(free)]):
        moved, other = start.copy(), FIELD.copy()
        moved[row] += 1e-5 if term is None else 0
        if term is not None:
            other[row, term] += 1e-5
        change = (solved(times, moved, other)[-1] - solved(times, start)[-1]) / 1e-5
        np.testing.assert_allclose(tangent[0, :, column], change, atol=1e-4)


def test_the_step_solves_the_dense_system() -> None:
    rng = np.random.default_rng(0)
    count, size, free = 5, 2, 3
    rows, left = rng.normal(size=(count, 9, size + free)), rng.normal(size=(count, 9))
    tangent, jump = rng.normal(size=(count - 1, size, size + free)), rng.normal(size=(count - 1, size))
    weight = rng.uniform(1, 2, (count - 1, size))
    weight[2] = 0
    hessian, slope = np.swapaxes(rows, 1, 2) @ rows, (left[:, None] @ rows)[:, 0]
    system = Arrowhead.of(hessian, slope, jump=jump, tangent=tangent, weight=weight)

    dense, target = [], []
    for k in range(count):
        for row, value in zip(rows[k], left[k]):
            dense.append(np.concatenate([np.zeros(k * size), row[:size], np.zeros((count - 1 - k) * size), row[size:]]))
            target.append(value)
    for k in range(count - 1):
        for s in range(size):
            row = np.zeros(count * size + free)
            row[k * size : (k + 1) * size], row[count * size :] = tangent[k, s, :size], tangent[k, s, size:]
            row[(k + 1) * size + s] -= 1
            dense.append(row * np.sqrt(weight[k, s]))
            target.append(jump[k, s] * np.sqrt(weight[k, s]))
    matrix = np.array(dense)
    expected = -np.linalg.lstsq(matrix, np.array(target))[0]
    np.testing.assert_allclose(np.concatenate(system.step(0.0)), expected, rtol=1e-9)
    np.testing.assert_allclose(system.covariance(), np.linalg.inv(matrix.T @ matrix)[-free:, -free:], rtol=1e-9)


def test_significant_values_are_those_of_least_squares_with_fewer_terms() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 6))
    matrix[:, 5] = matrix[:, 0] + 0.1 * rng.normal(size=300)
    target = matrix @ [1.0, 0, -2, 0, 0.5, 0] + 0.05 * rng.normal(size=300)
    covariance = 0.05**2 * np.linalg.inv(matrix.T @ matrix)
    kept = significant(np.linalg.lstsq(matrix, target)[0], covariance, 4.0)
    np.testing.assert_array_equal(kept, [0, 2, 4])


@pytest.mark.parametrize("noise", [1e-9, 0.01], ids=["clean", "noisy"])
def test_trajectories_give_the_coefficients_back(noise: float) -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 8, 100))
    data = [(times, solved(np.append(0, times), start)[1:]) for start in rng.normal(size=(3, 2))]
    observed = [(t, x + noise * rng.normal(size=x.shape)) for t, x in data]
    observed[0][1][rng.random((100, 2)) < 0.3] = np.nan
    guess = FIELD + 0.05 * rng.normal(size=FIELD.shape)
    found, left = shoot(observed, guess, np.full(2, noise))
    np.testing.assert_allclose(found, FIELD, atol=4 * noise)
    np.testing.assert_allclose(left, noise, rtol=0.1)


def test_segments_cover_each_observation_once() -> None:
    times = np.concatenate([np.arange(50), np.arange(500, 512)]) * 0.1
    states = np.stack([times, -times], axis=1)
    states[7] = np.nan
    segments = Segments.of([(times, states), (times[:20], states[:20])], length=1.6)
    observed = segments.states[np.isfinite(segments.states)]
    assert np.sort(observed) == pytest.approx(np.sort(np.concatenate([states, states[:20]]).ravel())[: len(observed)])
    assert len(observed) == 2 * (62 + 20 - 2)
    np.testing.assert_array_equal(segments.tied, [True, True, False, False, True, False])
