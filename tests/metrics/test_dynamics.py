"""Scores of forecasts of states, against numpy written out and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.metrics.dynamics import TrajectoryMetrics, valid_prediction_time


def _forecasts(seed: int = 0, times: int = 61) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(7, times, 3))
    growth = np.exp(np.linspace(-6, 2, times))[:, None] * rng.uniform(0.2, 2, (7, 1, 3))
    error = growth * rng.normal(size=truth.shape)
    error[:, 0] = 0
    return truth, truth + error


def test_against_numpy_written_out() -> None:
    truth, forecast = _forecasts()
    spread = np.array([1.0, 2.0, 0.5])
    scores = TrajectoryMetrics(spread=spread, step=0.05, lyapunov_time=1.1)
    for rows in (slice(0, 3), slice(3, 7)):
        weight = np.ones(truth[rows].shape[:2], np.float32)
        weight[:, 0] = 0
        times = np.broadcast_to(np.arange(61) * 0.05, weight.shape).astype(np.float32)
        scores.update(truth[rows], forecast[rows], weight, x={"times": times})
    found = scores.result()
    for name, step in {"rmse_1": 1, "rmse_4": 4, "rmse_8": 8, "rmse_lt": 22}.items():
        exact = np.sqrt(np.mean((forecast[:, step] - truth[:, step]) ** 2))
        assert found[name] == pytest.approx(exact, rel=1e-12)
    squares = (forecast[:, 1:23] - truth[:, 1:23]) ** 2
    gauthier = np.sqrt(squares.mean(axis=(1, 2)) / np.sum(spread**2))
    assert found["nrmse"] == pytest.approx(gauthier.mean(), rel=1e-12)
    valid = valid_prediction_time(truth, forecast, np.arange(61) * 0.05, spread=spread) / 1.1
    np.testing.assert_allclose(
        [found["vpt_q25"], found["vpt"], found["vpt_q75"]], np.quantile(valid, [0.25, 0.5, 0.75]), rtol=1e-6
    )
    assert found["failures"] == 0
    assert scores.unit == "LT"
    assert "coverage_90" not in found


def test_details_hold_the_forecasts_and_the_growth_of_errors() -> None:
    truth, forecast = _forecasts(times=1001)
    forecast[:5, 600:] = np.nan
    forecast[6] = truth[6]
    scores = TrajectoryMetrics(spread=1.5, step=0.01, time_unit="d")
    scores.update(truth, forecast)
    details = json.loads(json.dumps(scores.details(), allow_nan=False))
    assert (details["forecasts"], details["censored"], details["failed"], details["unit"]) == (7, 1, 5, "d")
    np.testing.assert_allclose(
        details["vpt"], valid_prediction_time(truth, forecast, np.arange(1001) * 0.01, spread=1.5)
    )
    curve = details["error"]
    assert len(curve["times"]) == len(curve["median"]) == len(curve["q75"]) <= 200
    error = np.linalg.norm(forecast - truth, axis=-1) / 1.5
    at = np.round(np.array(curve["times"]) / 0.01).astype(int)
    before = at < 600
    np.testing.assert_allclose(np.array(curve["median"], float)[before], np.sort(error, axis=0)[3, at[before]])
    assert set(np.array(curve["median"])[~before]) == {None}
    assert scores.result()["failures"] == pytest.approx(5 / 7)
    late = TrajectoryMetrics(spread=1.5, step=0.01, horizons=(700,))
    late.update(truth, forecast)
    assert np.isinf(late.result()["rmse_700"])


def test_at_irregular_times_horizons_are_the_nearest_ones() -> None:
    times = np.array([[0.0, 0.09, 0.22, 0.31, 0.42], [0.0, 0.11, 0.26, 0.34, 0.55]])
    truth = np.zeros((2, 5, 1))
    forecast = np.arange(10.0).reshape(2, 5, 1)
    scores = TrajectoryMetrics(spread=1.0, step=0.1, horizons=(1, 4, 8))
    scores.update(truth, forecast, x={"times": times})
    found = scores.result()
    assert found["rmse_1"] == pytest.approx(np.sqrt((1 + 36) / 2))
    # The second has nothing within half a step of 0.4.
    assert found["rmse_4"] == pytest.approx(4)
    assert np.isnan(found["rmse_8"])


def test_variables_and_times_that_are_not_observed_do_not_count() -> None:
    truth, forecast = _forecasts()
    hidden, weight = truth.copy(), np.ones(truth.shape[:2])
    hidden[:, 4, 0] = np.nan
    hidden[0, 1] = np.nan
    weight[1, 1] = 0
    forecast[1, 1] = 1e6
    scores = TrajectoryMetrics(spread=1.0, step=0.05)
    scores.update(hidden, forecast, weight)
    found = scores.result()
    assert found["rmse_4"] == pytest.approx(np.sqrt(np.mean((forecast - truth)[:, 4, 1:] ** 2)))
    assert found["rmse_1"] == pytest.approx(np.sqrt(np.mean((forecast - truth)[2:, 1] ** 2)))


def test_covariances_in_units_of_std() -> None:
    rng = np.random.default_rng(3)
    std = np.array([3.0, 0.2])
    factor = np.array([0.1, 0.05, 0.2])
    triangle = np.array([[0.1, 0.0], [0.05, 0.2]])
    truth = rng.normal(size=(40, 51, 2))
    forecast = truth + rng.normal(size=truth.shape) @ triangle.T * std
    prediction = np.concatenate([forecast, np.broadcast_to(factor, (40, 51, 3))], axis=-1)
    weight = np.ones((40, 51))
    weight[:, 0] = 0
    scores = TrajectoryMetrics(spread=np.ones(2), std=std, step=0.1)
    scores.update(truth, prediction, weight)
    found = scores.result()
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.02)
    # The expected logarithm of the density is minus the entropy of the normal distribution.
    entropy = np.log(2 * np.pi * np.e) + np.log(0.1 * 0.2)
    assert found["log_likelihood"] == pytest.approx(-entropy, abs=0.05)


def test_nothing_gives_nothing() -> None:
    scores = TrajectoryMetrics(spread=1.0, step=0.1, lyapunov_time=1.0)
    assert all(np.isnan(value) for value in scores.result().values())
    assert scores.details()["error"]["times"] == []
    scores.update(*_forecasts())
    scores.reset()
    assert np.isnan(scores.result()["vpt"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"step": 0.0}, "step"),
        ({"lyapunov_time": -1.0}, "lyapunov_time"),
        ({"horizons": (0,)}, "horizons"),
        ({"threshold": 0.0}, "threshold"),
        ({"spread": 0.0}, "spread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        TrajectoryMetrics(**({"spread": 1.0, "step": 0.1} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [2, 4, 10])
def test_predictions_of_another_form_are_refused(channels: int) -> None:
    with pytest.raises(OptionError, match="prediction"):
        TrajectoryMetrics(spread=1.0, step=0.1).update(np.zeros((1, 5, 3)), np.zeros((1, 5, channels)))
