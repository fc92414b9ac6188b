"""Recipes of restoration: what is accepted, and the sentences of what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geodl.errors import RecipeError
from geodl.recipe import (
    CropsRecipe,
    DenoisingRecipe,
    DynamicsRecipe,
    NowcastingRecipe,
    Recipe,
    SuperresolutionRecipe,
    as_range,
    load_recipe,
)
from geodl.recipe.shipped import shipped_names

KINDS: dict[str, type[Recipe]] = {
    "denoising": DenoisingRecipe,
    "superresolution": SuperresolutionRecipe,
    "segmentation": Recipe,
    "nowcasting": NowcastingRecipe,
    "dynamics": DynamicsRecipe,
    "crops": CropsRecipe,
}


def load(recipe: Any, changes: dict[str, Any] | None = None) -> Any:
    return load_recipe(recipe, changes, model=lambda name: KINDS[name])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"noise.sigma": [50, 5]}, "noise.sigma: expected a number of at least 0, or [least, greatest]. Received: [50.0, 5.0]."),
        ({"noise.sigma": []}, "noise.sigma: expected a number of at least 0, or [least, greatest]. Received: []."),
        ({"noise.sigma": [1, 2, 3]}, "noise.sigma: expected a number of at least 0"),
        ({"noise.sigma": -1}, "noise.sigma: expected a number of at least 0"),
        ({"noise.sigma": float("inf")}, "noise.sigma: expected a number of at least 0"),
        ({"noise.sigma": [0, float("nan")]}, "noise.sigma: expected a number of at least 0"),
        ({"noise.sigma": "25 DN"}, "noise.sigma: expected a number or a list. Received: '25 DN'."),
        ({"noise.gain": -1e-3}, "noise.gain: expected a number of at least 0"),
        ({"noise.looks": 0}, "noise.looks: expected a number of at least 0.1, or [least, greatest]. Received: 0.0."),
        ({"noise.contrast": 0}, "noise.contrast: expected a number of at least 0.1"),
        ({"noise.correlation": [0.5, 0.2]}, "noise.correlation: expected a number of at least 0"),
        ({"noise.level": -1}, "noise.level: expected at least 0"),
        ({"noise.kind": "speckel"}, "Did you mean 'speckle'?"),
        ({"noise.unit": "db"}, "noise.unit: expected 'auto', 'intensity', 'amplitude' or 'dB'. Received: 'db'. Did you mean 'dB'?"),
        (
            {"noise.kind": "none", "noise.learn": "clean"},
            "noise: expected `learn` to be blind_spot, noise2noise, targets or merlin for kind none. Received: clean.",
        ),
        (
            {"noise.kind": "speckle", "noise.learn": "merlin"},
            "noise: expected `learn` to be clean for kind speckle. Received: merlin.",
        ),
        ({"scoring.peak": 0}, "scoring.peak: expected auto, or a number above 0. Received: 0.0."),
        ({"scoring.crop": -1}, "scoring.crop: expected at least 0"),
        ({"scale": 2}, "scale: unknown key."),
    ],
)  # fmt: skip
def test_mistakes_of_denoising_are_sentences(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        load("denoising", changes)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scale": 1}, "scale: expected at least 2. Received: 1."),
        ({"scale": 1.5}, "scale: expected a whole number. Received: 1.5."),
        ({"mode": "guide"}, "Did you mean 'guided'?"),
        ({"blur": "gauss"}, "blur: expected 'bicubic', 'mtf' or 'auto'. Received: 'gauss'."),
        ({"guide": ["B02"]}, "`guide` and `sharpen` need `mode: guided`."),
        ({"mode": "guided", "sharpen": ["B05", "B05"]}, "sharpen: expected auto or different band names."),
        ({"mode": "guided", "guide": []}, "guide: expected auto or different band names. Received: []."),
        ({"mode": "guided", "data.bands": ["B02"]}, "name bands in `guide` and `sharpen`."),
    ],
)
def test_mistakes_of_super_resolution_are_sentences(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        load("superresolution", changes)
    assert sentence in str(error.value)


def test_how_it_is_learnt_follows_from_the_noise() -> None:
    assert load({"pipeline": "denoising"}).noise.learn == "clean"
    assert load({"pipeline": "denoising"}, {"noise": None}).noise.learn == "clean"
    assert load("denoising", {"noise.kind": "poisson_gaussian"}).noise.learn == "clean"
    assert load("denoising", {"noise.kind": "none"}).noise.learn == "blind_spot"
    ways = {
        learn: load("denoising", {"noise.kind": "none", "noise.learn": learn}).noise.two_looks
        for learn in ("blind_spot", "noise2noise", "targets", "merlin")
    }
    assert ways == {"blind_spot": False, "noise2noise": True, "targets": True, "merlin": False}


def test_one_number_is_a_range_of_one() -> None:
    assert as_range(25) == (25, 25) and as_range([5.0, 50.0]) == (5.0, 50.0)


@pytest.mark.parametrize("name", [name for name in shipped_names("pipelines") if "segmentation" not in name])
def test_what_is_shipped_loads_back_equal(name: str, tmp_path: Path) -> None:
    recipe = load(name)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert load(tmp_path / "recipe.yaml") == recipe


def test_another_network_does_not_keep_the_options_of_the_former() -> None:
    former = load("denoising").network
    assert former.options
    assert load("denoising", {"network.name": "dncnn"}).network.options == {}
    assert load("denoising", {"network": {"name": "dncnn", "depth": 3}}).network.options == {"depth": 3}
    assert load("denoising", {"network.name": "dncnn", "network.depth": 3}).network.options == {"depth": 3}
    assert load("denoising", {"network.name": former.name, "network.width": 8}).network.options == {
        **former.options,
        "width": 8,
    }
    assert load("denoising", {"network.width": 8}).network.options == {**former.options, "width": 8}
