"""Data set cards: what a data set is, who made it, under which licence, and how its files become samples."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from geodl.errors import RecipeError
from geodl.recipe import ClassEntry
from geodl.recipe.document import read_document
from geodl.recipe.sections import Section, build
from geodl.recipe.shipped import shipped, shipped_names

__all__ = ("Card", "CardBand", "CardFile", "Simulator", "list_cards", "load_card")


class CardFile(Section):
    """One file that is downloaded."""

    path: str
    """Where it lies, relative to the data set's folder."""
    url: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    """Size in bytes."""


class CardBand(Section):
    """One band of the scenes."""

    name: str
    unit: str = ""
    """Unit of the physical values, such as `reflectance`."""
    description: str = ""
    """What it measures, with its central wavelength in nm."""


class Simulator(Section):
    """Data that is computed, seeded, instead of downloaded."""

    name: Literal["scenes"]
    """Module of `geodl.data.simulate`."""
    train: list[int] = Field(min_length=1)
    """Seeds of the scenes that are trained and validated on."""
    test: list[int] = Field(min_length=1)
    """Seeds of the scenes that are never trained on."""
    size: list[int] = Field(min_length=2, max_length=2)
    """Height and width of a training scene in pixels."""
    test_size: list[int] = Field(min_length=2, max_length=2)
    """Height and width of a test scene in pixels."""


class Card(Section):
    """What is known of a data set."""

    task: str
    """Name of the pipeline that it is for."""
    title: str
    description: str
    licence: str
    """SPDX identifier, or the terms in a sentence."""
    citation: str
    """How to cite it."""
    homepage: str | None = None
    files: list[CardFile] = Field(default_factory=list)
    bands: list[CardBand] = Field(min_length=1)
    classes: list[ClassEntry] = Field(default_factory=list)
    split: dict[Literal["train", "validation", "test"], list[str]] | None = None
    """Official split: names of scenes, or of files that list them, by part; null: none."""
    adapter: str | None = None
    """Function that lays out the files as images and labels."""
    simulator: Simulator | None = None
    """How the data is computed; null: it is downloaded."""

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if bool(self.files) == bool(self.simulator):
            raise ValueError("expected either files or a simulator.")
        return self


def list_cards() -> tuple[str, ...]:
    """Returns the names of all data sets that have a card."""
    return shipped_names("datasets")


def load_card(name: str) -> Card:
    """Reads the card of a data set.

    Raises:
        RecipeError: there is no such card (it names the nearest), or the card has a mistake.

    Example:
        >>> load_card("simulated-landcover").task
        'segmentation'
    """
    names = list_cards()
    if name not in names:
        problem = f"no data set has the name {name!r}. Expected one of: {', '.join(names)}."
        raise RecipeError("data.dataset", problem, valid=names, nearest_to=name)
    return build(Card, read_document(shipped("datasets") / f"{name}.yaml"))
