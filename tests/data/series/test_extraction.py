"""Series out of cubes, against rasterio's own reading of points and its statistics of parcels."""

from __future__ import annotations

import logging
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from pyproj import CRS, Transformer

from geodl.data.datedcube import DatedCube
from geodl.data.series import membervalues
from geodl.data.series.extraction import extract_series
from geodl.data.timecube import open_time_cube
from geodl.errors import LabelsOutOfRange, OptionError, SeriesUnusable, SourceUnreadable

UTM = CRS(32633)
HEIGHT, WIDTH = 40, 50


@pytest.fixture(scope="module")
def field() -> xr.Dataset:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, HEIGHT, WIDTH)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    coords = {
        "time": np.array(["2018-11-01", "2018-12-01", "2019-01-01", "2019-02-01"], "datetime64[ns]"),
        "y": 4999995 - 10.0 * np.arange(HEIGHT),
        "x": 500005 + 10.0 * np.arange(WIDTH),
    }
    dims = ("time", "y", "x")
    attrs = {"crs": "EPSG:32633"}
    return xr.Dataset({"ndvi": (dims, values, attrs), "evi": (dims, 2 * values + 1, attrs)}, coords)


@pytest.fixture(scope="module")
def cube(field: xr.Dataset) -> DatedCube:
    return open_time_cube(field, name="cube")


@pytest.fixture
def blocks_of_16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membervalues, "_SIDES", (16, 16))


def points(count: int = 40, *, seed: int = 1) -> geopandas.GeoDataFrame:
    rng = np.random.default_rng(seed)
    cells = rng.choice(HEIGHT * WIDTH, count, replace=False)
    x = 500000 + 10 * (cells % WIDTH) + rng.uniform(1, 9, count)
    y = 5000000 - 10 * (cells // WIDTH) - rng.uniform(1, 9, count)
    columns = {"crop": rng.choice(["maize", "rice"], count), "region": rng.choice(["a", "b"], count)}
    return geopandas.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=UTM)


def parcels() -> geopandas.GeoDataFrame:
    boxes = [shapely.box(x, y, x + 83, y + 57) for x in (500013, 500120, 500400) for y in (4999610, 4999800, 4999960)]
    round_one = shapely.Point(500200, 4999800).buffer(70)
    columns = {"parcel": [f"p{k}" for k in range(10)], "crop": [3, 3, 7, 7, 3, 3, 7, 7, 3, None]}
    return geopandas.GeoDataFrame(columns, geometry=[*boxes, round_one], crs=UTM)


@pytest.mark.usefixtures("blocks_of_16")
def test_points_have_the_series_of_their_pixels(field: xr.Dataset, cube: DatedCube, tmp_path: Path) -> None:
    frame = points()
    frame.to_crs(4326).to_file(tmp_path / "points.gpkg")
    table = extract_series(cube, tmp_path / "points.gpkg")
    nearest = field.sel(x=xr.DataArray(frame.geometry.x), y=xr.DataArray(frame.geometry.y), method="nearest")
    np.testing.assert_array_equal(table.values, nearest.to_array("band").transpose("dim_0", "time", "band"))
    assert [band.name for band in table.bands] == ["ndvi", "evi"]
    np.testing.assert_array_equal(table.days, np.tile([305, 335, 366, 397], (40, 1)))
    assert table.dated and table.years is not None and set(table.years) == {2018}
    assert table.labels is not None
    assert [table.classes[k].name for k in table.labels] == frame.crop.tolist()
    assert table.columns["region"].tolist() == frame.region.tolist() and set(table.columns) == {"region"}
    assert table.crs == CRS(4326) and table.name == "points"
    lonlat = table.lonlat()
    assert lonlat is not None
    np.testing.assert_allclose(lonlat, np.column_stack([frame.to_crs(4326).geometry.x, frame.to_crs(4326).geometry.y]))


@pytest.mark.usefixtures("blocks_of_16")
def test_parcels_have_the_mean_of_their_valid_pixels(field: xr.Dataset, cube: DatedCube) -> None:
    frame = parcels()
    table = extract_series(cube, frame)
    x, y = np.meshgrid(field.x, field.y)
    for k, shape in enumerate(frame.geometry):
        inside = shapely.contains_xy(shape, x, y)
        assert inside.any()
        expected = np.nanmean(field.to_array("band").values[:, :, inside].astype(np.float64), axis=2).T
        np.testing.assert_allclose(table.values[k], expected, rtol=1e-6)
    assert table.ids.tolist() == frame.parcel.tolist()
    assert [each.value for each in table.classes] == [3, 7]
    assert table.labels is not None and table.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, -1]
    assert table.geometry is not None and shapely.equals(table.geometry, frame.geometry.to_numpy()).all()
    assert set(extract_series(cube, frame, columns=[]).columns) == set()


