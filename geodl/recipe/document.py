"""YAML documents whose mistakes are named by line: read, change, validate, write.

The dialect is YAML 1.2's core schema, not PyYAML's 1.1: `1e-3` is a number; `no`, `01` and `2020-01-01` are text.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import yaml

from geodl.errors import OptionError, RecipeError

__all__ = ("Document", "Key", "dotted", "override", "parse_value", "read_document", "write_value")

Key = tuple[Any, ...]
"""Path of a value in a document: mapping keys and list positions, outermost first."""

_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
)


_LARGEST = 1 << 20
"""Characters of a recipe."""
_MOST = 100_000
"""Values in a recipe."""
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as PyYAML declares it


class _Dumper(yaml.SafeDumper):
    # Keeps PyYAML's own rules too: text that either dialect would take for something else is quoted.
    yaml_implicit_resolvers: dict[str, Any] = {  # noqa: RUF012  as PyYAML declares it
        first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _RESOLVERS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True)
class Document:
    """A mapping with the place where each of its values was written."""

    content: dict[str, Any]
    origin: str = ""
    """Path of the file; empty: not from a file."""
    lines: Mapping[Key, int] = field(default_factory=dict)
    """Line of each key, from 1."""

    def line(self, key: Key) -> int | None:
        """Returns the line of `key`, or of the nearest section around it that has one."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def place(self, key: Key) -> dict[str, Any]:
        """Returns where `key` was written, as the arguments of `RecipeError` that say so."""
        return {"origin": self.origin, "line": self.line(key)}


def read_document(path: str | Path) -> Document:
    """Reads a YAML file that holds one mapping.

    Raises:
        RecipeError: the file is missing, is no text, no YAML or no mapping, or gives a key twice.
    """
    path, origin = Path(path), str(path)
    try:
        if path.exists() and not path.is_file():
            raise RecipeError(origin, f"cannot be read: it is {'a folder' if path.is_dir() else 'no regular file'}.")
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode("utf-8")
    except OSError as error:
        raise RecipeError(origin, f"cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(origin, "not a YAML file: it is no UTF-8 text.") from error
    if len(text) > _LARGEST:
        raise RecipeError(origin, f"longer than the {_LARGEST} characters that a recipe may have.")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _count(node, {})
        lines = dict(_lines(loader, node, (), origin)) if node else {}
        content = loader.construct_document(node) if node else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise RecipeError("not valid YAML", f"{error.problem or error.context}.", origin=origin, line=line) from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(origin, f"not a YAML file: {str(error).splitlines()[0]}.") from error
    except RecursionError as error:
        raise RecipeError(origin, "not a YAML file: nested too deeply.") from error
    if not isinstance(content, dict):
        raise RecipeError(origin, f"expected `key: value` lines. Received: {type(content).__name__}.")
    return Document(content, origin, lines)


def parse_value(text: str) -> Any:
    """Reads the right-hand side of `key=value` as YAML; what is no YAML (a glob, a regular expression) is text.

    Raises:
        OptionError: the text is in brackets or braces, but no list or mapping.

    Example:
        >>> parse_value("1e-3"), parse_value("[B02, B03]"), parse_value("*.tif"), parse_value("")
        (0.001, ['B02', 'B03'], '*.tif', None)
    """
    try:
        _count(yaml.compose(text, _Loader), {})
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if text[:1] + text[-1:] in ("[]", "{}"):
            expected = "a YAML list or mapping (backslashes stand in single quotes, or without any)"
            raise OptionError("value", expected=expected, received=text) from error
        return text


def dotted(key: Key) -> str:
    """Returns `("data", "images")` as `data.images`."""
    return ".".join(map(str, key))


def override(
    document: Document, changes: Mapping[str, Any], *, is_section: Callable[[Key], bool] = lambda key: False
) -> tuple[Document, frozenset[Key]]:
    """Sets values by dotted keys.

    Args:
        document: is left as it is.
        changes: dotted keys to values, such as `{"train.epochs": 3}`. A key below a plain value (`auto`) turns that
            into a mapping; a number in a key is a position where a list stands.
        is_section: whether a mapping given for a key is put over what is there key by key, rather than in its place.

    Returns:
        The changed document, and the keys that were set.

    Raises:
        OptionError: a key is empty, or is no position of the list that it points into.
    """
    content, overridden = copy.deepcopy(document.content), set()
    for name, value in changes.items():
        for key, inner in _spread(tuple(name.split(".")), _plain(value), is_section):
            if not all(key):
                raise OptionError(name, expected="a key such as train.epochs", received=name)
            overridden.add(_put(content, key, inner))
    return replace(document, content=content), frozenset(overridden)


def _spread(key: Key, value: Any, is_section: Callable[[Key], bool]) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, dict) and is_section(key):
        for name, inner in value.items():
            yield from _spread((*key, name), inner, is_section)
    else:
        yield key, value


def _put(content: Any, key: Key, value: Any) -> Key:
    """Sets one value and returns its key, with list positions as numbers."""
    done: Key = ()
    for position, name in enumerate(key):
        last = position == len(key) - 1
        if isinstance(content, list):
            if not name.isdecimal() or int(name) >= len(content):
                expected = f"a position from 0 to {len(content) - 1} after {dotted(done)}"
                raise OptionError(dotted(key), expected=expected, received=name)
            name = int(name)
        elif not last and not isinstance(content.get(name), dict | list):
            content[name] = {}
        if last:
            content[name] = value
        done, content = (*done, name), content[name]
    return done


def _plain(value: Any) -> Any:
    """Turns what Python callers use (paths, tuples, numpy scalars) into what YAML knows."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, PurePath):
        return str(value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def write_value(value: Any) -> str:
    """Returns `value` as YAML text that reads back equal."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _count(node: yaml.Node | None, counts: dict[int, int]) -> int:
    """Counts the values of a node, those of aliases each time that they are used.

    Raises:
        yaml.YAMLError: there are absurdly many, or a node holds itself.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = _MOST + 1  # What is met again before it is done holds itself.
        inner = itertools.chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        counts[id(node)] = sum(_count(value, counts) for value in inner)
    if counts[id(node)] > _MOST:
        raise yaml.YAMLError("its aliases (*name) repeat too much, or hold themselves")
    return counts[id(node)]


def _lines(loader: _Loader, node: yaml.Node, key: Key, origin: str) -> Iterator[tuple[Key, int]]:
    """Yields (key, line) of everything below `node`; refuses a key that is given twice."""
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield (*key, position), item.start_mark.line + 1
            yield from _lines(loader, item, (*key, position), origin)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[Hashable, int] = {}
    for name_node, value in node.value:
        if not isinstance(name_node, yaml.ScalarNode) or name_node.tag == _MERGE:
            continue
        name, line = loader.construct_object(name_node), name_node.start_mark.line + 1
        if name in seen:
            problem = f"given twice, first in line {seen[name]}."
            raise RecipeError(dotted((*key, name)), problem, origin=origin, line=line)
        seen[name] = line
        yield (*key, name), line
        yield from _lines(loader, value, (*key, name), origin)
