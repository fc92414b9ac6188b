"""`geodl predict`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodl.cli.options import AnyResolution, Overwrite, Quiet, Stack
from geodl.cli.terminal import console
from geodl.errors import GeodlError, OptionError, OutputExists, OutputUnwritable

if TYPE_CHECKING:
    from geodl.inference.predictor import Predictor

__all__ = ("predict",)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that geodl train wrote.")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE... TARGET",
            help="One scene and the map to write; or several scenes, a folder, a glob, and the folder for their maps.",
        ),
    ],
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write a band per class.")] = False,
    confidence: Annotated[bool, typer.Option("--confidence", help="Also write the largest probability.")] = False,
    entropy: Annotated[bool, typer.Option("--entropy", help="Also write the entropy, 0 to 1.")] = False,
    overlap: Annotated[
        str,
        typer.Option(
            metavar="auto|exact|N", help="Blend tiles over N pixels, or cut them to exactly what one pass gives."
        ),
    ] = "auto",
    batch_size: Annotated[int | None, typer.Option(metavar="N", min=1, help="Tiles a pass of the network.")] = None,
    bbox: Annotated[
        str | None, typer.Option(metavar="MINX,MINY,MAXX,MAXY", help="Map this part only, in the scene's CRS.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Map inside these polygons only (any vector file, any CRS).")
    ] = None,
    stack: Stack = False,
    any_resolution: AnyResolution = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Map scenes with a trained network: cloud-optimised GeoTIFFs on the scenes' grids."""
    options = {
        "probabilities": probabilities,
        "confidence": confidence,
        "entropy": entropy,
        "overlap": _overlap(overlap),
        "bbox": None if bbox is None else _bbox(bbox),
        "mask": mask,
        "any_resolution": any_resolution,
        "overwrite": overwrite,
        **({} if batch_size is None else {"batch_size": batch_size}),
    }
    if len(paths) < 2:
        raise OptionError("geodl predict", expected="at least one scene and a target", received=" ".join(paths))
    jobs = _jobs(paths[:-1], paths[-1], stack=stack)
    for _, target in jobs:
        if target.exists() and not overwrite:
            raise OutputExists(target, "something")
    import geodl

    model = geodl.load(run)
    failed = 0
    for number, (source, target) in enumerate(jobs, start=1):
        title = target.stem if len(jobs) == 1 else f"{number}/{len(jobs)} {target.stem}"
        try:
            _map(model, source, target, title, options, quiet=quiet)
        except GeodlError as error:
            if len(jobs) == 1:
                raise
            # The other scenes are mapped all the same.
            typer.echo(f"Error: {error}", err=True)
            failed += 1
    if failed:
        typer.echo(f"Error: {failed} of {len(jobs)} scenes could not be mapped.", err=True)
        raise typer.Exit(2)


def _map(model: Predictor, source: Any, target: Path, title: str, options: dict[str, Any], *, quiet: bool) -> None:
    if quiet:
        model.predict_file(source, target, **options)
        typer.echo(target)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)
        model.predict_file(
            source, target, progress=lambda done, total: bars.update(task, completed=done, total=total), **options
        )
    console().print(f"Map: {target}", markup=False, soft_wrap=True)


def _jobs(scenes: Sequence[str], target: str, *, stack: bool) -> list[tuple[Any, Path]]:
    """Pairs each scene with the map to write; makes the folder of maps where there are several."""
    from geodl.data.raster import find_rasters

    found = find_rasters(scenes[0] if len(scenes) == 1 else list(scenes), stack=stack)
    one = stack or (len(scenes) == 1 and found == [(found[0][0], scenes[0])])
    folder = Path(target)
    if one and not (folder.is_dir() or target.endswith(("/", os.sep))):
        return [(found[0][1], folder)]
    repeated = [name for name, count in Counter(name for name, _ in found).items() if count > 1]
    if repeated:
        raise OptionError("geodl predict", expected="scenes of different names", received=", ".join(repeated))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
    return [(source, folder / f"{name}.tif") for name, source in found]


def _overlap(text: str) -> str | int:
    if text in ("auto", "exact"):
        return text
    if text.isdecimal():
        return int(text)
    raise OptionError("--overlap", expected="auto, exact or a number of pixels", received=text)


def _bbox(text: str) -> tuple[float, float, float, float]:
    try:
        minx, miny, maxx, maxy = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError("--bbox", expected="four numbers minx,miny,maxx,maxy", received=text) from None
    if not (minx < maxx and miny < maxy):
        raise OptionError("--bbox", expected="minx < maxx and miny < maxy", received=text)
    return minx, miny, maxx, maxy
