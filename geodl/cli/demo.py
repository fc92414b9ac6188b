"""`geodl demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geodl.cli.completion import pipelines
from geodl.cli.options import Overwrite, Quiet, Told
from geodl.cli.terminal import Answer, console, print_evaluation

__all__ = ("demo",)


def demo(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[PIPELINE]",
            help="segmentation, denoising, superresolution, nowcasting, dynamics or crops.",
            autocompletion=pipelines,
        ),
    ] = "segmentation",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for all that is made.")
    ] = Path("geodl-demo"),
    overwrite: Overwrite = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Train on embedded scenes, map one never seen, score it, and draw it: the whole walk in a few minutes.

    segmentation: land cover of simulated scenes. denoising: an elevation model. superresolution: photographs.
    nowcasting: simulated rain. dynamics: the system of Lorenz (1963). crops: simulated seasons.
    """
    from geodl._quiet import load_backend

    load_backend()
    from geodl.pipelines import demo as show

    result = show(name, output=output, overwrite=overwrite, progress=not quiet)
    answer = Answer(json, quiet=quiet)
    if not quiet:
        print_evaluation(console(stderr=str(json) == "-"), result.evaluation)
    for what, path in result.paths.items():
        answer.file(what, path)
    answer.close(**result.evaluation.to_json())
