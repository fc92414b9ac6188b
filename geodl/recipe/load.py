"""Reading recipes: shipped, from a file or from Python, with overrides, checked as a whole."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geodl.data.cubeword import CubeWord
from geodl.data.files import is_local
from geodl.errors import RecipeError, RecipeErrors
from geodl.recipe.data import Where
from geodl.recipe.document import Document, Key, dotted, override, read_document
from geodl.recipe.model import Recipe
from geodl.recipe.sections import Section, build, sections_at
from geodl.recipe.shipped import shipped, shipped_names

__all__ = ("load_recipe",)


def load_recipe(
    source: str | Path | Mapping[str, Any] | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    model: type[Recipe] | Callable[[str], type[Recipe]] = Recipe,
    files: bool = True,
) -> Recipe:
    """Reads a recipe, puts overrides over it and checks the whole.

    Args:
        source: name of a shipped recipe (`segmentation`), path of a YAML file, mapping, or `Recipe`.
        overrides: dotted keys to values; mappings are put over sections key by key and take the place of anything else.
            Where they name another network, the options of the former one are left out.
        model: class of the recipe, or a function from the pipeline's name to it.
        files: whether files that the recipe names must exist (addresses and globs are left to whoever opens them), and its
            data set is looked up, which fills in what the recipe leaves open in `data`.

    Returns:
        The effective recipe: an instance of `model`.

    Raises:
        RecipeError: an unknown key, a wrong type, a value out of range, a missing file; it names file, line and the
            nearest valid key. `RecipeErrors` where there are several. Also: the data set is for another pipeline.
        SourceUnreadable: the data set is not here.

    Example:
        >>> load_recipe({"pipeline": "segmentation"}, {"train.epochs": 3}).train.epochs
        3
    """
    document = _document(source)
    kind: type[Recipe] = model if isinstance(model, type) else _kind(document, overrides or {}, model)
    document = _without_options(document, overrides or {})
    document, overridden = override(document, overrides or {}, is_section=lambda key: bool(sections_at(kind, key)))
    recipe = build(kind, document, overridden=overridden)
    if files and recipe.data.dataset is not None:
        from geodl.cards.filling import fill

        recipe = fill(recipe)
    missing = list(_missing_files(recipe, (), document, overridden)) if files else []
    if missing:
        raise missing[0] if len(missing) == 1 else RecipeErrors(missing)
    return recipe


def _document(source: str | Path | Mapping[str, Any] | Recipe) -> Document:
    if isinstance(source, Recipe):
        return Document(source.model_dump())
    if isinstance(source, Mapping):
        return override(Document({}), {str(key): value for key, value in source.items()})[0]
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1:
        return read_document(path)
    if str(source) in shipped_names("pipelines"):
        return read_document(shipped("pipelines") / f"{source}.yaml")
    names = shipped_names("pipelines")
    problem = f"no shipped recipe has this name. Expected the path of a YAML file, or one of: {', '.join(names)}."
    raise RecipeError(str(source), problem, valid=names, nearest_to=str(source))


def _kind(document: Document, overrides: Mapping[str, Any], model: Callable[[str], type[Recipe]]) -> type[Recipe]:
    name = overrides.get("pipeline", document.content.get("pipeline"))
    if not isinstance(name, str):
        return Recipe
    try:
        return model(name)
    except RecipeError as error:
        raise error if "pipeline" in overrides else error.at(document.origin, document.line(("pipeline",))) from None


def _without_options(document: Document, overrides: Mapping[str, Any]) -> Document:
    """Returns the document without the options of its network, where another one is asked for."""
    own, section = document.content.get("network"), overrides.get("network")
    name = overrides.get("network.name", section.get("name") if isinstance(section, Mapping) else None)
    if name is None or not isinstance(own, Mapping) or own.get("name") in (None, name):
        return document
    return replace(document, content={**document.content, "network": {}})


def _missing_files(
    section: Section, key: Key, document: Document, overridden: Collection[Key]
) -> Iterator[RecipeError]:
    for name, field in type(section).model_fields.items():
        value, inner = getattr(section, name), (*key, name)
        if isinstance(value, Section):
            yield from _missing_files(value, inner, document, overridden)
        elif isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("path"):
            for place, path in _named_files(value, inner):
                if not _may_exist(path):
                    here = {} if place in overridden or inner in overridden else document.place(place)
                    folder = Path(path).parent
                    siblings = [str(folder / entry.name) for entry in folder.iterdir()] if folder.is_dir() else []
                    problem = f"no such file or folder: {path!r}."
                    yield RecipeError(dotted(place), problem, valid=siblings, nearest_to=path, **here)


def _named_files(where: Where, key: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(where, str):
        yield key, where
    elif isinstance(where, list):
        for place, item in enumerate(where):
            yield from _named_files(item, (*key, place))
    elif where is not None and "stac" not in where:
        yield from (((*key, band), path) for band, path in where.items())


def _may_exist(path: str) -> bool:
    word = CubeWord.read(path)
    path = path if word is None else word.path
    return not is_local(path) or glob.has_magic(path) or os.path.lexists(path)
