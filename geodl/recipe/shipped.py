"""Where the recipes and cards that come with geodl lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ("shipped", "shipped_names")

_PACKAGE = Path(__file__).parents[1]


def shipped(kind: Literal["pipelines", "datasets"]) -> Path:
    """Returns the folder of shipped recipes (`pipelines`) or data set cards (`datasets`).

    A wheel carries them inside the package; in a checkout they are the top-level folders.
    """
    inside = _PACKAGE / "_shipped" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def shipped_names(kind: Literal["pipelines", "datasets"]) -> tuple[str, ...]:
    """Returns the names, sorted, of all shipped recipes or cards: file names without `.yaml`."""
    return tuple(sorted(path.stem for path in shipped(kind).glob("*.yaml")))
