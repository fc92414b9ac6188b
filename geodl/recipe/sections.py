"""Sections of a YAML document as pydantic models; their complaints as sentences that name line and nearest key."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geodl.errors import RecipeError, RecipeErrors, nearest
from geodl.recipe.document import Document, Key, dotted

__all__ = ("Section", "all_keys", "build", "paths", "sections_at")

S = TypeVar("S", bound="Section")

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "none_required": "nothing",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text like {pattern}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "model_type": "a mapping of {keys}",
    "model_attributes_type": "a mapping of {keys}",
}


class Section(BaseModel):
    """A frozen group of keys: unknown keys are refused, types are not guessed (`'3'` is no number, `true` no 1)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, content: Any) -> Any:
        return {} if content is None else content


def paths(description: str) -> Any:
    """Returns a field that names files: `load_recipe` says which of them are missing."""
    return Field(default=None, description=description, json_schema_extra={"path": True})


def build(model: type[S], document: Document, *, overridden: Collection[Key] = ()) -> S:
    """Makes a section of a document's content.

    Args:
        model: class of the section.
        document: content with the lines it was written in.
        overridden: keys whose values do not come from the document's file, so that no line is named for them.

    Raises:
        RecipeError: unknown key, wrong type or value out of range; `RecipeErrors` where there are several.
    """
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        problems = _problems(error, model, document, overridden)
        raise problems[0] if len(problems) == 1 else RecipeErrors(problems) from None


def sections_at(model: type[BaseModel], key: Key) -> list[type[BaseModel]]:
    """Returns the section classes that may stand at `key` below `model`; none where a plain value stands."""
    annotations: list[Any] = [model]
    for name in key:
        annotations = [inner for annotation in annotations for inner in _below(annotation, name)]
    return [option for annotation in annotations for option in _options(annotation) if _is_section(option)]


def _below(annotation: Any, name: Any) -> Iterator[Any]:
    for option in _options(annotation):
        origin, arguments = typing.get_origin(option), typing.get_args(option)
        if _is_section(option) and name in option.model_fields:
            yield option.model_fields[name].annotation
        elif (origin is list and isinstance(name, int)) or origin is dict:
            yield arguments[-1]


def _options(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for option in typing.get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel)


def all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields (last part, dotted key) of every key below `model`."""
    for name, field in model.model_fields.items():
        yield name, prefix + name
        for inner in filter(_is_section, _options(field.annotation)):
            yield from all_keys(inner, f"{prefix}{name}.")


def _problems(
    error: ValidationError, model: type[BaseModel], document: Document, overridden: Collection[Key]
) -> list[RecipeError]:
    by_key: dict[Key, list[Any]] = {}
    for problem in error.errors(include_url=False):
        by_key.setdefault(_key(problem["loc"], problem["type"], document.content), []).append(problem)
    # Where a value may be of several types, the one whose inside was looked at is the one that was meant.
    deepest = [key for key in by_key if not any(other[: len(key)] == key for other in by_key if other != key)]
    deepest.sort(key=lambda key: document.line(key) or 0)
    return [_sentence(key, by_key[key], model, document, overridden) for key in deepest]


def _key(location: Sequence[Any], kind: str, content: Any) -> Key:
    """Leaves out of pydantic's location what is no key of the content: the names of a union's branches."""
    key: Key = ()
    for position, part in enumerate(location):
        inside_list = isinstance(content, list) and isinstance(part, int) and part < len(content)
        if inside_list or (isinstance(content, Mapping) and part in content):
            key, content = (*key, part), content[part]
        elif kind == "missing" and position == len(location) - 1:
            key = (*key, part)
    return key


def _sentence(
    key: Key, problems: Sequence[Any], model: type[BaseModel], document: Document, overridden: Collection[Key]
) -> RecipeError:
    changed = any(key[: len(other)] == other or other[: len(key)] == key for other in overridden)
    place: dict[str, Any] = {} if changed else document.place(key)
    problems = [problem for problem in problems if problem["loc"][-1:] == ("[key]",)] or problems
    name, first = dotted(key) or "the whole", problems[0]
    siblings = [name for section in sections_at(model, key[:-1]) for name in section.model_fields]
    if first["type"] == "extra_forbidden":
        return _unknown(key, siblings, model, place)
    if first["type"] == "missing":
        return RecipeError(name, "missing. Give it a value.", **place)
    for problem in problems:
        if problem["type"] == "value_error":
            return RecipeError(name, str(problem["ctx"]["error"]), **place)
    literals = [word for problem in problems for word in _literals(problem)]
    phrases = literals + [_phrase(problem, model, key) for problem in problems if problem["type"] != "literal_error"]
    received = _shortened(first["input"])
    return RecipeError(
        name,
        f"expected {_either(dict.fromkeys(phrases))}. Received: {received}.",
        nearest_to=str(first["input"]),
        valid=[word.strip("'") for word in literals],
        **place,
    )


def _unknown(key: Key, siblings: Sequence[str], model: type[BaseModel], place: Mapping[str, Any]) -> RecipeError:
    name, whole = str(key[-1]), dotted(key)
    elsewhere = dict(all_keys(model))
    if name in elsewhere:
        return RecipeError(whole, f"unknown key. Did you mean {elsewhere[name]!r}?", **place)
    if nearest(name, siblings):
        return RecipeError(whole, "unknown key.", valid=siblings, **place)
    close = difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.75)
    if close:
        return RecipeError(whole, f"unknown key. Did you mean {elsewhere[close[0]]!r}?", **place)
    return RecipeError(whole, f"unknown key. Expected one of: {', '.join(siblings)}.", **place)


def _literals(problem: Mapping[str, Any]) -> list[str]:
    return re.split(r", | or ", problem["ctx"]["expected"]) if problem["type"] == "literal_error" else []


def _phrase(problem: Mapping[str, Any], model: type[BaseModel], key: Key) -> str:
    keys = ", ".join(name for section in sections_at(model, key) for name in section.model_fields)
    template = _EXPECTED.get(problem["type"])
    phrase = template.format(keys=keys, **problem.get("ctx", {})) if template else problem["msg"]
    return f"{phrase} as key" if problem["loc"][-1:] == ("[key]",) else phrase


def _either(phrases: Collection[str]) -> str:
    *others, last = phrases
    return f"{', '.join(others)} or {last}" if others else last


def _shortened(value: Any, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
