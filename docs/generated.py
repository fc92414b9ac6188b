"""What the pages say of code is made from that code: fields of recipes and contracts, commands, public names.

A page holds `<!-- generated: WHAT -->`, with a name behind it where `WHAT` takes one; the hook of MkDocs puts the text there.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

__all__ = ("commands", "contract", "expanded", "file", "losses", "names", "on_page_markdown", "recipe")

_MARK = re.compile(r"<!-- generated: (\w+)(?: ([\w.]+))? -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The hook of MkDocs."""
    return expanded(markdown)


def expanded(markdown: str) -> str:
    """Returns a page with what is generated in the place of its marks."""
    return _MARK.sub(lambda mark: _MADE[mark[1]](*filter(None, [mark[2]])), markdown)


def recipe() -> str:
    """Returns a table for each section of recipes: those that all have, then what each pipeline adds."""
    from geodl.pipelines import find
    from geodl.pipelines import names as pipelines
    from geodl.recipe import Recipe

    parts = ["## Every recipe", *_section(Recipe, "")]
    for name in pipelines():
        model = find(name).recipe_model
        own = {key for key in model.model_fields if key not in Recipe.model_fields} | {
            key for key, field in model.model_fields.items()
            if key in Recipe.model_fields and field.annotation != Recipe.model_fields[key].annotation
        }  # fmt: skip
        if own:
            parts += [f"## Only {name}", *_section(model, "", only=own)]
    return "\n\n".join(parts)


def _section(model: type[BaseModel], prefix: str, only: set[str] | None = None) -> Iterator[str]:
    fields = {key: field for key, field in model.model_fields.items() if only is None or key in only}
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for key, field in fields.items():
        default = field.get_default(call_default_factory=True)
        shown = (
            "needed" if default is PydanticUndefined else "below" if isinstance(default, BaseModel) else _code(default)
        )
        told = field.description or _summary(field.annotation)
        rows.append(f"| `{prefix}{key}` | {_cell(_type(field.annotation))} | {shown} | {_cell(told)} |")
    yield "\n".join(rows)
    for key, field in fields.items():
        for inner in _models(field.annotation):
            yield f"### `{prefix}{key}`" + (f" as a mapping\n\n{inner.__doc__}" if inner.__doc__ else "")
            yield from _section(inner, f"{prefix}{key}.")


def _summary(annotation: Any) -> str:
    inner = next(_models(annotation), None)
    return (inner.__doc__ or "").splitlines()[0] if inner is not None else ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(dict.fromkeys(_type(each) for each in arguments))
    if origin is typing.Literal:
        return ", ".join(_code(each) for each in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    plain = {str: "text", int: "whole number", float: "number", bool: "true, false", type(None): "null", Any: "any"}
    return plain.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _code(value: Any) -> str:
    text = {None: "null", True: "true", False: "false", "": "empty"}.get(value, value) if not _long(value) else value
    return f"`{text}`"


def _long(value: Any) -> bool:
    return isinstance(value, list | dict)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def losses() -> str:
    """Returns a table of the losses, by the names that recipes use, with their options."""
    from geodl.losses import LOSSES

    rows = ["| name | options | |", "|---|---|---|"]
    for name, loss in LOSSES.items():
        told = (loss.__doc__ or "").strip().splitlines()[0]
        options = [option for option in inspect.signature(loss).parameters if option not in ("name", "kwargs")]
        rows.append(f"| `{name}` | {', '.join(f'`{option}`' for option in [*options, 'weight'])} | {_cell(told)} |")
    return "\n".join(rows)


def contract() -> str:
    """Returns a table for each part of `contract.json`, with the docstrings of its fields."""
    from geodl import contract as module

    parts = []
    for kind in (module.Contract, module.ModelInput, module.ModelOutput, module.Dim, module.Band, module.ClassInfo):
        told = _field_docstrings(kind)
        rows = ["| key | |", "|---|---|"]
        rows += [f"| `{field.name}` | {_cell(told.get(field.name, ''))} |" for field in dataclasses.fields(kind)]
        parts += [f"### {kind.__name__}", (inspect.getdoc(kind) or "").replace("\n\n", "\n\n"), "\n".join(rows)]
    return "\n\n".join(parts)


def _field_docstrings(kind: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:])
    return {
        field.target.id: str(text.value.value)
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def commands() -> str:
    """Returns a part for each command: what it does, its arguments, options and examples."""
    import typer

    from geodl.cli.app import app

    return "\n\n".join(_command(command, f"geodl {name}") for name, command in _all(typer.main.get_command(app)))


def _all(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _all(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _command(command: Any, name: str) -> str:
    words, rows = [], ["| | |", "|---|---|"]
    for parameter in command.params:
        value = parameter.metavar or parameter.name.upper()
        if parameter.param_type_name == "argument":
            words.append(value)
            rows.append(f"| `{value}` | {_cell(parameter.help or '')} |")
        else:
            flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
            rows.append(f"| {flags}{'' if parameter.is_flag else f' `{value}`'} | {_cell(parameter.help or '')} |")
    examples = re.findall(r"geodl [^\n]+", re.sub(r"\[/?(?:bold|dim|italic|cyan|green)\]", "", command.epilog or ""))
    shown = ["```sh\n" + "\n".join(example.strip() for example in examples) + "\n```"] if examples else []
    usage = " ".join([name, *words, "[OPTIONS]"])
    return "\n\n".join([f"## {name}", f"`{usage}`", inspect.cleandoc(command.help or ""), *shown, "\n".join(rows)])


def names(module: str) -> str:
    """Returns a directive of mkdocstrings for each public class and function of a module."""
    room = importlib.import_module(module)
    shown = sorted((name for name in room.__all__ if callable(getattr(room, name))), key=str.lower)
    homes = {name: f"{getattr(room, name).__module__}.{name}" for name in shown}
    return "\n\n".join(f"::: {home}" for home in dict.fromkeys(homes.values()) if home.startswith("geodl."))


def file(name: str) -> str:
    """Returns a page that lies above `docs/`."""
    return (Path(__file__).parents[1] / name).read_text(encoding="utf-8").replace("](docs/", "](")


_MADE: dict[str, Callable[..., str]] = {
    "recipe": recipe, "losses": losses, "contract": contract, "commands": commands, "names": names, "file": file,
}  # fmt: skip
