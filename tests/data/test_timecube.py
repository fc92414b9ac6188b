"""Cubes of dates, from whatever holds them, against what was written and against xarray."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from affine import Affine

from geodl.data.opening import open_source
from geodl.data.source import Window
from geodl.data.timecube import cube_days, open_time_cube
from geodl.data.warp import Resample
from geodl.errors import (
    BandMismatch,
    DatesMismatch,
    EmptyDataset,
    GridMismatch,
    OptionError,
    SeriesUnusable,
    UnitMismatch,
)
from tests.data.products import test_sentinel2 as sentinel2

PLACE = Affine(10, 0, 500000, 0, -10, 5000000)
DATES = ("2018-11-29", "2018-12-15", "2019-01-01")


def write(path: Path, *planes: np.ndarray, names: tuple[str, ...] = (), unit: str = "", **profile: Any) -> Path:
    given = {"crs": "EPSG:32633", "transform": PLACE} | profile
    path.parent.mkdir(exist_ok=True, parents=True)
    height, width = planes[0].shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=len(planes), dtype=planes[0].dtype, **given
    ) as file:
        for k, plane in enumerate(planes, 1):
            file.write(plane, k)
            if names:
                file.set_band_description(k, names[k - 1])
        file.units = [unit] * len(planes)
    return path


def planes(count: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 9000, (count, 5, 7)).astype(np.int16)


def test_one_file_for_each_date(tmp_path: Path) -> None:
    stored = planes()
    stored[1, 2, 3] = -9999
    for k in (2, 0, 1):
        write(tmp_path / f"CB4_022024_{DATES[k]}_2019-12-31_NDVI.tif", stored[k], nodata=-9999)
    cube = open_time_cube(tmp_path, scale=1e-4)
    assert cube.name == tmp_path.name
    assert [band.name for band in cube.bands] == ["NDVI"]
    assert cube.dims == ("time", "y", "x", "band")
    np.testing.assert_array_equal(cube.times, np.array(DATES, "datetime64[ns]"))
    values, valid = cube.read()
    expected = np.where(stored == -9999, np.nan, (stored * 1e-4).astype(np.float32))[..., None]
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(valid, np.isfinite(expected))
    part, _ = cube.read(Window(-1, 2, 4, 5), slice(1, 3))
    np.testing.assert_array_equal(part[:, :3, 1:], expected[1:, 2:, :3])
    assert np.isnan(part[:, :, 0]).all() and np.isnan(part[:, 3:]).all()
    days, year = cube_days(cube)
    assert year == 2018 and days.dtype == np.float32
    assert days.tolist() == [333, 349, 366]
    assert cube.bands[0].scale == 1e-4 and cube.bands[0].nodata == -9999


def test_a_file_for_each_date_and_band_of_which_one_is_missing(tmp_path: Path) -> None:
    red, nir = planes(seed=1), planes(seed=2)
    for k, day in enumerate(DATES):
        write(tmp_path / f"T33_{day.replace('-', '')}_B04_10m.tif", red[k])
        if k != 1:
            write(tmp_path / f"T33_{day.replace('-', '')}_B08_10m.tif", nir[k])
    cube = open_time_cube(str(tmp_path / "*.tif"), bands=("B08", "B04"))
    values, _ = cube.read()
    np.testing.assert_array_equal(values[..., 1], red)
    np.testing.assert_array_equal(values[[0, 2], ..., 0], nir[[0, 2]])
    assert np.isnan(values[1, ..., 0]).all()
    # Without the other band the date has nothing.
    alone = cube.select(("B08",))
    assert len(alone.times) == 2
    np.testing.assert_array_equal(alone.read(times=slice(1, 2))[0][..., 0], nir[[2]])


def test_bands_of_files_are_called_by_their_descriptions_in_any_order(tmp_path: Path) -> None:
    stored = planes(6)
    write(tmp_path / "b_2019001.tif", *stored[:2], names=("red", "nir"))
    write(tmp_path / "b_2019002.tif", *stored[2:4], names=("nir", "red"))
    cube = open_time_cube(tmp_path)
    np.testing.assert_array_equal(cube.read()[0], np.stack([stored[:2], stored[3:1:-1]]).transpose(0, 2, 3, 1))
    with pytest.raises(BandMismatch, match="red, nir"):
        open_time_cube(tmp_path, bands=("blue",))
    write(tmp_path / "b_2019003.tif", *stored[4:], names=("nir", "red"), unit="dB")
    write(tmp_path / "b_2019004.tif", *stored[4:], names=("nir", "red"), unit="reflectance")
    with pytest.raises(UnitMismatch, match="b_2019004: band nir"):
        open_time_cube(tmp_path)


def test_descriptions_that_are_the_same_in_files_of_one_date_say_nothing(tmp_path: Path) -> None:
    stored = planes(2)
    for band, plane in zip(("VV", "VH"), stored, strict=True):
        write(tmp_path / f"20190101_{band}.tif", plane, names=("Gray",))
    cube = open_time_cube(tmp_path, bands=("VV", "VH"))
    np.testing.assert_array_equal(cube.read()[0], stored.transpose(1, 2, 0)[None])


def test_one_raster_whose_bands_are_called_by_dates(tmp_path: Path) -> None:
    stored = planes()
    path = write(tmp_path / "ndvi.tif", *stored[[1, 2, 0]], names=tuple(f"NDVI_{DATES[k]}" for k in (1, 2, 0)))
    cube = open_time_cube(path)
    np.testing.assert_array_equal(cube.read()[0][..., 0], stored)
    assert [band.name for band in cube.bands] == ["NDVI"]


def test_folders_called_by_dates(tmp_path: Path) -> None:
    stored = planes(4)
    for k, day in enumerate(DATES[:2]):
        write(tmp_path / day / "B04.tif", stored[k])
        write(tmp_path / day / "B08.tif", stored[k + 2])
    cube = open_time_cube(str(tmp_path / "**" / "*.tif"), bands=("B04", "B08"))
    np.testing.assert_array_equal(cube.read()[0], np.stack([stored[:2], stored[2:]], -1))


def dataset(
    *, dates: Any = DATES, seed: int = 0, names: tuple[str, ...] = ("ndvi", "scl"), **coords: Any
) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    coords = {"y": 4999995 - 10.0 * np.arange(5), "x": 500005 + 10.0 * np.arange(7)} | coords
    if dates is not None:
        coords["time"] = np.array(dates, "datetime64[ns]")
    shape = (len(dates) if dates is not None else 3, 5, 7)
    fields = {name: (("time", "y", "x"), rng.integers(0, 5, shape).astype(np.float32)) for name in names}
    return xr.Dataset(fields, coords)


def test_arrays_are_put_in_order_and_their_times_are_days() -> None:
    times = ["2019-01-01T10:30", "2018-11-29T09:59", "2018-12-15T10:00"]
    cube = dataset(dates=times)
    found = open_time_cube(cube)
    assert found.times.tolist() == np.array(DATES, "datetime64[ns]").tolist()
    expected = cube.sortby("time").to_array("band").transpose("time", "y", "x", "band")
    np.testing.assert_array_equal(found.read()[0], expected)
    np.testing.assert_array_equal(found.read(times=slice(0, 2))[0], expected[:2])
    hours = open_time_cube(dataset(dates=["2019-01-01T06", "2019-01-01T18", "2019-01-02T06"]))
    assert cube_days(hours)[0].tolist() == [1.25, 1.75, 2.25]


def test_clouds_take_all_bands_of_their_date() -> None:
    cube = dataset(names=("ndvi", "evi", "scl"))
    codes = cube.scl.values
    found = open_time_cube(cube, bands=("evi", "ndvi"), cloud_band="scl", cloud_values=(1, 3))
    expected = cube.where(~cube.scl.isin([1, 3]))
    np.testing.assert_array_equal(found.read()[0], np.stack([expected.evi, expected.ndvi], -1))
    assert [band.name for band in open_time_cube(cube, cloud_band="scl", cloud_values=[1]).bands] == ["ndvi", "evi"]
    both = open_time_cube(cube, bands=("scl",), cloud_band="scl", cloud_values=[1], scale=10).read()[0]
    np.testing.assert_array_equal(both[..., 0], np.where(codes == 1, np.nan, codes))
    one = found.select(("ndvi",))
    np.testing.assert_array_equal(one.read(Window(2, 1, 3, 2), slice(1, None))[0][..., 0], expected.ndvi[1:, 1:3, 2:5])
    with pytest.raises(OptionError, match="cloud_values"):
        open_time_cube(cube, cloud_band="scl")
    with pytest.raises(BandMismatch, match="clm"):
        open_time_cube(cube, cloud_band="clm", cloud_values=[1])


def test_what_files_do_not_state_can_be_given() -> None:
    cube = dataset()
    given = open_time_cube(cube, scale={"ndvi": 0.5}, offset=1, nodata={"scl": 4})
    ndvi, scl = cube.ndvi.values, cube.scl.values
    expected = np.stack([ndvi * 0.5 + 1, np.where(scl == 4, np.nan, scl + 1)], -1)
    np.testing.assert_array_equal(given.read()[0], expected)
    chosen = given.select(("scl",))
    np.testing.assert_array_equal(chosen.read()[0], expected[..., 1:])
    cube.ndvi.attrs["scale_factor"] = 0.1
    with pytest.raises(OptionError, match="scale: expected none, or 0.1"):
        open_time_cube(cube, bands=["ndvi"], scale=0.5)
    packed = open_time_cube(cube, bands=["ndvi"], scale=0.1, nodata=3).read()[0][..., 0]
    np.testing.assert_array_equal(packed, np.where(ndvi == 3, np.nan, (ndvi * 0.1).astype(np.float32)))
    with pytest.raises(OptionError, match="nodata"):
        open_time_cube(cube, nodata={"evi": 3})


def test_without_dates_there_are_positions() -> None:
    cube = open_time_cube(dataset(dates=None))
    days, year = cube_days(cube)
    assert days.tolist() == [0, 1, 2] and year is None
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(open_time_cube(array).read()[0], array)
    with pytest.raises(SeriesUnusable, match="no time axis"):
        cube_days(open_source(array[0]))


def test_several_sensors_are_merged_by_date() -> None:
    optical = dataset(dates=DATES, names=("red", "scl"))
    radar = dataset(dates=("2018-12-15T05:00", "2018-12-20T05:00"), seed=1, names=("vv", "red"))
    cube = open_time_cube({"s2": optical, "s1": radar}, cloud_band="scl", cloud_values=[2])
    assert [band.name for band in cube.bands] == ["s2_red", "vv", "s1_red"]
    expected = xr.merge(
        [
            optical.where(optical.scl != 2).drop_vars("scl").rename(red="s2_red"),
            radar.assign_coords(time=radar.time.dt.floor("D")).rename(red="s1_red"),
        ],
        join="outer",
    )
    np.testing.assert_array_equal(cube.times, expected.time)
    for k, band in enumerate(cube.bands):
        np.testing.assert_array_equal(cube.read()[0][..., k], expected[band.name].transpose("time", "y", "x"))
    assert len(cube.select(("vv",)).times) == 2
    with pytest.raises(DatesMismatch, match="3 in s2 .not stated.; 2 in s1"):
        open_time_cube({"s2": dataset(dates=None), "s1": radar})
    with pytest.raises(GridMismatch, match="s1 is not on the grid of s2"):
        open_time_cube({"s2": optical, "s1": radar.isel(y=slice(1, None))})
    with pytest.raises(BandMismatch, match="fmask"):
        open_time_cube({"s2": optical}, cloud_band="fmask", cloud_values=[2])


def test_netcdf_files_of_one_time_each_are_dated_by_it(tmp_path: Path) -> None:
    cube = dataset(names=("ndvi",))
    for k in range(3):
        cube.isel(time=[k]).to_netcdf(tmp_path / f"part{k}.nc", engine="h5netcdf")
    found = open_time_cube(tmp_path)
    np.testing.assert_array_equal(found.times, cube.time)
    np.testing.assert_array_equal(found.read()[0][..., 0], cube.ndvi)
    cube.to_netcdf(tmp_path / "whole.nc", engine="h5netcdf")
    np.testing.assert_array_equal(open_time_cube(tmp_path / "whole.nc").read()[0], found.read()[0])


def test_stac_items_are_dated_by_their_datetime(tmp_path: Path) -> None:
    stored, items = planes(2), []
    for k in (1, 0):
        write(tmp_path / f"red{k}.tif", stored[k])
        item = pystac.Item(f"scene{k}", None, None, datetime.fromisoformat(f"{DATES[k]}T10:11:12+00:00"), {})
        item.add_asset("red", pystac.Asset(str(tmp_path / f"red{k}.tif"), media_type="image/tiff", roles=["data"]))
        items.append(item)
    cube = open_time_cube(items, bands=["red"])
    np.testing.assert_array_equal(cube.read()[0][..., 0], stored)
    paths = []
    for item in items:
        paths.append(tmp_path / f"{item.id}.json")
        paths[-1].write_text(json.dumps(item.to_dict(include_self_link=False)))
    from_files = open_time_cube(paths)
    np.testing.assert_array_equal(from_files.times, np.array(DATES[:2], "datetime64[ns]"))
    np.testing.assert_array_equal(from_files.read()[0], cube.read()[0])


def test_products_are_dated_by_their_names_and_masked_by_their_scenes_classes(tmp_path: Path) -> None:
    product = sentinel2.write_safe(tmp_path, "2A")
    shutil.copytree(product, tmp_path / product.name.replace("2023", "2022"))
    with pytest.raises(GridMismatch, match="SCL is not on the grid of B04"):
        open_time_cube(tmp_path, bands=["B04"], cloud_band="SCL", cloud_values=[3, 8])
    cube = open_time_cube(tmp_path, bands=["B04"], cloud_band="SCL", cloud_values=[3, 8], resample=Resample("bilinear"))
    assert cube.times.astype("datetime64[D]").astype(str).tolist() == ["2022-08-23", "2023-08-23"]
    codes = np.kron(sentinel2.stored("SCL", 20), np.ones((2, 2), int))
    expected = np.where(np.isin(codes, [3, 8]), np.nan, sentinel2.reflectance("B04", 10))
    for values in cube.read()[0]:
        np.testing.assert_allclose(values[..., 0], expected, rtol=1e-6)


def test_rasters_on_several_grids(tmp_path: Path) -> None:
    stored = planes(2)
    write(tmp_path / "n_20190101.tif", stored[0])
    write(tmp_path / "n_20190201.tif", stored[1], transform=PLACE @ Affine.translation(2, 1))
    with pytest.raises(GridMismatch, match="n_20190201 is not on the grid of n_20190101"):
        open_time_cube(tmp_path)
    values, valid = open_time_cube(tmp_path, resample=Resample("nearest")).read()
    np.testing.assert_array_equal(values[0, ..., 0], stored[0])
    np.testing.assert_array_equal(values[1, 1:, 2:, 0], stored[1, :-1, :-2])
    assert not valid[1, 0].any() and not valid[1, :, :2].any()


def test_each_mistake_has_its_sentence(tmp_path: Path) -> None:
    stored = planes(2)
    with pytest.raises(EmptyDataset):
        open_time_cube(tmp_path)
    first = write(tmp_path / "a_20190101.tif", stored[0])
    write(tmp_path / "sub" / "a_2019-01-01.tif", stored[1])
    with pytest.raises(SeriesUnusable, match=r"band a comes twice on 2019-01-01 \(from a_20190101 and a_2019-01-01\)"):
        open_time_cube([first, tmp_path / "sub"])
    with pytest.raises(SeriesUnusable, match=r"b\.tif.*its name has no date"):
        open_time_cube([first, write(tmp_path / "b.tif", stored[0])])
    with pytest.raises(SeriesUnusable, match="nothing says when it was taken"):
        open_time_cube(xr.DataArray(stored[0], dims=("y", "x")))
    with pytest.raises(SeriesUnusable, match="2018-11-29 comes 2 times on its time axis"):
        open_time_cube(dataset(dates=(*DATES, DATES[0])))
    with pytest.raises(SeriesUnusable, match="1 of its 3 times are not stated"):
        open_time_cube(dataset(dates=(*DATES[:2], "NaT")))
    raw = dataset(dates=DATES[::-1])
    with pytest.raises(SeriesUnusable, match="do not increase.*open_time_cube"):
        cube_days(open_source(raw))


def test_threads_read_the_same(tmp_path: Path) -> None:
    stored = planes(3)
    for k, day in enumerate(DATES):
        write(tmp_path / f"a_{day}.tif", stored[k])
    cube = open_time_cube(tmp_path)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(cube.read()[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for values in found:
        np.testing.assert_array_equal(values[..., 0], stored)
