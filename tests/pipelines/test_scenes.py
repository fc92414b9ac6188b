"""Scenes of one data set with different pixel sizes: refused, or brought to one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.data.opening import find_scenes
from geodl.errors import BandMismatch, RecipeError, ResolutionMismatch
from geodl.pipelines.scenes import open_fitting, open_scenes, resampling
from geodl.pipelines.segmentation import Segmentation
from geodl.recipe import Data, load_recipe


def write(path: Path, *, size: int = 40, step: float = 10, names: tuple[str, ...] = ("a", "b"), **profile: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    usual = {
        "driver": "GTiff", "width": size, "height": size, "count": len(names), "dtype": "float32", "crs": "EPSG:32633",
        "transform": rasterio.Affine(step, 0, 500_000, 0, -step, 5_000_000),
    }  # fmt: skip
    with rasterio.open(path, "w", **usual | profile) as dataset:
        rng = np.random.default_rng(len(path.stem))
        dataset.write(rng.uniform(1, 2, (len(names), size, size)).astype(np.float32))
        dataset.descriptions = names
    return path


def contract(step: float | None, unit: str = "metre") -> Contract:
    axes = (Dim("y", step=step, unit=unit), Dim("x", step=step, unit=unit), Dim("band", size=1))
    return Contract("segmentation", ModelInput(axes, (Band("b"),)), ModelOutput("classes"))


@pytest.fixture
def scenes(tmp_path: Path) -> list[tuple[str, Any]]:
    write(tmp_path / "one.tif")
    write(tmp_path / "two.tif", size=20, step=20)
    write(tmp_path / "wee.tif", step=10.5)
    return find_scenes(tmp_path)


def test_scenes_of_other_pixel_sizes_are_refused(scenes: list[tuple[str, Any]]) -> None:
    with pytest.raises(
        ResolutionMismatch, match=r"two: .*Expected 10 x 10 metres .*Received: 20 x 20 metres. Set data\.resample"
    ):
        open_scenes(scenes, Data())
    assert len(open_scenes([scenes[0], scenes[2]], Data())) == 2


def test_scenes_are_brought_to_the_pixel_size_of_the_first(scenes: list[tuple[str, Any]]) -> None:
    opened = open_scenes(scenes, Data(resample="nearest", bands=["b"]))
    assert [source.grid.resolution for source in opened] == [(10, 10), (10, 10), (10.5, 10.5)]
    with rasterio.open(scenes[1][1]) as dataset:
        np.testing.assert_array_equal(opened[1].read()[0][..., 0], np.kron(dataset.read(2), np.ones((2, 2))))


def test_all_scenes_are_brought_to_the_resolution_given(scenes: list[tuple[str, Any]]) -> None:
    opened = open_scenes(scenes, Data(resample="average", resolution=20))
    assert [source.grid.resolution for source in opened] == [(20, 20)] * 3
    with rasterio.open(scenes[0][1]) as dataset:
        means = dataset.read(1).reshape(20, 2, 20, 2).mean((1, 3))
    np.testing.assert_allclose(opened[0].read()[0][..., 0], means, rtol=1e-6)


def test_pixel_sizes_in_degrees_and_metres_are_compared(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(9e-5, 0, 15, 0, -9e-5, 0)}
    write(tmp_path / "a.tif", **place)
    write(tmp_path / "b.tif", step=20)
    with pytest.raises(ResolutionMismatch, match="b: .*Expected 10.02 x 9.952 metres"):
        open_scenes(find_scenes(tmp_path), Data())
    fine = open_scenes(find_scenes(tmp_path), Data(resample="bilinear"))[1].grid
    assert fine.resolution == pytest.approx((9.952, 10.02), rel=1e-3)


def test_pixel_sizes_cannot_be_compared_with_a_plain_pixel_grid(tmp_path: Path) -> None:
    write(tmp_path / "one.tif", crs=None, transform=None)
    write(tmp_path / "two.tif")
    assert [source.grid.resolution for source in open_scenes(find_scenes(tmp_path), Data())] == [(1, 1), (10, 10)]


def test_bands_are_those_of_the_first(tmp_path: Path) -> None:
    write(tmp_path / "a.tif")
    write(tmp_path / "b.tif", names=("a", "c"))
    with pytest.raises(BandMismatch, match="b: .*Expected 2: a, b. Received 2: a, c"):
        open_scenes(find_scenes(tmp_path), Data())


def test_evaluation_asks_for_the_pixel_size_of_the_network(scenes: list[tuple[str, Any]]) -> None:
    assert [source.bands[0].name for source in open_fitting(scenes[:1], contract(10), Data())] == ["b"]
    with pytest.raises(ResolutionMismatch, match=r"two: .*Expected 10 x 10.*network's pixel size"):
        open_fitting(scenes, contract(10), Data())
    opened = open_fitting(scenes, contract(10), Data(resample="bilinear"))
    assert opened[1].grid.resolution == (10, 10)
    assert open_fitting(scenes, contract(None), Data())[1].grid.resolution == (20, 20)


def test_a_resolution_needs_a_method() -> None:
    assert resampling(Data()) is None
    assert resampling(Data(resample="cubic")) is not None
    for wrong in ({"data.resolution": 10}, {"data.resample": "best"}, {"data.resample": "mode", "data.resolution": 0}):
        with pytest.raises(RecipeError, match=r"data"):
            load_recipe("segmentation", wrong)


def test_labels_follow_the_image_onto_its_grid(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", names=("B4",), size=80)
    write(tmp_path / "images" / "b.tif", names=("B4",), size=40, step=20)
    classes = np.kron(np.arange(16).reshape(4, 4) % 3, np.ones((10, 10))).astype(np.uint8)
    for name in "ab":
        with rasterio.open(
            write(tmp_path / "labels" / f"{name}.tif", names=("class",), size=40, step=20, dtype="uint8"), "r+"
        ) as dataset:
            dataset.write(classes, 1)
    settings = {
        "data.images": str(tmp_path / "images"),
        "data.labels": str(tmp_path / "labels"),
        "data.patch": 16,
        "data.resample": "bilinear",
    }
    parts = Segmentation(load_recipe("segmentation", settings)).samples()
    assert [dim.step for dim in parts.input.dims[:2]] == [10, 10]
    assert sum(parts.train.class_counts) > 0
    x, y, weight = parts.validation.read(0, np.random.default_rng(0))
    assert x.shape[:2] == y.shape[:2] == weight.shape[:2]


def test_files_that_look_like_bands_of_one_scene_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = [(name, write(tmp_path / f"{name}.tif", names=("a",))) for name in ("B02", "B03", "B04")]
    logger = logging.getLogger("geodl")
    logger.addHandler(caplog.handler)
    try:
        open_scenes(found, Data())
        open_scenes([found[0], ("c", write(tmp_path / "c.tif", names=("a",), size=41))], Data())
    finally:
        logger.removeHandler(caplog.handler)
    assert ["set data.stack=bands" in record.getMessage() for record in caplog.records] == [True]
