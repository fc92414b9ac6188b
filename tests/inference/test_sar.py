from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from geodl.contract import Band, Contract
from geodl.errors import BandMismatch, UnitMismatch
from tests.inference.fakes import make_contract, make_predictor


def radar_contract(band: Band) -> Contract:
    contract = make_contract(bands=1, kind="bands", step=None)
    output = dataclasses.replace(contract.output, bands=(Band(band.name, unit=band.unit),))
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, bands=(band,)), output=output)


def scene(values: np.ndarray, names: list[str], unit: str) -> xr.DataArray:
    return xr.DataArray(values, dims=("y", "x", "band"), coords={"band": names}, attrs={"units": unit})


@pytest.mark.parametrize("unit", ["intensity", "dB"])
def test_a_scene_in_another_unit_is_converted_and_its_map_back(unit: str) -> None:
    amplitude = np.random.default_rng(0).uniform(1, 5, (9, 11, 1)).astype(np.float32)
    given = amplitude**2 if unit == "intensity" else 20 * np.log10(amplitude)
    model = make_predictor(lambda x: 2 * x, radar_contract(Band("VV", unit="amplitude")))
    found = model.predict(scene(given, ["VV"], unit))
    expected = 4 * given if unit == "intensity" else given + 20 * np.log10(2)
    np.testing.assert_allclose(found.values[0], expected[..., 0], rtol=1e-4)
    assert found.attrs["units"] == unit


def test_a_unit_that_is_none_of_radar_is_refused() -> None:
    model = make_predictor(lambda x: x, radar_contract(Band("VV", unit="amplitude")))
    with pytest.raises(UnitMismatch, match="amplitude"):
        model.predict(scene(np.ones((4, 4, 1), np.float32), ["VV"], "kelvin"))


def test_classes_of_a_scene_in_another_unit_are_left_as_the_network_gives_them() -> None:
    contract = make_contract(bands=1, step=None)
    eaten = dataclasses.replace(contract.input, bands=(Band("VV", unit="amplitude"),))
    amplitude = np.random.default_rng(0).uniform(0.1, 5, (9, 11, 1)).astype(np.float32)
    logits = np.array([-5, 1, -3], np.float32)
    model = make_predictor(lambda x: (x - 2) * logits, dataclasses.replace(contract, input=eaten))
    own, decibel = (
        model.predict(scene(values, ["VV"], unit), probabilities=True)
        for values, unit in ((amplitude, "amplitude"), (20 * np.log10(amplitude), "dB"))
    )
    np.testing.assert_array_equal(decibel.classes, own.classes)
    np.testing.assert_allclose(decibel.probabilities, own.probabilities, atol=1e-4)


def test_another_quantity_keeps_its_unit() -> None:
    contract = radar_contract(Band("VV", unit="dB"))
    output = dataclasses.replace(contract.output, bands=(Band("biomass", unit="t/ha"),))
    model = make_predictor(lambda x: 2 * x, dataclasses.replace(contract, output=output))
    found = model.predict(scene(np.full((4, 4, 1), 100, np.float32), ["VV"], "intensity"))
    np.testing.assert_allclose(found, 40)
    assert found.attrs["units"] == "t/ha"


@pytest.mark.parametrize("unit", ["intensity", "amplitude"])
def test_negative_values_of_a_scene_are_no_intensity(unit: str) -> None:
    own = "amplitude" if unit == "intensity" else "intensity"
    seen = []
    model = make_predictor(lambda x: (seen.append(x), x)[1], radar_contract(Band("VV", unit=own)))
    found = model.predict(scene(np.array([[[-3.0], [np.nan], [4.0]]], np.float32), ["VV"], unit))
    np.testing.assert_array_equal(seen[0][0, 0, :, 0], [0, np.nan, 2 if unit == "intensity" else 16])
    np.testing.assert_array_equal(found[0, 0], [0, np.nan, 4])


@pytest.mark.parametrize("names", [["VV", "VH"], ["band_1", "band_2", "band_3"], ["band_1"]])
def test_a_network_of_half_a_look_refuses_what_is_not_complex_data(names: list[str]) -> None:
    model = make_predictor(lambda x: x, radar_contract(Band("half_look", unit="intensity")))
    with pytest.raises(BandMismatch, match=r"Expected 2: real, imaginary\. Received"):
        model.predict(scene(np.ones((4, 4, len(names)), np.float32), names, ""))


@pytest.mark.parametrize("names", [["imaginary", "real"], ["band_1", "band_2"]])
def test_both_parts_of_complex_data_go_through_a_network_of_half_a_look(names: list[str]) -> None:
    values = np.random.default_rng(1).normal(size=(6, 7, 2)).astype(np.float32)
    seen = []

    def network(x: np.ndarray) -> np.ndarray:
        seen.append(x)
        return x

    model = make_predictor(network, radar_contract(Band("half_look", unit="intensity")))
    found = model.predict(scene(values, names, ""))
    np.testing.assert_allclose(found.values[0], (values**2).sum(-1), rtol=1e-5)
    first = values[..., names.index("real") if "real" in names else 0]
    np.testing.assert_allclose(seen[0][0, ..., 0], 2 * first**2, rtol=1e-5)
