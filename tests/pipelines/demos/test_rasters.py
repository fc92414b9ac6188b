"""The real scenes of demonstrations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from matplotlib import cbook
from sklearn.datasets import load_sample_image

from geodl.data.source import Grid
from geodl.errors import OutputUnwritable
from geodl.pipelines.demos.rasters import elevation, photographs, write_raster


def test_the_elevation_model_lies_where_it_is_in_two_parts_apart(tmp_path: Path) -> None:
    west, east = elevation(tmp_path)
    with rasterio.open(west) as left, rasterio.open(east) as right:
        parts = [left.read(1), right.read(1)]
        assert left.crs.to_epsg() == right.crs.to_epsg() == 4326
        assert (left.units, left.descriptions) == (("metre",), ("elevation",))
        pixel = 3 / 3600
        assert right.bounds.left - left.bounds.right == pytest.approx(16 * pixel)
        assert left.bounds.left == pytest.approx(-84.41375) and right.bounds.right == pytest.approx(-84.0779, abs=1e-4)
        # Jacksboro, Tennessee, is in the valley.
        assert left.bounds.bottom < 36.33 + 0.2 < left.bounds.top
    whole = cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"]
    np.testing.assert_array_equal(parts[0], whole[:, :243])
    np.testing.assert_array_equal(parts[1], whole[:, 259:])


def test_photographs_keep_their_pixels_and_no_part_is_in_both(tmp_path: Path) -> None:
    train, shown = photographs(tmp_path)
    assert sorted(path.name for path in train.iterdir()) == ["flower_left.tif", "pagoda.tif"]
    flower = load_sample_image("flower.jpg")
    with rasterio.open(shown) as right, rasterio.open(train / "flower_left.tif") as left:
        assert [kind.name for kind in right.colorinterp] == ["red", "green", "blue"]
        assert left.dtypes == right.dtypes == ("uint8",) * 3
        np.testing.assert_array_equal(np.moveaxis(left.read(), 0, -1), flower[:, :288])
        np.testing.assert_array_equal(np.moveaxis(right.read(), 0, -1), flower[:, 304:544])
    with rasterio.open(train / "pagoda.tif") as pagoda:
        np.testing.assert_array_equal(np.moveaxis(pagoda.read(), 0, -1), load_sample_image("china.jpg"))


@pytest.mark.parametrize("make", [elevation, photographs])
def test_files_are_written_once_and_whole(make, tmp_path: Path) -> None:
    make(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tif")}
    make(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == first


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable):
        elevation(tmp_path / "file")
    grid = Grid(None, Affine.identity(), 4, 5)
    (tmp_path / "taken.tif").mkdir()
    with pytest.raises(OutputUnwritable):
        write_raster(tmp_path / "taken.tif", np.zeros((4, 5, 1), np.float32), grid, bands=("a",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.tif"]
