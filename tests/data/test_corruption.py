"""Noisy samples, against the distributions that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from geodl.data.corruption import (
    BlindSpot,
    GaussianNoise,
    PoissonGaussianNoise,
    RealAndImaginary,
    Speckle,
    TwoLooks,
)
from geodl.data.degraded import Degradation
from geodl.errors import OptionError
from geodl.physics.speckle import Unit, from_intensity, simulate_slc, to_intensity

SHAPE = (120, 130)
ONES = np.ones(SHAPE, np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def image(value: float, bands: int = 1) -> np.ndarray:
    return np.full((*SHAPE, bands), value, np.float32)


def test_gaussian_noise_is_normal_and_not_clipped() -> None:
    clean = image(3, 2)
    x, y, weight = GaussianNoise((25.0, 25.0))(clean, ONES, rng())
    np.testing.assert_array_equal(y, clean)
    np.testing.assert_array_equal(weight, ONES)
    for band in range(2):
        assert stats.kstest((x - y)[..., band].ravel(), stats.norm(0, 25).cdf).pvalue > 1e-3
    assert x.dtype == np.float32 and x.min() < -50


def test_a_range_of_noise_is_drawn_evenly_and_told_to_networks_that_ask() -> None:
    blind = GaussianNoise((5.0, 50.0), stated=True)
    small = np.zeros((30, 30, 2), np.float32)
    found = [blind(small, np.ones((30, 30)), rng(seed)) for seed in range(120)]
    levels = np.array([x[0, 0, 2] for x, _, _ in found])
    assert all(
        x.shape == (30, 30, 3) and (x[..., 2] == x[0, 0, 2]).all() and y.shape == (30, 30, 2) for x, y, _ in found
    )
    np.testing.assert_allclose([x[..., :2].std() for x, _, _ in found], levels, rtol=0.1)
    assert stats.kstest(levels, stats.uniform(5, 45).cdf).pvalue > 1e-3


@pytest.mark.parametrize("level", [-0.02, 0.0, 0.3])
def test_photon_noise_grows_with_the_signal_that_is_positive(level: float) -> None:
    x, _, _ = PoissonGaussianNoise((1e-3, 1e-3), (0.01, 0.01))(image(level), ONES, rng())
    assert np.isfinite(x).all()
    assert x.mean() == pytest.approx(level, abs=5e-4)
    assert x.var() == pytest.approx(1e-3 * max(level, 0) + 1e-4, rel=0.05)


@pytest.mark.parametrize("unit", ["intensity", "amplitude", "dB"])
@pytest.mark.parametrize("looks", [1.0, 3.7])
def test_speckle_is_gamma_distributed_in_intensity(unit: Unit, looks: float) -> None:
    clean = from_intensity(image(40.0), unit)
    x, y, _ = Speckle(unit, (looks, looks))(clean, ONES, rng())
    np.testing.assert_array_equal(y, clean)
    ratio = to_intensity(x, unit).ravel() / 40
    assert stats.kstest(ratio, stats.gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3


def test_brightness_and_contrast_of_radar_samples_vary_about_their_mean_logarithm() -> None:
    clean = np.exp(rng().normal(2, 0.5, (*SHAPE, 1))).astype(np.float32)
    clean[0, 0], clean[1, 1], clean[2, 2] = 0, np.nan, -1
    found = [Speckle("intensity", (4, 4), level=5.0, contrast=(0.5, 2.0))(clean, ONES, rng(k)) for k in range(40)]
    known = clean[..., 0] > 0
    logs = np.array([np.log(y[known]) for _, y, _ in found])
    power = logs.std(1) / np.log(clean[known]).std()
    assert 0.5 <= power.min() < 0.8 and 1.6 < power.max() <= 2.001
    shift = (logs.mean(1) - np.log(clean[known]).mean()) * 10 / np.log(10)
    assert shift.std() == pytest.approx(5, rel=0.3) and abs(shift.mean()) < 2.5
    for x, y, _ in found:
        assert x[0, 0, 0] == y[0, 0, 0] == 0 and np.isnan(x[1, 1, 0]) and np.isnan(y[1, 1, 0]) and y[2, 2, 0] == 0
        # The truth is what was speckled.
        assert (x[known] / y[known]).mean() == pytest.approx(1, abs=0.02)


def test_looks_of_a_range_are_drawn_evenly_in_their_logarithm() -> None:
    small = np.ones((40, 40, 1), np.float32)
    speckle = Speckle("intensity", (1.0, 16.0))
    found = [1 / speckle(small, np.ones((40, 40)), rng(seed))[0].var() for seed in range(80)]
    assert stats.kstest(np.log(found), stats.uniform(0, np.log(16)).cdf).pvalue > 1e-3


def test_what_cannot_be_varied_stays() -> None:
    dark = image(0.0)
    x, y, _ = Speckle("amplitude", (1, 1), level=3.0)(dark, ONES, rng())
    assert not x.any() and not y.any()
    void = image(np.nan)
    assert np.isnan(Speckle("amplitude", (1, 1), level=3.0)(void, 0 * ONES, rng())[0]).all()


@pytest.mark.parametrize(
    "degradation",
    [
        GaussianNoise((1.0, 2.0)),
        PoissonGaussianNoise((1.0, 1.0), (1.0, 1.0)),
        Speckle("intensity", (1.0, 4.0), (0.0, 1.0)),
        BlindSpot(),
    ],
)
def test_nodata_stays_nodata_and_nothing_else_becomes_so(degradation: Degradation) -> None:
    clean = image(9.0, 2)
    clean[10:20, 30:50] = np.nan
    before = clean.copy()
    x, y, weight = degradation(clean, np.isfinite(clean).all(-1).astype(np.float32), rng())
    np.testing.assert_array_equal(clean, before)
    np.testing.assert_array_equal(y, before)
    counted = weight > 0
    assert np.isfinite(y[counted]).all() and counted.any()
    if not isinstance(degradation, BlindSpot):
        np.testing.assert_array_equal(np.isnan(x), np.isnan(before))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 99))
def test_hidden_pixels_never_show_themselves(height: int, width: int, radius: int, seed: int) -> None:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    values = np.stack([rows, columns], -1)
    valid = (rng(seed).random((height, width)) < 0.7).astype(np.float32)
    x, y, weight = BlindSpot(radius=radius)(values, valid, rng(seed))
    np.testing.assert_array_equal(y, values)
    moved = np.abs(x - values).max(-1)
    assert (weight[valid == 0] == 0).all()
    assert (weight > 0).any() == (valid > 0).any()
    if height * width > 1:
        assert (moved[weight > 0] > 0).all()
    assert moved.max() <= radius
    # What is seen as it is does not count.
    assert (weight[moved == 0] == 0).all() or height * width == 1


def test_hidden_pixels_are_spread_evenly_and_seen_from_all_around() -> None:
    rows, columns = np.mgrid[:256, :256].astype(np.float32)
    values = np.stack([rows, columns], -1)
    x, _, weight = BlindSpot()(values, np.ones((256, 256), np.float32), rng())
    spots = np.argwhere(weight)
    assert len(spots) / 256**2 == pytest.approx(0.016, rel=0.1)
    steps = (x - values)[tuple(spots.T)].astype(int)
    inner = ((spots > 1) & (spots < 254)).all(1)
    counts = np.unique(steps[inner], axis=0, return_counts=True)[1]
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-3


def test_a_sample_that_is_nearly_all_nodata_hides_one_of_its_pixels() -> None:
    values, valid = image(np.nan), np.zeros(SHAPE, np.float32)
    values[3:5, 3:5, 0], valid[3:5, 3:5] = [[1, 2], [3, 4]], 1
    for seed in range(30):
        x, y, weight = BlindSpot()(values, valid, rng(seed))
        counted = weight > 0
        assert 1 <= counted.sum() == (counted & (valid > 0)).sum() <= 2
        assert (x[counted] != y[counted]).all()
    assert not BlindSpot()(values, 0 * valid, rng())[2].any()


def test_two_looks_are_told_from_one_another() -> None:
    values = np.concatenate([image(1, 2), image(2, 2)], -1)
    x, y, weight = TwoLooks(swap=False)(values, ONES, rng())
    assert (x == 1).all() and (y == 2).all() and x.shape == y.shape == (*SHAPE, 2) and weight is ONES
    firsts = {float(TwoLooks(swap=True)(values, ONES, rng(seed))[0].flat[0]) for seed in range(20)}
    assert firsts == {1, 2}
    with pytest.raises(OptionError, match="as many of one look as of the other"):
        TwoLooks(swap=False)(image(1, 3), ONES, rng())


def test_parts_of_complex_data_are_half_looks_of_the_intensity() -> None:
    """Twice the square of a standard normal part of variance 1 / 2 is chi-squared with one degree of freedom."""
    field = simulate_slc(image(5.0), rng=rng())
    values = np.concatenate([field.real, field.imag], -1)
    x, y, _ = RealAndImaginary(swap=False)(values, ONES, rng())
    assert stats.kstest(x.ravel() / 5, stats.chi2(1).cdf).pvalue > 1e-3
    np.testing.assert_allclose((x + y) / 2, np.abs(field) ** 2, rtol=1e-5)
    assert abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 0.03
    assert np.log(x / 5).mean() == pytest.approx(special.digamma(0.5) - np.log(0.5), abs=0.06)
    swapped = [RealAndImaginary(swap=True)(values, ONES, rng(seed))[0] for seed in range(10)]
    assert any(np.array_equal(found, x) for found in swapped) and any(np.array_equal(found, y) for found in swapped)
