import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.metrics import NowcastMetrics, combine, nowcast_scores


def rain(samples: int, seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.4, 3, (samples, 2, side, side + 1, 1)).astype(np.float32)


def seen(truth: np.ndarray, guess: np.ndarray, **options: object) -> NowcastMetrics:
    scores = NowcastMetrics([0.5, 2.0], lead_minutes=[5, 10], scales=[1, 3], block=2, **options)
    scores.update(truth, guess, scenes=["a"] * len(truth))
    return scores


def assert_alike(one: object, other: object) -> None:
    """Equal but for the last bits of sums."""
    if isinstance(one, dict):
        assert isinstance(other, dict) and one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, list) and one and not isinstance(one[0], (float, int, type(None))):
        assert isinstance(other, list) and len(one) == len(other)
        for pair in zip(one, other):
            assert_alike(*pair)
    elif isinstance(one, str):
        assert one == other
    else:
        np.testing.assert_allclose(np.array(one, float), np.array(other, float), rtol=1e-12)


@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(0, 9))
def test_two_halves_are_the_whole(blocks: int, seed: int) -> None:
    truth, guess = rain(6, seed), np.concatenate([rain(6, seed + 1), -rain(6, seed + 2)], axis=-1)
    truth[0, 1] = np.nan
    cut = 2 * blocks
    parts = [
        seen(truth[part], guess[part], spread="log") for part in (slice(cut), slice(cut, None)) if len(truth[part])
    ]
    whole = seen(truth, guess, spread="log")
    pooled = combine(*(part.details() for part in parts))
    expected = copy.deepcopy(whole.details())
    assert sorted(pooled.pop("blocks")["tables"]) == sorted(expected.pop("blocks")["tables"])
    assert_alike(pooled, expected)
    assert nowcast_scores(pooled) == pytest.approx(whole.result(), nan_ok=True, rel=1e-12)


def test_spectra_of_two_sizes_meet_at_the_wavelengths_of_the_smaller() -> None:
    small, large = rain(1, 0, side=8), rain(3, 1, side=17)
    one, other = seen(small, small), seen(large, large)
    pooled = combine(one.details(), other.details())["spectra"]
    assert pooled["wavelength_pixels"] == one.details()["spectra"]["wavelength_pixels"] == [9 / k for k in (1, 2, 3, 4)]
    # Wavelengths 9, 9/2, … of 9 pixels are the wave numbers 2, 4, … of 18.
    own = np.array(other.details()["spectra"]["observed"])[:, 1::2]
    expected = (np.array(one.details()["spectra"]["observed"]) + 3 * own) / 4
    np.testing.assert_allclose(pooled["observed"], expected, rtol=1e-12)
    np.testing.assert_allclose(pooled["forecast"], expected, rtol=1e-12)


def test_a_spread_is_pooled_where_all_have_one() -> None:
    truth = rain(2, 0)
    plain, spread = seen(truth, truth), seen(truth, np.concatenate([truth, -truth], axis=-1), spread="log")
    assert "crps" not in nowcast_scores(combine(plain.details(), spread.details()))
    both = combine(spread.details(), spread.details())
    assert nowcast_scores(both)["crps"] == pytest.approx(spread.result()["crps"])
    assert sum(both["reliability"]["2"]["count"]) == 2 * truth.size


def test_what_was_measured_differently_is_not_pooled() -> None:
    truth = rain(1, 0)
    other = NowcastMetrics([1.0], lead_minutes=[5, 10])
    other.update(truth, truth)
    with pytest.raises(OptionError, match="thresholds"):
        combine(seen(truth, truth).details(), other.details())
    with pytest.raises(OptionError, match="pixel_km"):
        combine(seen(truth, truth, pixel_km=1.0).details(), seen(truth, truth, pixel_km=2.0).details())
    with pytest.raises(OptionError, match="pixel_km"):
        combine(seen(truth, truth).details(), seen(truth, truth, pixel_km=2.0).details())
    with pytest.raises(OptionError, match="one evaluation or more"):
        combine()
    assert (
        combine(seen(truth, truth, pixel_km=1.0).details(), seen(truth, truth, pixel_km=1.001).details())["samples"]
        == 2
    )
