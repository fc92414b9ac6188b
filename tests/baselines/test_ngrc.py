"""NG-RC against its formula by scikit-learn, and against what its authors found of Lorenz-63."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PolynomialFeatures

from geodl.baselines import Baseline
from geodl.baselines.ngrc import NGRC
from geodl.errors import OptionError, TrajectoryUnusable
from geodl.metrics.dynamics import TrajectoryMetrics
from tests.baselines.dynamics_case import Segments, Trajectory, batch, lorenz63_run

_STEP = 0.025


@pytest.fixture(scope="module")
def run() -> np.ndarray:
    """105 time units as Gauthier et al. have them: by RK23 at the tolerances that scipy has without asking."""
    times = np.arange(4200) * _STEP
    solution = solve_ivp(
        lambda _, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]],
        (0, times[-1]),
        [17.67715816276679, 12.931379185960404, 43.91404334248268],
        t_eval=times,
        method="RK23",
    )
    return solution.y.T


def _segments(states: np.ndarray, step: float = _STEP) -> Segments:
    return Segments([Trajectory(np.arange(len(states)) * step, states)])


def test_its_weights_are_those_of_scikit_learn(run: np.ndarray) -> None:
    states = run[200:600]
    baseline = NGRC(ridge=1e-6).fit(_segments(states))  # type: ignore[arg-type]
    assert isinstance(baseline, Baseline) and baseline.chosen == (1e-6, 1e-6)
    z = (states - states.mean(axis=0)) / states.std(axis=0)
    expand = PolynomialFeatures(2)
    features = expand.fit_transform(np.concatenate([z[1:-1], z[:-2]], axis=1))
    assert features.shape[1] == 28
    penalty = 1e-6 * np.sum(features**2) / 28
    fitted = Ridge(penalty, fit_intercept=False, solver="svd").fit(features, np.diff(z[1:], axis=0))
    pair, expected = (z[-1], z[-2]), []
    for _ in range(20):
        successor = pair[0] + fitted.predict(expand.transform(np.concatenate(pair)[None]))[0]
        pair = (successor, pair[0])
        expected.append(successor * states.std(axis=0) + states.mean(axis=0))
    x = {"state": states[-1:], "past": states[-2:-1][None], "times": np.arange(21)[None] * _STEP}
    np.testing.assert_allclose(baseline(x)[0, 1:], expected, rtol=1e-4, atol=1e-4)


def test_lorenz_63_as_published(run: np.ndarray) -> None:
    scores = TrajectoryMetrics(spread=run.std(axis=0), step=_STEP, lyapunov_time=1.104)
    for start in range(100, 3800, 400):
        baseline = NGRC().fit(_segments(run[start : start + 400]))  # type: ignore[arg-type]
        x, y = batch(run, [start + 399], step=_STEP, horizon=45)
        scores.update(y, baseline(x), x=x)
    # Gauthier et al. (2021), Results: (2.40 ± 0.53) × 10⁻³ over ten trials of 400 points.
    assert 1e-3 < scores.result()["nrmse"] < 4e-3


def test_without_a_past_the_first_step_is_done_from_one_state() -> None:
    times = np.arange(1000) * _STEP
    run = lorenz63_run(times)
    baseline = NGRC().fit(_segments(run[:600]))  # type: ignore[arg-type]
    x, y = batch(run, [620, 700, 800], step=_STEP, horizon=40)
    x["past"] = x["past"].copy()
    x["past"][1] = np.nan
    mixed = baseline(x)
    with_past = baseline({**x, "past": run[None, 790:800].repeat(3, axis=0)})
    alone = baseline({name: x[name] for name in ("state", "times")})
    np.testing.assert_allclose(mixed[1], alone[1], rtol=1e-9)
    np.testing.assert_allclose(mixed[2], with_past[2], rtol=1e-9)
    error = np.linalg.norm(np.stack([mixed, alone]) - y, axis=-1).max(axis=-1)
    assert error[0, 0] < 0.5 * error[1, 0]
    assert error.max() < 4


def test_irregular_observations_and_times_between_steps() -> None:
    times = np.arange(0, 32, 0.0125)
    run = lorenz63_run(times)
    kept = np.sort(np.random.default_rng(0).choice(2000, 1500, replace=False))
    baseline = NGRC().fit(Segments([Trajectory(times[kept], run[kept])]))  # type: ignore[arg-type]
    x, y = batch(run, range(2010, 2400, 40), step=0.0125, horizon=80)
    picked = np.r_[0, np.sort(np.random.default_rng(1).choice(np.arange(1, 81), 25, replace=False))]
    forecast = baseline({"state": x["state"], "times": x["times"][:, picked]})
    assert np.sqrt(np.mean((forecast - y[:, picked]) ** 2)) < 0.5
    np.testing.assert_array_equal(forecast[:, 0], x["state"])


def test_of_many_variables_the_state_before_is_not_multiplied_and_loss_is_quiet() -> None:
    rng = np.random.default_rng(0)
    states = np.cumsum(rng.normal(size=(300, 12)), axis=0)
    baseline = NGRC(ridge=1e-9).fit(_segments(states))  # type: ignore[arg-type]
    assert baseline._weights[0][1].shape == (1 + 24 + 12 * 13 // 2, 12)
    x, _ = batch(states, [50], step=_STEP, horizon=60)
    far = baseline({"state": 1e3 * x["state"].astype(np.float32), "times": np.arange(61)[None] * _STEP})
    assert far.dtype == np.float32 and not np.isfinite(far).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError):
        NGRC(ridge=0)
    with pytest.raises(TrajectoryUnusable):
        NGRC().fit(_segments(np.zeros((2, 1))))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        NGRC()({"state": np.zeros((1, 1)), "times": np.zeros((1, 1))})
