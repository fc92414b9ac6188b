"""Probabilities and ensembles against the distributions that they are to have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal, stats

from geodl.contract import Band
from geodl.errors import ContractError, OptionError
from geodl.inference.members import Members, exceedance, space_of
from geodl.physics.rain import LOG_OFFSET
from tests.inference.rainfakes import make_contract, moving_rain

LOG = space_of(make_contract(spread="log"), "members")
DB = space_of(make_contract(spread="db"), "members")


def still(frames: np.ndarray) -> np.ndarray:
    return np.zeros((2, *frames.shape[1:]), np.float32)


def test_exceedance_is_that_of_the_lognormal_distribution() -> None:
    median = np.array([[[0.0, 0.2, 3.0, np.nan]]], np.float32)
    log_variance = np.array([[[0.0, -2.0, 1.0, 0.0]]], np.float32)
    found = exceedance(median, log_variance, (0.1, 1.0, 5.0), LOG)
    for edge, chances in zip((0.1, 1.0, 5.0), found, strict=True):
        expected = stats.lognorm.sf(edge + LOG_OFFSET, s=np.exp(log_variance / 2), scale=median + LOG_OFFSET)
        np.testing.assert_allclose(chances, expected, atol=1e-6)
    assert found.shape == (3, *median.shape) and found.dtype == np.float32


def test_exceedance_in_decibels_is_normal() -> None:
    median, log_variance = np.float32([[[1.0, 10.0]]]), np.float32([[[2.0, 3.0]]])
    found = exceedance(median, log_variance, (5.0,), DB)[0]
    expected = stats.norm.sf(10 * np.log10(5), loc=10 * np.log10(median), scale=np.exp(log_variance / 2))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_thresholds_are_above_zero() -> None:
    for thresholds in ((0.0, 1.0), (), (np.inf,)):
        with pytest.raises(OptionError, match="rain rates above 0 mm/h"):
            exceedance(np.ones((1, 1, 1)), np.ones((1, 1, 1)), thresholds, LOG)


def test_each_pixel_has_the_networks_median_and_spread() -> None:
    frames = moving_rain(4, 16, 20, shift=0)
    median = np.abs(moving_rain(2, 16, 20, seed=1)) + 1
    log_variance = np.broadcast_to(np.linspace(-3, 0, 20, dtype=np.float32), median.shape)
    make = Members(median, log_variance, frames, LOG, seed=5, velocity=still(frames))
    seen = np.log(np.stack([make(k) for k in range(600)]) + LOG_OFFSET)
    spread = np.exp(log_variance / 2)
    # Means and deviations of 600 draws, in units of their standard errors.
    off = (seen.mean(0) - np.log(median + LOG_OFFSET)) / spread * np.sqrt(600)
    assert np.abs(off).max() < 5 and off.std() == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(seen.std(0) / spread, 1, atol=0.15)


def test_noise_has_the_spectrum_of_the_rain_and_its_correlation_in_time() -> None:
    frames = moving_rain(4, 32, 32, shift=0)
    make = Members(np.zeros((2, 32, 32)), np.zeros((2, 32, 32)), frames, LOG, velocity=still(frames))
    noise = np.stack([make.noise(k) for k in range(200)])
    power = (np.abs(np.fft.fft2(noise[:, 0])) ** 2).mean(0)
    window = np.outer(*[signal.windows.tukey(32, 0.2)] * 2)
    field = np.log(frames[-1] + LOG_OFFSET) - np.log(LOG_OFFSET)
    rain = np.abs(np.fft.fft2(field * window)) ** 2
    ratio = power.ravel()[1:] / rain.ravel()[1:]
    assert np.std(ratio / ratio.mean()) < 0.15
    # Frames that do not change are as correlated as can be.
    assert np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1] == pytest.approx(0.99, abs=0.005)


def test_noise_goes_along_with_the_rain() -> None:
    frames = moving_rain(4, 24, 32, shift=0)
    velocity = still(frames)
    velocity[0], velocity[1] = -1, 3
    shape = (3, 24, 32)
    resting = Members(np.zeros(shape), np.zeros(shape), frames, LOG, velocity=still(frames))
    moving = Members(np.zeros(shape), np.zeros(shape), frames, LOG, velocity=velocity)
    moving._correlation = resting._correlation
    np.testing.assert_array_equal(moving.noise(1)[2], np.roll(resting.noise(1)[2], (-2, 6), (0, 1)))


def test_members_depend_on_seed_and_number_alone() -> None:
    frames = moving_rain(4)
    make = [Members(frames[:2], np.zeros_like(frames[:2]), frames, LOG, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(make[0](3), make[1](3))
    assert not np.array_equal(make[0](3), make[2](3)) and not np.array_equal(make[0](3), make[0](4))
    assert make[0](0).dtype == np.float32 and make[0].shape == make[0](0).shape


def test_without_a_spread_all_members_are_the_median() -> None:
    frames = moving_rain(4)
    frames[:, :3] = np.nan
    make = Members(frames[:2], np.full_like(frames[:2], -np.inf), frames, LOG)
    np.testing.assert_allclose(make(0), frames[:2], atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0], ids=["no rain", "the same everywhere"])
def test_where_there_is_no_pattern_noise_is_still_of_variance_one(value: float) -> None:
    frames = np.full((4, 24, 24), value, np.float32)
    make = Members(frames[:1], np.zeros_like(frames[:1]), frames, LOG)
    noise = np.stack([make.noise(k) for k in range(100)])
    assert noise.var() == pytest.approx(1, abs=0.15)


def test_a_network_must_tell_its_spread_in_a_known_transform() -> None:
    with pytest.raises(OptionError, match="members: expected .* network.head=gaussian"):
        space_of(make_contract(), "members")
    contract = make_contract(spread="log")
    other = replace(contract.output, bands=(contract.output.bands[0], Band("log_variance", "sqrt")))
    with pytest.raises(ContractError, match="unit 'sqrt'. Expected one of: log, db"):
        space_of(replace(contract, output=other), "members")
