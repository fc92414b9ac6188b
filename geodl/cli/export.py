"""`geodl export`."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from geodl.cli.options import Overwrite, Quiet, Run, Told
from geodl.cli.terminal import Answer

__all__ = ("export",)


def export(
    run: Run,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="onnx|openvino|saved_model", help="What to convert the network to.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder to write (default: RUN-FORMAT).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Convert a trained network for use without geodl: with its contract, a README and an example."""
    from geodl.inference.export import export as write

    folder = write(run, output, format=cast("Any", format), overwrite=overwrite)
    answer = Answer(json, quiet=quiet)
    answer.file("Export", folder)
    answer.close()
