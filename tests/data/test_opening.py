from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr

from geodl.data.cubefile import CubeFile
from geodl.data.opening import find_scenes, is_one_scene, needs_bands, open_source
from geodl.data.raster import RasterSource
from geodl.data.resample import Resample
from geodl.errors import EmptyDataset, GridMismatch, OptionError, SourceUnreadable
from tests.data.test_stac import asset, item
from tests.data.test_stacsearch import api


def tif(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(exist_ok=True)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 32, "width": 32}
    transform = rasterio.Affine(10, 0, 600_000, 0, -10, 5_000_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform) as file:
        file.write(np.full((1, 32, 32), value, np.uint8))
    return path


def weather() -> xr.Dataset:
    return xr.Dataset({"pr": (("time", "y", "x"), np.arange(24.0).reshape(2, 3, 4))}, {"time": [1999, 2000]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scenes of every kind in one folder, and what is none."""
    folder = tmp_path / "scenes"
    tif(folder / "b10.tif")
    tif(folder / "b2.tif")
    weather().to_netcdf(folder / "rain.nc", engine="scipy")
    weather().to_zarr(folder / "store.zarr", zarr_format=2)
    shutil.move(shutil.copytree(folder / "store.zarr", folder / "copy"), folder / "nameless")
    tif(folder / "plain" / "c.tif")
    (folder / "b2.json").write_text("{}")
    (folder / "b2.tif.aux.xml").touch()
    return folder


def test_a_folder_gives_the_scenes_of_every_kind(folder: Path) -> None:
    found = find_scenes(folder)
    assert [name for name, _ in found] == ["b2", "b10", "nameless", "rain", "store"]
    assert [type(open_source(spec, name=name)).__name__ for name, spec in found] == [
        "RasterSource", "RasterSource", "CubeFile", "CubeFile", "CubeFile",
    ]  # fmt: skip
    assert [open_source(spec, name=name).name for name, spec in found] == [name for name, _ in found]


def test_products_are_scenes_beside_rasters(folder: Path) -> None:
    safe = folder / "S2B_MSIL2A_20230823T095559_N0509_R122_T34UCF_20230823T124759.SAFE"
    landsat = folder / "LC08_L2SP_001002_20240601_20240610_02_T1"
    for path in (safe / "MTD_MSIL2A.xml", landsat / f"{landsat.name}_MTL.txt"):
        path.parent.mkdir()
        path.touch()
    names = [name for name, _ in find_scenes(folder)]
    assert names == [landsat.name, safe.stem, "b2", "b10", "nameless", "rain", "store"]
    for product in (safe, landsat):
        assert find_scenes(product) == [(product.stem, str(product))]
        assert is_one_scene(product)
        assert needs_bands(product)
    assert not is_one_scene(folder)


def test_what_is_chosen_of_a_file_holds_for_all_that_a_pattern_means(folder: Path) -> None:
    shutil.copy(folder / "rain.nc", folder / "snow.nc")
    found = find_scenes(f"{folder}/*.nc:pr@-1")
    assert found == [(f"{name}_pr_-1", f"{folder}/{name}.nc:pr@-1") for name in ("rain", "snow")]
    np.testing.assert_array_equal(open_source(found[0][1]).read()[0][..., 0], weather().pr[1])


def test_a_list_may_hold_scenes_of_every_kind(folder: Path) -> None:
    array = xr.DataArray(np.zeros((3, 4)), dims=("y", "x"), name="model")
    found = find_scenes(
        [folder / "b2.tif", {"red": folder / "b2.tif"}, f"{folder}/rain.nc@0", array, f"{folder}/rain.nc@1"]
    )
    assert [name for name, _ in found] == ["b2_1", "b2_2", "rain_0", "model", "rain_1"]
    assert all(open_source(spec, name=name).name == name for name, spec in found)
    assert len(find_scenes([f"{folder}/b2.tif", f"{folder}/b2.tif"])) == 1


def test_files_of_a_folder_may_be_bands_of_one_scene(folder: Path) -> None:
    ((name, spec),) = find_scenes(folder, stack=True)
    assert name == "scenes"
    assert [band.name for band in open_source(spec).bands] == ["b2", "b10"]
    ((name, spec),) = find_scenes(folder / "rain.nc", stack=True)
    assert (name, spec) == ("rain", str(folder / "rain.nc"))


def test_a_stac_search_gives_a_scene_for_each_item(tmp_path: Path) -> None:
    items = []
    for k, name in enumerate(("b", "a")):
        path = tif(tmp_path / f"{name}.tif", k)
        items.append(item({"red": asset(str(path))}, identifier=name))
    with api(items) as address:
        found = find_scenes({"stac": address, "collections": ["sentinel-2-l2a"]})
        assert [name for name, _ in found] == ["a", "b"]
        assert [float(open_source(spec, name=name).read()[0].mean()) for name, spec in found] == [1, 0]
        with pytest.raises(OptionError, match="one scene, not a search"):
            open_source({"stac": address})


def test_an_item_is_opened_with_the_bands_that_are_wanted(tmp_path: Path) -> None:
    content = item({"B04": asset(str(tif(tmp_path / "a.tif")), bands=[{"name": "B04", "common_name": "red"}])})
    (tmp_path / "item.json").write_text(json.dumps(content))
    for thing in (tmp_path / "item.json", str(tmp_path / "item.json"), pystac.Item.from_dict(content)):
        source = open_source(thing, bands=["red"])
        assert isinstance(source, RasterSource)
        assert (source.name, source.bands[0].name) == ("S2_T33", "red")
        assert needs_bands(thing)


def test_arrays_and_stores_cannot_be_brought_onto_another_grid(folder: Path) -> None:
    word = f"{folder}/rain.nc@0"
    assert isinstance(open_source(word, resample=Resample("nearest")), CubeFile)
    for thing in (word, np.zeros((3, 4))):
        with pytest.raises(OptionError, match="stays on its grid"):
            open_source(thing, resample=Resample("nearest", resolution=5))
    small = tif(folder / "small.tif")
    with rasterio.open(small, "r+") as file:
        file.transform = rasterio.Affine(20, 0, 600_000, 0, -20, 5_000_000)
    with pytest.raises(GridMismatch):
        open_source([folder / "b2.tif", small])
    assert open_source([folder / "b2.tif", small], resample=Resample("nearest")).grid.resolution == (10, 10)


def test_one_scene_or_many(folder: Path) -> None:
    one: list[Any] = [
        folder / "b2.tif", f"{folder}/rain.nc", f"{folder}/rain.nc:pr@1999", folder / "store.zarr", folder / "nameless",
        "s3://bucket/a.zarr:pr", "https://host/a.tif", "a/item.json", {"red": "a.tif"}, np.zeros((2, 2)),
        pystac.Item.from_dict(item({})), folder / "missing.tif",
    ]  # fmt: skip
    many: list[Any] = [folder, f"{folder}/*.tif", f"{folder}/*.nc:pr", [folder / "b2.tif"], {"stac": "https://host"}]
    assert [is_one_scene(thing) for thing in one] == [True] * len(one)
    assert [is_one_scene(thing) for thing in many] == [False] * len(many)


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where, error, cause in (
        (tmp_path / "empty", EmptyDataset, r"expected images \(.*\.nc.*\.tif.*\). Received: an empty folder"),
        (tmp_path / "nowhere", SourceUnreadable, "no such file or folder"),
        (tmp_path / "nowhere.nc:pr", SourceUnreadable, "no such file or folder"),
        (f"{tmp_path}/*.nc@0", EmptyDataset, "match the pattern"),
        ([], EmptyDataset, "an empty list"),
        ({}, EmptyDataset, "an empty list"),
    ):
        with pytest.raises(error, match=cause):
            find_scenes(where)
