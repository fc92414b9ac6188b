"""Data sets by their card: where their files lie, simulated ones computed on first use."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from geodl.cards import Card, load_card
from geodl.data.simulate.scenes import simulate_scene, write_scene
from geodl.errors import OutputUnwritable
from geodl.folders import cache_folder

__all__ = ("SceneFolder", "laid_out")


@dataclass(frozen=True)
class SceneFolder:
    """Folders of images and of label rasters, matched by name."""

    images: Path
    labels: Path


def laid_out(name: str, folder: Path | None = None) -> dict[str, SceneFolder]:
    """Returns the files of a data set, computing those of a simulated one that are missing.

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
    folder = folder or cache_folder() / "datasets" / name
    parts = {part: SceneFolder(folder / part / "images", folder / part / "labels") for part in ("train", "test")}
    if card.simulator is not None:
        try:
            _simulate(card, parts)
        except OSError as error:
            raise OutputUnwritable(folder, error.strerror or error) from error
    return parts


def _simulate(card: Card, parts: dict[str, SceneFolder]) -> None:
    assert card.simulator is not None
    for part, seeds, (height, width) in (
        ("train", card.simulator.train, card.simulator.size),
        ("test", card.simulator.test, card.simulator.test_size),
    ):
        files = parts[part]
        for seed in seeds:
            image, label = files.images / f"scene_{seed}.tif", files.labels / f"scene_{seed}.tif"
            if image.is_file() and label.is_file():
                continue
            partial = files.images.parent / f".{os.getpid()}"
            partial.mkdir(parents=True, exist_ok=True)
            try:
                write_scene(
                    simulate_scene(seed, height=height, width=width), partial / "image.tif", partial / "label.tif"
                )
                for made, target in ((partial / "label.tif", label), (partial / "image.tif", image)):
                    target.parent.mkdir(exist_ok=True)
                    os.replace(made, target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