@pytest.mark.usefixtures("blocks_of_16")
def test_each_pixel_of_a_parcel_can_be_a_series(field: xr.Dataset, cube: DatedCube) -> None:
    frame = parcels()
    table = extract_series(cube, frame, members="pixels")
    x, y = np.meshgrid(field.x, field.y)
    assert table.geometry is not None and table.crs == cube.grid.crs
    assert len(np.unique(table.ids)) == len(table)
    for k, shape in enumerate(frame.geometry):
        own = table.columns["parcel"] == f"p{k}"
        inside = shapely.contains_xy(shape, x, y)
        assert {(p.x, p.y) for p in table.geometry[own]} == set(zip(x[inside], y[inside], strict=True))
        px, py = shapely.get_x(table.geometry[own]), shapely.get_y(table.geometry[own])
        nearest = field.sel(x=xr.DataArray(px), y=xr.DataArray(py))
        np.testing.assert_array_equal(table.values[own], nearest.to_array("band").transpose("dim_0", "time", "band"))


def test_tables_of_coordinates(field: xr.Dataset, cube: DatedCube, tmp_path: Path) -> None:
    frame = points(6)
    lon, lat = Transformer.from_crs(UTM, 4326, always_xy=True).transform(frame.geometry.x, frame.geometry.y)
    pd.DataFrame({"id": [f"0{k}" for k in range(6)], "Lon": lon, "Lat": lat, "y": frame.crop}).to_csv(
        tmp_path / "points.csv", index=False
    )
    table = extract_series(cube, tmp_path / "points.csv", label="y")
    np.testing.assert_array_equal(table.values, extract_series(cube, frame).values)
    assert table.ids.tolist() == [f"0{k}" for k in range(6)]
    projected = pd.DataFrame({"x": frame.geometry.x, "y": frame.geometry.y})
    unlabelled = extract_series(cube, projected)
    np.testing.assert_array_equal(unlabelled.values, table.values)
    assert unlabelled.labels is None and unlabelled.classes == ()


def test_what_lies_outside_is_left_out_and_told(cube: DatedCube, caplog: pytest.LogCaptureFixture) -> None:
    frame = points(5)
    frame.loc[[1, 3], "geometry"] = [shapely.Point(0, 0), shapely.Point(500000, 5000001)]
    frame.loc[4, "geometry"] = frame.geometry[2]
    with caplog.at_level(logging.WARNING, "geodl"):
        table = extract_series(cube, frame)
    assert table.ids.tolist() == ["0", "2", "4"]
    assert "2 of 5 places lie outside of cube and are left out (1, 3)" in caplog.text
    assert "2 of its points share a pixel" in caplog.text
    np.testing.assert_array_equal(table.values[1], table.values[2])
    swapped = geopandas.GeoDataFrame({"crop": ["a"]}, geometry=[shapely.Point(45.2, 15.0)], crs=4326)
    with pytest.raises(SeriesUnusable, match="longitude 45.2 to 45.2, latitude 15 to 15, .*longitude 15 to 15.006"):
        extract_series(cube, swapped)


def test_each_mistake_has_its_sentence(cube: DatedCube, field: xr.Dataset, tmp_path: Path) -> None:
    frame = points(5)
    with pytest.raises(LabelsOutOfRange, match="maize"):
        extract_series(cube, frame, classes=["rice", "wheat"])
    with pytest.raises(SeriesUnusable, match="there is no column krop.*Did you mean 'crop'"):
        extract_series(cube, frame, label="krop")
    with pytest.raises(SeriesUnusable, match="nothing says where its places are"):
        extract_series(cube, pd.DataFrame({"crop": ["a"]}))
    with pytest.raises(SourceUnreadable, match="there is no such file"):
        extract_series(cube, tmp_path / "none.gpkg")
    with pytest.raises(OptionError, match="members"):
        extract_series(cube, frame, members="median")  # type: ignore[arg-type]
    with pytest.raises(SeriesUnusable, match="occurs twice"):
        extract_series(cube, frame, series="region")
    undated = extract_series(open_time_cube(field.drop_vars("time")), frame)
    assert not undated.dated and undated.years is None and undated.days[0].tolist() == [0, 1, 2, 3]
