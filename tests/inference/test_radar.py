from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from geodl.contract import Band, Contract
from geodl.errors import UnitMismatch
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
