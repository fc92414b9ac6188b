"""`geodl evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from geodl.cli.options import Json, Quiet, Run, Settings, overrides
from geodl.cli.terminal import console, print_evaluation, write_json

__all__ = ("evaluate",)


def evaluate(
    run: Run,
    settings: Settings = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also fit the baselines on the run's training data and score them.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Score a trained network: on its own held-out part, or on all data given with --set.

    --set data.split=test (or validation, train) scores one part only. Denoising and super-resolution take clean, or fine,
    images and degrade them as the recipe says.
    """
    changes = overrides(settings)
    from geodl._quiet import load_backend

    load_backend()
    from geodl import pipelines

    evaluation = pipelines.evaluate(run, changes, baselines=baselines)
    if json is not None:
        write_json(json, evaluation.to_json())
    if not quiet:
        print_evaluation(console(stderr=str(json) == "-"), evaluation)
    elif json is not None and str(json) != "-":
        typer.echo(json)
