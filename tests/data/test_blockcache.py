from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.windows import Window

from geodl.data.blockcache import row_cache_bytes
from geodl.data.handles import Handle
from geodl.data.mosaic import mosaic
from geodl.data.raster import open_raster
from tests.data.servers import serve_files

TILE, OVERLAP = 300, 40


def write(path: Path, **profile: object) -> Path:
    shape = {"width": 1500, "height": 900, "count": 3, "dtype": "uint16", "driver": "GTiff", "crs": "EPSG:32633"}
    transform = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    values = np.random.default_rng(0).integers(1, 2**16, (3, 900, 1500), dtype=np.uint16)
    with rasterio.open(path, "w", **shape | {"transform": transform} | profile) as dataset:
        dataset.write(values)
    return path


@pytest.fixture(scope="module", params=["pixel", "band"])
def cog(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    whole = write(folder / "a.tif")
    options = {"blocksize": 128, "interleave": request.param, "overviews": "none", "compress": "deflate"}
    copy(whole, folder / "cog.tif", driver="COG", **options)
    return folder / "cog.tif"


def read_in_tiles(url: str) -> None:
    def tiles(dataset: rasterio.DatasetReader) -> None:
        for row in range(0, dataset.height, TILE - OVERLAP):
            for column in range(0, dataset.width, TILE - OVERLAP):
                height, width = min(TILE, dataset.height - row), min(TILE, dataset.width - column)
                dataset.read(window=Window(column, row, width, height))

    Handle(url).use(tiles)


def test_with_that_much_cache_no_byte_is_requested_twice(cog: Path) -> None:
    size = cog.stat().st_size
    with serve_files(cog.parent) as server:
        url = server.url("cog.tif")
        source = open_raster(url)
        with rasterio.Env(GDAL_CACHEMAX=row_cache_bytes(source, TILE, source.grid.width)):
            read_in_tiles(url)
        assert 0.98 * size < server.requested() < 1.05 * size


def test_with_much_less_bytes_are_requested_again(cog: Path) -> None:
    with serve_files(cog.parent) as server:
        url = server.url("cog.tif")
        with rasterio.Env(GDAL_CACHEMAX=row_cache_bytes(open_raster(url), TILE, 1500) // 4):
            read_in_tiles(url)
        assert server.requested() > 1.15 * cog.stat().st_size


def test_strips_of_a_local_file_count_over_its_whole_width(tmp_path: Path) -> None:
    source = open_raster(write(tmp_path / "a.tif", blockysize=16))
    # 300 rows touch 20 strips at most, wherever they begin.
    assert row_cache_bytes(source, 300, 1) == 20 * 16 * 1500 * 3 * 2
    assert row_cache_bytes(source, 900, 1500) == 912 * 1500 * 3 * 2
    assert row_cache_bytes(source.select(("band_2",)), 300, 1500) == 20 * 16 * 1500 * 3 * 2


def test_bands_apart_count_as_they_are_read(tmp_path: Path) -> None:
    source = open_raster(write(tmp_path / "a.tif", blockysize=16, interleave="band"))
    assert row_cache_bytes(source.select(("band_2",)), 300, 1500) == 20 * 16 * 1500 * 2


def test_tiles_of_a_local_file_are_cheap(tmp_path: Path) -> None:
    source = open_raster(write(tmp_path / "a.tif", tiled=True, blockxsize=256, blockysize=256))
    assert row_cache_bytes(source, 300, 1500) == 0


def test_scenes_of_a_mosaic_share_its_row(tmp_path: Path) -> None:
    parts = []
    for k in range(3):
        path = write(tmp_path / f"{k}.tif")
        with rasterio.open(path, "r+") as part:
            part.transform = part.transform @ rasterio.Affine.translation(1500 * k, 0)
        parts.append(open_raster(path))
    alone = row_cache_bytes(parts[0], TILE, 1500)
    assert row_cache_bytes(mosaic(parts, name="m"), TILE, 4500) == 3 * alone > 0
