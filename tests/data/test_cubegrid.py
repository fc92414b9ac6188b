from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from geodl.data.cubegrid import array_grid, find_axes
from geodl.data.source import Grid
from geodl.errors import SourceUnreadable


def array(y: Any, x: Any, *, dims: tuple[str, str] = ("y", "x"), units: str = "", **mapping: Any) -> xr.DataArray:
    coords = {dim: (dim, np.asarray(values), {"units": units}) for dim, values in zip(dims, (y, x))}
    if mapping:
        coords["crs"] = ((), 0, mapping)
    return xr.DataArray(np.zeros((len(y), len(x))), dims=dims, coords=coords, attrs={"grid_mapping": "crs"})


def grid(made: xr.DataArray) -> Grid:
    return array_grid(made, (made.dims[0], made.dims[1]), "scene")


def test_kilometres_become_metres() -> None:
    albers = CRS.from_epsg(5070).to_cf()
    found = grid(array([1.0, 0.5, 0.0], [10.0, 10.5], units="km", **albers))
    assert found.crs == CRS.from_epsg(5070)
    assert tuple(found.transform)[:6] == (500, 0, 9750, 0, -500, 1250)
    feet = CRS.from_epsg(2263)
    assert feet.axis_info[0].unit_name == "US survey foot"
    assert grid(array([2.0, 1.0], [0.0, 1.0], units="km", crs_wkt=feet.to_wkt())).resolution[0] == pytest.approx(
        3280.8333
    )


def test_angles_of_a_geostationary_view_become_metres() -> None:
    mapping = {
        "grid_mapping_name": "geostationary", "perspective_point_height": np.array([35786023.0]),
        "longitude_of_projection_origin": -75.0, "sweep_angle_axis": "x",
        "semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.31414,
    }  # fmt: skip
    step = 5.6e-5
    found = grid(array([step, 0.0, -step], [0.0, step], units="rad", **mapping))
    assert found.resolution == pytest.approx((step * 35786023, step * 35786023))
    assert found.crs is not None
    assert found.crs.is_projected


def test_a_mapping_may_name_its_coordinates() -> None:
    made = array([1.0, 0.0], [0.0, 1.0], **CRS.from_epsg(3035).to_cf())
    made.attrs["grid_mapping"] = "crs: x y"
    assert grid(made).crs == CRS.from_epsg(3035)


@pytest.mark.parametrize(
    ("longitudes", "left"),
    [([350.0, 355, 0, 5], 347.5), ([170.0, 175, -180, -175], 167.5), ([0.0, 90, 180, 270], -45), ([0.0, 180], -90)],
)
def test_longitudes_go_on_across_their_jump(longitudes: list[float], left: float) -> None:
    found = grid(array([10.0, 5.0], longitudes, dims=("lat", "lon")))
    assert found.crs == CRS.from_epsg(4326)
    assert (found.transform.c, found.width) == (left, len(longitudes))
    assert found.lonlat_footprint.area == pytest.approx(found.resolution[1] * len(longitudes) * 10)


@pytest.mark.parametrize("latitudes", [[50.0, 49.5, 49.0], [49.0, 49.5, 50.0]])
def test_rows_stay_in_their_order(latitudes: list[float]) -> None:
    found = grid(array(latitudes, [0.0, 0.5], dims=("latitude", "longitude")))
    y = [(found.transform @ (0.5, row + 0.5))[1] for row in range(3)]
    np.testing.assert_allclose(y, latitudes)


def test_a_rotated_pole() -> None:
    mapping = {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0,
    }
    found = grid(array([0.0, 0.44], [1.0, 1.44], dims=("rlat", "rlon"), units="degrees", **mapping))
    assert found.crs is not None
    assert found.crs.is_derived
    assert found.resolution == pytest.approx((0.44, 0.44))


@pytest.mark.parametrize("told", ["projection_{}_coordinate", "grid_{}itude"])
def test_distances_and_angles_from_a_rotated_pole_are_no_latitudes_and_longitudes(told: str) -> None:
    made = array([1.0, 0.0], [0.0, 1.0], dims=("lat", "lon"), units="degrees_north")
    assert grid(made).crs == CRS.from_epsg(4326)
    for dim, letter, syllable in (("lat", "y", "lat"), ("lon", "x", "long")):
        made[dim].attrs["standard_name"] = told.format(syllable if "grid" in told else letter)
    assert grid(made).crs is None


def test_axes_are_found_by_name_or_by_what_their_coordinates_say() -> None:
    assert find_axes(("T", "Y", "X"), {}) == ("Y", "X")
    assert find_axes(("a", "b"), {}) == (None, None)
    told = {
        "j": xr.Variable("j", [0.0, 1.0], {"standard_name": "projection_y_coordinate"}),
        "i": xr.Variable("i", [0.0, 1.0], {"units": "degrees_east"}),
        "k": xr.Variable("k", [0.0, 1.0], {"axis": "Z"}),
    }
    assert find_axes(("k", "i", "j"), told) == ("j", "i")


@pytest.mark.parametrize("mapping", [{"grid_mapping_name": "nonsense"}, {"crs_wkt": "nonsense"}])
def test_a_mapping_that_is_not_understood(mapping: dict[str, str]) -> None:
    with pytest.raises(SourceUnreadable, match="its CRS is not understood"):
        grid(array([1.0, 0.0], [0.0, 1.0], **mapping))
