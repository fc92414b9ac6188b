from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geodl.data.cube import open_array, open_cube
from geodl.data.raster import open_raster
from geodl.data.source import Grid, one_time
from geodl.errors import BandMismatch, SourceUnreadable

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def located(values: np.ndarray, *, y: str = "y", x: str = "x", **kwargs: Any) -> xr.DataArray:
    """(band, y, x) on 10 m pixels, with the coordinates of pixel centres."""
    _, height, width = values.shape
    coords = {y: 4_999_995 - 10 * np.arange(height), x: 500_005 + 10 * np.arange(width)}
    return xr.DataArray(values, dims=("band", y, x), coords=coords, **kwargs)


@pytest.mark.parametrize("order", [("band", "y", "x"), ("y", "x", "band"), ("x", "band", "y")])
def test_any_order_of_dims_and_coordinates_of_pixel_centres(order: tuple[str, ...]) -> None:
    source = open_cube(located(ramp(3, 4, 5), name="scene").transpose(*order))
    values, valid = source.read(Window(1, 2, 3, 2))
    assert (source.name, source.grid) == ("scene", Grid(None, UTM, 4, 5))
    assert [band.name for band in source.bands] == ["band_1", "band_2", "band_3"]
    np.testing.assert_array_equal(values, np.moveaxis(ramp(3, 4, 5), 0, -1)[2:4, 1:4])
    assert valid.all()


@settings(max_examples=30, deadline=None)
@given(
    left=st.floats(-1e7, 1e7),
    top=st.floats(-1e7, 1e7),
    step_x=st.floats(1e-3, 1e4),
    step_y=st.floats(1e-3, 1e4),
    south_up=st.booleans(),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
)
def test_transform_is_that_of_rioxarray(
    left: float, top: float, step_x: float, step_y: float, south_up: bool, height: int, width: int
) -> None:
    step_y = step_y if south_up else -step_y
    coords = {"y": top + step_y * np.arange(height), "x": left + step_x * np.arange(width)}
    array = xr.DataArray(np.zeros((height, width), np.float32), dims=("y", "x"), coords=coords)
    np.testing.assert_allclose(
        tuple(open_cube(array).grid.transform), tuple(array.rio.transform()), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(("masked", "chunks"), [(True, None), (False, None), (True, 3), (False, 3)])
def test_what_rioxarray_opens_is_what_the_file_holds(tmp_path: Path, masked: bool, chunks: int | None) -> None:
    path = tmp_path / "a.tif"
    stored = np.random.default_rng(0).integers(0, 5, (2, 8, 6)).astype(np.int16)
    profile = {"driver": "GTiff", "dtype": "int16", "count": 2, "height": 8, "width": 6, "nodata": 3}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=UTM) as dataset:
        dataset.write(stored)
        dataset.scales, dataset.offsets, dataset.descriptions = (0.5, 0.5), (-1, -1), ("VV", "VH")
    raster = open_raster(path)
    array = rioxarray.open_rasterio(path, mask_and_scale=masked, chunks=chunks)
    source = open_cube(array)  # type: ignore[arg-type]
    assert source.grid.differs(raster.grid) is None
    assert [band.name for band in source.bands] == ["VV", "VH"]
    for one, other in zip(source.read(), raster.read()):
        np.testing.assert_allclose(one, other)


def test_a_grid_without_coordinates_takes_the_stated_transform() -> None:
    array = located(ramp(1, 4, 5)).rio.write_crs("EPSG:32633").rio.write_transform(UTM)
    source = open_cube(array.drop_vars(["y", "x"]))
    assert source.grid == Grid(CRS.from_epsg(32633), UTM, 4, 5)
    assert open_cube(xr.DataArray(ramp(4, 5), dims=("y", "x"))).grid == Grid(None, Affine.identity(), 4, 5)


