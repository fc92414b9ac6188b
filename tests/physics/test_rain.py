"""Rain rates against closed forms, and against what pysteps 1.21.5 makes of the same values (stored once)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.physics.rain import (
    ZR,
    Quantity,
    Transform,
    from_decibel,
    from_log,
    from_transformed,
    quantity_of,
    rain_rate,
    reflectivity,
    to_decibel,
    to_log,
    to_transformed,
)


@pytest.fixture(scope="module")
def pysteps() -> dict[str, Any]:
    return json.loads((Path(__file__).parents[1] / "fixtures" / "pysteps_rain.json").read_text())


def test_marshall_and_palmer() -> None:
    # Z = 200 mm⁶/m³ is 1 mm/h; each factor of ten in R is 16 dB.
    dbz = 10 * np.log10(200) + np.array([0.0, 16.0, 32.0])
    np.testing.assert_allclose(rain_rate(dbz), [1, 10, 100], rtol=1e-12)
    np.testing.assert_allclose(reflectivity([1.0, 10.0, 100.0]), dbz, rtol=1e-12)


def test_reflectivities_are_those_of_pysteps(pysteps: dict[str, Any]) -> None:
    for case in pysteps["rate_of_dbz"]:
        zr = ZR(case["a"], case["b"])
        np.testing.assert_allclose(rain_rate(pysteps["dbz"], zr), case["values"], rtol=1e-12)
        np.testing.assert_allclose(Quantity("dBZ", zr=zr).to_rate(pysteps["dbz"]), case["values"], rtol=3e-6)
    for case in pysteps["dbz_of_rate"]:
        np.testing.assert_allclose(reflectivity(pysteps["rate"], ZR(case["a"], case["b"])), case["values"], rtol=1e-12)


def test_depths_are_those_of_pysteps(pysteps: dict[str, Any]) -> None:
    for case in pysteps["rate_of_depth"]:
        rate = Quantity("mm", minutes=case["minutes"]).to_rate(pysteps["rate"])
        np.testing.assert_allclose(rate, case["values"], rtol=3e-7)


def test_decibels_are_those_of_pysteps(pysteps: dict[str, Any]) -> None:
    decibel = to_decibel(pysteps["mixed"], threshold=0.1, zero=-15)
    np.testing.assert_allclose(decibel, pysteps["decibel"], rtol=1e-12)
    np.testing.assert_allclose(from_decibel(decibel, threshold=0.1), pysteps["rate_of_decibel"], rtol=1e-12)
    single = to_decibel(np.float32([0.1, 0.05]))
    assert single.dtype == np.float32
    np.testing.assert_allclose(from_decibel(single), [0.1, 0], rtol=1e-6)


def test_nodata_stays_nodata_and_no_rain_stays_no_rain() -> None:
    nothing = np.float32([np.nan])
    for function in (rain_rate, reflectivity, to_log, from_log, to_decibel, from_decibel, Quantity("dBZ").to_rate):
        assert np.isnan(function(nothing)).all() and function(nothing).dtype == np.float32
    assert reflectivity(0.0) == -np.inf and rain_rate(-np.inf) == 0
    assert Quantity("dBZ").to_rate(-np.inf) == 0
    assert from_log(to_log(0.0)) == pytest.approx(0, abs=1e-9) and from_decibel(to_decibel(0.0)) == 0


@given(st.floats(0.05, 400), st.floats(100, 500), st.floats(1.2, 2))
def test_each_undoes_the_other(rate: float, a: float, b: float) -> None:
    assert rain_rate(reflectivity(rate, ZR(a, b)), ZR(a, b)) == pytest.approx(rate, rel=1e-9)
    assert from_log(to_log(rate)) == pytest.approx(rate, rel=1e-9)
    assert from_decibel(to_decibel(rate, threshold=0.04), threshold=0.04) == pytest.approx(rate, rel=1e-9)


def test_the_smallest_rate_at_which_something_falls_is_rain() -> None:
    threshold = np.float32(0.1)
    assert from_decibel(to_decibel(threshold)) == pytest.approx(0.1) and from_decibel(to_decibel(0.0999)) == 0


def test_less_than_no_rain_is_nodata_but_rounding_is_none() -> None:
    rate = Quantity("mm", minutes=5).to_rate([-0.01, -1e-7, 0, 0.5, np.inf])
    np.testing.assert_allclose(rate, [np.nan, 0, 0, 6, np.nan])
    assert rate.dtype == np.float32
    given_values = np.float32([-1.0])
    Quantity("mm/h").to_rate(given_values)
    assert given_values[0] == -1  # The caller's array is left alone.


@pytest.mark.parametrize(
    ("text", "stored", "rate"),
    [
        ("mm/h", 2.0, 2.0),
        ("mm hr-1", 2.0, 2.0),
        ("mm h**-1", 2.0, 2.0),
        ("mm h⁻¹", 2.0, 2.0),
        ("MM/HR", 2.0, 2.0),
        ("millimeters per hour", 2.0, 2.0),
        ("kg m-2 s-1", 0.001, 3.6),
        ("kg m**-2 s**-1", 0.001, 3.6),
        ("kg.m-2.s-1", 0.001, 3.6),
        ("kg/m^2/s", 0.001, 3.6),
        ("m s-1", 1e-6, 3.6),
        ("mm/5min", 0.5, 6.0),
        ("mm (5 min)-1", 0.5, 6.0),
        ("mm/day", 48.0, 2.0),
        ("in/hr", 1.0, 25.4),
        ("mm", 0.5, 3.0),
        ("kg m-2", 0.5, 3.0),
        ("l/m2", 0.5, 3.0),
        ("m", 0.0005, 3.0),
        ("0.01 mm", 50, 3.0),
        ("1/100 mm", 50, 3.0),
        ("dBZ", 10 * np.log10(200), 1.0),
    ],
)
def test_units_that_files_write(text: str, stored: float, rate: float) -> None:
    assert quantity_of(text, minutes=10).to_rate([stored])[0] == pytest.approx(rate, rel=1e-6)


def test_the_relation_reaches_the_quantity() -> None:
    assert quantity_of("dbz", zr=ZR(300, 1.4)) == Quantity("dBZ", zr=ZR(300, 1.4))
    assert quantity_of("mm/h", minutes=5) == Quantity("mm/h")


@pytest.mark.parametrize("text", ["K", "", "%", "kg m-3", "mm2", "ms", "m/s2", "mm/", "mm6 m-3"])
def test_other_units_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"unit: expected mm/h, mm, dBZ"):
        quantity_of(text, minutes=5)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError, match="minutes"):
        quantity_of("mm")
    with pytest.raises(OptionError, match="minutes"):
        Quantity("mm", minutes=0)
    with pytest.raises(OptionError, match="scale"):
        Quantity("mm/h", scale=0)
    with pytest.raises(OptionError, match="unit"):
        Quantity("dbz")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"zr\.a"):
        ZR(0, 1.6)
    with pytest.raises(OptionError, match=r"zr\.b"):
        ZR(200, np.nan)


@given(st.floats(0, 300), st.sampled_from(get_args(Transform)))
def test_what_networks_compute_in_has_an_inverse(rate: float, transform: Transform) -> None:
    there = to_transformed(rate, transform)
    assert from_transformed(there, transform) == pytest.approx(rate, rel=1e-9, abs=1e-9)
    assert to_transformed(rate + 0.01, transform) > there


def test_decibels_of_networks_are_those_of_rain_from_a_tenth_of_a_millimetre_on() -> None:
    rates = np.float32([0, 0.1, 0.5, 20])
    np.testing.assert_allclose(to_transformed(rates, "db"), to_decibel(rates), atol=1e-5)
    assert from_transformed(np.float32([-20, -15]), "db").tolist() == [0, 0]


def test_a_quantity_says_how_it_becomes_a_rate() -> None:
    said = [
        str(quantity) for quantity in (Quantity("mm/h"), Quantity("mm", minutes=5), Quantity("dBZ", zr=ZR(223, 1.53)))
    ]
    assert said == ["mm/h", "mm in 5 min", "dBZ, Z = 223 R^1.53"]
