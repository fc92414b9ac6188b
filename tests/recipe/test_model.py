"""The recipe as a whole: written, read back, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from geodl.errors import RecipeError
from geodl.recipe import Augment, ClassEntry, Network, Recipe, load_recipe

_BASE = {"pipeline": "segmentation"}


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"data.classes": {1: "water", 2: "no"}},
        {"data.classes": ["on", "off"]},
        {"data.classes": [{"value": 1, "name": "water", "colour": "#0000ff"}]},
        {
            "data.split.by": "group",
            "data.split.pattern": r"-(\d+)-(\d+)-",
            "data.split.divide": 4,
            "data.split.folds": 5,
        },
        {"data.augment": None, "data.images": ["s3://a", "s3://b"], "data.match": "(.*)_S2"},
        {"network": {"name": "unet", "width": 8, "norm": None}, "loss": ["dice", {"name": "focal", "gamma": 2.0}]},
        {"train.optimizer": {"learning_rate": 1e-5, "options": {"momentum": 0.9}}, "train.checkpoint.minutes": 0.5},
    ],
)
def test_the_effective_recipe_loads_back_equal(tmp_path: Path, overrides: dict[str, Any]) -> None:
    recipe = load_recipe(_BASE, overrides)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    assert load_recipe(recipe) == recipe


def test_classes_may_be_given_in_three_ways() -> None:
    classes = lambda value: load_recipe(_BASE, {"data.classes": value}).data.classes  # noqa: E731
    assert classes(["land", "water"]) == ["land", "water"]
    assert classes({0: "land", 1: "water"}) == {0: "land", 1: "water"}
    assert classes([{"value": 1, "name": "water"}]) == [ClassEntry(value=1, name="water")]
    assert load_recipe(_BASE, {"data.classes.3": "water"}).data.classes == {3: "water"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data.classes": {300: "water"}}, "values from 0 to 255"),
        ({"data.classes": {-1: "water"}}, "values from 0 to 255"),
        ({"data.classes": []}, "at least one class"),
        ({"data.classes": ["water", "water"]}, "different names"),
        ({"data.classes": [{"value": 1, "name": "a"}, {"value": 1, "name": "b"}]}, "different values"),
        ({"seed": 2**32}, "at most 4294967295"),
    ],
)
def test_impossible_values_are_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(_BASE, change)


@pytest.mark.parametrize("nothing", [None, False])
def test_augmentation_is_switched_off_by_null_and_false(nothing: object) -> None:
    assert load_recipe(_BASE, {"data.augment": nothing}).data.augment == Augment(flips=False, rotations=False)


@pytest.mark.parametrize("loss", ["dice", ["dice"], {"name": "dice"}, [{"name": "dice"}]])
def test_losses_are_a_list_of_named_terms(loss: object) -> None:
    assert load_recipe(_BASE, {"loss": loss}).loss == [{"name": "dice"}]


def test_network_options_are_all_but_the_name() -> None:
    assert Network(name="unet", width=8).options == {"width": 8}  # type: ignore[call-arg]


def test_changes_name_what_differs() -> None:
    one = load_recipe(_BASE, {"train.epochs": 3, "data.classes": {1: "a"}})
    other = load_recipe(one, {"train.epochs": 4, "data.split.by": "file"})
    changes = one.changes(other)
    assert changes["train.epochs"] == (3, 4)
    assert changes["data.split"] == ("auto", None)
    assert changes["data.split.by"] == (None, "file")
    assert not any(key.startswith(("data.classes", "network", "seed")) for key in changes)
    assert one.changes(load_recipe(one)) == {}


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Recipe(pipeline="p").seed = 3  # type: ignore[misc]
