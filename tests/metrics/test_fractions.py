import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geodl.metrics.fractions import fraction_sums, fractions_skill


def brute_force(observed: np.ndarray, forecast: np.ndarray, threshold: float, scale: int) -> list[float]:
    """The sums of fractions, one neighbourhood after the other."""
    before, after = scale // 2, scale - scale // 2
    shares = []
    for field in (forecast, observed):
        padded = np.pad((field >= threshold).astype(float), ((before, after), (before, after)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (scale, scale))
        shares.append(windows[: field.shape[0], : field.shape[1]].mean(axis=(2, 3)))
    one, other = shares
    return [float((one * one).sum()), float((one * other).sum()), float((other * other).sum())]


@given(
    hnp.arrays(np.float32, (2, 9, 7), elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0])),
    st.integers(1, 6),
)
def test_sums_are_those_of_each_neighbourhood(rates: np.ndarray, scale: int) -> None:
    sums = fraction_sums(*rates, [1.0], [scale])
    np.testing.assert_allclose(sums[0, 0], brute_force(*rates, 1.0, scale), rtol=1e-6, atol=1e-9)


def test_a_forecast_one_pixel_off_is_right_at_larger_scales() -> None:
    observed = np.zeros((40, 40))
    observed[20, 20] = 3.0
    skill = fractions_skill(fraction_sums(observed, np.roll(observed, 1, axis=1), [1.0], [1, 2, 5, 11])[0])
    # Two windows of side n share n - 1 of their n columns.
    np.testing.assert_allclose(skill, [0, 1 / 2, 4 / 5, 10 / 11], rtol=1e-6)


def test_a_dry_pair_has_no_score() -> None:
    sums = fraction_sums(np.zeros((4, 4)), np.zeros((4, 4)), [1.0], [1, 3])
    assert np.isnan(fractions_skill(sums)).all()
    assert fractions_skill(fraction_sums(np.ones((4, 4)), np.zeros((4, 4)), [1.0], [3])) == pytest.approx(0)