def test_a_single_row_or_column_still_has_a_pixel_size() -> None:
    array = located(ramp(1, 4, 5))
    assert open_cube(array[:, :1]).grid.transform == UTM
    assert open_cube(array[:, :, :1]).grid.transform == UTM
    stated = array.rio.write_crs("EPSG:32633").rio.write_transform(UTM)
    assert open_cube(stated[:, 2:3, 3:4]).grid.transform == UTM @ Affine.translation(3, 2)


def test_latitude_and_longitude_are_degrees() -> None:
    array = xr.DataArray(
        ramp(3, 4),
        dims=("lat", "lon"),
        coords={"lat": np.float32([10.3, 10.2, 10.1]), "lon": np.float32([5, 5.1, 5.2, 5.3])},
    )
    grid = open_cube(array).grid
    assert grid.crs == CRS.from_epsg(4326)
    np.testing.assert_allclose(tuple(grid.transform)[:6], (0.1, 0, 4.95, 0, -0.1, 10.35), atol=1e-5)


def test_crs_from_attrs() -> None:
    assert open_cube(located(ramp(1, 2, 2), attrs={"crs": "EPSG:3035"})).grid.crs == CRS.from_epsg(3035)
    with pytest.raises(SourceUnreadable, match="CRS is not understood"):
        open_cube(located(ramp(1, 2, 2), attrs={"crs": "nonsense"}))


def test_nodata_units_and_scale_in_attrs() -> None:
    attrs = {"_FillValue": 0, "units": ("1", "K"), "scales": (0.1, 1.0), "offsets": (0.0, 273.15)}
    source = open_cube(located(ramp(2, 1, 2).astype(np.int16), attrs=attrs))
    assert [(b.unit, b.scale, b.offset, b.nodata, b.dtype) for b in source.bands] == [
        ("1", 0.1, 0.0, 0.0, "int16"),
        ("K", 1.0, 273.15, 0.0, "int16"),
    ]
    np.testing.assert_allclose(source.read()[0], [[[np.nan, 275.15], [0.1, 276.15]]], rtol=1e-6)


def test_band_names() -> None:
    def names(array: xr.DataArray) -> list[str]:
        return [band.name for band in open_cube(array).bands]

    array = located(ramp(2, 2, 2))
    assert names(array.assign_coords(band=["red", "nir"])) == ["red", "nir"]
    assert names(array.assign_coords(band=[1, 2]).assign_attrs(long_name=("B4", "B8"))) == ["B4", "B8"]
    assert names(array.assign_coords(band=[4, 8])) == ["band_1", "band_2"]
    assert names(array[0].rename("ndvi")) == ["ndvi"]
    assert names(array[0]) == ["band_1"]
    red = array.assign_coords(band=["red", "nir"]).isel(band=[0]).rename("reflectance")
    assert names(red) == names(red.expand_dims("time")) == names(red.expand_dims(time=2)) == ["red"]


def test_attributes_for_each_band_must_be_as_many_as_there_are_bands() -> None:
    attrs = {"scales": (0.1, 1.0), "nodatavals": (np.nan, np.nan)}
    array = located(ramp(2, 1, 2), attrs=attrs)
    with pytest.raises(SourceUnreadable, match="its attribute scales has 2 values, and its bands are 1"):
        open_cube(array.isel(band=[1]))
    alike = open_cube(array.isel(band=[1]).assign_attrs(scales=(0.5, 0.5), _FillValue=(2, 2)))
    np.testing.assert_array_equal(alike.read()[0], [[[np.nan], [1.5]]])


def test_the_variables_of_a_dataset_are_its_bands() -> None:
    red, nir = (array.astype("float64") for array in located(ramp(2, 4, 5)))
    dataset = xr.Dataset({"red": red.drop_vars("band", errors="ignore"), "nir": nir, "count": 3}).rio.write_crs(
        "EPSG:32633"
    )
    dataset["nir"].attrs["nodata"] = 20.0
    source = open_cube(dataset, bands=["nir", "red"])
    values = source.read()[0]
    assert source.grid == Grid(CRS.from_epsg(32633), UTM, 4, 5)
    assert np.isnan(values[0, 0, 0])
    np.testing.assert_array_equal(values[..., 1], ramp(2, 4, 5)[0])
    np.testing.assert_array_equal(source.select(("red",)).read()[0][..., 0], ramp(2, 4, 5)[0])


