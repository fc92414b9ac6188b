from __future__ import annotations

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from pyproj import CRS

from geodl.contract import Band
from geodl.data.opening import open_source
from geodl.data.source import Grid, decode, find_bands, is_nodata
from geodl.errors import BandMismatch, SourceUnreadable

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def grid(crs: object, transform: Affine = UTM, size: int = 100) -> Grid:
    return Grid(CRS.from_user_input(crs) if crs else None, transform, size, size)


def test_the_order_of_axes_makes_no_other_grid() -> None:
    degrees = Affine(0.1, 0, 10, 0, -0.1, 50)
    assert grid("EPSG:4326", degrees).differs(grid("OGC:CRS84", degrees)) is None
    assert grid("EPSG:32633").differs(grid("EPSG:32634"))[0] == "CRS"  # type: ignore[index]
    assert grid("EPSG:32633").differs(grid(None))[0] == "CRS"  # type: ignore[index]


def test_a_hundredth_of_a_pixel_makes_no_other_grid_but_half_a_pixel_does() -> None:
    one = grid("EPSG:32633")
    assert one.differs(grid("EPSG:32633", Affine(10, 0, 500_000.05, 0, -10, 5_000_000))) is None
    assert one.differs(grid("EPSG:32633", Affine(10, 0, 500_005, 0, -10, 5_000_000)))[0] == "transform"  # type: ignore[index]


def test_footprint_across_the_antimeridian_is_cut_in_two() -> None:
    across = grid("EPSG:4326", Affine(0.1, 0, 175, 0, -0.1, 5))
    expected = shapely.union(shapely.box(175, -5, 180, 5), shapely.box(-180, -5, -175, 5))
    assert across.lonlat_footprint.equals(expected)
    utm = grid("EPSG:32660", Affine(1000, 0, 650_000, 0, -1000, 5_600_000), 200)
    west, east = sorted(shapely.get_parts(utm.lonlat_footprint), key=lambda part: part.bounds[0])
    assert (west.bounds[0], east.bounds[2]) == (-180, 180)
    assert shapely.area(utm.lonlat_footprint) < 10


def test_footprint_of_longitudes_up_to_360_and_of_no_place_on_earth() -> None:
    world = Grid(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 90), 180, 360)
    assert world.lonlat_footprint.equals(shapely.box(-180, -90, 180, 90))
    europa = "+proj=eqc +lat_ts=0 +lon_0=180 +R=1562090 +units=m +type=crs"
    assert grid(europa).lonlat_footprint.is_empty
    assert grid(None).lonlat_footprint.is_empty


def test_a_crs_without_axes_has_no_unit() -> None:
    assert (
        grid('ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]').unit
        == "metre"
    )
    assert grid(None).unit == ""


@pytest.mark.parametrize(
    ("dtype", "nodata", "expected"),
    [
        ("uint8", 0, [True, False]),
        ("uint8", -9999, None),
        ("uint8", 0.5, None),
        ("uint8", float("nan"), None),
        ("int16", 70000, None),
        ("float32", 0, [True, False]),
        ("float32", float("inf"), None),
        ("int64", 1, [False, True]),
    ],
)
def test_nodata_that_a_type_cannot_hold_never_matches(dtype: str, nodata: float, expected: list[bool] | None) -> None:
    found = is_nodata(np.array([0, 1], dtype), nodata)
    assert (None if found is None else found.tolist()) == expected


def test_floating_nodata_matches_though_it_was_written_as_text() -> None:
    largest = np.float32(-3.4028235e38)
    stored = np.array([largest, 0, -9999.0, -9998.9], np.float32)
    assert is_nodata(stored, -3.4028226550889045e38).tolist() == [True, False, False, False]  # type: ignore[union-attr]
    assert is_nodata(stored, -9999.0).tolist() == [False, False, True, False]  # type: ignore[union-attr]


def test_decoding_applies_scale_once_and_compares_nodata_with_stored_values() -> None:
    band = Band("B02", dtype="uint16", scale=1e-4, offset=-0.1, nodata=0)
    values = decode(np.array([0, 1000, 11000], np.uint16), band)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [np.nan, 0, 1], atol=1e-7)
    huge = decode(np.array([1e300, np.inf, np.nan, 1.0]), Band("x"))
    np.testing.assert_array_equal(huge, [np.nan, np.nan, np.nan, 1])


def test_bands_are_found_by_name() -> None:
    bands = [Band("a"), Band("b")]
    assert find_bands("scene", bands, ["b", "a"]) == [1, 0]
    with pytest.raises(BandMismatch, match=r"scene: .*Expected 1: c\. Received 2: a, b"):
        find_bands("scene", bands, ["c"])


def test_anything_that_holds_a_scene_is_opened_as_one() -> None:
    array = open_source(np.ones((4, 5, 2), np.float32), name="x", bands=["red", "nir"])
    assert (array.name, [band.name for band in array.bands]) == ("x", ["red", "nir"])
    assert open_source(array) is array
    assert [band.name for band in open_source(array, bands=["nir"]).bands] == ["nir"]
    assert open_source(xr.DataArray(np.ones((4, 5)), dims=("y", "x"))).grid.shape == (4, 5)
    with pytest.raises(SourceUnreadable, match="a dict_keys"):
        open_source({}.keys())
    with pytest.raises(SourceUnreadable, match="made of no file"):
        open_source([])
    with pytest.raises(SourceUnreadable, match="no such file"):
        open_source("absent.tif")


@pytest.mark.parametrize(
    ("transform", "degenerate"),
    [
        (UTM, False),
        (Affine(0.1, 0, 5e6, 0, 0.1, -5e6), False),
        (Affine(7, 7, 0, 7, -7, 0), False),
        (Affine(1e-9, 0, 0, 0, -1e-9, 0), False),
        (Affine(0, 0, 5e5, 0, 0, 5e6), True),
        (Affine(10, 10, 5e5, 10, 10, 5e6), True),
        (Affine(10, 0, 5e5, 0, 0, 5e6), True),
        (Affine(1e-10, 0, 5e5, 0, -1e-10, 5e6), True),
        (Affine(1e300, 0, 0, 0, -1e300, 0), True),
        (Affine(10, 0, np.inf, 0, -10, 0), True),
        (Affine(np.nan, 0, 0, 0, np.nan, 0), True),
    ],
)
def test_pixels_without_area_or_place_make_a_grid_degenerate(transform: Affine, degenerate: bool) -> None:
    for crs in (None, "EPSG:32633", "EPSG:4326"):
        one = grid(crs, transform)
        assert one.is_degenerate is degenerate
        if degenerate:
            assert one.lonlat_footprint.is_empty


def test_a_footprint_that_folds_over_itself_is_mended() -> None:
    far = Grid(CRS.from_epsg(32633), UTM, 2**31 - 1, 1).lonlat_footprint
    assert shapely.is_valid(far)
