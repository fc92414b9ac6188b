"""Augmented series: what is lost, what is added, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series.augmentation import SeriesAugmentation
from geodl.errors import OptionError

DAYS = np.tile(np.arange(1, 41, dtype=np.float32) * 5, (4000, 1))


def values(bands: int = 2) -> np.ndarray:
    return np.random.default_rng(5).normal(1, 1, (*DAYS.shape, bands)).astype(np.float32)


@settings(max_examples=40)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 50))
def test_what_was_observed_is_kept_in_part_and_what_was_not_stays_missing(drop: float, cut: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_ = rng.normal(size=(12, 9, 2)).astype(np.float32)
    given_[rng.random(given_.shape) < 0.5] = np.nan
    given_[3] = np.nan
    days = np.tile(np.arange(9, dtype=np.float32), (12, 1))
    found, same_days = SeriesAugmentation(drop=drop, cut=cut)(given_, days, np.random.default_rng(seed))
    kept = np.isfinite(found)
    np.testing.assert_array_equal(found[kept], given_[kept])
    # A date goes as a whole, or stays as it was.
    whole = (kept == np.isfinite(given_)).all(-1) | ~kept.any(-1)
    assert whole.all() and same_days is days
    np.testing.assert_array_equal(kept.any((1, 2)), np.isfinite(given_).any((1, 2)))
    again, _ = SeriesAugmentation(drop=drop, cut=cut)(given_, days, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, found)


def test_dates_are_lost_by_any_share_up_to_the_greatest() -> None:
    found, _ = SeriesAugmentation(drop=0.6)(values(), DAYS, np.random.default_rng(0))
    lost = np.isnan(found).all(-1).mean(1)
    assert lost.mean() == pytest.approx(0.3, abs=0.01)
    # Uniform between 0 and 0.6, and binomial about that.
    assert np.quantile(lost, [0.1, 0.9]) == pytest.approx([0.06, 0.54], abs=0.05)


def test_of_every_other_series_the_end_is_cut_off() -> None:
    found, _ = SeriesAugmentation(cut=0.8)(values(), DAYS, np.random.default_rng(0))
    seen = np.isfinite(found).all(-1)
    ends = seen.sum(1)
    np.testing.assert_array_equal(seen, np.arange(40) < ends[:, None])
    assert (ends == 40).mean() == pytest.approx(0.5, abs=0.05)
    assert ends.min() >= 8 and ends[ends < 40].mean() == pytest.approx(24, abs=1)


def test_noise_scale_and_shift_are_of_the_size_that_they_say() -> None:
    given_ = values()
    rng = np.random.default_rng(0)
    noisy, _ = SeriesAugmentation(std=(2.0, 0.5), noise=0.1)(given_, DAYS, rng)
    np.testing.assert_allclose((noisy - given_).std((0, 1)), [0.2, 0.05], rtol=0.02)
    scaled, _ = SeriesAugmentation(scale=0.3)(given_, DAYS, rng)
    factor = scaled / given_
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1, :1], factor.shape), rtol=1e-4)
    assert 0.7 <= factor[:, 0, 0].min() < 0.71 and 1.29 < factor[:, 0, 0].max() <= 1.3001
    _, moved = SeriesAugmentation(shift=10)(given_, DAYS, rng)
    by = moved - DAYS
    np.testing.assert_allclose(by, np.broadcast_to(by[:, :1], by.shape), atol=1e-4)
    assert by.min() < -9.9 and by.max() > 9.9 and np.abs(by).max() <= 10.001
    assert noisy.dtype == scaled.dtype == moved.dtype == np.float32


def test_nothing_changes_by_default_and_nothing_impossible_is_taken() -> None:
    given_ = values()
    same, days = SeriesAugmentation()(given_, DAYS, np.random.default_rng(0))
    assert same is given_ and days is DAYS
    for name, number in (("drop", 1.5), ("cut", -0.1), ("noise", 2), ("scale", float("nan")), ("shift", 400)):
        with pytest.raises(OptionError, match=f"augment.{name}: expected"):
            SeriesAugmentation(**{name: number})
