"""Distances of invariant measures, spectra and attractors, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from geodl.errors import OptionError
from geodl.metrics.invariant import (
    attractor_distance,
    power_spectrum,
    sampling_error,
    spectral_distance,
    wasserstein,
)


def _autoregressive(seed: int, runs: int, length: int, keep: float = 0.9) -> np.ndarray:
    """Runs of x(t + 1) = keep x(t) + noise in two variables, of unit variance."""
    noise = np.random.default_rng(seed).normal(size=(runs, length + 200, 2)) * np.sqrt(1 - keep**2)
    return lfilter([1], [1, -keep], noise, axis=1)[:, 200:]


def test_a_shift_is_its_mean_projection() -> None:
    run = np.random.default_rng(0).normal(size=(3000, 3)) * [1, 5, 20]
    shift = np.array([1.0, -5.0, 40.0])
    standard = shift / run.std(axis=0)
    directions = np.random.default_rng(0).standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    exact = np.abs(np.concatenate([np.eye(3), directions]) @ standard).mean()
    assert wasserstein(run, run + shift) == pytest.approx(exact, rel=1e-9)
    assert wasserstein(run, run) == 0


def test_normal_distributions_of_other_width_against_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(40_000, 1)), 1.5 * rng.normal(size=(20_000, 1))
    # W₁ of N(0, 1) and N(0, s²) is |s - 1| E|N(0, 1)|.
    assert wasserstein(one, other) == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.05)


def test_units_do_not_matter_and_a_lost_forecast_is_infinitely_far() -> None:
    one, other = _autoregressive(0, 2, 1000)
    assert wasserstein(one * [1, 1e6], other * [1, 1e6]) == pytest.approx(wasserstein(one, other), rel=1e-9)
    other[-1, 0] = np.nan
    assert wasserstein(one, other) == np.inf


def test_the_sampling_error_of_one_run_is_what_independent_runs_differ_by() -> None:
    runs = _autoregressive(2, 24, 4000)
    pairs = [wasserstein(one, other) for one, other in zip(runs[::2], runs[1::2], strict=True)]
    several = sampling_error(runs[:8])
    single = sampling_error(runs[0])
    assert several.mean == pytest.approx(np.mean(pairs), rel=0.35)
    assert single.mean == pytest.approx(np.mean(pairs), rel=0.35)
    assert single.upper > single.mean
    assert np.mean(np.array(pairs) <= single.upper) >= 0.75
    # Another system is further away than that.
    assert wasserstein(runs[0], runs[1] * 1.5) > 2 * single.upper
    assert sampling_error(runs[0], length=16_000).mean == pytest.approx(single.mean / 2)


def test_the_power_of_a_series_is_its_variance_and_lies_where_it_swings() -> None:
    time = np.arange(20_000) * 0.02
    series = np.stack([3 * np.sin(2 * np.pi * 2.5 * time), np.random.default_rng(0).normal(size=len(time))], axis=1)
    frequency, power = power_spectrum(series, step=0.02)
    assert frequency[power[:, 0].argmax()] == pytest.approx(2.5, abs=frequency[0])
    assert frequency[-1] == pytest.approx(25)
    np.testing.assert_allclose(power.sum(axis=0) * frequency[0], [4.5, 1.0], rtol=0.03)


def test_spectra_of_autoregressive_series_differ_as_the_formula_says() -> None:
    one, other = _autoregressive(3, 1, 60_000, 0.9)[0], _autoregressive(4, 1, 50_000, 0.5)[0]
    # Leaves out frequencies near 0, where a segment is too short to see them.
    angle = np.linspace(0.002, np.pi, 4000)
    theory = [(1 - keep**2) / np.abs(1 - keep * np.exp(-1j * angle)) ** 2 for keep in (0.9, 0.5)]
    exact = np.abs(np.log10(theory[0] / theory[1])).mean()
    same = spectral_distance(one, _autoregressive(5, 1, 60_000, 0.9)[0], step=1.0)
    assert spectral_distance(one, other, step=1.0) == pytest.approx(exact, abs=0.06)
    assert same < 0.25
    assert spectral_distance(one, np.full_like(one, np.nan), step=1.0) == np.inf


def test_distance_from_an_attractor_is_that_of_the_nearest_state() -> None:
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    circle = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.array([0.5, 1.0, np.sqrt(2), 3.0])
    forecast = np.stack([radius * np.cos(1.0), radius * np.sin(1.0)], axis=1)
    np.testing.assert_allclose(attractor_distance(forecast, circle), np.abs(radius - np.sqrt(2)), atol=2e-3)
    forecast[1, 0], forecast[3, 1] = np.nan, 1e300
    np.testing.assert_array_equal(np.isinf(attractor_distance(forecast, circle)), [False, True, False, True])


@pytest.mark.parametrize(
    "refused",
    [
        lambda: wasserstein(np.zeros(5), np.zeros((5, 1))),
        lambda: wasserstein(np.zeros((5, 2)), np.zeros((5, 1))),
        lambda: wasserstein(np.full((5, 1), np.nan), np.zeros((5, 1))),
        lambda: sampling_error(np.zeros((5, 1)), blocks=4),
        lambda: power_spectrum(np.zeros(8), step=0.1),
        lambda: power_spectrum(np.zeros(80), step=0),
        lambda: spectral_distance(np.zeros((80, 2)), np.zeros(80), step=1),
        lambda: attractor_distance(np.zeros((5, 2)), np.zeros((5, 3))),
    ],
    ids=["no variables", "other variables", "nothing", "blocks", "too short", "no step", "spectra", "attractor"],
)
def test_what_does_not_fit_is_refused(refused: object) -> None:
    with pytest.raises(OptionError):
        refused()  # type: ignore[operator]