def test_a_netcdf_with_a_grid_mapping(tmp_path: Path) -> None:
    dataset = xr.Dataset({"rain": located(ramp(1, 4, 5))[0]}).rio.write_crs("EPSG:3035")
    dataset.rain.encoding.update(dtype="int16", scale_factor=0.5, _FillValue=-1)
    dataset.to_netcdf(tmp_path / "a.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        source = open_cube(opened)
        assert (source.grid.crs, source.bands[0].name) == (CRS.from_epsg(3035), "rain")
        np.testing.assert_array_equal(source.read()[0][..., 0], ramp(4, 5))


def test_only_what_is_read_is_computed() -> None:
    computed = []

    def block(block_info: Any = None) -> np.ndarray:
        if block_info:
            computed.append(block_info[None]["chunk-location"])
        return np.ones((1, 10, 10), np.float32)

    lazy = dask.array.map_blocks(
        block, chunks=((1, 1), (10,) * 4, (10,) * 4), dtype=np.float32, meta=np.ones((0, 0, 0))
    )
    source = open_cube(xr.DataArray(lazy, dims=("band", "y", "x")))
    computed.clear()
    source.select(("band_2",)).read(Window(12, 22, 5, 5))
    assert computed == [(1, 2, 1)]


def test_several_threads_read_the_same(tmp_path: Path) -> None:
    source = open_cube(located(ramp(3, 40, 40)).chunk({"y": 7, "x": 9}))
    whole = source.read()[0]
    results: list[bool] = []

    def read() -> None:
        results.extend(
            np.array_equal(source.read(Window(k, k, 9, 9))[0], whole[k : k + 9, k : k + 9]) for k in range(20)
        )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80


def test_plain_arrays() -> None:
    values = ramp(4, 5, 2)
    source = open_array(values, bands=["a", "b"], crs="EPSG:32633", transform=UTM, nodata=3)
    assert (source.grid, [band.name for band in source.bands]) == (Grid(CRS.from_epsg(32633), UTM, 4, 5), ["a", "b"])
    np.testing.assert_array_equal(source.read()[0], np.where(values == 3, np.nan, values))
    flat = open_cube(np.ma.masked_equal(ramp(2, 3).astype(np.int16), 4), name="flat")
    assert (flat.name, flat.grid) == ("flat", Grid(None, Affine.identity(), 2, 3))
    np.testing.assert_array_equal(flat.read()[0][..., 0], [[0, 1, 2], [3, np.nan, 5]])
    assert open_array(np.array([[True, False]])).read()[0].tolist() == [[[1.0], [0.0]]]
    with pytest.raises(BandMismatch):
        open_array(values, bands=["a", "b", "c"])


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (xr.DataArray(np.ones((2, 3)), dims=("a", "b")), r"no dims y and x among a: 2, b: 3"),
        (xr.DataArray(np.ones((2, 2, 3, 3)), dims=("a", "b", "y", "x")), r"its dims are a: 2, b: 2, y: 3, x: 3"),
        (xr.DataArray(np.ones((2, 2, 3, 3)), dims=("time", "t", "y", "x")), r"its dims are time: 2, t: 2"),
        (
            xr.Dataset({"a": (("time", "y", "x"), np.ones((2, 3, 3))), "b": (("t", "y", "x"), np.ones((4, 3, 3)))}),
            "several time axes",
        ),
        (xr.DataArray(np.ones((3, 3)), dims=("y", "x"), coords={"x": [0, 1, 3]}), None),
        (
            xr.DataArray(np.ones((2, 3)), dims=("y", "x"), coords={"y": [0, 1], "x": [0, 1, 3]}),
            "x is not evenly spaced",
        ),
        (
            xr.DataArray(np.ones((2, 2)), dims=("y", "x"), coords={"lon": (("y", "x"), np.ones((2, 2)))}),
            "two-dimensional .a curvilinear grid",
        ),
        (xr.DataArray(np.ones((2, 2), complex), dims=("y", "x")), "values are complex128"),
        (xr.DataArray(np.ones((0, 2)), dims=("y", "x")), "it is empty"),
        (xr.Dataset({"a": ("time", [1, 2])}), "no variable has dims y and x"),
        (np.ones((1, 2, 3, 4)), "it has 4 dims"),
    ],
)
def test_what_cannot_be_read_right_is_refused(array: Any, cause: str | None) -> None:
    if cause is None:
        assert open_cube(array).grid.transform == Affine.identity()
        return
    with pytest.raises(SourceUnreadable, match=cause):
        open_cube(array)


