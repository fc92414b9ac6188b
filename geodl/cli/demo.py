"""`geodl demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geodl.cli.options import Overwrite, Quiet
from geodl.cli.terminal import console, print_evaluation

__all__ = ("demo",)


def demo(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[PIPELINE]", help="segmentation, denoising, superresolution, nowcasting, dynamics or crops."
        ),
    ] = "segmentation",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for all that is made.")
    ] = Path("geodl-demo"),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train on embedded scenes, map one never seen, score it, and draw it: the whole walk in a few minutes.

    segmentation: land cover of simulated scenes. denoising: an elevation model. superresolution: photographs.
    nowcasting: simulated rain. dynamics: the system of Lorenz (1963). crops: simulated seasons.
    """
    from geodl._quiet import load_backend

    load_backend()
    from geodl import pipelines

    result = pipelines.demo(name, output=output, overwrite=overwrite, progress=not quiet)
    if quiet:
        for path in result.paths.values():
            typer.echo(path)
        return
    to = console()
    print_evaluation(to, result.evaluation)
    for what, path in result.paths.items():
        to.print(f"{what}: {path}", markup=False, soft_wrap=True)
