"""`geodl report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geodl.cli.options import Overwrite, Quiet, Told

__all__ = ("report",)


def report(
    what: Annotated[
        str,
        typer.Argument(metavar="MAP|RUN", help="A map to look at beside its scene; or a run, whose report is named."),
    ],
    scene: Annotated[
        Path | None,
        typer.Option(
            "--scene", metavar="FILE|FOLDER", help="The scene that the map was made of; a folder of its bands."
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Labels to compare with: a raster, or polygons.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Page to write (default: MAP as .html).")
    ] = None,
    pixels: Annotated[
        int, typer.Option(metavar="N", min=64, max=4096, help="Rows and columns of the map shown at most.")
    ] = 1400,
    overwrite: Overwrite = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Write a page to look at a map beside its scene: zoom, swipe, legend, areas. Of a run: say where its report lies."""
    from geodl.bundle import REPORT, read_bundle, replace_text
    from geodl.cli.terminal import Answer
    from geodl.errors import BundleError, OptionError, OutputExists
    from geodl.storage.address import is_address

    if scene is None and (Path(what).is_dir() or is_address(what)):
        page = read_bundle(what).path / REPORT
        if not page.is_file():
            raise BundleError(what, "It holds no report", advice="Training writes one at its end; train again.")
    else:
        if scene is None:
            raise OptionError("--scene", expected="the scene that the map was made of", received="none")
        page = output or Path(what).with_suffix(".html")
        if page.exists() and not overwrite:
            raise OutputExists(page, "a file")
        from geodl.data.opening import find_scenes
        from geodl.report.mapview import map_page

        bands = find_scenes(scene, stack=True)[0][1] if scene.is_dir() else scene
        replace_text(page, map_page(what, bands, truth=truth, pixels=pixels))
    answer = Answer(json, quiet=quiet)
    answer.file("Report", page, f"{page.stat().st_size / 1e6:.1f} MB; open it in a browser")
    answer.close()
