"""`geodl train`."""

from __future__ import annotations

from typing import Annotated

import typer

from geodl.cli.options import Fold, Json, Overwrite, Quiet, RecipeName, Settings, overrides
from geodl.cli.terminal import Answer, console, print_evaluation

__all__ = ("train",)


def train(
    recipe: RecipeName,
    settings: Settings = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the run (default: runs/PIPELINE), or an address (s3://, gs://).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    fold: Fold = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train a network by a recipe and leave a bundle: network, contract, recipe, scores, report.

    Repeated on an unfinished run, the same command continues it.
    """
    changes = overrides(settings)
    from geodl._quiet import load_backend

    load_backend()
    from geodl import pipelines

    run = pipelines.train(recipe, changes, output=output, overwrite=overwrite, fold=fold, progress=not quiet)
    if not run.first:
        # One worker speaks for all.
        raise typer.Exit(130 if run.interrupted else 0)
    if run.interrupted:
        typer.echo(f"Interrupted: {run.address} holds the best epoch so far.", err=True)
        raise typer.Exit(130)
    answer = Answer(json, quiet=quiet)
    if not quiet and run.evaluation is not None:
        print_evaluation(console(stderr=str(json) == "-"), run.evaluation)
    answer.file("Run", run.address)
    answer.close(**(run.evaluation.to_json() if run.evaluation is not None else {"metrics": {}}))
