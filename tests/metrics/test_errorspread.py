"""Covariances of forecasts, against scipy's multivariate normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from geodl.errors import OptionError
from geodl.metrics.errorspread import ellipsoid_scores, lower_triangle

_FACTOR = np.array([0.5, 0.3, 0.8, -0.2, 0.1, 1.2])
_COVARIANCE = np.array([[0.25, 0.15, -0.1], [0.15, 0.73, 0.02], [-0.1, 0.02, 1.49]])


def test_rows_of_a_triangle() -> None:
    triangle = lower_triangle(_FACTOR)
    np.testing.assert_allclose(triangle @ triangle.T, _COVARIANCE)
    with pytest.raises(OptionError):
        lower_triangle(np.zeros(5))


def test_what_was_drawn_from_it_is_covered_as_it_should_be() -> None:
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(3), _COVARIANCE, size=(200, 50))
    inside, likelihood, count = ellipsoid_scores(drawn, np.zeros_like(drawn), np.broadcast_to(_FACTOR, (200, 50, 6)))
    assert count == 10_000
    assert inside / count == pytest.approx(0.9, abs=0.01)
    exact = multivariate_normal(np.zeros(3), _COVARIANCE).logpdf(drawn).sum()
    assert likelihood == pytest.approx(exact, rel=1e-9)


def test_variables_that_are_not_observed_are_integrated_over() -> None:
    truth = np.array([[0.4, np.nan, -0.7], [np.nan, np.nan, np.nan]])
    inside, likelihood, count = ellipsoid_scores(truth, np.zeros((2, 3)), np.stack([_FACTOR, _FACTOR]))
    kept = [0, 2]
    exact = multivariate_normal(np.zeros(2), _COVARIANCE[np.ix_(kept, kept)]).logpdf([0.4, -0.7])
    assert (inside, count) == (1, 1)
    assert likelihood == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("wrong", ["forecast", "factor", "singular"])
def test_a_forecast_that_failed_covers_nothing(wrong: str) -> None:
    forecast, factor = np.zeros((2, 3)), np.stack([_FACTOR, _FACTOR])
    if wrong == "forecast":
        forecast[0, 1] = np.nan
    else:
        factor[0] = np.nan if wrong == "factor" else 0
    np.testing.assert_array_equal(ellipsoid_scores(np.zeros((2, 3)), forecast, factor), [1, -np.inf, 2])
