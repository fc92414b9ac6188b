"""Noise against its distribution in scipy.stats and its moments in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from geodl.errors import OptionError
from geodl.physics.noise import add_gaussian, add_poisson_gaussian


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_gaussian_noise_has_its_distribution() -> None:
    clean = np.linspace(0, 255, 40_000, dtype=np.float32).reshape(200, 200, 1)
    noise = add_gaussian(clean, 25, rng=rng()) - clean
    assert stats.kstest(noise.ravel(), "norm", args=(0, 25)).pvalue > 0.01
    # A peak of 255 and sigma 25: the 20.17 dB of the published denoising benchmarks.
    assert 10 * np.log10(255**2 / np.mean(np.square(noise))) == pytest.approx(20.17, abs=0.05)


def test_noise_is_not_clipped_and_does_not_touch_its_input() -> None:
    clean = np.zeros((50, 50, 1), np.float32)
    noisy = add_gaussian(clean, 1.0, rng=rng())
    assert noisy.min() < -2 and noisy.dtype == np.float32
    assert not clean.any()


@pytest.mark.parametrize("sigma", [[1.0, 2.0, 8.0], np.array([1, 2, 8])])
def test_each_band_can_have_its_sigma(sigma: list[float]) -> None:
    noisy = add_gaussian(np.zeros((100, 100, 3)), sigma, rng=rng())
    np.testing.assert_allclose(noisy.std(axis=(0, 1)), [1, 2, 8], rtol=0.03)


def test_same_state_gives_the_same_noise() -> None:
    clean = np.ones((5, 6, 2), np.float32)
    for noise in (add_gaussian, lambda c, s, rng: add_poisson_gaussian(c, 0.1, s, rng=rng)):
        np.testing.assert_array_equal(noise(clean, 0.1, rng=rng(3)), noise(clean, 0.1, rng=rng(3)))
        assert np.any(noise(clean, 0.1, rng=rng(3)) != noise(clean, 0.1, rng=rng(4)))


@pytest.mark.parametrize(
    ("value", "gain", "sigma"), [(0.3, 0.002, 0.01), (-0.05, 0.002, 0.01), (0.0, 0.5, 0.1), (80, 2, 0)]
)
def test_mean_and_variance_of_poisson_gaussian(value: float, gain: float, sigma: float) -> None:
    noisy = add_poisson_gaussian(np.full((300, 300, 1), value), gain, sigma, rng=rng()).astype(float)
    variance = gain * max(value, 0) + sigma**2
    assert noisy.mean() == pytest.approx(value, abs=4 * np.sqrt(variance / noisy.size))
    assert noisy.var() == pytest.approx(variance, rel=0.03)


def test_without_read_out_noise_photons_are_counted() -> None:
    gain, photons = 0.25, 3.0
    counts = add_poisson_gaussian(np.full((200, 200), gain * photons), gain, 0, rng=rng()) / gain
    np.testing.assert_array_equal(counts, np.round(counts))
    most = 10
    observed = np.bincount(np.minimum(counts, most).astype(int).ravel(), minlength=most + 1)
    expected = np.append(stats.poisson.pmf(np.arange(most), photons), stats.poisson.sf(most - 1, photons)) * counts.size
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_a_gain_of_zero_is_gaussian_noise_and_bands_have_their_own_gain() -> None:
    noisy = add_poisson_gaussian(np.full((200, 200, 2), 4.0), [0.0, 1.0], [0.5, 0.0], rng=rng())
    np.testing.assert_allclose(noisy.var(axis=(0, 1)), [0.25, 4.0], rtol=0.03)
    assert stats.kstest(noisy[..., 0].ravel(), "norm", args=(4, 0.5)).pvalue > 0.01


@pytest.mark.parametrize(
    "noise", [lambda c: add_gaussian(c, 0.1, rng=rng()), lambda c: add_poisson_gaussian(c, 0.1, 0.1, rng=rng())]
)
def test_nodata_stays_nodata_and_nothing_else_becomes_it(noise) -> None:
    clean = np.ones((6, 7, 2), np.float32)
    clean[2, 3, 1] = np.nan
    clean[4, 4] = np.nan
    np.testing.assert_array_equal(np.isnan(noise(clean)), np.isnan(clean))


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf"), [1.0, 2.0], [[1.0, 2.0, 3.0]]])
def test_a_sigma_that_cannot_be_is_refused(sigma: object) -> None:
    with pytest.raises(OptionError, match="sigma"):
        add_gaussian(np.zeros((4, 4, 3)), sigma, rng=rng())  # type: ignore[arg-type]


@pytest.mark.parametrize("gain", [-1.0, 1e-25, [1.0, 2.0]])
def test_a_gain_that_cannot_be_is_refused(gain: object) -> None:
    with pytest.raises(OptionError, match="gain"):
        add_poisson_gaussian(np.ones((4, 4, 3)), gain, 0.1, rng=rng())  # type: ignore[arg-type]
