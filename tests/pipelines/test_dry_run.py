"""The dry run: what it finds, and that it writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import geodl
from geodl.data.simulate.scenes import simulate_scene, write_scene
from geodl.errors import BundleError, EmptyDataset, GeodlError, RecipeError


def test_tables_tell_files_classes_split_and_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for seed in range(5):
        write_scene(
            simulate_scene(seed, height=64, width=64), tmp_path / f"images/{seed}.tif", tmp_path / f"labels/{seed}.tif"
        )
    before = sorted(path for path in tmp_path.rglob("*"))
    settings = {"data.images": str(tmp_path / "images"), "data.labels": str(tmp_path / "labels"), "data.patch": 32}
    small = {"network.stem": 1, "network.width": 4, "network.depth": 1, "train.batch_size": 2}
    report = geodl.check("segmentation", {**settings, **small})
    tables = {table.title.split(" (")[0]: table for table in report.tables}
    assert [row[0] for row in tables["Scenes"].rows] == ["0", "1", "2", "3", "4"]
    assert sum("validation" in row[3] for row in tables["Scenes"].rows) == 1
    counted = sum(int(cell.replace(",", "")) for row in tables["Labelled pixels"].rows for cell in row[2:])
    labelled = 0
    for seed in range(5):
        with rasterio.open(tmp_path / f"labels/{seed}.tif") as labels:
            labelled += int(np.count_nonzero(labels.read(1) != 255))
    assert counted == labelled
    assert dict(tables["Network"].rows)["name"] == "unet"
    assert {row[0] for row in tables["Cost"].rows} == {"steps", "training time", "memory"}
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmptyDataset, match="an empty folder"):
        geodl.check("segmentation", {"data.images": str(tmp_path), "data.labels": str(tmp_path)})


@pytest.mark.parametrize(
    ("mistake", "error", "sentence"),
    [
        ({"loss": "dicee"}, RecipeError, r"loss\.name.*'dice'"),
        ({"train.optimizer.name": "adamww"}, RecipeError, r"train\.optimizer\.name.*'adamw'"),
        ({"train.init": "."}, BundleError, "No network.keras"),
    ],
)
def test_what_training_would_refuse_is_refused(
    tmp_path: Path, mistake: dict[str, str], error: type[GeodlError], sentence: str
) -> None:
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for seed in range(2):
        write_scene(
            simulate_scene(seed, height=64, width=64), tmp_path / f"images/{seed}.tif", tmp_path / f"labels/{seed}.tif"
        )
    settings = {"data.images": str(tmp_path / "images"), "data.labels": str(tmp_path / "labels"), "data.patch": 32}
    small = {"network.stem": 1, "network.width": 4, "network.depth": 1, "train.batch_size": 2, "data.split.by": "file"}
    with pytest.raises(error, match=sentence):
        geodl.check("segmentation", {**settings, **small, **mistake})
