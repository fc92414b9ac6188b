from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from geodl.data.palette import PaletteFile
from geodl.data.raster import open_raster
from geodl.data.rasterfile import RasterFile
from geodl.errors import SourceUnreadable

COLOURS = {0: (255, 0, 9, 255), 1: (0, 200, 0, 255), 2: (10, 20, 30, 0), 3: (1, 2, 3, 255), 7: (70, 71, 72, 255)}
INDICES = np.array([[0, 1, 2, 3], [7, 5, 1, 0]], np.uint8)


def write(path: Path, indices: np.ndarray, **profile: Any) -> Path:
    count, height, width = indices.shape
    shape = {"count": count, "height": height, "width": width, "dtype": indices.dtype.name, "driver": "GTiff"}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", **shape | place | profile) as dataset:
        dataset.write(indices)
        dataset.write_colormap(1, COLOURS)
        dataset.colorinterp = [ColorInterp.palette] + [ColorInterp.undefined] * (count - 1)
    return path


def looked_up(path: Path, *, nodata: int | None) -> np.ndarray:
    """Colours by rasterio's table, not-a-number where transparent or nodata."""
    with rasterio.open(path) as dataset:
        indices, table = dataset.read(1), dataset.colormap(1)
    colours = np.array([table.get(k, (0, 0, 0, 0)) for k in range(256)], float)[indices]
    colours[(colours[..., 3] == 0) | (indices == nodata if nodata is not None else False)] = np.nan
    return colours[..., :3]


@pytest.mark.parametrize("nodata", [None, 3])
def test_indices_become_red_green_and_blue(tmp_path: Path, nodata: int | None) -> None:
    path = write(tmp_path / "a.tif", INDICES[None], nodata=nodata)
    source = open_raster(path)
    assert [(band.name, band.dtype, band.nodata) for band in source.bands] == [
        ("red", "uint8", None),
        ("green", "uint8", None),
        ("blue", "uint8", None),
    ]
    values, valid = source.read()
    expected = looked_up(path, nodata=nodata)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(valid, np.isfinite(expected))
    some = source.select(("blue", "red")).read(Window(1, 0, 2, 2))[0]
    np.testing.assert_array_equal(some, expected[:, 1:3, [2, 0]])


def test_transparent_colours_are_invalid(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])
    image.save(tmp_path / "a.png", transparency=1)
    values, valid = open_raster(tmp_path / "a.png").read()
    np.testing.assert_array_equal(values[0, 0], [9, 8, 7])
    np.testing.assert_array_equal(values[1, 0], [3, 2, 1])
    np.testing.assert_array_equal(valid[..., 0], [[True, False], [True, True]])


def test_an_index_without_a_colour_is_invalid(tmp_path: Path) -> None:
    file = RasterFile(write(tmp_path / "a.tif", INDICES[None]))
    file.colormap = {index: COLOURS[index] for index in (0, 1, 3)}
    colours, valid = PaletteFile(file).read(file.grid.window, [0, 2])
    assert valid is not None
    np.testing.assert_array_equal(valid, np.isin(INDICES, (0, 1, 3)))
    np.testing.assert_array_equal(colours[:, 0, 3], [1, 3])


def test_a_mask_hides_colours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", INDICES[None])
    with rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.array([[255, 0, 255, 255], [255] * 4], np.uint8))
    valid = open_raster(path).read()[1][..., 0]
    np.testing.assert_array_equal(valid[0], [True, False, True, True])


def test_a_palette_beside_measurements_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.stack([INDICES, INDICES]))
    if RasterFile(path).colormap is None:
        pytest.skip("this GDAL writes no colour table beside another band")
    with pytest.raises(SourceUnreadable, match="one of its 2 bands is made of indices of colours"):
        PaletteFile(RasterFile(path))
