"""Data sets by their card."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from geodl.cards import load_card
from geodl.errors import OutputUnwritable, RecipeError
from geodl.folders import cache_folder
from geodl.pipelines import datasets
from geodl.pipelines.datasets import laid_out


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    card = load_card("simulated-landcover")
    simulator = card.simulator.model_copy(
        update={"train": [1, 2], "test": [9], "size": [40, 48], "test_size": [33, 35]}
    )
    monkeypatch.setattr(datasets, "load_card", lambda name: card.model_copy(update={"simulator": simulator}))


def test_missing_scenes_are_computed_and_the_others_kept(tmp_path: Path) -> None:
    parts = laid_out("simulated-landcover", tmp_path)
    assert sorted(path.name for path in parts["train"].images.iterdir()) == ["scene_1.tif", "scene_2.tif"]
    with rasterio.open(parts["test"].labels / "scene_9.tif") as labels:
        assert labels.shape == (33, 35)
    kept = parts["train"].images / "scene_1.tif"
    before = kept.stat().st_mtime_ns
    (parts["train"].labels / "scene_2.tif").unlink()
    laid_out("simulated-landcover", tmp_path)
    assert kept.stat().st_mtime_ns == before
    assert (parts["train"].labels / "scene_2.tif").is_file()
    assert not list(tmp_path.rglob(".*"))


def test_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    assert (
        laid_out("simulated-landcover")["train"].images == tmp_path / "cache/datasets/simulated-landcover/train/images"
    )


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="file"):
        laid_out("simulated-landcover", tmp_path / "file")


def test_unknown_data_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_card", load_card)
    with pytest.raises(RecipeError, match="Did you mean 'simulated-landcover'"):
        laid_out("simulated-landcover2")
