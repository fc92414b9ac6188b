from __future__ import annotations

import re
import threading
import warnings
from pathlib import Path
from typing import Any

import boto3
import cftime
import h5py
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from pyproj import CRS
from rasterio.windows import Window

from geodl.data.cubefile import open_cube_file
from geodl.errors import BandMismatch, SourceUnreadable
from tests.data.servers import Fault, serve_files, serve_s3

HEIGHT, WIDTH = 40, 50


def weather(times: int = 0) -> xr.Dataset:
    """Two packed variables over latitude and longitude, with missing values."""
    rng = np.random.default_rng(0)
    dims, shape = ("lat", "lon"), (HEIGHT, WIDTH)
    coords: dict[str, Any] = {"lat": 50 - 0.25 * np.arange(HEIGHT), "lon": 5 + 0.25 * np.arange(WIDTH)}
    if times:
        dims, shape = ("time", *dims), (times, *shape)
        coords["time"] = (np.datetime64("2001-01") + np.arange(times)).astype("datetime64[ns]")
    rain = np.where(rng.random(shape) < 0.1, np.nan, rng.integers(0, 500, shape) * 0.1)
    dataset = xr.Dataset({"pr": (dims, rain, {"units": "mm/h"}), "tas": (dims, 280 + rng.random(shape))}, coords)
    dataset.pr.encoding = {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -1}
    dataset.tas.encoding = {"dtype": "float32", "_FillValue": np.float32(1e20)}
    return dataset


def write(dataset: xr.Dataset, path: Path, **options: Any) -> Path:
    if path.suffix == ".zarr":
        dataset.to_zarr(path, **options)
    else:
        dataset.to_netcdf(path, **options)
    return path


