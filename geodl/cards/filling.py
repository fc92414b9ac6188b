"""What the card of a data set says of a recipe's section `data`, with the paths of this machine."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from geodl.cards.card import Card, list_cards, load_card
from geodl.cards.getting import get, is_here
from geodl.cards.listing import official_scenes
from geodl.cards.place import find_folder
from geodl.data.opening import find_scenes
from geodl.errors import RecipeError, SourceUnreadable
from geodl.recipe.model import Recipe

__all__ = ("fill", "lies_apart")

_WHERE = ("images", "labels", "targets", "sequences", "series", "trajectories")
_WITHOUT_LABELS = ("denoising", "superresolution")
"""Pipelines whose scenes are their own truth: labels of the same data set say nothing to them."""


def fill(recipe: Recipe) -> Recipe:
    """Returns a recipe with the data of its data set; what it says itself in `data` stays.

    A simulated data set is computed where it is not here.

    Raises:
        RecipeError: there is no such data set, it is for another pipeline, or no pipeline reads it as it is.
        SourceUnreadable: it is not here.
    """
    name = recipe.data.dataset
    assert name is not None
    card = load_card(name)
    _refuse_other_task(name, card, recipe.pipeline)
    if card.simulator is not None and not is_here(name):
        get(name)
    elif not is_here(name):
        raise SourceUnreadable(
            f"the data set {name}", f"it is not in {find_folder(name)}", advice=f"Fetch it: geodl data get {name}."
        )
    folder = find_folder(name)
    content = dict(card.data)
    if recipe.data.part == "test":
        if not card.test:
            raise RecipeError("data.part", f"{name} has no official test part that lies apart from the rest.")
        content.update(card.test)
    elif card.split is not None and "images" in content:
        content.setdefault("split", {"by": "official"})
    if recipe.pipeline in _WITHOUT_LABELS:
        content.pop("labels", None)
    elif card.classes and recipe.pipeline == "segmentation":
        content.setdefault("classes", [entry.model_dump() for entry in card.classes])
    placed = {key: _placed(value, folder) if key in _WHERE else value for key, value in content.items()}
    official = None if card.split is None else functools.partial(official_scenes, card.split, folder)
    if official is not None and isinstance(placed.get("images"), str):
        # Scenes of no part, such as those whose labels the publisher keeps, are left out.
        scenes = {name: path for name, path in find_scenes(placed["images"]) if isinstance(path, str)}
        parts = official(scenes)
        placed["images"] = [path for name, path in scenes.items() if name in parts] or placed["images"]
    data = recipe.data.filled(placed, official=official)
    return recipe.model_copy(update={"data": data})


def lies_apart(name: Any) -> bool:
    """Says whether a data set has an official test part that lies apart."""
    return isinstance(name, str) and name in list_cards() and bool(load_card(name).test)


def _refuse_other_task(name: str, card: Card, pipeline: str) -> None:
    if pipeline not in (card.task, *card.also):
        serves = " and ".join((card.task, *card.also))
        fitting = [other for other in list_cards() if pipeline in ((found := load_card(other)).task, *found.also)]
        there = f" For {pipeline} there are: {', '.join(fitting)}." if fitting else ""
        raise RecipeError("data.dataset", f"{name} is for {serves}, not for {pipeline}.{there}")
    if not card.data:
        raise RecipeError(
            "data.dataset",
            f"no pipeline reads {name} as it is published. Fetch it (geodl data get {name}), lay it out, and name its files.",
        )


def _placed(where: Any, folder: Path) -> Any:
    """Puts the data set's folder before each path."""
    if isinstance(where, str):
        return str(folder / where)
    if isinstance(where, dict):
        return {key: _placed(path, folder) for key, path in where.items()}
    return [_placed(path, folder) for path in where] if isinstance(where, list) else where
