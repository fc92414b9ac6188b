"""`geodl check`."""

from __future__ import annotations

from geodl.cli.options import Fold, Quiet, RecipeName, Settings, Told, overrides
from geodl.cli.terminal import Answer

__all__ = ("check",)


def check(
    recipe: RecipeName, settings: Settings = None, fold: Fold = None, json: Told = None, quiet: Quiet = False
) -> None:
    """Try a recipe without training: files, classes, split, leakage, network, memory and time. Nothing is written."""
    changes = overrides(settings)
    from geodl._quiet import load_backend

    load_backend()
    from geodl import pipelines

    report = pipelines.check(recipe, changes, fold=fold)
    answer = Answer(json, quiet=quiet)
    for table in report.tables:
        answer.table(table.title, table.columns, table.rows)
    answer.close(pipeline=report.pipeline)
