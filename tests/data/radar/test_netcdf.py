from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from geodl.data.radar import open_sequence
from geodl.data.radar.netcdf import netcdf_frames
from geodl.errors import OptionError, SourceUnreadable, UnitMismatch
from tests.data.radar.rainfiles import ALBERS, times, write_bom

STORED = np.array([[0, 1, 40, -1], [7, 0, 3, 2000], [5, 5, 5, 5]])
MERCATOR = CRS.from_epsg(3857).to_cf()


def cube(units: str = "mm/h", count: int = 3, **attrs: Any) -> xr.Dataset:
    """One file for all: (time, y, x), not-a-number in one corner."""
    values = np.arange(count * 12, dtype=np.float32).reshape(count, 3, 4)
    values[:, 0, 0] = np.nan
    coords = {
        "time": times(*(5 * k for k in range(count))),
        "y": 1000.0 - 500 * np.arange(3),
        "x": 500.0 * np.arange(4),
    }
    rain = xr.DataArray(values, coords, ("time", "y", "x"), attrs={"units": units, "grid_mapping": "crs", **attrs})
    return xr.Dataset({"rain": rain, "crs": ((), 0, MERCATOR)})


def save(dataset: xr.Dataset, path: Path, engine: str = "h5netcdf") -> str:
    dataset.to_netcdf(path, engine=engine)
    return str(path)


def test_one_file_for_each_frame_is_read_as_its_numbers_say(tmp_path: Path) -> None:
    for k, time in enumerate(times(0, 10, 20)):
        write_bom(tmp_path / f"{k}.nc", np.where(STORED < 0, -1, STORED + k), time)
    rain = open_sequence(tmp_path)
    values, valid = rain.read()
    for k in range(3):
        with h5py.File(tmp_path / f"{k}.nc") as file:
            stored = file["precipitation"][()]
        expected = np.where(stored == -1, np.nan, stored * 0.05 * 6)
        np.testing.assert_allclose(values[k, ..., 0], expected, rtol=1e-6)
    assert not valid[:, 0, 3].any()
    assert list(rain.times) == list(times(0, 10, 20))
    assert (rain.quantity.unit, rain.quantity.minutes) == ("mm", 10)
    assert tuple(rain.grid.transform)[:6] == (500, 0, -250, 0, -500, 1250)
    assert rain.grid.unit == "metre"
    assert rain.grid.crs is not None
    assert rain.grid.crs.to_cf()["standard_parallel"] == pytest.approx(tuple(ALBERS["standard_parallel"]))


def test_a_header_that_differs_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    one = write_bom(tmp_path / "1.nc", STORED, times(0)[0])
    other = write_bom(tmp_path / "2.nc", STORED, times(10)[0], shift=0.5)
    with h5py.File(other, "a") as file:
        file["precipitation"].attrs["scale_factor"] = 0.1
    (first,), (second,) = netcdf_frames(str(one)), netcdf_frames(str(other))
    np.testing.assert_allclose(second.load(), 2 * first.load(), rtol=1e-6)
    assert second.grid.transform.c == first.grid.transform.c + 500


def test_columns_before_rows_and_a_time_axis_of_one(tmp_path: Path) -> None:
    turned = cube(count=1).transpose("x", "time", "y")
    (frame,) = netcdf_frames(save(turned, tmp_path / "turned.nc"))
    np.testing.assert_array_equal(frame.load(), cube(count=1).rain.values[0])
    assert frame.time == times(0)[0]


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_one_file_for_all(tmp_path: Path, engine: str) -> None:
    path = save(cube(), tmp_path / "rain.nc", engine)
    rain = open_sequence(path)
    np.testing.assert_array_equal(rain.read()[0][..., 0], cube().rain.values)
    assert rain.step == np.timedelta64(300, "s")
    assert rain.name == "rain"
    one = open_sequence(f"{path}@1")
    np.testing.assert_array_equal(one.read()[0][0, ..., 0], cube().rain.values[1])
    assert list(one.times) == list(times(5))


def test_a_zarr_store(tmp_path: Path) -> None:
    cube().to_zarr(tmp_path / "rain.zarr", zarr_format=2)
    np.testing.assert_array_equal(open_sequence(tmp_path / "rain.zarr").read()[0][..., 0], cube().rain.values)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("count", [1, 3])
def test_bounds_give_the_period_and_the_end(tmp_path: Path, count: int, engine: str) -> None:
    dataset = cube("mm", count)
    ends = dataset.time.values + np.timedelta64(2, "m")
    dataset["time_bnds"] = ("time", "n"), np.stack([ends - np.timedelta64(4, "m"), ends], 1)
    dataset.time.attrs["bounds"] = "time_bnds"
    dataset.time.encoding["units"] = "minutes since 2019-12-31"
    rain = open_sequence(save(dataset, tmp_path / "rain.nc", engine))
    assert rain.quantity.minutes == 4
    assert list(rain.times) == list(ends)
    np.testing.assert_allclose(rain.read()[0][..., 0], dataset.rain.values * 15, rtol=1e-6)


