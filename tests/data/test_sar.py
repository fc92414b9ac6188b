from __future__ import annotations

import numpy as np
import pytest

from geodl.contract import Band
from geodl.data.sar import RadarSource, in_unit, radar_unit
from geodl.physics.speckle import Unit
from tests.data.fakes import FakeSource


def test_units_are_converted_both_ways() -> None:
    amplitude = np.array([[[2.0, 10.0], [0.5, 1.0]]], np.float32)
    source = FakeSource(amplitude)
    found, valid = RadarSource(source, unit="amplitude", wanted="dB").read()
    np.testing.assert_allclose(found, 20 * np.log10(amplitude), rtol=1e-5, atol=1e-6)
    assert valid.all()
    back = RadarSource(FakeSource(found), unit="dB", wanted="amplitude")
    np.testing.assert_allclose(back.read()[0], amplitude, rtol=1e-5)
    assert [band.unit for band in back.bands] == ["amplitude", "amplitude"]


def test_what_has_no_value_in_the_other_unit_is_nodata() -> None:
    values = np.array([[[0.0], [-1.0], [np.nan], [4.0]]], np.float32)
    found, valid = RadarSource(FakeSource(values), unit="intensity", wanted="dB").read()
    np.testing.assert_array_equal(valid[0, :, 0], [False, False, False, True])
    assert np.isnan(found[0, :3, 0]).all()


@pytest.mark.parametrize("unit", ["amplitude", "intensity"])
@pytest.mark.parametrize("wanted", ["amplitude", "intensity", "dB"])
def test_negative_values_are_no_radar(unit: Unit, wanted: Unit) -> None:
    _, valid = RadarSource(FakeSource(np.array([[[-2.0], [2.0]]], np.float32)), unit=unit, wanted=wanted).read()
    assert valid.ravel().tolist() == [False, True]


def test_bands_are_selected() -> None:
    source = RadarSource(FakeSource(np.full((1, 1, 2), [1.0, 100.0], np.float32)), unit="intensity", wanted="dB")
    second = source.select((source.bands[1].name,))
    np.testing.assert_allclose(second.read()[0], [[[20.0]]], rtol=1e-6)
    assert second.bands == (source.bands[1],)


@pytest.mark.parametrize(
    ("units", "expected"),
    [(["dB", "db"], "dB"), (["Intensity"], "intensity"), (["dB", "intensity"], None), ([""], None), (["K"], None)],
)
def test_a_unit_is_known_where_all_bands_state_it(units: list[str], expected: str | None) -> None:
    assert radar_unit([Band("a", unit=unit) for unit in units]) == expected


def test_what_is_not_stated_is_told_or_taken_as_wanted() -> None:
    source = FakeSource(np.full((1, 1, 1), 100.0, np.float32))
    found = [in_unit(source, "dB", unstated=unit).read()[0].item() for unit in ("intensity", "amplitude", None)]
    assert found == pytest.approx([20, 40, 100])
