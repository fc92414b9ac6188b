"""`geodl predict`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from geodl.cli import classify as crops
from geodl.cli import emulate as dynamics
from geodl.cli import forecast as nowcasting
from geodl.cli.activity import progress_bar
from geodl.cli.options import AnyResolution, Overwrite, Quiet, Stack, Told
from geodl.cli.terminal import Answer
from geodl.errors import OptionError

__all__ = ("predict",)

_LAYERS = ("probabilities", "confidence", "entropy")


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder, or address, that geodl train wrote.")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE... TARGET",
            help="One scene and the map to write; or several scenes, a folder, a glob, and the folder for their maps. "
            "For nowcasting: radar frames (a folder, a glob, files) and the forecast to write (.nc). For dynamics: initial "
            "states (.csv, .nc, .npz) and the forecast to write (.nc, .csv). For crops: a cube of dates (.nc, .zarr, a folder "
            "of dated rasters) and the map (.tif), or a table of series and the table (.csv, .parquet, .gpkg, …).",
        ),
    ],
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write a band per class.")] = False,
    confidence: Annotated[bool, typer.Option("--confidence", help="Also write the largest probability.")] = False,
    entropy: Annotated[bool, typer.Option("--entropy", help="Also write the entropy, 0 to 1.")] = False,
    residual: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write what a denoiser took away (of speckle: the ratio); a folder for several scenes.",
        ),
    ] = None,
    noise_level: Annotated[
        float | None,
        typer.Option(metavar="SIGMA", help="Tell a network that wants to know; default: estimated from the scene."),
    ] = None,
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
        str | None, typer.Option(metavar="FILE", help="Map inside these polygons only (any vector file, any CRS).")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory beyond the loaded backend, such as 500MB (default 2GiB).")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto (default: the fastest installed), keras, openvino or onnx."),
    ] = None,
    tta: Annotated[
        int | None,
        typer.Option(metavar="N", help="Mean over N = 2, 4 or 8 mirrored and turned views; N times as long."),
    ] = None,
    vectorize: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Also write polygons with class and mean confidence (.gpkg, .fgb, .geojson)."
        ),
    ] = None,
    simplify: Annotated[
        float | None, typer.Option(metavar="SIZE", help="Simplify these polygons, in units of the CRS.")
    ] = None,
    min_pixels: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Merge polygons of fewer pixels into their neighbours.")
    ] = None,
    mosaic: Annotated[
        bool, typer.Option("--mosaic", help="Map all scenes as one; the first valid one counts.")
    ] = False,
    resample: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Bring scenes to the network's pixel size: bilinear, cubic, average, …"),
    ] = None,
    stack: Stack = False,
    geotiff: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Nowcasting: also write each lead time as a GeoTIFF to this folder."),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(
            "--ensemble",
            "--members",
            metavar="N",
            min=1,
            help="Nowcasting: N members, of a network that tells its spread. Dynamics: N perturbed states for each.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Of the ensemble; default 0.")] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="R,R,…", help="Nowcasting: also the probability that these rain rates (mm/h) are exceeded."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Nowcasting: forecast from the last frame up to then (UTC); default: the last."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Dynamics: steps of the forecast. Has to be given.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(metavar="TIME", help="Dynamics: time between them; default: as in training.")
    ] = None,
    perturbation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Dynamics: deviation of the ensemble's first states, as a share of each variable's (default 0.001, or "
            "what the network tells).",
        ),
    ] = None,
    assimilate: Annotated[
        bool,
        typer.Option("--assimilate", help="Dynamics: forecast from the end of these noisy, partial observations."),
    ] = False,
    observation_error: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Dynamics: their deviation, as a share of each variable's (default 0.1)."),
    ] = None,
    window: Annotated[
        float | None, typer.Option(metavar="TIME", help="Dynamics: assimilate this much of their end; default: all.")
    ] = None,
    parcels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Crops: classify these parcels in the cube; the target is a table."),
    ] = None,
    parcel_members: Annotated[
        str | None,
        typer.Option(
            metavar="mean|predictions",
            help="Crops: a parcel is the mean series of its pixels (default), or the mean of their predictions.",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", help="Crops: physical = stored × FACTOR + offset, where files do not say so."),
    ] = None,
    offset: Annotated[float | None, typer.Option(metavar="VALUE", help="Crops: see --scale.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="local:N|tcp://HOST:PORT",
            help="Map on N processes of this machine, or on Dask's scheduler there; a run broken off is gone on with.",
        ),
    ] = None,
    any_resolution: AnyResolution = False,
    overwrite: Overwrite = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Map scenes or cubes of dates with a trained network, classify parcels and series, or forecast rain or a dynamical
    system: GeoTIFFs on the scenes' grids, tables, or CF NetCDF."""
    given = {
        "batch_size": batch_size,
        "bbox": None if bbox is None else _bbox(bbox),
        "cluster": cluster,
        "mask": mask,
        "memory": None if memory is None else _memory(memory),
        "minimum": min_pixels,
        "noise_level": noise_level,
        "resample": resample,
        "residual": residual,
        "simplify": simplify,
        "turns": tta,
        "vectorise": vectorize,
    }
    options: dict[str, Any] = {
        "probabilities": probabilities,
        "confidence": confidence,
        "entropy": entropy,
        "overlap": _overlap(overlap),
        "mosaic": mosaic,
        "any_resolution": any_resolution,
        "overwrite": overwrite,
        **{name: value for name, value in given.items() if value is not None},
    }
    if vectorize is None and (simplify is not None or min_pixels is not None):
        option = "--simplify" if simplify is not None else "--min-pixels"
        raise OptionError(option, expected="--vectorize FILE beside it", received="no --vectorize")
    if mosaic and stack:
        raise OptionError("--mosaic", expected="scenes; --stack makes one scene of them", received="both")
    if len(paths) < 2:
        raise OptionError("geodl predict", expected="at least one scene and a target", received=" ".join(paths))
    *scenes, target = paths
    for_maps = {
        "--probabilities": probabilities,
        "--confidence": confidence,
        "--entropy": entropy,
        "--residual": residual is not None,
        "--noise-level": noise_level is not None,
        "--overlap": overlap != "auto",
        "--batch-size": batch_size is not None,
        "--bbox": bbox is not None,
        "--cluster": cluster is not None,
        "--mask": mask is not None,
        "--tta": tta is not None,
        "--vectorize": vectorize is not None,
        "--mosaic": mosaic,
        "--stack": stack,
    }
    for_rain = {"--geotiff": geotiff, "--thresholds": thresholds, "--at": at}
    for_both = {"--ensemble": ensemble, "--seed": seed}
    for_states = {
        "--steps": steps,
        "--step": step,
        "--perturbation": perturbation,
        "--assimilate": assimilate or None,
        "--observation-error": observation_error,
        "--window": window,
    }
    for_series = {
        "--parcels": parcels,
        "--parcel-members": parcel_members,
        "--scale": scale,
        "--offset": offset,
    }
    import geodl

    answer = Answer(json, quiet=quiet)
    model: Any = geodl.load(run, runtime=runtime)  # type: ignore[arg-type]
    kind = model.contract.output.kind
    if kind != "series_label":
        _refuse(_given(for_series), "a network for time series", kind)
    if kind in ("sequence", "trajectory"):
        _refuse([option for option, asked in for_maps.items() if asked], "a network that maps scenes", kind)
    if kind == "sequence":
        _refuse(_given(for_states), "a network for dynamics", kind)
        rain = nowcasting.Asked(
            geotiff=geotiff,
            members=ensemble,
            seed=seed or 0,
            thresholds=thresholds,
            at=at,
            any_resolution=any_resolution,
            resample=resample,
            memory=options.get("memory"),
            overwrite=overwrite,
        )
        nowcasting.forecast(model, scenes, target, rain, answer=answer)
        answer.close()
        return
    _refuse(_given(for_rain), "a network for nowcasting", kind)
    if kind == "trajectory":
        for_grids = {"--resample": resample, "--any-resolution": any_resolution or None}
        _refuse(_given(for_grids), "a network for scenes or radar frames", kind)
        states = dynamics.Asked(
            steps=steps,
            step=step,
            members=ensemble,
            perturbation=perturbation,
            seed=seed or 0,
            assimilate=assimilate,
            error=observation_error,
            window=window,
            memory=options.get("memory"),
            overwrite=overwrite,
        )
        dynamics.emulate(model, scenes, target, states, answer=answer)
        answer.close()
        return
    _refuse(_given(for_both), "a network for nowcasting or for dynamics", kind)
    _refuse(_given(for_states), "a network for dynamics", kind)
    if kind == "series_label":
        for_scenes = ("--residual", "--noise-level", "--overlap", "--tta", "--mosaic", "--stack")
        asked_anyway = [option for option in for_scenes if for_maps[option]]
        _refuse([*asked_anyway, *(["--any-resolution"] if any_resolution else [])], "a network that maps scenes", kind)
        own = {name: value for name, value in options.items() if name not in ("overlap", "mosaic", "any_resolution")}
        crops.classify(
            model, scenes, target, crops.Asked(parcels, parcel_members, scale, offset, own), answer=answer
        )  # fmt: skip
        answer.close()
        return
    source = _source(scenes, stack=stack, into_folder=target.endswith(("/", os.sep)))
    if stack:
        source = _stacked(source, resample or model.contract.input.resample)
    if quiet:
        maps = model.predict_file(source, target, **options)
    else:
        with progress_bar(Path(target).name) as progress:
            maps = model.predict_file(source, target, progress=progress, **options)
    for path in maps:
        answer.file("Map", path)
        for layer in _LAYERS if not quiet else ():
            beside = Path(path).with_suffix(f".{layer}.tif")
            if options[layer] and beside.is_file():
                answer.file(layer.capitalize(), beside)
    if vectorize is not None and maps:
        answer.file("Polygons", vectorize)
    answer.close()


