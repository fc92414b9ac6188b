from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from affine import Affine

from geodl.data.cube import ArraySource, open_array
from geodl.errors import BandMismatch, ResolutionMismatch, UnitMismatch
from geodl.inference.fitting import fit_source
from tests.inference.fakes import make_contract

VALUES = np.stack([np.full((4, 5), k, np.float32) for k in range(3)], axis=-1)


def scene(
    bands: list[str] | None = None, *, crs: str | None = "EPSG:32633", size: float | tuple[float, float] = 10.0
) -> ArraySource:
    x, y = size if isinstance(size, tuple) else (size, size)
    origin = (13.0, 60.0) if crs == "EPSG:4326" else (500_000, 6_650_000)
    values = VALUES[..., : len(bands or "123")]
    return open_array(values, bands=bands, crs=crs, transform=Affine(x, 0, origin[0], 0, -y, origin[1]), name="scene")


def test_bands_are_found_by_name_in_any_order_and_case() -> None:
    fitted = fit_source(scene(["b02", "B09", "B01"]), make_contract(bands=2))
    np.testing.assert_array_equal(fitted.read()[0][0, 0], [2, 0])


def test_bands_without_names_are_taken_in_order() -> None:
    np.testing.assert_array_equal(fit_source(scene(), make_contract(bands=3)).read()[0][0, 0], [0, 1, 2])
    nameless = make_contract(bands=3)
    bands = tuple(dataclasses.replace(band, name=f"band_{k + 1}") for k, band in enumerate(nameless.input.bands))
    nameless = dataclasses.replace(nameless, input=dataclasses.replace(nameless.input, bands=bands))
    assert fit_source(scene(["red", "green", "blue"]), nameless).bands[0].name == "red"


@pytest.mark.parametrize("bands", [["B01", "B02", "X"], None])
def test_missing_bands_are_named(bands: list[str] | None) -> None:
    with pytest.raises(
        BandMismatch, match=r"scene: the bands do not fit. Expected 4: B01, B02, B03, B04. Received 3: "
    ):
        fit_source(scene(bands), make_contract(bands=4))


def test_too_many_nameless_bands_are_refused() -> None:
    with pytest.raises(BandMismatch, match="Expected 2: B01, B02. Received 3: band_1"):
        fit_source(scene(), make_contract(bands=2))


def test_units_that_are_stated_must_agree() -> None:
    contract = make_contract(bands=3, band_unit="reflectance")
    source = scene()
    fit_source(source, contract)
    source.bands = tuple(dataclasses.replace(band, unit="Reflectance") for band in source.bands)
    fit_source(source, contract)
    source.bands = (*source.bands[:2], dataclasses.replace(source.bands[2], unit="dB"))
    with pytest.raises(UnitMismatch, match=r"band B03 has another unit. Expected 'reflectance'. Received: 'dB'"):
        fit_source(source, contract)


def test_pixel_sizes_may_differ_by_a_tenth() -> None:
    contract = make_contract(bands=3)
    for size in (9.1, 10.9):
        fit_source(scene(size=size), contract)
    for size in (8.9, 11.1, (10, 20)):
        with pytest.raises(ResolutionMismatch, match=r"Expected 10 x 10 metres .to within 10%.. Received: "):
            fit_source(scene(size=size), contract)
    fit_source(scene(size=30.0), contract, any_resolution=True)


def test_degrees_are_compared_in_metres_at_the_scenes_latitude() -> None:
    contract = make_contract(bands=3)
    degree = 111_412  # metres of one degree of latitude at 60 degrees north (WGS 84)
    east = 55_800  # metres of one degree of longitude there
    fit_source(scene(crs="EPSG:4326", size=(10 / east, 10 / degree)), contract)
    with pytest.raises(ResolutionMismatch, match=r"Received: 5\.\d+ x 10 metres"):
        fit_source(scene(crs="EPSG:4326", size=(10 / degree, 10 / degree)), contract)


def test_feet_are_compared_in_metres() -> None:
    fit_source(scene(crs="EPSG:2264", size=10 / 0.3048), make_contract(bands=3))
    with pytest.raises(ResolutionMismatch):
        fit_source(scene(crs="EPSG:2264", size=10), make_contract(bands=3))


def test_what_is_not_stated_is_not_compared() -> None:
    fit_source(scene(crs=None, size=1.0), make_contract(bands=3))
    fit_source(scene(size=99.0), make_contract(bands=3, step=None))
    fit_source(scene(size=99.0), make_contract(bands=3, step=1.0, unit=""))
