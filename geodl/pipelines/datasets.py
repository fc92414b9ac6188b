"""Data sets by their card: where their files lie, and which scene is of which official part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geodl.cards import get, load_card
from geodl.cards.place import default_folder
from geodl.data.folds import Part
from geodl.data.opening import find_scenes
from geodl.errors import SplitError
from geodl.recipe import Data, Split

__all__ = ("SceneFolder", "laid_out", "official_parts")


@dataclass(frozen=True)
class SceneFolder:
    """Folders of images and of label rasters, matched by name."""

    images: Path
    labels: Path


def laid_out(name: str, folder: Path | None = None) -> dict[str, SceneFolder]:
    """Returns the files of a simulated data set of scenes, computing those that are missing.

    Args:
        name: of the card.
        folder: where they lie; default: a folder of this name in the cache.

    Returns:
        The official parts: `train` and `test`.

    Raises:
        RecipeError: no card has this name.
        OutputUnwritable: no permission, disk full.
    """
    card = load_card(name)
    folder = default_folder(name) if folder is None else folder
    get(name, folder, remember=False)
    return {
        part: SceneFolder(folder / content["images"], folder / content["labels"])
        for part, content in (("train", card.data), ("test", {**card.data, **card.test}))
    }


def official_parts(data: Data, split: Split, names: Sequence[str]) -> list[Part | None]:
    """Returns the official part of each scene; None where it is of none; without `by: official`, all are `train`.

    Args:
        data: of the recipe.
        split: of the recipe.
        names: of the scenes.

    Raises:
        SplitError: there is no official split.
    """
    if split.by != "official":
        return ["train"] * len(names)
    if data.official is None:
        raise SplitError(
            "scenes have no official split, but those of data sets whose card has one.",
            advice="Split by blocks or by file.",
        )
    paths = {name: spec for name, spec in find_scenes(data.images) if isinstance(spec, str)}
    parts = data.official(paths)
    return [parts.get(name) for name in names]
