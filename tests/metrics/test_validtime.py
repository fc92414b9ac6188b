"""Valid prediction times: of errors that grow as a formula says, of gaps, of forecasts that fail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.metrics.validtime import is_censored, relative_error, valid_prediction_time


def test_an_error_that_grows_exponentially_is_valid_as_long_as_the_formula_says() -> None:
    rate, first, threshold, spread = 0.906, 1e-4, 0.4, 14.4
    times = np.arange(0, 20, 0.01)
    truth = np.random.default_rng(0).normal(size=(3, len(times), 3))
    error = spread * first * np.exp(rate * times)
    forecast = truth + error[:, None] * np.array([2, -1, 2]) / 3
    valid = valid_prediction_time(truth, forecast, times, spread=spread, threshold=threshold)
    exact = np.log(threshold / first) / rate
    assert np.all((exact - 0.01 <= valid) & (valid <= exact))
    assert not is_censored(truth, forecast, spread=spread).any()


@given(
    st.integers(0, 8),
    st.floats(1e-3, 1e3),
    st.integers(1, 4),
    st.sampled_from([np.inf, -np.inf, np.nan, 1e200]),
)
def test_scale_and_the_way_of_failing_do_not_matter(last: int, scale: float, variables: int, wrong: float) -> None:
    rng = np.random.default_rng(last)
    truth = rng.normal(size=(2, 9, variables))
    times = np.cumsum(rng.uniform(0.1, 1, (2, 9)), axis=1)
    forecast = truth + 1e-3
    forecast[0, last + 1 :, -1] = wrong
    valid = valid_prediction_time(truth * scale, forecast * scale, times, spread=2.0 * scale)
    np.testing.assert_allclose(valid, [times[0, last] - times[0, 0], times[1, -1] - times[1, 0]])
    np.testing.assert_array_equal(is_censored(truth, forecast, spread=2.0), [last == 8, True])


def test_of_some_variables_it_is_their_share_of_the_spread_that_counts() -> None:
    deviations = np.array([8.0, 9.0, 8.5])
    truth, forecast = np.zeros((1, 3, 3)), np.full((1, 3, 3), [4.0, 4.5, 4.25])
    truth[0, 1, 1:] = np.nan
    truth[0, 2] = np.nan
    error = relative_error(truth, forecast, spread=deviations)
    np.testing.assert_allclose(error, [[0.5, 0.5, np.nan]])
    whole = relative_error(truth, forecast, spread=float(np.linalg.norm(deviations)))
    np.testing.assert_allclose(whole[0, 0], 0.5)


def test_what_was_not_observed_is_neither_valid_nor_wrong() -> None:
    truth, forecast = np.zeros((3, 5, 1)), np.zeros((3, 5, 1))
    truth[0, 1:3] = np.nan
    forecast[0, 2:] = 9
    truth[1, 3:] = np.nan
    truth[2, 1:] = np.nan
    valid = valid_prediction_time(truth, forecast, np.arange(5), spread=1.0)
    np.testing.assert_array_equal(valid, [0, 2, 0])
    np.testing.assert_array_equal(is_censored(truth, forecast, spread=1.0), [False, True, True])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"spread": 0.0}, "spread"),
        ({"spread": np.ones(2)}, "spread"),
        ({"spread": 1.0, "threshold": 0.0}, "threshold"),
        ({"spread": 1.0, "times": np.arange(3)}, "times"),
        ({"spread": 1.0, "forecast": np.zeros((1, 4, 2))}, "forecast"),
    ],
    ids=["no spread", "spread of others", "no threshold", "too few times", "other variables"],
)
def test_what_does_not_fit_is_refused(options: dict[str, object], named: str) -> None:
    arguments = {"times": np.arange(4), "forecast": np.zeros((1, 4, 3))} | options
    with pytest.raises(OptionError, match=named):
        valid_prediction_time(np.zeros((1, 4, 3)), **arguments)  # type: ignore[arg-type]
