"""ODIM_H5 files, written here with h5py: rain rates against closed forms, places against pyproj, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Proj

from geodl.data.radar.odim import read_frames
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR, Quantity

PROJECTION = "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m +ellps=WGS84"
BOUNDS = (300000.0, -2000000.0, 312000.0, -1990000.0)  # West, south, east, north of 5 rows and 6 columns of 2 km.
RAW = np.array([[0, 1, 2, 11, 21, 255]] * 5, np.uint8)
RAIN = {"quantity": "RATE", "gain": 0.1, "offset": -0.1, "nodata": 255.0, "undetect": 0.0}


def where(projection: str = PROJECTION, *, corners: str = "LL LR UL UR", metres: float = 1.0) -> dict[str, Any]:
    west, south, east, north = BOUNDS
    place = {"LL": (west, south), "LR": (east, south), "UL": (west, north), "UR": (east, north)}
    projected = Proj(PROJECTION)
    lonlat = {corner: projected(*place[corner], inverse=True) for corner in corners.split()}
    return {
        "projdef": np.bytes_(projection), "xsize": 6, "ysize": 5, "xscale": 2000.0 * metres, "yscale": 2000.0 * metres,
        **{f"{corner}_lon": lonlat[corner][0] for corner in lonlat},
        **{f"{corner}_lat": lonlat[corner][1] for corner in lonlat},
    }  # fmt: skip


def write(path: Path, groups: dict[str, dict[str, Any]], images: dict[str, np.ndarray], object_: str = "COMP") -> str:
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = "ODIM_H5/V2_3"
        file.create_group("what").attrs.update(object=np.bytes_(object_), date="20240601", time="121500")
        for name, attributes in groups.items():
            file.require_group(name).attrs.update(attributes)
        for name, image in images.items():
            file[name] = image
    return str(path)


def composite(path: Path, what: dict[str, Any], place: str = "dataset1/what", **groups: dict[str, Any]) -> str:
    return write(path, {"where": where(), place: what, **groups}, {"dataset1/data1/data": RAW})


@pytest.mark.parametrize("place", ["dataset1/data1/what", "dataset1/what", "what"])
def test_rates_wherever_they_are_described(tmp_path: Path, place: str) -> None:
    path = composite(tmp_path / "a.h5", RAIN, place)
    (frame,) = read_frames(path)
    np.testing.assert_allclose(frame.load(), [[0, 0, 0.1, 1, 2, np.nan]] * 5, atol=1e-6)
    assert frame.load().dtype == np.float32
    assert frame.time == np.datetime64("2024-06-01T12:15", "ns") and frame.quantity == Quantity("mm/h")
    assert frame.path == path


def test_the_nearest_description_goes_before(tmp_path: Path) -> None:
    path = composite(tmp_path / "a.h5", RAIN, **{"dataset1/data1/what": {"gain": 0.2, "offset": 0.0}})
    np.testing.assert_allclose(read_frames(path)[0].load()[0], [0, 0.2, 0.4, 2.2, 4.2, np.nan], atol=1e-6)


@pytest.mark.parametrize("corners", ["LL LR UL UR", "LL UR", "UL LR"])
def test_the_grid_is_where_the_corners_are(tmp_path: Path, corners: str) -> None:
    path = write(tmp_path / "a.h5", {"where": where(corners=corners), "what": RAIN}, {"dataset1/data1/data": RAW})
    grid = read_frames(path)[0].grid
    assert grid.shape == (5, 6) and grid.crs == CRS(PROJECTION)
    assert grid.transform.almost_equals(Affine(2000, 0, BOUNDS[0], 0, -2000, BOUNDS[3]), precision=1e-3)


def test_a_projection_in_kilometres_becomes_metres(tmp_path: Path) -> None:
    projection = PROJECTION.replace("units=m", "units=km")
    path = write(tmp_path / "a.h5", {"where": where(projection), "what": RAIN}, {"dataset1/data1/data": RAW})
    grid = read_frames(path)[0].grid
    assert grid.unit == "metre"
    assert grid.transform.almost_equals(Affine(2000, 0, BOUNDS[0], 0, -2000, BOUNDS[3]), precision=1e-3)
    middle = 306000.0, -1995000.0
    np.testing.assert_allclose(
        Proj(grid.crs)(*middle, inverse=True), Proj(PROJECTION)(*middle, inverse=True), atol=1e-9
    )


def test_longitudes_and_latitudes(tmp_path: Path) -> None:
    place = {
        "projdef": "+proj=longlat +ellps=WGS84", "xsize": 6, "ysize": 5, "xscale": 1100.0, "yscale": 1100.0,
        "LL_lon": 5.0, "LL_lat": 50.0, "UR_lon": 5.06, "UR_lat": 50.05,
    }  # fmt: skip
    path = write(tmp_path / "a.h5", {"where": place, "what": RAIN}, {"dataset1/data1/data": RAW})
    grid = read_frames(path)[0].grid
    assert grid.unit == "degree"
    assert grid.transform.almost_equals(Affine(0.01, 0, 5, 0, -0.01, 50.05), precision=1e-9)


def test_a_depth_is_spread_over_its_time(tmp_path: Path) -> None:
    times = {"startdate": "20240531", "starttime": "235000", "enddate": "20240601", "endtime": "000500"}
    path = composite(tmp_path / "a.h5", {**RAIN, "quantity": "ACRR", **times})
    (frame,) = read_frames(path, minutes=60)
    assert frame.quantity == Quantity("mm", minutes=15) and frame.time == np.datetime64("2024-06-01T00:05", "ns")
    np.testing.assert_allclose(frame.load()[0], [0, 0, 0.4, 4, 8, np.nan], atol=1e-6)
    untold = composite(tmp_path / "b.h5", {**RAIN, "quantity": "ACRR"})
    np.testing.assert_allclose(read_frames(untold, minutes=60)[0].load()[0], [0, 0, 0.1, 1, 2, np.nan], atol=1e-6)
    with pytest.raises(SourceUnreadable, match="from when to when"):
        read_frames(untold)


def test_reflectivity_by_the_relation_of_the_file_or_the_caller(tmp_path: Path) -> None:
    what = {"quantity": "TH", "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
    path = composite(tmp_path / "a.h5", what)
    codes = RAW[0].astype(float)

    def rates(a: float, b: float) -> np.ndarray:
        rate = (10 ** ((codes * 0.5 - 32) / 10) / a) ** (1 / b)
        return np.where(codes == 0, 0, np.where(codes == 255, np.nan, rate))

    np.testing.assert_allclose(read_frames(path)[0].load()[0], rates(200, 1.6), rtol=1e-5)
    np.testing.assert_allclose(read_frames(path, zr=ZR(300, 1.4))[0].load()[0], rates(300, 1.4), rtol=1e-5)
    told = composite(tmp_path / "b.h5", what, how={"zr_a": 250.0, "zr_b": 1.5})
    (frame,) = read_frames(told, zr=ZR(300, 1.4))
    assert frame.quantity == Quantity("dBZ", zr=ZR(250, 1.5))
    np.testing.assert_allclose(frame.load()[0], rates(250, 1.5), rtol=1e-5)


def test_codes_in_floats(tmp_path: Path) -> None:
    raw = np.full((5, 6), -8888000.1, np.float32)
    raw[0, :3] = [-9999000.1, 2.5, np.nan]
    what = {"quantity": "RATE", "nodata": -9999000.1, "undetect": -8888000.1}
    path = write(tmp_path / "a.h5", {"where": where(), "what": what}, {"dataset1/data1/data": raw})
    np.testing.assert_array_equal(read_frames(path)[0].load()[0], [np.nan, 2.5, np.nan, 0, 0, 0])


def test_nodata_goes_before_no_rain(tmp_path: Path) -> None:
    path = composite(tmp_path / "a.h5", {**RAIN, "nodata": 0.0})
    assert np.isnan(read_frames(path)[0].load()[:, 0]).all()


def test_rates_are_taken_before_depths_before_reflectivities(tmp_path: Path) -> None:
    quantities = ("DBZH", "QIND", "RATE", "ACRR")
    groups = {f"dataset{k}/what": {**RAIN, "quantity": quantity} for k, quantity in enumerate(quantities, 9)}
    images = {f"dataset{k}/data1/data": np.full((5, 6), k, np.uint8) for k in range(9, 13)}
    (frame,) = read_frames(write(tmp_path / "a.h5", {"where": where(), **groups}, images))
    np.testing.assert_allclose(frame.load(), 1.0, rtol=1e-6)  # dataset11: 11 × 0.1 − 0.1.


def test_datasets_of_several_times_are_frames_in_their_order(tmp_path: Path) -> None:
    groups = {f"dataset{k}/what": {"enddate": "20240601", "endtime": f"12{15 - k:02}00"} for k in (1, 2, 3)}
    images = {f"dataset{k}/data1/data": np.full((5, 6), k, np.uint8) for k in (1, 2, 3)}
    path = write(tmp_path / "a.h5", {"where": where(), "what": RAIN, **groups}, images)
    frames = read_frames(path)
    assert [str(frame.time)[11:16] for frame in frames] == ["12:12", "12:13", "12:14"]
    np.testing.assert_allclose([frame.load()[0, 0] for frame in frames], [0.2, 0.1, 0], atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames[0].load))(), frames[0].load())


def test_several_images_of_one_time_are_ambiguous(tmp_path: Path) -> None:
    images = {f"dataset{k}/data1/data": RAW for k in (1, 2)}
    path = write(tmp_path / "a.h5", {"where": where(), "what": RAIN}, images)
    with pytest.raises(SourceUnreadable, match="several images of RATE for one time: dataset1/data1, dataset2/data1"):
        read_frames(path)


@pytest.mark.parametrize(
    ("object_", "told"), [("PVOL", "a volume of polar scans"), ("SCAN", "a polar scan"), ("NEW", "NEW")]
)
def test_other_objects_are_refused_by_name(tmp_path: Path, object_: str, told: str) -> None:
    path = write(tmp_path / "a.h5", {"what": RAIN}, {"dataset1/data1/data": RAW}, object_)
    with pytest.raises(SourceUnreadable, match=rf"{told}.*Expected a composite"):
        read_frames(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"quantity": "VRADH"}, "no quantity of rain: VRADH"),
        ({"xsize": 7}, r"shape \(5, 6\)"),
        ({"xscale": 900.0}, "do not fit between its corners"),
        ({"projdef": "+proj=nothing"}, "projection .* is not understood"),
        ({"projdef": ""}, "projection .* is not understood"),
        ({"gain": "much"}, "damaged, or not laid out"),
        ({"UR_lon": None, "UL_lon": None, "LR_lon": None}, "where its corners are"),
        ({"date": "20241301"}, "damaged, or not laid out"),
        ({"date": ""}, "does not state its time"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_said(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = composite(tmp_path / "a.h5", RAIN, "what")
    with h5py.File(path, "a") as file:
        for key, value in change.items():
            group = file["where" if key in file["where"].attrs else "what"]
            if value is None:
                del group.attrs[key]
            else:
                group.attrs[key] = value
    with pytest.raises(SourceUnreadable, match=told):
        read_frames(path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = Path(composite(tmp_path / "a.h5", RAIN))
    (frame,) = read_frames(str(path))
    whole = path.read_bytes()
    for length, told in ((len(whole) // 2, "cut off"), (4, "not an HDF5 file"), (0, "not an HDF5 file|cut off")):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceUnreadable, match=rf"a\.h5.*{told}"):
            read_frames(str(path))
        with pytest.raises(SourceUnreadable, match=rf"a\.h5.*{told}"):
            frame.load()
    path.unlink()
    with pytest.raises(SourceUnreadable, match="no such file"):
        frame.load()


def test_a_file_that_changed_its_size_meanwhile(tmp_path: Path) -> None:
    path = composite(tmp_path / "a.h5", RAIN)
    (frame,) = read_frames(path)
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1/data"] = RAW[:4]
    with pytest.raises(SourceUnreadable, match=r"shape \(4, 6\); expected \(5, 6\)"):
        frame.load()
