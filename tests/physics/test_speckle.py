"""Speckle against scipy.stats, and its spatial correlation against the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from geodl.errors import OptionError
from geodl.physics.speckle import (
    Unit,
    add_speckle,
    from_intensity,
    log_bias,
    log_variance,
    simulate_slc,
    speckle,
    to_intensity,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def autocorrelation(field: np.ndarray, *, lags: int = 5) -> np.ndarray:
    """Correlation coefficient at 0, 1, … pixels, mean of both axes."""
    field = field.astype(np.float64) - field.mean()
    along = [[np.mean(a[lag:] * a[: len(a) - lag]) for lag in range(lags)] for a in (field, field.T)]
    return np.mean(along, axis=0) / field.var()


@pytest.mark.parametrize("looks", [0.1, 0.5, 1, 3.7, 4, 16])
@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_every_value_is_gamma_distributed(looks: float, correlation: float) -> None:
    field = speckle((400, 400), looks, rng=rng(1), correlation=correlation)
    # Eight pixels apart a field with a point spread of one pixel is uncorrelated.
    apart = field[::8, ::8] if correlation else field[::2, ::2]
    assert stats.kstest(apart.ravel(), "gamma", args=(looks, 0, 1 / looks)).pvalue > 0.01
    assert field.dtype == np.float32 and field.min() > 0
    assert field.mean() == pytest.approx(1, abs=0.06)
    assert field.var() == pytest.approx(1 / looks, rel=0.1)


@pytest.mark.parametrize("looks", [0.1, 1, 2.5, 4, 100])
def test_log_moments_are_those_of_the_log_gamma_distribution(looks: float) -> None:
    mean, variance = stats.loggamma.stats(looks)
    assert log_bias(looks) == pytest.approx(mean - np.log(looks))
    assert log_variance(looks) == pytest.approx(variance)


def test_log_moments_hold_for_the_field_and_for_published_values() -> None:
    assert log_bias(1) == pytest.approx(-0.5772, abs=1e-4)
    assert log_bias(4) == pytest.approx(-0.1302, abs=1e-4)
    assert log_variance(1) == pytest.approx(np.pi**2 / 6)
    logs = np.log(speckle((300, 300), 4, rng=rng()))
    assert logs.mean() == pytest.approx(log_bias(4), abs=0.01)
    assert logs.var() == pytest.approx(log_variance(4), rel=0.03)


@pytest.mark.parametrize("width", [0.8, 1.5])
@pytest.mark.parametrize("looks", [1, 3])
def test_intensity_correlation_is_the_squared_field_correlation(width: float, looks: int) -> None:
    found = autocorrelation(speckle((400, 400), looks, rng=rng(2), correlation=width))
    np.testing.assert_allclose(found, np.exp(-(np.arange(5.0) ** 2) / (2 * width**2)), atol=0.04)


@pytest.mark.parametrize(("looks", "tolerance"), [(2.5, 0.08), (9.5, 0.04)])
def test_the_copula_is_correlated_nearly_as_much(looks: float, tolerance: float) -> None:
    found = autocorrelation(speckle((400, 400), looks, rng=rng(2), correlation=1.5))
    np.testing.assert_allclose(found, np.exp(-(np.arange(5.0) ** 2) / (2 * 1.5**2)), atol=tolerance)


def test_white_speckle_is_white_and_bands_are_independent() -> None:
    field = speckle((300, 300, 2), 1, rng=rng())
    np.testing.assert_allclose(autocorrelation(field[..., 0])[1:], 0, atol=0.02)
    correlated = speckle((300, 300, 2), 1, rng=rng(), correlation=1.0)
    for values in (field, correlated):
        assert abs(np.corrcoef(values[..., 0].ravel(), values[..., 1].ravel())[0, 1]) < 0.03


def test_the_border_of_a_correlated_field_is_like_its_interior() -> None:
    fields = np.stack([speckle((3, 200), 1, rng=rng(seed), correlation=1.2) for seed in range(80)])
    np.testing.assert_allclose(fields.mean(axis=(0, 2)), 1, atol=0.06)
    np.testing.assert_allclose(fields.var(axis=(0, 2)), 1, atol=0.15)


@pytest.mark.parametrize("unit", ["intensity", "amplitude", "dB"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_go_there_and_back(unit: Unit, dtype: type) -> None:
    values = np.array([1e-4, 0.1, 1, 30], dtype)
    converted = from_intensity(values, unit)
    assert converted.dtype == dtype
    np.testing.assert_allclose(to_intensity(converted, unit), values, rtol=1e-5)


def test_units_by_hand() -> None:
    assert from_intensity(np.array([4.0, 0.0, np.nan]), "amplitude").tolist()[:2] == [2.0, 0.0]
    assert from_intensity(np.array([0.01, 0.0]), "dB").tolist() == [-20.0, -np.inf]
    assert np.isnan(from_intensity(np.array([-1.0, np.nan]), "dB")).all()
    assert to_intensity(np.array([3, 200], np.int16), "amplitude").tolist() == [9.0, 40000.0]
    assert to_intensity(np.array([-20], np.int16), "dB")[0] == pytest.approx(0.01)


@pytest.mark.parametrize("unit", ["amplitude", "dB"])
def test_speckle_multiplies_the_intensity_in_every_unit(unit: Unit) -> None:
    reflectivity = rng(5).uniform(0.01, 2, (20, 30, 2)).astype(np.float32)
    wanted = reflectivity * speckle(reflectivity.shape, 2, rng=rng())
    np.testing.assert_allclose(add_speckle(reflectivity, 2, unit="intensity", rng=rng()), wanted, rtol=1e-6)
    noisy = add_speckle(from_intensity(reflectivity, unit), 2, unit=unit, rng=rng())
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(to_intensity(noisy, unit), wanted, rtol=1e-4)


def test_speckle_lowers_the_mean_of_amplitude_and_decibel_as_stated() -> None:
    ones = np.ones((400, 400, 1), np.float32)
    amplitude = add_speckle(ones, 1, unit="amplitude", rng=rng())
    assert amplitude.mean() == pytest.approx(stats.rayleigh(scale=np.sqrt(0.5)).mean(), abs=0.005)
    decibel = add_speckle(0 * ones, 1, unit="dB", rng=rng())
    assert decibel.mean() == pytest.approx(-2.51, abs=0.05)


def test_what_is_no_amplitude_becomes_no_intensity() -> None:
    intensity = to_intensity(np.array([-3.0, 0.0, 3.0]), "amplitude")
    np.testing.assert_array_equal(intensity, [-9, 0, 9])
    np.testing.assert_array_equal(from_intensity(intensity, "amplitude"), [np.nan, 0, 3])


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_nodata_and_zeros_stay_as_they_are(correlation: float) -> None:
    clean = np.ones((8, 9, 2), np.float32)
    clean[1, 2, 0] = np.nan
    clean[3, 3] = 0
    noisy = add_speckle(clean, 1, unit="intensity", rng=rng(), correlation=correlation)
    np.testing.assert_array_equal(np.isnan(noisy), np.isnan(clean))
    assert np.all(noisy[3, 3] == 0) and np.nanmin(noisy) == 0
    field = simulate_slc(clean, rng=rng(), correlation=correlation)
    np.testing.assert_array_equal(np.isnan(field), np.isnan(clean))
    np.testing.assert_array_equal(np.isnan(field.real) & np.isnan(field.imag), np.isnan(clean))


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_single_look_complex_data_has_independent_parts(correlation: float) -> None:
    intensity = np.tile(np.repeat([1.0, 9.0], 200)[:, None, None], (1, 400, 1)).astype(np.float32)
    field = simulate_slc(intensity, rng=rng(3), correlation=correlation)
    assert field.dtype == np.complex64 and field.shape == intensity.shape
    ratio = np.square(np.abs(field)) / intensity
    assert stats.kstest(ratio[::8, ::8].ravel(), "expon").pvalue > 0.01
    real, imaginary = (part[..., 0] / np.sqrt(intensity[..., 0] / 2) for part in (field.real, field.imag))
    assert stats.kstest(real[::8, ::8].ravel(), "norm").pvalue > 0.01
    for lag in range(3):
        assert abs(np.mean(real[:, lag:] * imaginary[:, : 400 - lag])) < 0.03
    np.testing.assert_allclose(
        autocorrelation(real)[1:3], np.exp(-np.array([1.0, 4.0]) / 4) if correlation else 0, atol=0.03
    )


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: speckle((4, 4), 0.05, rng=rng()), "looks"),
        (lambda: speckle((4, 4), float("nan"), rng=rng()), "looks"),
        (lambda: speckle((4, 4), 1, rng=rng(), correlation=-1), "correlation"),
        (lambda: speckle((4,), 1, rng=rng(), correlation=1), "shape"),
        (lambda: log_bias(0), "looks"),
        (lambda: log_variance(float("inf")), "looks"),
        (lambda: to_intensity(np.ones(3), "db"), "unit"),
        (lambda: add_speckle(np.ones((3, 3, 1)), 1, unit="power", rng=rng()), "unit"),
        (lambda: simulate_slc(-np.ones((3, 3)), rng=rng()), "intensity"),
    ],
)
def test_what_cannot_be_is_refused(call, named: str) -> None:
    with pytest.raises(OptionError, match=f"^{named}: expected"):
        call()
