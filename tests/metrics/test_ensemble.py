import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geodl.errors import OptionError
from geodl.metrics.ensemble import crps, reliability_counts


def test_crps_is_that_of_pysteps(pysteps: dict[str, np.ndarray]) -> None:
    assert crps(pysteps["members"], pysteps["truth"]) == pytest.approx(float(pysteps["crps"]), rel=1e-6)


@given(hnp.arrays(np.float64, (5, 6), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])))
def test_crps_is_the_energy_form_where_members_equal_the_observation_too(values: np.ndarray) -> None:
    members, observed = values[1:], values[0]
    expected = np.abs(members - observed).mean(axis=0) - 0.5 * np.abs(members[:, None] - members).mean(axis=(0, 1))
    assert crps(members, observed) == pytest.approx(expected.mean(), abs=1e-12)


def test_crps_counts_what_is_finite() -> None:
    assert crps(np.array([[1.0, np.nan, 1.0]]), np.array([3.0, 1.0, np.nan])) == 2.0
    assert np.isnan(crps(np.array([[np.nan]]), np.array([1.0])))
    with pytest.raises(OptionError, match="ensemble: expected shape"):
        crps(np.zeros((3, 2)), np.zeros(4))


def test_reliability_is_that_of_pysteps(pysteps: dict[str, np.ndarray]) -> None:
    number, probability, rain = reliability_counts(pysteps["probability"], pysteps["truth"], 1.0).T
    assert number.sum() == pysteps["truth"].size
    np.testing.assert_allclose([probability / number, rain / number], pysteps["reliability"], rtol=1e-6)


def test_certain_forecasts_fall_into_the_outer_bins() -> None:
    counts = reliability_counts(np.array([0.0, 0.0, 1.0]), np.array([0.0, 5.0, 5.0]), 5.0, bins=4)
    assert counts.tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 0], [1, 1, 1]]
