"""What `data.dataset` fills in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from geodl.cards import default_folder, get
from geodl.cards.filling import lies_apart
from geodl.errors import RecipeError, SourceUnreadable
from geodl.recipe import CropsRecipe, DenoisingRecipe, Recipe, load_recipe

SCENES = {"name": "scenes", "train": [1], "test": [9], "size": [32, 32], "test_size": [32, 32]}
CLASSES = [{"value": 1, "name": "water", "colour": "#0072b2"}, {"value": 2, "name": "land", "colour": None}]
DATA = {"images": "train/images", "labels": "train/labels", "ignore_label": 0}


@pytest.fixture
def mine(carded: Callable[..., str]) -> str:
    return carded(
        simulator=SCENES,
        data=DATA,
        test={"images": "test/images", "labels": "test/labels"},
        classes=CLASSES,
        also=["denoising"],
    )


def model(pipeline: str) -> type[Recipe]:
    return {"denoising": DenoisingRecipe, "crops": CropsRecipe}.get(pipeline, Recipe)


def load(pipeline: str, **changes: Any) -> Any:
    whole = {f"data.{key}": value for key, value in changes.items()}
    return load_recipe(pipeline, whole, model=model)


def test_the_card_says_what_is_learnt_from(mine: str) -> None:
    recipe = load("segmentation", dataset=mine)
    folder = default_folder(mine)
    assert recipe.data.images == str(folder / "train/images")
    assert recipe.data.labels == str(folder / "train/labels")
    assert recipe.data.ignore_label == 0
    assert [(entry.value, entry.name) for entry in recipe.data.classes] == [(1, "water"), (2, "land")]
    assert (folder / "train/images/scene_1.tif").is_file()


def test_what_the_recipe_says_itself_stays(mine: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    recipe = load("segmentation", dataset=mine, ignore_label=7, labels=str(tmp_path / "own"), classes=["a", "b"])
    assert recipe.data.ignore_label == 7
    assert recipe.data.labels == str(tmp_path / "own")
    assert recipe.data.classes == ["a", "b"]
    assert recipe.data.images == str(default_folder(mine) / "train/images")


def test_a_recipe_is_kept_as_it_was_asked_for(mine: str) -> None:
    recipe = load("segmentation", dataset=mine)
    kept = yaml.safe_load(recipe.to_yaml())["data"]
    assert (kept["dataset"], kept["images"], kept["classes"]) == (mine, None, "auto")
    assert recipe.flat()["data.images"] is None
    again = load_recipe(recipe, {"data.sampling": "grid"}, model=model)
    assert again.data.images == recipe.data.images
    assert again.data.sampling == "grid"


def test_the_test_part_lies_apart(mine: str, carded: Callable[..., str]) -> None:
    assert lies_apart(mine) and not lies_apart(None) and not lies_apart("nothing")
    assert load("segmentation", dataset=mine, part="test").data.images == str(default_folder(mine) / "test/images")
    other = carded("other", simulator=SCENES, data=DATA)
    assert not lies_apart(other)
    with pytest.raises(RecipeError, match=r"data.part: other has no official test part that lies apart"):
        load("segmentation", dataset=other, part="test")


def test_a_data_set_serves_the_pipelines_of_its_card(mine: str) -> None:
    data = load("denoising", dataset=mine).data
    assert (data.images, data.labels) == (str(default_folder(mine) / "train/images"), None)
    with pytest.raises(RecipeError) as error:
        load("crops", dataset=mine)
    assert str(error.value) == "data.dataset: mine is for segmentation and denoising, not for crops."


def test_what_is_not_here_is_named_with_what_fetches_it(carded: Callable[..., str]) -> None:
    name = carded(files=[{"path": "a", "url": "http://127.0.0.1:1/a"}], data={"images": "images"})
    with pytest.raises(SourceUnreadable) as error:
        load("segmentation", dataset=name)
    assert str(error.value) == (
        f"Cannot read the data set mine: it is not in {default_folder(name)}. Fetch it: geodl data get mine."
    )


def test_what_no_pipeline_reads_is_said(carded: Callable[..., str]) -> None:
    with pytest.raises(RecipeError, match="no pipeline reads mine as it is published"):
        load("segmentation", dataset=carded(simulator=SCENES))


def test_a_card_without_its_data_here_needs_no_lookup_where_files_do_not_matter(carded: Callable[..., str]) -> None:
    name = carded(files=[{"path": "a", "url": "http://127.0.0.1:1/a"}], data={"images": "images"})
    assert load_recipe("segmentation", {"data.dataset": name}, files=False).data.dataset == name


def test_official_parts_go_by_the_card(carded: Callable[..., str]) -> None:
    name = carded(
        simulator=SCENES | {"train": [1, 2, 3]},
        data={"images": "train/images", "labels": "train/labels"},
        split={"train": {"patterns": ["train/images/scene_1.tif"]}, "test": {"patterns": ["*_3.tif"]}},
    )
    folder = get(name).folder
    recipe = load("segmentation", dataset=name)
    assert recipe.data.split.by == "official"
    assert [Path(path).stem for path in recipe.data.images] == ["scene_1", "scene_3"]  # The second is of no part.
    scenes = {path.stem: str(path) for path in (folder / "train/images").iterdir()}
    assert recipe.data.official(scenes) == {"scene_1": "train", "scene_3": "test"}