@pytest.mark.parametrize(
    ("attrs", "given", "minutes"),
    [({"cell_methods": "time: sum (interval: 2 min) area: mean"}, None, 2), ({}, 3.0, 3), ({}, None, 5)],
    ids=["cell_methods", "given", "step"],
)
def test_where_the_period_comes_from(
    tmp_path: Path, attrs: dict[str, str], given: float | None, minutes: float
) -> None:
    path = save(cube("mm", **attrs), tmp_path / "rain.nc")
    assert open_sequence(path, minutes=given).quantity.minutes == minutes


def test_a_depth_without_a_period_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"minutes, for .*rain\.nc in mm: expected the minutes in which"):
        open_sequence(save(cube("mm", 1), tmp_path / "rain.nc"))


def test_fluxes_and_reflectivity(tmp_path: Path) -> None:
    flux = open_sequence(save(cube("kg m-2 s-1"), tmp_path / "flux.nc"))
    np.testing.assert_allclose(flux.read()[0][..., 0], cube().rain.values * 3600, rtol=1e-6)
    dbz = open_sequence(save(cube("dBZ"), tmp_path / "dbz.nc"))
    np.testing.assert_allclose(dbz.read()[0][..., 0], (10 ** (cube().rain.values / 10) / 200) ** (1 / 1.6), rtol=1e-5)


def test_the_rain_is_found_among_other_variables_or_asked_for(tmp_path: Path) -> None:
    dataset = cube()
    dataset["height"] = dataset.rain.assign_attrs(units="m")
    path = save(dataset, tmp_path / "rain.nc")
    assert open_sequence(path).read()[0].shape == (3, 3, 4, 1)
    dataset["hail"] = dataset.rain + 1
    dataset.hail.attrs = dict(dataset.rain.attrs)
    path = save(dataset, tmp_path / "both.nc")
    with pytest.raises(
        SourceUnreadable, match=r"several of its variables hold rain: rain \(mm/h\), hail \(mm/h\).*both\.nc:rain"
    ):
        open_sequence(path)
    np.testing.assert_array_equal(open_sequence(f"{path}:hail").read()[0][..., 0], dataset.hail.values)
    dataset.hail.attrs["standard_name"] = "rainfall_rate"
    named = open_sequence(save(dataset, tmp_path / "named.nc"))
    np.testing.assert_array_equal(named.read()[0][..., 0], dataset.hail.values)
    none = cube()[["crs"]].assign(a=cube().rain.assign_attrs(units="K"), b=cube().rain.assign_attrs(units="m"))
    with pytest.raises(SourceUnreadable, match=r"none of its variables holds rain: a \(K\), b \(m\)"):
        open_sequence(save(none, tmp_path / "none.nc"))


def test_a_unit_is_stated_or_asked_for(tmp_path: Path) -> None:
    path = save(cube(""), tmp_path / "rain.nc")
    with pytest.raises(SourceUnreadable, match=r"rain\.nc: it states no unit for rain. Say what it is: unit='mm/h'"):
        open_sequence(path)
    np.testing.assert_array_equal(open_sequence(path, unit="mm/h").read()[0][..., 0], cube().rain.values)
    with pytest.raises(UnitMismatch, match=r"Expected 'dBZ'. Received: 'mm/h'"):
        open_sequence(save(cube(), tmp_path / "stated.nc"), unit="dBZ")


def test_the_time_may_be_in_the_name_only(tmp_path: Path) -> None:
    timeless = cube().isel(time=0, drop=True)
    for minute in (0, 5):
        save(timeless, tmp_path / f"rain_20200101T01{minute:02d}.nc")
    assert list(open_sequence(tmp_path).times) == list(times(0, 5))
    with pytest.raises(SourceUnreadable, match="it states no time"):
        open_sequence(save(timeless, tmp_path / "rain.nc"))


@pytest.mark.parametrize("cut", [0, 6, 3000])
def test_truncated_files_are_named(tmp_path: Path, cut: int) -> None:
    for k, time in enumerate(times(0, 10)):
        write_bom(tmp_path / f"{k}.nc", STORED, time)
    damaged = tmp_path / "1.nc"
    damaged.write_bytes(damaged.read_bytes()[:cut])
    with pytest.raises(SourceUnreadable, match=r"1\.nc"):
        open_sequence(tmp_path)


def test_a_file_that_is_damaged_after_it_was_opened_is_named_when_read(tmp_path: Path) -> None:
    path = write_bom(tmp_path / "a.nc", STORED, times(0)[0])
    rain = open_sequence(tmp_path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceUnreadable, match=r"a\.nc: the file is damaged or cut short"):
        rain.read()