def test_one_time_is_no_time() -> None:
    array = xr.DataArray(ramp(1, 3, 3), dims=("time", "y", "x"))
    assert open_cube(array).read()[0].shape == (3, 3, 1)
    assert open_cube(array.expand_dims(band=2)).read()[0].shape == (3, 3, 2)


@pytest.mark.parametrize("chunks", [None, {"time": 1, "y": 3}])
def test_a_cube_is_read_by_window_and_time(chunks: dict[str, int] | None) -> None:
    days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]").astype("datetime64[ns]")
    rain = xr.DataArray(ramp(6, 4, 5), dims=("x", "time", "y"), coords={"time": days})
    height = xr.DataArray(ramp(5, 6), dims=("y", "x"), attrs={"_FillValue": 7.0})
    dataset = xr.Dataset({"rain": rain, "height": height})
    source = open_cube(dataset if chunks is None else dataset.chunk(chunks))
    assert source.dims == ("time", "y", "x", "band")
    np.testing.assert_array_equal(source.times, days)
    values, valid = source.read(Window(1, 0, 7, 3), slice(1, 3))
    assert values.shape == valid.shape == (2, 3, 7, 2)
    expected = rain.transpose("time", "y", "x").values[1:3, 0:3, 1:6]
    np.testing.assert_array_equal(values[:, :, :5, 0], expected)
    np.testing.assert_array_equal(
        values[:, :, :5, 1], np.where(height == 7, np.nan, height)[None, 0:3, 1:6].repeat(2, 0)
    )
    assert not valid[:, :, 5:].any()
    if chunks:
        np.testing.assert_array_equal(source.lazy().compute(), source.read()[0])
    with pytest.raises(SourceUnreadable, match=r"4 times, 2020-01-01 to 2020-01-04.*isel\(time=0\)"):
        one_time(source)
    assert one_time(open_cube(dataset.isel(time=2))).read()[0].shape == (5, 6, 2)


def test_one_variable_of_a_dataset_keeps_the_names_of_its_bands() -> None:
    array = located(ramp(2, 2, 2)).assign_coords(band=["red", "nir"])
    assert [band.name for band in open_cube(array.to_dataset(name="reflectance")).bands] == ["red", "nir"]
    both = xr.Dataset({"toa": array, "boa": array})
    assert [band.name for band in open_cube(both).bands] == ["toa_red", "toa_nir", "boa_red", "boa_nir"]


def test_dates_of_acquisition_and_places_are_no_bands() -> None:
    dataset = xr.Dataset({"a": (("y", "x"), ramp(2, 3)), "when": (("y", "x"), np.zeros((2, 3), "datetime64[ns]"))})
    assert [band.name for band in open_cube(dataset).bands] == ["a"]
    dataset["lats"] = (("y", "x"), ramp(2, 3), {"units": "degrees_north"})
    with pytest.raises(SourceUnreadable, match="curvilinear"):
        open_cube(dataset)
