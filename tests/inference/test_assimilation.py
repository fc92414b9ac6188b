"""First states from noisy, partial observations: against closed forms, and twins of a chaotic system."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops
from scipy.integrate import solve_ivp

from geodl.errors import OptionError
from geodl.inference.assimilation import Assimilator, assimilate
from geodl.models.solvers import integrate
from geodl.physics.systems import Lorenz63
from tests.inference.dynamicsfakes import Spiral, spiral

MEAN, STD = np.array([0.0, 0.0, 23.5]), np.array([7.9, 9.0, 8.6])
"""Of Lorenz-63."""
BACKGROUND = np.array([0.3, -0.2]), np.array([2.0, 1.0])
STEP = 0.02


def turning(state: Any, times: Any) -> Any:
    return Spiral()([state, times])


def lorenz(parameters: Any, state: Any) -> Any:
    x, y, z = (state[:, k] for k in range(3))
    return ops.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z], axis=-1)


def lorenz_flow(state: Any, times: Any) -> Any:
    return integrate(lorenz, state, times, solver="rk4", substeps=1)


def test_a_linear_flow_gives_the_best_linear_estimate() -> None:
    """Of Gaussian errors: the normal equations have it in closed form."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.1, 0.5, 30))
    seen = spiral(np.array([1.5, 0.5]), times - times[0]) + rng.normal(size=(30, 2)) * (0.2, 0.4)
    seen[rng.random(seen.shape) < 0.3] = np.nan
    error = np.array([0.2, 0.4])
    found = assimilate(turning, seen, times, background=BACKGROUND, error=error, dtype="float32")
    operator = np.stack([spiral(unit, times - times[0]) for unit in np.eye(2)], axis=-1)  # (time, variable, state)
    held = ~np.isnan(seen)
    a = np.concatenate([np.eye(2) / BACKGROUND[1], (operator / error[:, None])[held]])
    b = np.concatenate([BACKGROUND[0] / BACKGROUND[1], (seen / error)[held]])
    best, residual, *_ = np.linalg.lstsq(a, b, rcond=None)
    np.testing.assert_allclose(found.state, best, atol=2e-4)
    np.testing.assert_allclose(found.cost, residual[0] / 2, rtol=1e-4)
    np.testing.assert_allclose(found.states, spiral(best, times - times[0]), atol=1e-3)
    misfits = ((spiral(best, times - times[0]) - seen) / error)[held]
    np.testing.assert_allclose(found.misfit, np.sqrt(np.mean(misfits**2)), rtol=1e-3)


def test_long_intervals_are_run_through_shorter_ones() -> None:
    asked: list[Any] = []

    def flow(state: Any, times: Any) -> Any:
        asked.append(times.shape)
        return turning(state, times)

    times = np.array([0.0, 0.1, 0.45, 1.0])
    seen = spiral(np.array([1.0, 0.5]), times)
    found = assimilate(flow, seen, times, background=BACKGROUND, error=0.1, longest=0.1, dtype="float32")
    assert max(shape[1] for shape in asked) == 1 + 1 + 4 + 6 and found.states.shape == (4, 2)
    np.testing.assert_allclose(found.states, seen, atol=0.02)


@pytest.fixture(scope="module")
def assimilator() -> Assimilator:
    return Assimilator(lorenz_flow, "float32")


@pytest.mark.parametrize("seed", [1, 2])
def test_twins_are_found_again_from_one_noisy_variable(assimilator: Assimilator, seed: int) -> None:
    """Lorenz-63 over 1.8 Lyapunov times, x alone observed, errors of 10 %; the truth is scipy's."""
    rng, system = np.random.default_rng(seed), Lorenz63()
    start = system.start(rng, 1)[0]
    times = np.arange(101) * STEP
    solved = solve_ivp(
        lambda _, x: system(x), (0, 20 + times[-1]), start, t_eval=20 + times, method="DOP853", rtol=1e-9
    )
    truth = solved.y.T
    seen = np.full_like(truth, np.nan)
    seen[::4, 0] = truth[::4, 0] + rng.normal(size=len(truth[::4])) * 0.1 * STD[0]
    found = assimilator.estimate(seen, times, background=(MEAN, STD), error=0.1 * STD)
    guess = np.where(np.isnan(seen[0]), MEAN, seen[0])
    first, last = (np.linalg.norm((found.states - truth)[k] / STD) for k in (0, -3))
    assert first < 0.5 * np.linalg.norm((guess - truth[0]) / STD), "no better than what was observed at once"
    assert first < 0.5 and last < 0.35
    assert 0.7 < found.misfit < 1.3 and found.windows > 1
    assert np.abs(found.states - truth)[::4, 0].mean() < 0.5 * np.nanmean(np.abs(seen - truth)[:, 0])


def test_a_flow_that_blows_up_is_backed_away_from() -> None:
    """dx/dt = x², from above 1 infinite before the last time."""

    def flow(state: Any, times: Any) -> Any:
        return (state / (1.0 - state * times))[..., None] * ops.where(state * times < 1, 1.0, np.nan)[..., None]

    times = np.linspace(0, 1, 9)
    seen = (0.5 / (1 - 0.5 * times))[:, None]
    seen[0] = 1.7
    background = np.array([0.0]), np.array([1.0])
    found = assimilate(
        flow, seen, times, background=background, error=0.1, first_guess=np.array([1.7]), dtype="float32"
    )
    # A first guess of 1.7 is lost before the end; of those that are not, one that passes near to all but it is the best.
    assert np.isfinite(found.states).all() and abs(found.state[0] - 0.5) < 0.05


TIMES = np.arange(4.0)
SEEN = np.ones((4, 2))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"times": TIMES[:3]}, "observations: expected observations .time, state. and as many times"),
        ({"times": np.zeros(4)}, "times: expected finite, strictly increasing times"),
        ({"observations": np.full((4, 2), np.nan)}, "observations: expected finite numbers, or not-a-number"),
        ({"observations": np.full((4, 2), np.inf)}, "observations: expected finite numbers"),
        ({"error": 0.0}, "error: expected standard deviations above 0"),
        ({"background": (np.zeros(2), np.zeros(2))}, "background: expected a mean and a positive deviation for each of 2"),
        ({"background": (np.zeros(3), np.ones(3))}, "background: expected"),
        ({"iterations": 0}, "iterations: expected 1 or more"),
    ],
    ids=["too few times", "one time", "nothing seen", "infinite", "no error", "no spread", "other size", "no iterations"],
)  # fmt: skip
def test_arguments_that_cannot_be(changes: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"observations": SEEN, "times": TIMES, "background": BACKGROUND, "error": 0.1} | changes
    observations, times = given.pop("observations"), given.pop("times")
    with pytest.raises(OptionError, match=sentence):
        assimilate(turning, observations, times, **given)
