"""Scoring a bundle on other data, equal to scikit-learn on the map that it makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from sklearn.metrics import accuracy_score, cohen_kappa_score, jaccard_score

import geodl
from geodl.data.simulate.scenes import simulate_scene, write_scene
from geodl.errors import OptionError, UnitMismatch
from geodl.pipelines.evaluation import Evaluation

pytestmark = pytest.mark.usefixtures("small_forest")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    for part in ("images", "labels", "other_images", "other_labels"):
        (folder / part).mkdir()
    for seed in range(6):
        where = "other_" if seed == 5 else ""
        scene = simulate_scene(seed, height=96, width=64)
        write_scene(scene, folder / f"{where}images/{seed}.tif", folder / f"{where}labels/{seed}.tif")
    settings = {
        "data.images": str(folder / "images"),
        "data.labels": str(folder / "labels"),
        "data.patch": 32,
        "network.stem": 1,
        "network.width": 4,
        "network.depth": 2,
        "train.epochs": 1,
        "train.steps_per_epoch": 10,
    }
    return geodl.train("segmentation", settings, output=folder / "run").path


def test_scores_are_those_of_the_map(run: Path, tmp_path: Path) -> None:
    folder = run.parent
    other = {"data.images": str(folder / "other_images"), "data.labels": str(folder / "other_labels")}
    evaluation = geodl.evaluate(run, other, baselines=True, json=tmp_path / "metrics.json")
    geodl.load(run).predict_file(folder / "other_images/5.tif", tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as made, rasterio.open(folder / "other_labels/5.tif") as labels:
        found, truth = made.read(1), labels.read(1)
        counted = (truth != labels.nodata) & (found != made.nodata)
    present = np.union1d(np.unique(truth[counted]), np.unique(found[counted]))
    iou = jaccard_score(truth[counted], found[counted], labels=present, average=None)
    assert evaluation.metrics["miou"] == pytest.approx(iou.mean(), abs=1e-6)
    assert evaluation.metrics["accuracy"] == pytest.approx(accuracy_score(truth[counted], found[counted]), abs=1e-6)
    assert evaluation.metrics["kappa"] == pytest.approx(cohen_kappa_score(truth[counted], found[counted]), abs=1e-6)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["pipeline"] == "segmentation"
    assert content["protocol"]["part"] == "all"
    assert content["protocol"]["scenes"] == ["5"]
    assert content["metrics"]["miou"] == evaluation.metrics["miou"]
    assert np.sum(content["details"]["confusion"]) == counted.sum()
    assert content["baselines"]["forest"]["metrics"]["accuracy"] > 0.3


def test_a_part_can_be_named(run: Path) -> None:
    evaluation = geodl.evaluate(run, {"data.split": "train"})
    assert evaluation.protocol["part"] == "train"
    assert len(evaluation.protocol["scenes"]) == 4


def test_a_part_can_be_named_in_a_mapping(run: Path) -> None:
    assert geodl.evaluate(run, {"data": {"split": "train"}}).protocol["part"] == "train"


def test_how_the_runs_own_data_is_read_does_not_make_it_other_data(run: Path) -> None:
    evaluation = geodl.evaluate(run, {"data.ignore_label": 254})
    assert evaluation.protocol["part"] == "validation"
    assert len(evaluation.protocol["scenes"]) == 1


@pytest.mark.parametrize("split", [{"data.split.fold": 1}, {"data.split": {"by": "none"}}])
def test_another_split_of_the_runs_own_data_is_refused(run: Path, split: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=r"data\.split to be one of train, validation, test"):
        geodl.evaluate(run, split)


def test_given_files_go_before_the_data_set_of_the_run(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    recipe = tmp_path / "run/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("dataset: null", "dataset: simulated-landcover"))
    folder = run.parent
    other = {"data.images": str(folder / "other_images"), "data.labels": str(folder / "other_labels")}
    assert geodl.evaluate(tmp_path / "run", other).protocol["scenes"] == ["5"]


def test_data_of_another_unit_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.copy(run.parent / "other_images/5.tif", tmp_path / "5.tif")
    with rasterio.open(tmp_path / "5.tif", "r+") as scene:
        scene.units = ["percent"] * scene.count
    other = {"data.images": str(tmp_path / "5.tif"), "data.labels": str(run.parent / "other_labels/5.tif")}
    with pytest.raises(UnitMismatch, match="percent"):
        geodl.evaluate(run, other)


def test_scores_are_shown_short_in_notebooks_and_escaped() -> None:
    baseline = Evaluation("segmentation", {"miou": 0.25}, {})
    found = Evaluation("segmentation", {"miou": 0.5, "iou/<b>": 1.0}, {"part": "test"}, baselines={"forest": baseline})
    assert repr(found) == "<Evaluation of segmentation on the test: miou 0.5; beside forest>"
    shown = found._repr_html_()
    assert "<td>miou</td><td>0.5</td><td>0.25</td>" in shown
    assert "<td>iou/&lt;b&gt;</td><td>1</td><td>nan</td>" in shown
