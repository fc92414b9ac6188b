"""Real cubes of dates: CBERS mosaics every 16 days, and Sentinel-2 over Slovenia with clouds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer

from geodl.data.series.extraction import extract_series
from geodl.data.source import Window
from geodl.data.timecube import cube_days, open_time_cube
from geodl.errors import SeriesUnusable


def real(folder: Path) -> Path:
    if not folder.exists():
        pytest.skip(f"real data absent: {folder}")
    return folder


def test_a_folder_of_cbers_mosaics(real_data: Path) -> None:
    folder = real(real_data / "timeseries" / "cbers_ndvi_cube")
    cube = open_time_cube(folder, scale=1e-4)
    assert cube.read(Window(0, 0, 1, 1))[0].shape == (12, 1, 1, 1)
    assert [band.name for band in cube.bands] == ["NDVI"]
    days, year = cube_days(cube)
    assert year == 2018 and days.tolist() == [241, 273, 305, 337, 366, 398, 430, 462, 494, 526, 558, 590]
    window = Window(300, 501, 200, 100)
    values, valid = cube.read(window)
    for k, path in enumerate(sorted(folder.glob("*.tif"))):
        with rasterio.open(path) as file:
            np.testing.assert_allclose(values[k, ..., 0], file.read(1, window=window) * 1e-4, rtol=1e-6)
    assert valid.all()


def test_points_that_all_lie_beside_the_cube_are_refused_by_both_extents(real_data: Path) -> None:
    folder = real(real_data / "timeseries" / "cbers_ndvi_cube")
    points = np.load(real(real_data / "crops" / "cbers_bahia_points.npz"))
    frame = pd.DataFrame({"lon": points["lon"], "lat": points["lat"], "label": points["label"]})
    cube = open_time_cube(folder, scale=1e-4)
    with pytest.raises(SeriesUnusable, match="850 places.*longitude -46.609 to -43.46, .*longitude -46.66 to -46.03"):
        extract_series(cube, frame)
    # The nearest point lies 1.6 pixels above the first row.
    frame["lat"] -= 0.01
    table = extract_series(cube, frame)
    to_cube = Transformer.from_crs(4326, cube.grid.crs, always_xy=True)
    kept = frame.loc[table.ids.astype(int)]
    for k, path in enumerate(sorted(folder.glob("*.tif"))):
        with rasterio.open(path) as file:
            sampled = np.array(list(file.sample(zip(*to_cube.transform(kept.lon, kept.lat), strict=True))))
        np.testing.assert_allclose(table.values[:, k], sampled * 1e-4, rtol=1e-6)
    assert 0 < len(table) < 10


def test_dates_with_clouds_are_not_observed(real_data: Path) -> None:
    folder = real(real_data / "timeseries" / "slovenia_sentinel2")
    ndvi, clouds = (np.load(folder / f"{name}.npy")[..., 0] for name in ("NDVI", "CLM"))
    corners = np.array(json.loads((folder / "bbox.geojson").read_text())["coordinates"][0])
    (west, south), (east, north) = corners.min(0), corners.max(0)
    height, width = ndvi.shape[1:]
    coords = {
        "time": np.array(json.loads((folder / "timestamps.json").read_text()), "datetime64[ns]"),
        "y": north - (np.arange(height) + 0.5) * (north - south) / height,
        "x": west + (np.arange(width) + 0.5) * (east - west) / width,
    }
    dims = ("time", "y", "x")
    data = xr.Dataset({"ndvi": (dims, ndvi), "clm": (dims, clouds)}, coords, {"crs": "EPSG:32633"})
    cube = open_time_cube(data.isel(time=slice(None, None, -1)), cloud_band="clm", cloud_values=[1])
    assert [band.name for band in cube.bands] == ["ndvi"] and len(cube.times) == 68
    values, valid = cube.read()
    np.testing.assert_array_equal(values[..., 0], np.where(clouds == 1, np.nan, ndvi))
    assert 0.1 < 1 - valid.mean() < 0.9
    days, year = cube_days(cube)
    assert year == 2015 and (np.diff(days) > 0).all()
    # Two images are of one day, so times of day are kept.
    np.testing.assert_allclose(days[0], 192 + (10 + 8 / 3600) / 24, rtol=1e-6)
