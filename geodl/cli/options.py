"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from geodl.activity import unheard
from geodl.cli import completion
from geodl.errors import OptionError

__all__ = (
    "AnyResolution",
    "Fold",
    "Json",
    "Overwrite",
    "Quiet",
    "RecipeName",
    "Run",
    "Settings",
    "Stack",
    "Told",
    "overrides",
)


def _without_spinner(quiet: bool) -> bool:
    if quiet:
        unheard()
    return quiet


RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a shipped recipe (segmentation, denoising, …) or path of a YAML file.",
        autocompletion=completion.recipes,
    ),
]
# No Path, which would make one slash of an address's two.
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder that geodl train wrote, or its address (s3://, gs://, https://).")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override a field of the recipe; the value is YAML, an empty one is null. May be repeated.",
        autocompletion=completion.recipe_keys,
    ),
]
Fold = Annotated[
    int | None, typer.Option(metavar="K", min=0, help="Hold out fold K, from 0, of data.split.folds (default 5).")
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write pipeline, metrics, protocol; - is stdout.")
]
Told = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write what is told as JSON, too; - is stdout.")
]
Stack = Annotated[bool, typer.Option("--stack", help="The scenes, or the folder's files, are bands of one scene.")]
AnyResolution = Annotated[bool, typer.Option("--any-resolution", help="Accept any pixel size.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but the paths of what was made.", callback=_without_spinner),
]


def overrides(settings: Sequence[str] | None) -> dict[str, Any]:
    """Reads `--set` options.

    Args:
        settings: `key=value` texts; of several for one key the last counts.

    Raises:
        OptionError: one of them has no key or no `=`.

    Example:
        >>> overrides(["train.epochs=3", "data.bands=[B02, B03]", "data.labels="])
        {'train.epochs': 3, 'data.bands': ['B02', 'B03'], 'data.labels': None}
    """
    from geodl.recipe.document import parse_value

    changes = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise OptionError("--set", expected="key=value, such as train.epochs=10", received=setting)
        changes[key.strip()] = parse_value(value)
    return changes