KINDS = [
    ("a.nc", {"engine": "scipy"}),
    ("b.nc", {"engine": "h5netcdf"}),
    ("c.zarr", {"zarr_format": 2}),
    ("d.zarr", {"zarr_format": 3, "consolidated": False}),
    ("e.zarr", {"zarr_format": 3, "consolidated": True}),
]


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_values_are_those_of_xarrays_decoding(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = write(weather(), tmp_path / name, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_cube_file(path)
    assert source.name == Path(name).stem
    assert [(band.name, band.unit, band.dtype, band.scale) for band in source.bands] == [
        ("pr", "mm/h", "int16", 0.1),
        ("tas", "", "float32", 1.0),
    ]
    assert (source.grid.crs, source.grid.shape, source.times) == (CRS.from_epsg(4326), (HEIGHT, WIDTH), None)
    assert tuple(source.grid.transform)[:6] == pytest.approx((0.25, 0, 4.875, 0, -0.25, 50.125))
    engine = "zarr" if path.suffix == ".zarr" else options["engine"]
    with xr.open_dataset(path, engine=engine, **({"consolidated": False} if engine == "zarr" else {})) as expected:
        values, valid = source.read(Window(-3, 30, 20, 20))
        for k, key in enumerate(("pr", "tas")):
            inside = expected[key].values[30:, :17]
            np.testing.assert_allclose(values[:10, 3:, k], inside, rtol=1e-6)
            np.testing.assert_array_equal(valid[:10, 3:, k], np.isfinite(inside))
    assert not valid[10:].any()


def test_variables_of_a_store_without_index_come_in_one_order(tmp_path: Path) -> None:
    names = ["h", "c", "e", "a", "g", "b", "f", "d"]
    dataset = xr.Dataset({name: weather().tas for name in names})
    path = write(dataset, tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    assert [band.name for band in open_cube_file(path).bands] == sorted(names)


@pytest.mark.parametrize("name", ["a.nc", "c.zarr"])
def test_variables_and_times_are_chosen(tmp_path: Path, name: str) -> None:
    dataset = weather(4).rio.write_crs("EPSG:4258")
    path = write(dataset, tmp_path / name)
    cube = open_cube_file(f"{path}:pr")
    assert cube.times is not None
    np.testing.assert_array_equal(cube.times, dataset.time.values)
    np.testing.assert_allclose(
        cube.read(Window(2, 3, 4, 5), slice(1, 3))[0][..., 0], dataset.pr[1:3, 3:8, 2:6], rtol=1e-6
    )
    march = open_cube_file(f"{path}:tas,pr@2001-03")
    assert (march.times, march.grid.crs, march.name) == (None, CRS.from_epsg(4258), f"{path.stem}_tas_pr_2001-03")
    np.testing.assert_allclose(march.read()[0], np.stack([dataset.tas[2], dataset.pr[2]], -1), rtol=1e-6)
    last = open_cube_file(f"{path}@-1", bands=("tas",))
    np.testing.assert_allclose(last.read()[0][..., 0], dataset.tas[3], rtol=1e-6)


def test_groups(tmp_path: Path) -> None:
    write(weather(), tmp_path / "a.nc", engine="h5netcdf", group="model/run")
    write(weather(), tmp_path / "a.zarr", group="model/run")
    for name in ("a.nc", "a.zarr"):
        assert [band.name for band in open_cube_file(f"{tmp_path / name}:model/run/tas").bands] == ["tas"]
        assert len(open_cube_file(f"{tmp_path / name}:model/run/").bands) == 2
    with pytest.raises(SourceUnreadable, match="no variable has dims y and x"):
        open_cube_file(tmp_path / "a.nc")


def test_a_calendar_of_360_days_and_times_without_a_date(tmp_path: Path) -> None:
    dataset = weather(3)
    dataset["time"] = [cftime.datetime(2001, 2, day, calendar="360_day") for day in (1, 15, 30)]
    path = write(dataset, tmp_path / "a.nc", engine="scipy")
    source = open_cube_file(path)
    assert source.times is not None
    assert source.times.astype("datetime64[M]").astype(str).tolist() == ["2001-01", "2001-02", "2001-03"]
    np.testing.assert_allclose(open_cube_file(f"{path}:tas@2001-02-30").read()[0][..., 0], dataset.tas[2], rtol=1e-6)
    dataset["time"] = ("time", [1.0, 2.0, 3.0], {"units": "fortnights since the flood"})
    other = open_cube_file(write(dataset, tmp_path / "b.nc", engine="scipy"))
    assert other.times is not None
    assert np.isnat(other.times).all()


def test_coordinates_may_be_packed(tmp_path: Path) -> None:
    dataset = weather()
    dataset.lat.encoding = {"dtype": "int16", "scale_factor": 0.25, "add_offset": 10.0}
    source = open_cube_file(write(dataset, tmp_path / "a.nc", engine="h5netcdf"))
    assert tuple(source.grid.transform)[:6] == pytest.approx((0.25, 0, 4.875, 0, -0.25, 50.125))


def test_values_out_of_the_valid_range_are_nodata(tmp_path: Path) -> None:
    dataset = weather()
    dataset.pr.attrs["valid_range"] = np.array([0, 100], np.int16)
    source = open_cube_file(write(dataset, tmp_path / "a.nc", engine="h5netcdf"), bands=("pr",))
    np.testing.assert_allclose(source.read()[0][..., 0], dataset.pr.where(dataset.pr < 10.01), rtol=1e-6)


def test_a_file_without_crs_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(weather().rename(lat="y", lon="x"), tmp_path / "without.nc", engine="scipy")
    for _ in range(2):
        assert open_cube_file(path).grid.crs is None
    assert [record.message.split(":")[0] for record in caplog.records] == ["without has no CRS"]


def test_only_chunks_that_are_read_are_loaded(tmp_path: Path) -> None:
    dataset = weather()
    dataset.pr.encoding |= {"chunks": (10, 10)}
    path = write(dataset[["pr"]], tmp_path / "a.zarr", zarr_format=2)
    source = open_cube_file(path)
    for chunk in (path / "pr").iterdir():
        if re.fullmatch(r"\d\.\d", chunk.name) and chunk.name != "2.3":
            chunk.write_bytes(b"damaged")
    np.testing.assert_allclose(source.read(Window(31, 22, 5, 6))[0][..., 0], dataset.pr[22:28, 31:36], rtol=1e-6)
    with pytest.raises(SourceUnreadable, match=r"a.zarr: the file is damaged or cut short"):
        source.read(Window(29, 22, 5, 6))


@pytest.mark.parametrize("name", ["a.nc", "b.nc", "c.zarr"])
def test_several_threads_read_the_same(tmp_path: Path, name: str) -> None:
    path = write(
        weather(), tmp_path / name, **{"a.nc": {"engine": "scipy"}, "b.nc": {"engine": "h5netcdf"}}.get(name, {})
    )
    source = open_cube_file(path)
    whole = source.read()[0]
    results: list[bool] = []

    def read() -> None:
        for k in range(12):
            part = source.read(Window(k, 2 * k, 13, 11))[0]
            results.append(np.array_equal(part, whole[2 * k : 2 * k + 11, k : k + 13], equal_nan=True))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 48


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    whole = write(weather(3), tmp_path / "whole.nc", engine="h5netcdf")
    classic = write(weather(), tmp_path / "classic.nc", engine="scipy")
    (tmp_path / "short.nc").write_bytes(whole.read_bytes()[:3000])
    (tmp_path / "half.nc").write_bytes(classic.read_bytes()[:3000])
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("nothing of the kind")
    (tmp_path / "five.nc").write_bytes(b"CDF\x05" + bytes(100))
    (tmp_path / "folder.zarr").mkdir()
    with h5py.File(tmp_path / "other.nc", "w") as file:
        file["numbers"] = np.arange(5)
    curvilinear = weather().rename(lat="y", lon="x").drop_vars(["y", "x"])
    curvilinear["lat"] = (("y", "x"), np.ones((HEIGHT, WIDTH)), {"units": "degrees_north"})
    write(curvilinear, tmp_path / "curved.nc", engine="scipy")
    uneven = weather().isel(lat=[0, 1, 5, 20])
    write(uneven, tmp_path / "uneven.nc", engine="scipy")
    for word, cause in (
        ("nowhere.nc", "there is no such file. Check the path"),
        ("nowhere.zarr", "there is no such folder"),
        ("folder.zarr", "it is no Zarr store"),
        ("empty.nc", "the file is empty"),
        ("short.nc", "the file is damaged or cut short"),
        ("half.nc", "the file is damaged or cut short"),
        ("text.nc", "it is not a NetCDF file, whatever its name says"),
        ("five.nc", "64-bit data format"),
        ("other.nc", "no variable has dims y and x"),
        ("curved.nc", "two-dimensional"),
        ("curved.nc:pr", "two-dimensional"),
        ("uneven.nc", "lat is not evenly spaced"),
        ("whole.nc:pre", "it has no variable pre. It has pr, tas. Did you mean 'pr'?"),
        ("whole.nc@2005", "none of its 3 times is 2005. Choose one of 2001-01-01, 2001-02-01, 2001-03-01."),
        ("classic.nc@2001", "it has no times to choose from. Leave out @2001."),
        ("classic.nc:a/pr", "it has no group a"),
        ("scene.tif", "it is no NetCDF file or Zarr store"),
    ):
        with pytest.raises(SourceUnreadable) as raised:
            open_cube_file(tmp_path / word)
        assert str(raised.value).startswith(f"Cannot read {tmp_path}")
        assert cause in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(BandMismatch, match="Expected 1: tos"):
        open_cube_file(classic, bands=("tos",))


def test_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    dataset = weather()
    dataset.pr.encoding |= {"chunks": (10, 10)}
    dataset.tas.encoding |= {"chunks": (10, 10)}
    store = write(dataset, tmp_path / "a.zarr", zarr_format=2)
    write(weather(), tmp_path / "b.nc", engine="h5netcdf")
    faults = [
        Fault(path=r"a\.zarr/pr/2\.3", share=0.5, then="close", times=2),
        Fault(path=r"b\.nc", share=0.5, then="reset"),
        Fault(path=r"a\.zarr/tas/0\.0", status=500, times=-1),
    ]
    with serve_files(tmp_path, faults) as server:
        source = open_cube_file(server.url(store.name))
        before = len(server.requests())
        values = source.select(("pr",)).read(Window(31, 22, 5, 6))[0]
        np.testing.assert_allclose(values[..., 0], dataset.pr[22:28, 31:36], rtol=1e-6)
        assert {request.path for request in server.requests()[before:]} == {"a.zarr/pr/2.3"}
        with pytest.raises(SourceUnreadable, match=r"a.zarr: it could not be had, or is damaged .*500"):
            source.select(("tas",)).read(Window(0, 0, 5, 5))
        for _ in range(2):
            copied = open_cube_file(server.url("b.nc:pr"))
        np.testing.assert_allclose(copied.read()[0][..., 0], dataset.pr, rtol=1e-6)
        assert len(server.requests(r"b\.nc")) <= 4
        with pytest.raises(SourceUnreadable, match="there is no such file"):
            open_cube_file(server.url("c.nc"))
        with pytest.raises(SourceUnreadable, match="there is no such file|no Zarr"):
            open_cube_file(server.url("c.zarr"))
        gone = server.url("d.nc")
    with pytest.raises(SourceUnreadable, match=r"d.nc: the server cannot be reached.*Check the address"):
        open_cube_file(gone)


def test_from_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = weather(2)
    store = write(dataset, tmp_path / "a.zarr", zarr_format=3)
    write(dataset, tmp_path / "b.nc", engine="h5netcdf")
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    with serve_s3() as host:
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://{host}", **keys)
        client.create_bucket(Bucket="bucket")
        for file in [*store.rglob("*"), tmp_path / "b.nc"]:
            if file.is_file():
                client.upload_file(str(file), "bucket", str(file.relative_to(tmp_path)))
        for variable, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_S3_ENDPOINT": host, "AWS_HTTPS": "NO",
        }.items():  # fmt: skip
            monkeypatch.setenv(variable, value)
        for word in ("s3://bucket/a.zarr:pr@2001-02", "s3://bucket/b.nc:pr@2001-02"):
            values = open_cube_file(word).read(Window(3, 4, 6, 5))[0]
            np.testing.assert_allclose(values[..., 0], dataset.pr[1, 4:9, 3:9], rtol=1e-6)
        with pytest.raises(SourceUnreadable, match="there is no such file"):
            open_cube_file("s3://bucket/c.nc")
