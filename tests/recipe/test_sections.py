"""Where sections stand in a recipe."""

from __future__ import annotations

import pytest

from geodl.recipe import ClassEntry, Data, Recipe, Split, Train
from geodl.recipe.document import Document, Key
from geodl.recipe.sections import build, sections_at


@pytest.mark.parametrize(
    ("key", "sections"),
    [
        ((), [Recipe]),
        (("data",), [Data]),
        (("data", "split"), [Split]),
        (("data", "images"), []),
        (("data", "classes"), []),
        (("data", "classes", 0), [ClassEntry]),
        (("train", "epochs"), []),
        (("nowhere", "at all"), []),
    ],
)
def test_sections_are_found_through_unions_and_lists(key: Key, sections: list[type]) -> None:
    assert sections_at(Recipe, key) == sections


def test_an_empty_section_is_the_default() -> None:
    assert build(Recipe, Document({"pipeline": "p", "train": None})).train == Train()


def test_every_field_of_a_recipe_is_described_or_a_section() -> None:
    def undescribed(model: type, prefix: str = "") -> list[str]:
        found = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            inner = sections_at(model, (name,))
            for section in inner:
                found += undescribed(section, f"{prefix}{name}.")
            if not inner and not field.description and name not in ("name", "epochs", "strategy"):
                found.append(prefix + name)
        return found

    assert undescribed(Recipe) == []
