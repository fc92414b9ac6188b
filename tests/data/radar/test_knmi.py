"""KNMI's HDF5, written here with h5py, and the real files: values by their formula, corners as the files state them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from affine import Affine
from pyproj import Proj

from geodl.data.radar.knmi import read_frames
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR, Quantity

KILOMETRES = "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0"
METRES = "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378137 +b=6356752 +x_0=0 +y_0=0"
DEPTH = {"image_geo_parameter": np.bytes_(b"ACCUMULATED_PRECIPITATION_[MM]")}
DEPTH_CALIBRATION = {
    "calibration_formulas": np.bytes_(b"GEO=0.01*PV+0.0"),
    "calibration_missing_data": [65534],
    "calibration_out_of_image": [65535],
}
RAW = np.array([[0, 1, 50, 65534, 65535]] * 4, np.uint16)


def write(
    path: Path,
    *,
    images: tuple[dict[str, Any], ...] = (DEPTH,),
    calibration: dict[str, Any] = DEPTH_CALIBRATION,
    raw: np.ndarray = RAW,
    projection: str = KILOMETRES,
    start: str = "31-DEC-2019;23:55:00.000",
    **geographic: Any,
) -> str:
    place = {
        "geo_number_rows": [4], "geo_number_columns": [5], "geo_row_offset": np.float32([3650]),
        "geo_column_offset": np.float32([20]), "geo_pixel_size_x": np.float32([1]), "geo_pixel_size_y": np.float32([-1]),
        "geo_dim_pixel": np.bytes_(b"KM,KM"), "geo_pixel_def": np.bytes_(b"LU"), **geographic,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.create_group("overview").attrs.update(
            product_datetime_start=np.array([start.encode()]),
            product_datetime_end=np.bytes_("01-JAN-2020;00:00:00.000"),
        )
        file.create_group("geographic").attrs.update(place)
        file.create_group("geographic/map_projection").attrs["projection_proj4_params"] = np.bytes_(projection)
        for number, attributes in enumerate(images, 1):
            file.create_group(f"image{number}").attrs.update(attributes)
            file.create_group(f"image{number}/calibration").attrs.update(calibration)
            file[f"image{number}/image_data"] = raw
    return str(path)


def test_a_depth_becomes_a_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    (frame,) = read_frames(path, minutes=60)
    assert frame.time == np.datetime64("2020-01-01T00:00", "ns") and frame.quantity == Quantity("mm", minutes=5)
    np.testing.assert_allclose(frame.load(), [[0, 0.12, 6, np.nan, np.nan]] * 4, atol=1e-6)
    assert frame.load().dtype == np.float32


def test_an_untold_period_is_the_callers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", start="NA")
    assert read_frames(path, minutes=60)[0].load()[0, 2] == pytest.approx(0.5)
    with pytest.raises(SourceUnreadable, match="from when to when"):
        read_frames(path)


@pytest.mark.parametrize("formula", ["GEO=0.500000*PV+-32.000000", "GEO = 0.5 * PV - 32", "GEO=5e-1*PV + -32.0"])
def test_reflectivity(tmp_path: Path, formula: str) -> None:
    calibration = {
        "calibration_formulas": formula,
        "calibration_missing_data": [0],
        "calibration_out_of_image": [255],
    }
    raw = np.array([[0, 1, 110, 200, 255]] * 4, np.uint8)
    reflectivity = {"image_geo_parameter": "REFLECTIVITY_[DBZ]"}
    path = write(tmp_path / "a.h5", images=(reflectivity,), calibration=calibration, raw=raw)
    (frame,) = read_frames(path, zr=ZR(300, 1.4))
    expected = (10 ** ((raw[0] * 0.5 - 32) / 10) / 300) ** (1 / 1.4)
    expected[[0, 4]] = 0, np.nan
    np.testing.assert_allclose(frame.load()[0], expected, rtol=1e-5)


def test_missing_data_and_no_image_are_both_nodata_where_0_is_neither(tmp_path: Path) -> None:
    calibration = {**DEPTH_CALIBRATION, "calibration_missing_data": [0]}
    assert np.isnan(read_frames(write(tmp_path / "a.h5", calibration=calibration))[0].load()[0, [0, 4]]).all()


@pytest.mark.parametrize(
    "projection", [KILOMETRES, METRES, KILOMETRES.replace("+y_0", "y_0")], ids=["km", "m", "no plus"]
)
def test_the_grid_is_in_metres(tmp_path: Path, projection: str) -> None:
    grid = read_frames(write(tmp_path / "a.h5", projection=projection))[0].grid
    assert grid.shape == (4, 5) and grid.unit == "metre"
    assert grid.transform.almost_equals(Affine(1000, 0, 20e3, 0, -1000, -3650e3))
    point = 24e3, -3652e3
    np.testing.assert_allclose(Proj(grid.crs)(*point, inverse=True), Proj(METRES)(*point, inverse=True), atol=1e-9)


def test_pixels_in_metres_and_by_their_centres(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5", projection=METRES, geo_dim_pixel="M,M", geo_pixel_def="CC", geo_pixel_size_x=[2000.0],
        geo_pixel_size_y=[-2000.0],
    )  # fmt: skip
    transform = read_frames(path)[0].grid.transform
    assert transform.almost_equals(Affine(2000, 0, 39e3, 0, -2000, -7299e3))


def test_images_that_are_valid_at_several_times(tmp_path: Path) -> None:
    images = tuple({**DEPTH, "image_datetime_valid": f"01-JAN-2020;00:{minute}:00.000"} for minute in ("10", "05"))
    frames = read_frames(write(tmp_path / "a.h5", images=images))
    assert [str(frame.time)[:16] for frame in frames] == ["2020-01-01T00:05", "2020-01-01T00:10"]


def test_images_of_something_else_are_passed_over(tmp_path: Path) -> None:
    tops = {"image_geo_parameter": "ECHOTOPS_[KM]"}
    assert len(read_frames(write(tmp_path / "a.h5", images=(tops, DEPTH)))) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"images": (DEPTH, DEPTH)}, "several images in mm for one time: image1, image2"),
        ({"images": ({"image_geo_parameter": "ECHOTOPS_[KM]"},)}, "no image of rain: ECHOTOPS"),
        (
            {"calibration": {**DEPTH_CALIBRATION, "calibration_formulas": "__import__('os')"}},
            "calibration .* not underst",
        ),
        ({"geo_number_rows": [5]}, r"shape \(4, 5\); expected \(5, 5\)"),
        ({"geo_dim_pixel": "DEG,DEG"}, "its pixels are in DEG"),
        ({"geo_row_offset": []}, "lacks geo_row_offset"),
        ({"projection": "+proj=nothing"}, "projection .* not understood"),
        ({"start": "yesterday"}, "damaged, or not laid out"),
    ],
    ids=["twice", "tops", "formula", "rows", "degrees", "offset", "projection", "start"],
)
def test_what_does_not_fit_is_said(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceUnreadable, match=told):
        read_frames(write(tmp_path / "a.h5", **change))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.h5"))
    (frame,) = read_frames(str(path))
    path.write_bytes(path.read_bytes()[:3000])
    for read in (lambda: read_frames(str(path)), frame.load):
        with pytest.raises(SourceUnreadable, match=r"a\.h5.*cut off: 3000 of \d+ bytes"):
            read()


def test_real_files_lie_where_their_corners_say(real_data: Path) -> None:
    paths = sorted((real_data / "radar" / "knmi_2010").glob("*.h5"))
    if not paths:
        pytest.skip("no radar/knmi_2010 in the real data")
    (frame,) = read_frames(str(paths[30]))
    grid = frame.grid
    assert grid.crs is not None and grid.crs.ellipsoid.semi_major_metre == 6378137 and grid.shape == (765, 700)
    with h5py.File(paths[30]) as file:
        stated = (
            file["geographic"].attrs["geo_product_corners"].reshape(4, 2)
        )  # LL, UL, UR, LR, to a thousandth of a degree.
        raw = file["image1/image_data"][()]
    own = [
        Proj(grid.crs)(*(grid.transform @ corner), inverse=True) for corner in ((0, 765), (0, 0), (700, 0), (700, 765))
    ]
    np.testing.assert_allclose(own, stated, atol=0.00051)
    expected = np.where(raw == 65535, np.nan, raw * 0.12)
    np.testing.assert_allclose(frame.load(), expected, rtol=1e-5)
    assert frame.time == np.datetime64("2010-08-26T02:30")
