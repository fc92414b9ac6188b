"""The segmentation pipeline on small simulated scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rasterio

import geodl
from geodl.contract import ClassInfo
from geodl.data.samples import Scene
from geodl.data.simulate.scenes import simulate_scene, write_scene
from geodl.data.source import Window
from geodl.data.splits import SceneSplit
from geodl.errors import BandMismatch, LabelsOutOfRange, OutputUnwritable, PairingError, RecipeError
from geodl.inference.products import free_value
from geodl.pipelines.splitting import as_trained
from tests.data.fakes import FakeLabels, FakeSource
from tests.pipeline_case import PipelineCase

pytestmark = pytest.mark.usefixtures("small_forest")


def write(folder: Path, seed: int, name: str, height: int = 96, width: int = 96) -> tuple[Path, Path]:
    image, label = folder / "images" / f"{name}.tif", folder / "labels" / f"{name}.tif"
    for path in (image, label):
        path.parent.mkdir(exist_ok=True)
    write_scene(simulate_scene(seed, height=height, width=width), image, label)
    return image, label


class TestSegmentation(PipelineCase):
    recipe = "segmentation"
    quick: ClassVar[dict[str, Any]] = {
        **PipelineCase.quick,
        "data.patch": 32,
        "network": {"name": "unet", "width": 4, "depth": 2, "stem": 1, "dropout": 0.2},
    }

    def data(self, folder: Path) -> dict[str, Any]:
        for seed in range(5):
            write(folder, seed, f"scene_{seed}")
        return {"data.images": str(folder / "images"), "data.labels": str(folder / "labels")}

    def scene(self, folder: Path) -> Path:
        path, _ = write(folder, 9, "ragged", 61, 83)
        with rasterio.open(path, "r+") as scene:
            values = np.maximum(scene.read(), 1)
            values[:, :5, :7] = 0
            scene.write(values)
        return path

    def test_map_has_the_classes_of_the_labels(self, run: Any, tmp_path: Path) -> None:
        geodl.load(run[0].path).predict_file(self.scene(tmp_path), tmp_path / "map.tif")
        with rasterio.open(tmp_path / "map.tif") as made:
            values = np.unique(made.read(1, masked=True).compressed())
            assert set(values) <= {1, 2, 3, 4, 5, 6}
            assert made.colormap(1)[1] == (0x00, 0x72, 0xB2, 255)

    def test_scene_without_a_band_is_refused_by_name(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        with rasterio.open(scene) as given:
            profile, values = {**given.profile, "count": 3}, given.read([1, 2, 3])
        with rasterio.open(tmp_path / "rgb.tif", "w", **profile) as three:
            three.write(values)
            three.descriptions = ("B02", "B03", "B04")
        with pytest.raises(BandMismatch, match=r"Expected 6.*Received 3: B02, B03, B04"):
            geodl.load(run[0].path).predict_file(tmp_path / "rgb.tif", tmp_path / "map.tif")
        assert not (tmp_path / "map.tif").exists()

    def test_run_is_kept_where_the_one_to_replace_it_cannot_be_made(self, run: Any, tmp_path: Path) -> None:
        before = {path.name: path.stat().st_mtime_ns for path in run[0].path.iterdir()}
        write(tmp_path, 0, "stranger")
        (tmp_path / "labels/stranger.tif").rename(tmp_path / "labels/other.tif")
        settings = {**run[1], "data.images": str(tmp_path / "images"), "data.labels": str(tmp_path / "labels")}
        with pytest.raises(PairingError):
            geodl.train("segmentation", {**settings, "data.match": "stem"}, output=run[0].path, overwrite=True)
        assert {path.name: path.stat().st_mtime_ns for path in run[0].path.iterdir()} == before

    @pytest.mark.usefixtures("unscored")
    def test_fine_tuning_keeps_the_weights_of_the_same_bands(self, run: Any, tmp_path: Path) -> None:
        settings = {
            **run[1],
            "train.init": str(run[0].path),
            "train.optimizer.learning_rate": 1e-12,
            "train.optimizer.ema": None,
        }
        tuned = geodl.train("segmentation", settings, output=tmp_path / "tuned")
        for one, other in zip(
            tuned.predictor.network.trainable_weights, run[0].predictor.network.trainable_weights, strict=True
        ):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6, err_msg=one.path)


def test_labels_that_are_no_class_are_named(tmp_path: Path) -> None:
    for seed in range(5):
        write(tmp_path, seed, f"scene_{seed}")
    settings = {
        "data.images": str(tmp_path / "images"),
        "data.labels": str(tmp_path / "labels"),
        "data.classes": {1: "water", 2: "forest"},
    }
    with pytest.raises(LabelsOutOfRange, match=r"Expected 1 \(water\), 2 \(forest\)"):
        geodl.train("segmentation", settings, output=tmp_path / "new/run")
    assert not (tmp_path / "new").exists()


def test_output_that_cannot_be_written_is_named_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    empty = {"data.images": str(tmp_path), "data.labels": str(tmp_path)}
    for output in ("file", "file/run", "file/runs/run"):
        with pytest.raises(OutputUnwritable, match="file"):
            geodl.train("segmentation", empty, output=tmp_path / output)


def test_missing_images_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.images: no scenes given.*--set data\.images="):
        geodl.train("segmentation", output=tmp_path / "run")


def test_unknown_network_option_is_named(tmp_path: Path) -> None:
    for seed in range(5):
        write(tmp_path, seed, f"scene_{seed}")
    settings = {"data.images": str(tmp_path / "images"), "data.labels": str(tmp_path / "labels"), "network.widht": 8}
    with pytest.raises(RecipeError, match=r"network\.widht.*Did you mean 'width'\?"):
        geodl.train("segmentation", settings, output=tmp_path / "run")


def test_nodata_of_the_map_is_no_class() -> None:
    assert free_value([ClassInfo(255, "a", "#000000"), ClassInfo(0, "b", "#000000")]) == 254
    every = [ClassInfo(value, str(value), "#000000") for value in range(256)]
    assert free_value(every) == 65535


def test_train_part_is_all_that_no_training_window_is_kept_off() -> None:
    labels = FakeLabels(np.zeros((40, 60), np.int32))
    split = SceneSplit(
        regions={"test": (Window(20, 10, 10, 10),)}, excluded=(Window(16, 6, 18, 18),), features={"train": (0, 2)}
    )
    scored = as_trained(Scene(FakeSource(np.zeros((40, 60, 1), np.float32)), labels, split)).split
    counts = np.zeros((40, 60), int)
    for window in scored.regions["test"]:
        counts[window.toslices()] += 1
    expected = np.ones((40, 60), int)
    expected[6:24, 16:34] = 0
    np.testing.assert_array_equal(counts, expected)
    assert scored.features == {"test": (0, 2)} and not scored.trains


@pytest.mark.parametrize("stem", ["two", 3, None, 2.0])
def test_impossible_stem_is_named(tmp_path: Path, stem: object) -> None:
    for seed in range(5):
        write(tmp_path, seed, f"scene_{seed}")
    settings = {"data.images": str(tmp_path / "images"), "data.labels": str(tmp_path / "labels")}
    with pytest.raises(RecipeError, match=r"network\.stem: expected auto, 1, 2 or 4\. Received"):
        geodl.check("segmentation", {**settings, "network.stem": stem})
