"""Lines of texts that call geodl: found in blocks and spans of Markdown, and held against the commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import typer

from geodl.cli.app import app
from geodl.cli.options import overrides
from geodl.errors import RecipeError
from geodl.pipelines import find, names
from geodl.recipe import load_recipe

__all__ = ("called", "check_command", "in_markdown")

_PLACEHOLDER = re.compile(r"[A-Z_]+|\$.*|.*\.ya?ml|…")


@cache
def _group() -> Any:
    return typer.main.get_command(app)


def in_markdown(text: str) -> list[list[str]]:
    """Returns the arguments of each call of geodl in a page: in fenced and indented blocks, and between backquotes."""
    text = re.sub(r"\s*\\\n\s*", " ", text)
    fenced = re.findall(r"(?ms)^```(?:sh|bash|)\n(.*?)^```", text)
    rest = re.sub(r"(?ms)^```.*?^```", "", text)
    lines = [line for block in fenced for line in block.splitlines()]
    lines += [line for line in rest.splitlines() if line.startswith("    ")]
    lines += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]
    return [arguments for line in lines if (arguments := called(line)) is not None]


def called(line: str) -> list[str] | None:
    """Returns what a line tells geodl, or None where it does not call it."""
    if "geodl " not in line:
        return None
    found = re.search(rf"(?:^|[\s/])geodl ((?:{'|'.join(_group().commands)})\b.*)", line)
    if not found:
        return None
    try:
        return shlex.split(found[1], comments=True)
    except ValueError:
        # The call stands in a quotation: what follows that is not the call's.
        return shlex.split(found[1].partition("' ")[0].rstrip("'"), comments=True)


def check_command(arguments: list[str]) -> None:
    """Refuses a command or an option that is not there, and a setting that is no key of the recipe."""
    command, rest = _group().commands[arguments[0]], arguments[1:]
    while getattr(command, "commands", None) and rest:
        command, rest = command.commands[rest[0]], rest[1:]
    # A sentence may name a command with an option alone, or leave out what does not matter there.
    if not rest or rest[0].startswith("-") or any("…" in word for word in rest):
        return _check_options(command, rest)
    context = command.make_context(arguments[0], list(rest))
    if "settings" in context.params:
        _check_settings(context.params.get("recipe"), overrides(context.params["settings"]))
    return None


def _check_options(command: Any, words: list[str]) -> None:
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in known | {"--help"}]
    assert not unknown, f"no such options: {unknown}"


def _check_settings(recipe: str | None, changes: dict[str, Any]) -> None:
    def read(name: str) -> None:
        load_recipe(name, changes, files=False, model=lambda pipeline: find(pipeline).recipe_model)

    if recipe is not None and not _PLACEHOLDER.fullmatch(recipe):
        read(recipe)
    elif changes:
        _one_reads(names(), read)


def _one_reads(recipes: Iterable[str], read: Callable[[str], None]) -> None:
    """A run of any pipeline may be meant: one of them has to know the settings."""
    problems = []
    for name in recipes:
        try:
            return read(name)
        except RecipeError as error:
            problems.append(error)
    raise problems[0]
