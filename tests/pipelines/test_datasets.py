"""Data sets by their card, as pipelines use them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from geodl.cards import getting as module
from geodl.cards import load_card
from geodl.data.folds import Part
from geodl.errors import OutputUnwritable, RecipeError, SplitError
from geodl.pipelines.datasets import laid_out, official_parts
from geodl.recipe import Data, Split


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    card = load_card("simulated-landcover")
    assert card.simulator is not None
    simulator = card.simulator.model_copy(
        update={"train": [1, 2], "test": [9], "size": [40, 48], "test_size": [33, 35]}
    )
    monkeypatch.setattr(module, "load_card", lambda name: card.model_copy(update={"simulator": simulator}))


def test_missing_scenes_are_computed_and_the_others_kept(small: None, tmp_path: Path) -> None:
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


def test_unwritable_folder_is_named(small: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="file"):
        laid_out("simulated-landcover", tmp_path / "file")


def test_unknown_data_set_is_named() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'simulated-landcover'"):
        laid_out("simulated-landcover2")


def test_official_parts_are_those_of_the_card(small: None, tmp_path: Path) -> None:
    images = laid_out("simulated-landcover", tmp_path)["train"].images
    shutil.copy(images / "scene_1.tif", images / "scene_3.tif")
    rule: Callable[[dict[str, str]], dict[str, Part]] = lambda scenes: {"scene_1": "test", "scene_2": "train"}  # noqa: E731
    data = Data(dataset="x").filled({"images": str(images)}, official=rule)
    names = ["scene_1", "scene_2", "scene_3"]
    assert official_parts(data, Split(by="official"), names) == ["test", "train", None]
    assert official_parts(data, Split(), names) == ["train"] * 3
    with pytest.raises(SplitError, match="scenes have no official split"):
        official_parts(Data(), Split(by="official"), names)
