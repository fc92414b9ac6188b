"""`geodl check`."""

from __future__ import annotations

from geodl.cli.options import Fold, Quiet, RecipeName, Settings, overrides
from geodl.cli.terminal import console, print_table

__all__ = ("check",)


def check(recipe: RecipeName, settings: Settings = None, fold: Fold = None, quiet: Quiet = False) -> None:
    """Try a recipe without training: files, classes, split, leakage, network, memory and time. Nothing is written."""
    changes = overrides(settings)
    from geodl._quiet import load_backend

    load_backend()
    from geodl import pipelines

    report = pipelines.check(recipe, changes, fold=fold)
    if not quiet:
        to = console()
        for table in report.tables:
            print_table(to, table.title, table.columns, table.rows)