def _refuse(options: Sequence[str], expected: str, kind: str) -> None:
    """Refuses options that this kind of network has no use for."""
    if options:
        raise OptionError(options[0], expected=expected, received=f"one whose output is of kind {kind!r}")


def _given(options: Mapping[str, object]) -> list[str]:
    return [option for option, value in options.items() if value is not None]


def _source(scenes: Sequence[str], *, stack: bool, into_folder: bool) -> Any:
    """What `predict_file` is given; files that are not there are refused before a backend is loaded."""
    from geodl.data.opening import find_scenes

    found = find_scenes(scenes[0] if len(scenes) == 1 else list(scenes), stack=stack)
    if stack:
        return found[0]
    return scenes[0] if len(scenes) == 1 and not into_folder else list(scenes)


def _stacked(found: tuple[str, Any], resample: str | None) -> Any:
    """Opens one scene, of name and files, whose bands may lie on several grids."""
    from geodl.data.opening import open_source
    from geodl.data.resample import Resample

    method = None if resample is None else Resample(resample)  # type: ignore[arg-type]
    return open_source(found[1], name=found[0], resample=method)


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


def _memory(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?)(i?)B?", text)
    if not match or float(match[1]) == 0:
        raise OptionError("--memory", expected="a size such as 500MB or 2GiB", received=text)
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kMGT".index(match[2] or " "))
