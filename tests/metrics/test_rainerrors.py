import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from geodl.metrics.rainerrors import error_scores, error_sums


def test_scores_are_those_of_scipy_and_scikit_learn() -> None:
    observed, forecast = np.random.default_rng(0).gamma(0.5, 2, (2, 3, 400)).astype(np.float32)
    scores = error_scores(sum(error_sums(one, other) for one, other in zip(observed, forecast)))
    one, other = observed.ravel().astype(np.float64), forecast.ravel().astype(np.float64)
    assert scores["mae"] == pytest.approx(mean_absolute_error(one, other), rel=1e-12)
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(one, other), rel=1e-12)
    assert scores["correlation"] == pytest.approx(pearsonr(one, other).statistic, rel=1e-12)
    assert scores["mean_rate_bias"] == pytest.approx(other.mean() / one.mean(), rel=1e-12)


def test_pixels_that_do_not_count_are_left_out() -> None:
    observed, forecast = np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 3.0])
    padded = [np.concatenate([field, np.zeros(7)]) for field in (observed, forecast)]
    for name, value in error_scores(error_sums(*padded, pixels=3)).items():
        assert value == pytest.approx(float(error_scores(error_sums(observed, forecast))[name]), rel=1e-12)


def test_what_is_constant_has_no_correlation() -> None:
    rain = np.random.default_rng(0).gamma(0.5, 2, 1000)
    scores = error_scores(error_sums(rain, np.full(1000, 0.1)))
    assert np.isnan(scores["correlation"]) and scores["mae"] > 0
    assert np.isnan(error_scores(error_sums(0 * rain, rain))["mean_rate_bias"])
    assert all(np.isnan(value) for value in error_scores(np.zeros(8)).values())
