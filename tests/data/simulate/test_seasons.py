"""The curve of a season against its closed form, and fields that keep to what is possible."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from geodl.data.simulate.seasons import BANDS, CROPS, SHARES, FieldSeasons, add_ndvi, double_logistic

DAYS = np.arange(1.0, 366.0)


def usual(count: int, seed: int = 0, crop: int | None = None) -> FieldSeasons:
    kinds = np.arange(count) % len(CROPS) if crop is None else np.full(count, crop)
    still = np.zeros(count)
    return FieldSeasons.draw(np.random.default_rng(seed), kinds, winter_shift=still, summer_shift=still)


def test_with_one_level_it_is_the_curve_of_beck_and_others() -> None:
    w, m, s, ms, a, ma = 0.15, 0.8, 110.0, 0.09, 250.0, 0.06
    # Their equation 3, as it is printed.
    expected = w + (m - w) * (1 / (1 + np.exp(-ms * (DAYS - s))) + 1 / (1 + np.exp(ma * (DAYS - a))) - 1)
    found = double_logistic(DAYS, winter=w, peak=m, start=s, growth=ms, end=a, fading=ma)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_before_and_after_the_season_are_the_levels_that_were_asked_for() -> None:
    curve = double_logistic(
        np.array([-200.0, 180, 700]), winter=0.3, peak=0.9, start=90, growth=0.1, end=270, fading=0.1, bare=0.1
    )
    np.testing.assert_allclose(curve, [0.3, 0.9, 0.1], atol=1e-3)


@pytest.mark.parametrize("crop", range(len(CROPS)), ids=[each.name for each in CROPS])
def test_a_field_is_covered_by_no_more_than_itself(crop: int) -> None:
    green, ripe, bloom = usual(60, crop=crop).covers(DAYS[None])
    for share in (green, ripe, bloom):
        assert share.shape == (60, 365) and share.min() >= 0 and share.max() <= 1
    assert (green + ripe).max() <= 1 + 1e-9


def test_what_is_seen_is_a_mixture_of_what_covers_the_ground() -> None:
    fields = usual(16)
    green, ripe, bloom = fields.covers(DAYS[None])
    seen = fields.reflectance(DAYS[None])
    assert seen.shape == (16, 365, 3) and seen.min() > 0 and seen.max() < 0.6
    # A mixture is linear: three surfaces and one of blooming plants explain a field to the last digit.
    shares = np.stack([green, ripe, 1 - green - ripe, green * bloom], -1)
    for field in range(16):
        _, rest, _, _ = np.linalg.lstsq(shares[field], seen[field], rcond=None)
        np.testing.assert_allclose(rest, 0, atol=1e-18)
    ndvi = add_ndvi(seen)
    assert ndvi.shape[-1] == len(BANDS)
    np.testing.assert_allclose(ndvi[..., 3], (seen[..., 1] - seen[..., 0]) / (seen[..., 1] + seen[..., 0]))


def test_winter_crops_are_green_in_may_and_summer_crops_in_august() -> None:
    ndvi = add_ndvi(usual(80).reflectance(DAYS[None]))[..., 3].reshape(10, 8, 365).mean(0)
    greenest = dict(zip((each.name for each in CROPS), DAYS[ndvi.argmax(1)], strict=True))
    for name in ("winter wheat", "winter barley", "rapeseed"):
        assert 100 < greenest[name] < 160, name
    for name in ("maize", "sunflower", "potatoes"):
        assert 180 < greenest[name] < 235, name
    assert greenest["winter barley"] < greenest["winter wheat"] < greenest["maize"]
    assert sum(SHARES) == pytest.approx(1) and len(SHARES) == len(CROPS)


def test_a_fit_of_the_curve_finds_the_season_that_was_drawn() -> None:
    fields = usual(4, seed=3, crop=3)
    green = fields.covers(DAYS[None])[0]
    start = [0.1, 0.9, 160.0, 0.1, 260.0, 0.08, 0.1]
    summer = fields.harvest.min() - 5 > DAYS
    for field in range(4):
        found, _ = curve_fit(
            lambda t, w, m, s, r, e, f, b: double_logistic(
                t, winter=w, peak=m, start=s, growth=r, end=e, fading=f, bare=b
            ),
            DAYS[summer],
            green[field, summer],
            start,
        )  # fmt: skip
        assert found[2] == pytest.approx(fields.start[field], abs=1.0)
        assert found[1] == pytest.approx(fields.peak[field], abs=0.03)
