"""Loading recipes: what is accepted, and the exact sentences of what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geodl.errors import GeodlError, RecipeError, RecipeErrors
from geodl.recipe import Recipe, Split, load_recipe
from geodl.recipe.shipped import shipped, shipped_names


class Scaled(Recipe):
    """A recipe with a key of its own."""

    scale: int = 2


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _sentence(source: Any, overrides: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(GeodlError) as error:
        load_recipe(source, overrides, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train: {epoch: 3}", "train.epoch: unknown key. Did you mean 'epochs'?"),
        ("epochs: 3", "epochs: unknown key. Did you mean 'train.epochs'?"),
        ("epoch: 3", "epoch: unknown key. Did you mean 'train.epochs'?"),
        ("data: {clases: auto}", "data.clases: unknown key. Did you mean 'classes'?"),
        ("data: {split: {fold_s: 3}}", "data.split.fold_s: unknown key. Did you mean 'folds'?"),
        ("xyz: 3", "xyz: unknown key. Expected one of: pipeline, seed, data, network, loss, train, distribution."),
        ("train: {batch_size: ten}", "train.batch_size: expected a whole number. Received: 'ten'."),
        ("train: {batch_size: 0}", "train.batch_size: expected at least 1. Received: 0."),
        ("train: {batch_size: true}", "train.batch_size: expected a whole number. Received: True."),
        (
            "train: {optimizer: {learning_rate: -1}}",
            "train.optimizer.learning_rate: expected more than 0.0. Received: -1.",
        ),
        (
            "train: {schedule: {name: cosin}}",
            "train.schedule.name: expected 'constant', 'cosine', 'exponential', 'step' or 'time'. Received: 'cosin'. "
            "Did you mean 'cosine'?",
        ),
        (
            "data: {split: tests}",
            "data.split: expected 'auto', 'train', 'validation', 'test' or a mapping of by, validation, test, folds, "
            "fold, block, buffer, pattern, divide, column, degrees. Received: 'tests'. Did you mean 'test'?",
        ),
        (
            "data: {split: {folds: 5, fold: 5}}",
            "data.split: expected fold from 0 to 4 of 5 folds. Received: 5.",
        ),
        (
            "data: {split: {by: group}}",
            "data.split: `by: group` needs `pattern`, a regular expression whose group is what is kept together.",
        ),
        (
            "data: {match: '(unclosed'}",
            "data.match: not a regular expression: missing ), unterminated subpattern at position 0. "
            "Received: '(unclosed'.",
        ),
        (
            "data: {match: steam}",
            "data.match: expected a regular expression with a group, such as '(.*)_S2'. Received: 'steam'.",
        ),
        ("data: {patch: big}", "data.patch: expected 'auto' or a whole number. Received: 'big'."),
        ("data: {patch: 4}", "data.patch: expected 'auto' or at least 8 pixels. Received: 4."),
        ("data: {bands: [B02, 3]}", "data.bands.1: expected text. Received: 3."),
        ("data: {classes: {water: 1}}", "data.classes.water: expected a whole number as key. Received: 'water'."),
        (
            "data: {classes: [{value: 1, name: a, color: x}]}",
            "data.classes.0.color: unknown key. Did you mean 'colour'?",
        ),
        ("data: 3", "data: expected a mapping of "),
        ("loss: [{weight: 2}]", "loss: expected names of losses, or mappings with a name. Received: [{'weight': 2}]."),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_key(tmp_path: Path, line: str, sentence: str) -> None:
    path = _write(tmp_path, f"pipeline: segmentation\n\n{line}\n")
    assert _sentence(path).startswith(f"{path}, line 3: {sentence}")


def test_several_mistakes_are_named_in_one_message_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, "pipeline: segmentation\nsed: 3\ntrain:\n  epochs: -1\ndata:\n  sampling: even\n")
    with pytest.raises(RecipeErrors) as error:
        load_recipe(path)
    assert str(error.value).splitlines() == [
        "3 problems:",
        f"  {path}, line 2: sed: unknown key. Did you mean 'seed'?",
        f"  {path}, line 4: train.epochs: expected at least 1. Received: -1.",
        f"  {path}, line 6: data.sampling: expected 'balanced', 'random' or 'grid'. Received: 'even'.",
    ]


def test_missing_files_are_named_with_their_line_and_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    path = _write(tmp_path, f"pipeline: segmentation\ndata:\n  images: {tmp_path}/scene\n  labels: [x/y.tif]\n")
    assert _sentence(path).splitlines() == [
        "2 problems:",
        f"  {path}, line 3: data.images: no such file or folder: '{tmp_path}/scene'. Did you mean '{tmp_path}/scenes'?",
        f"  {path}, line 4: data.labels.0: no such file or folder: 'x/y.tif'.",
    ]
    assert load_recipe(path, files=False).data.images == f"{tmp_path}/scene"


def test_addresses_and_globs_are_left_to_whoever_opens_them() -> None:
    where = ["s3://bucket/a.tif", "https://example.org/a.tif", "/vsizip/a.zip/a.tif", "nowhere/*.tif"]
    assert load_recipe({"pipeline": "p"}, {"data.images": where}).data.images == where


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.tif").touch()
    assert load_recipe({"pipeline": "p"}, {"data.images": {"B02": "~/a.tif"}}).data.images == {
        "B02": f"{tmp_path}/a.tif"
    }


def test_an_override_is_named_without_a_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "pipeline: segmentation\ntrain:\n  epochs: 3\n")
    assert _sentence(path, {"train.epochs": "x"}) == "train.epochs: expected a whole number. Received: 'x'."
    assert _sentence(path, {"data.imges": "x"}) == "data.imges: unknown key. Did you mean 'images'?"
    assert _sentence(path, {"data.labels": "nowhere.tif"}).startswith(
        "data.labels: no such file or folder: 'nowhere.tif'."
    )


@pytest.mark.parametrize(
    ("overrides", "split"),
    [
        ({"data.split.by": "file"}, Split(by="file")),
        ({"data.split": "validation"}, "validation"),
        ({"data.split": {"by": "none"}}, Split(by="none")),
        ({"data.split.fold": 2}, Split(folds=5, fold=2)),
        ({"data.split.folds": 3, "data.split.fold": 2}, Split(folds=3, fold=2)),
    ],
)
def test_keys_below_auto_turn_it_into_a_section(overrides: dict[str, Any], split: object) -> None:
    assert load_recipe({"pipeline": "p", "data": {"split": "auto"}}, overrides).data.split == split


def test_a_mapping_over_a_section_keeps_its_other_keys() -> None:
    recipe = load_recipe({"pipeline": "p", "train": {"epochs": 3, "batch_size": 2}}, {"train": {"epochs": 4}})
    assert (recipe.train.epochs, recipe.train.batch_size) == (4, 2)


def test_band_files_are_a_mapping_that_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    first = load_recipe({"pipeline": "p"}, {"data.images": {"B02": tmp_path / "a.tif"}})
    second = load_recipe(first, {"data.images": {"B03": tmp_path / "a.tif"}})
    assert second.data.images == {"B03": str(tmp_path / "a.tif")}
    third = load_recipe(second, {"data.images.B04": str(tmp_path / "a.tif")})
    assert set(third.data.images or ()) == {"B03", "B04"}


def test_dotted_keys_may_be_used_in_a_mapping() -> None:
    assert load_recipe({"pipeline": "p", "train.epochs": 3}).train.epochs == 3


def test_pipelines_add_keys_by_subclassing(tmp_path: Path) -> None:
    assert load_recipe({"pipeline": "superresolution", "scale": 3}, model=lambda name: Scaled).flat()["scale"] == 3
    assert load_recipe({"pipeline": "superresolution"}, model=Scaled).flat()["scale"] == 2
    path = _write(tmp_path, "pipeline: superresolution\nscal: 3\n")
    assert _sentence(path, model=Scaled) == f"{path}, line 2: scal: unknown key. Did you mean 'scale'?"


def test_an_unknown_pipeline_is_named_with_its_line(tmp_path: Path) -> None:
    def find(name: str) -> type[Recipe]:
        raise RecipeError("pipeline", f"no {name}.")

    path = _write(tmp_path, "seed: 1\npipeline: dreaming\n")
    assert _sentence(path, model=find) == f"{path}, line 2: pipeline: no dreaming."
    assert _sentence(path, {"pipeline": "sleeping"}, model=find) == "pipeline: no sleeping."
    assert _sentence({"seed": 1}, model=find) == "pipeline: missing. Give it a value."


def test_shipped_recipes_go_by_their_bare_names() -> None:
    assert load_recipe("segmentation") == load_recipe(shipped("pipelines") / "segmentation.yaml")
    names = ", ".join(shipped_names("pipelines"))
    assert _sentence("segmentatio").startswith(
        f"segmentatio: no shipped recipe has this name. Expected the path of a YAML file, or one of: {names}."
    )
    assert _sentence("segmentatio").endswith("Did you mean 'segmentation'?")


@pytest.mark.parametrize("name", shipped_names("pipelines"))
def test_every_shipped_recipe_stands_for_its_pipeline(name: str) -> None:
    content = load_recipe(name, model=type("Any", (Recipe,), {"model_config": {"extra": "allow"}}))
    assert name.startswith(content.pipeline)


def test_a_stac_search_and_a_variable_of_a_file_are_scenes(tmp_path: Path) -> None:
    search = {"stac": "https://example.org/v1", "collections": ["s2"], "query": {"eo:cloud_cover": {"lt": 20}}}
    assert load_recipe("segmentation", {"data.images": search}).data.images == search
    (tmp_path / "rain.nc").touch()
    word = f"{tmp_path}/rain.nc:pr@1999-03"
    assert load_recipe("segmentation", {"data.images": [word, search]}).data.images == [word, search]
    with pytest.raises(RecipeError, match=r"expected .band: file., or a STAC search with the key `stac`"):
        load_recipe("segmentation", {"data.images": {"B02": 3}})
    with pytest.raises(RecipeError, match="no such file or folder: '.*snow.nc:pr'"):
        load_recipe("segmentation", {"data.images": f"{tmp_path}/snow.nc:pr"})
