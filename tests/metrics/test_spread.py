import numpy as np
import pytest
from scipy.stats import norm

from geodl.errors import OptionError
from geodl.metrics.ensemble import crps
from geodl.metrics.spread import Spread


def lognormal_crps(centre: float, deviation: float, observed: float) -> float:
    """Closed form (Baran and Lerch 2015, "Log-normal distribution based …", equation 6)."""
    omega = (np.log(observed) - centre) / deviation
    mean = 2 * np.exp(centre + deviation**2 / 2)
    return float(
        observed * (2 * norm.cdf(omega) - 1)
        - mean * (norm.cdf(omega - deviation) + norm.cdf(deviation / np.sqrt(2)) - 1)
    )


@pytest.mark.parametrize("observed", [0.5, 3.0, 12.0])
def test_many_quantiles_have_the_closed_form_of_the_crps(observed: float) -> None:
    members = np.stack(list(Spread("log").quantiles(np.array([3.0]), np.array([2 * np.log(0.4)]), 2000)))
    expected = lognormal_crps(np.log(3.01), 0.4, observed + 0.01)
    assert crps(members, np.array([observed])) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("transform", ["log", "db"])
def test_quantiles_rise_and_exceed_as_often_as_is_said(transform: str) -> None:
    spread = Spread(transform)
    median = np.array([0.0, 0.05, 0.3, 2.0, 40.0])
    log_variance = np.log(np.array([4.0, 1.0, 2.0, 9.0, 0.5]) * (1 if transform == "db" else 0.05))
    members = np.stack(list(spread.quantiles(median, log_variance, 1001)))
    assert members.min() >= 0 and (np.diff(members, axis=0) >= 0).all()
    np.testing.assert_allclose(members[500], median, atol=1e-9)
    for threshold in (0.07, 0.5, 5.0):
        share = (members > threshold).mean(axis=0)
        np.testing.assert_allclose(spread.exceedance(median, log_variance, threshold), share, atol=2e-3)


@pytest.mark.parametrize("transform", ["log", "db"])
def test_a_certain_median_is_one_value(transform: str) -> None:
    median, certain = np.float32([0.0, 0.5, 3.0]), np.full(3, -np.inf, np.float32)
    for member in Spread(transform).quantiles(median, certain, 3):
        np.testing.assert_allclose(member, median, rtol=1e-5, atol=1e-6)
    assert Spread(transform).exceedance(median, certain, 0.5).tolist() == [0.0, 0.0, 1.0]


def test_an_unknown_transform_is_refused() -> None:
    with pytest.raises(OptionError, match="log or db"):
        Spread("root")
