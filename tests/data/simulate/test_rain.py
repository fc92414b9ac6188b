"""Simulated rain: seeded, of the wetness, spectrum, pace and motion that it says, and spoilt as asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from geodl.data.radar import open_sequence
from geodl.data.simulate import rain_motion, simulate_rain
from geodl.errors import OptionError
from geodl.physics.motion import motion


@pytest.fixture(scope="module")
def event() -> np.ndarray:
    return simulate_rain((192, 160), 12, seed=5, wet=0.2, speed=36).values


def test_same_seed_same_rain() -> None:
    one, same, other = (simulate_rain((40, 50), 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.any(one.values != other.values)


def test_fewer_frames_are_the_first_of_more() -> None:
    np.testing.assert_array_equal(simulate_rain((40, 50), 2, seed=1), simulate_rain((40, 50), 4, seed=1)[:2])


def test_it_is_a_sequence_with_times_grid_and_unit() -> None:
    rain = simulate_rain((40, 50), 4, seed=0, step_minutes=5, pixel_km=2, start="2021-07-14T06:00")
    sequence = open_sequence(rain)
    assert sequence.step == np.timedelta64(300, "s") and sequence.times[0] == np.datetime64("2021-07-14T06:00")
    assert sequence.grid.crs.to_epsg() == 3035 and sequence.grid.shape == (40, 50)
    assert sequence.grid.transform.a == 2000 and sequence.grid.transform.e == -2000
    np.testing.assert_allclose(sequence.read(None, slice(0, 4))[0][..., 0], rain.values)


def test_rain_is_as_wet_as_asked_and_of_plausible_rates() -> None:
    rates = np.stack([simulate_rain((128, 128), 1, seed=seed, wet=0.2).values[0] for seed in range(12)])
    assert np.mean(rates > 0) == pytest.approx(0.2, abs=0.04)
    assert 0.7 < rates[rates >= 0.1].mean() < 3
    assert 20 < rates.max() <= 120 and rates.min() == 0


def test_the_logarithm_has_the_spectrum_that_it_says() -> None:
    # All wet, so that the threshold hides nothing of the field.
    rates = np.stack([simulate_rain((256, 256), 1, seed=seed, wet=0.9999).values[0] for seed in range(3)])
    field = np.log(rates / 0.7 + 1) * np.hanning(256)[:, None] * np.hanning(256)
    power = np.mean(np.abs(np.fft.fft2(field)) ** 2, axis=0)
    wavenumber = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    edges = np.geomspace(1 / 32, 1 / 4, 7)
    radial = [power[(wavenumber >= low) & (wavenumber < high)].mean() for low, high in pairwise(edges)]
    slope = np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(radial), 1)[0]
    assert slope == pytest.approx(-3.3, abs=0.3)


def test_motion_is_recovered(event: np.ndarray) -> None:
    true, found = rain_motion((192, 160), seed=5, speed=36), motion(event)
    assert np.hypot(*true.mean(axis=(1, 2))) == pytest.approx(6, rel=0.25)
    wet = event[-1] >= 0.1
    assert np.hypot(*(found - true))[wet].mean() < 2
    np.testing.assert_allclose(found[:, wet].mean(axis=1), true[:, wet].mean(axis=1), atol=0.7)


def test_eddies_do_not_thin_the_rain_out() -> None:
    velocity = rain_motion((128, 128), seed=3).astype(float)
    divergence = np.gradient(velocity[0], axis=0) + np.gradient(velocity[1], axis=1)
    assert velocity.std() > 0.1
    assert np.abs(divergence).max() < 0.02 * np.abs(np.gradient(velocity[0], axis=1)).max()


def test_small_structures_die_before_large_ones() -> None:
    rain = np.log(simulate_rain((192, 160), 7, seed=2, wet=0.5, speed=0).values + 0.1)
    large = ndimage.gaussian_filter(rain, (0, 6, 6))
    alike = [[np.corrcoef(part[0].ravel(), part[k].ravel())[0, 1] for k in (1, 3, 6)] for part in (rain - large, large)]
    assert alike[0][0] > alike[0][1] > alike[0][2]
    assert alike[1][0] > alike[1][1] > alike[1][2] > alike[0][2]
    assert alike[1][0] > 0.8 and alike[0][0] < 0.6


def test_coverage_clutter_and_a_blocked_beam() -> None:
    plain = simulate_rain((64, 64), 8, seed=4).values
    covered = simulate_rain((64, 64), 8, seed=4, coverage_km=30).values
    down, right = np.mgrid[:64, :64] - 31.5
    np.testing.assert_array_equal(np.isnan(covered), np.broadcast_to(np.hypot(down, right) > 30, covered.shape))

    cluttered = simulate_rain((64, 64), 8, seed=4, clutter=0.02).values
    spoilt = np.any(cluttered != plain, axis=0)
    assert spoilt.mean() == pytest.approx(0.02, abs=0.002)
    assert np.all(cluttered >= plain)

    blocked = simulate_rain((64, 64), 8, seed=4, beam_block=40).values
    nodata = np.isnan(blocked)
    assert 0.01 < nodata.mean() < 0.1 and np.all(nodata == nodata[0])
    weaker = ~nodata & (blocked < plain)
    np.testing.assert_allclose(blocked[weaker], 0.3 * plain[weaker], rtol=1e-5)
    assert weaker.any() and np.all(nodata | weaker | (blocked == plain))


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (4, 40)},
        {"frames": 0},
        {"step_minutes": 0},
        {"pixel_km": -1},
        {"wet": 1.5},
        {"speed": -1},
        {"clutter": -0.1},
        {"beam_block": 400},
        {"coverage_km": 0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_cannot_be_is_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        simulate_rain(**{"shape": (16, 16), "frames": 1, "seed": 0} | options)
