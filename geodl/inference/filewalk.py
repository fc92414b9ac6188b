"""Scenes in files to maps in files: which becomes which, what may not be written, and one after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geodl.data.files import is_local
from geodl.data.opening import find_scenes, is_one_scene
from geodl.errors import NoValidPixels, OptionError
from geodl.inference.cluster import Cluster, check_cluster, open_cluster
from geodl.inference.engine import Progress
from geodl.inference.mapper import Mapper, Plan
from geodl.inference.options import Options
from geodl.inference.request import Request, open_adapted
from geodl.inference.scratch import scratch_folder
from geodl.inference.unfinished import FinishedMap, Journal, held_bytes, remove_unfinished, unfinished_folder
from geodl.inference.workkey import scene_paths, work_key
from geodl.inference.writers import MapWriter, check_room

__all__ = ("Polygons", "map_files")

_VECTORISE = "vectorise (--vectorize)"
_RESIDUAL = "residual (--residual)"
_SUFFIXES = (".tif", ".tiff")
_LAYERS = ("probabilities", "confidence", "entropy")

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class Polygons:
    """Polygons to be made of a map; see `geodl.inference.vectorise.vectorise`."""

    target: str | os.PathLike[str]
    simplify: float | None
    minimum: int
    passing: bool
    """Whether the confidence is made for them only."""


@dataclass(frozen=True)
class _Job:
    """One map to be made."""

    scene: Any
    target: Path
    apart: dict[str, Path]
    """Paths of layers that do not go beside it."""


def map_files(
    mapper: Mapper,
    source: Any,
    target: str | os.PathLike[str],
    options: Options,
    *,
    mosaic: bool,
    residual: str | os.PathLike[str] | None,
    polygons: Polygons | None,
    progress: Progress | None,
    overwrite: bool,
    cluster: Any = None,
    about: str = "",
) -> list[Path]:
    """Maps scenes from files to files; see `Predictor.predict_file`. `about` says what else is asked."""
    if cluster is not None:
        check_cluster(cluster, batch_size=options.batch_size)
    _check_here("target", target)
    _check_here(_RESIDUAL, residual)
    _check_here(_VECTORISE, None if polygons is None else polygons.target)
    paths = Path(target), None if residual is None else Path(residual)
    jobs = _mosaic(mapper, source, *paths, options) if mosaic else _jobs(source, *paths)
    if polygons is not None:
        _check_polygons(mapper, polygons, len(jobs), overwrite)
    sizes: dict[Path, int] = {}
    for job in jobs:
        request = mapper.request(job.scene, options)
        if cluster is not None and _is_finished(job, mapper, request, about):
            continue
        _check_targets(request, _writer(job, request, polygons, overwrite).paths, polygons)
        # Before tiles are planned: of a grid that only a header claims there may be millions.
        check_room(job.target, request.products.layers, request.grid, apart=job.apart, held=held_bytes)
        mapper.plan(request)
        sizes[job.target] = int(request.window.height) * int(request.window.width)
    mapped, before = [], 0
    with nullcontext() if cluster is None else open_cluster(cluster) as workers:
        for job in jobs:
            if job.target not in sizes:
                mapped.append(job.target)
                continue
            request = mapper.request(job.scene, options)
            told = _of_all(progress, before, sum(sizes.values()))
            before += sizes[job.target]
            try:
                if workers is None:
                    with _writer(job, request, polygons, overwrite) as sink:
                        mapper.map(request, mapper.plan(request), sink, told)
                        _finish(mapper, sink, polygons, options, progress, overwrite)
                    remove_unfinished(job.target)
                else:
                    plan, key = mapper.plan(request), work_key(request, mapper.network, about)
                    keeping = partial(unfinished_folder, key=f"{key} {plan.tiling}")
                    with _writer(job, request, polygons, overwrite, keeping) as sink:
                        _map_apart(workers, request, plan, sink, told)
                        _finish(mapper, sink, polygons, options, progress, overwrite)
                    if len(jobs) > 1:
                        FinishedMap(job.target).note(key)
                mapped.append(job.target)
            except NoValidPixels as error:
                if not mapped and job is jobs[-1]:
                    raise
                _log.warning("%s It was left out.", error)
    for target in mapped if cluster is not None else ():
        FinishedMap(target).remove()
    return mapped


def _map_apart(cluster: Cluster, request: Request, plan: Plan, sink: MapWriter, progress: Progress | None) -> None:
    """Maps a scene on a cluster, or goes on with what is in the writer's folder."""
    from geodl.inference.clusterwalk import map_on_cluster

    cluster.check_paths(scene_paths(request.source))
    with closing(Journal(sink.home, sink, fresh=sink.fresh)) as journal:
        map_on_cluster(cluster, request, plan, sink, journal, progress)


def _is_finished(job: _Job, mapper: Mapper, request: Request, about: str) -> bool:
    """Whether a run on a cluster made this map before it was broken off at another one."""
    note = FinishedMap(job.target)
    return note.exists() and note.holds(work_key(request, mapper.network, about))


def _finish(
    mapper: Mapper,
    sink: MapWriter,
    polygons: Polygons | None,
    options: Options,
    progress: Progress | None,
    overwrite: bool,
) -> None:
    """Gives a map its name, after its polygons have been made."""
    try:
        if polygons is not None:
            _make_polygons(mapper, polygons, sink.make(), options, progress, overwrite)
    finally:
        # A map that is whole is kept, whatever becomes of its polygons.
        sink.finish()


def _jobs(source: Any, target: Path, residual: Path | None) -> list[_Job]:
    """Pairs every scene with the paths of its map."""
    if is_one_scene(source):
        return [_job(source, _within(target, source), None if residual is None else _within(residual, source))]
    for option, folder in (("target", target), (_RESIDUAL, residual)):
        if folder is not None and folder.suffix.lower() in _SUFFIXES:
            expected = "a folder, for the maps of several scenes"
            raise OptionError(option, expected=expected, received=os.fspath(folder))
    jobs = [
        _job(spec, target / f"{name}.tif", None if residual is None else residual / f"{name}.tif")
        for name, spec in find_scenes(source)
    ]
    names = {job.target.name for job in jobs}
    for extra in _LAYERS:
        for job in jobs:
            if job.target.with_suffix(f".{extra}.tif").name in names:
                received = f"{job.target.stem}.{extra}.tif"
                raise OptionError("source", expected="scenes, without layers of maps among them", received=received)
    return jobs


def _mosaic(mapper: Mapper, scenes: Any, target: Path, residual: Path | None, options: Options) -> list[_Job]:
    """One job: the map of all scenes."""
    from geodl.data.mosaic import mosaic

    sources = [open_adapted(spec, mapper.contract, options)[0] for _, spec in find_scenes(scenes)]
    return [_job(mosaic(sources, name=target.stem, resample=options.resample), target, residual)]


def _job(scene: Any, target: Path, residual: Path | None) -> _Job:
    if residual is not None and os.path.realpath(residual) == os.path.realpath(target):
        raise OptionError(_RESIDUAL, expected="another place than that of the map", received=os.fspath(residual))
    return _Job(scene, target, {} if residual is None else {"residual": residual})


def _within(path: Path, scene: Any) -> Path:
    """Where the map of one scene goes: into a folder, if it is one, by the scene's name."""
    return path / f"{find_scenes(scene)[0][0]}.tif" if path.is_dir() else path


def _writer(
    job: _Job,
    request: Request,
    polygons: Polygons | None,
    overwrite: bool,
    folder: Callable[[Path], AbstractContextManager[Path]] = scratch_folder,
) -> MapWriter:
    return MapWriter(
        job.target,
        request.products.layers,
        request.grid,
        overwrite=overwrite,
        tags={"TIFFTAG_SOFTWARE": "geodl"},
        passing=("confidence",) if polygons is not None and polygons.passing else (),
        apart=job.apart,
        folder=folder,
    )


def _check_here(name: str, written: str | os.PathLike[str] | None) -> None:
    """Refuses addresses: as paths of this machine they would be folders called `s3:` and the like."""
    text = "" if written is None else os.fspath(written)
    if "://" in text or text.startswith("/vsi"):
        raise OptionError(name, expected="a path of this machine", received=text)


def _check_targets(request: Request, written: Sequence[Path], polygons: Polygons | None) -> None:
    """Refuses to replace what is read."""
    source, mask = request.source, request.options.mask
    own = [*getattr(source, "paths", ()), *([] if mask is None else [os.fspath(mask)])]
    for target in (*written, *([] if polygons is None else [Path(polygons.target)])):
        if target.exists() and any(is_local(path) and os.path.exists(path) and target.samefile(path) for path in own):
            expected = "another file than the scene's own, or the mask's"
            raise OptionError("target", expected=expected, received=os.fspath(target))


def _check_polygons(mapper: Mapper, polygons: Polygons, count: int, overwrite: bool) -> None:
    kind = mapper.contract.output.kind
    if kind != "classes":
        raise OptionError(_VECTORISE, expected="a network that tells classes apart", received=f"one of {kind}")
    if count > 1:
        expected = "one map of classes; mosaic=True (--mosaic) makes one of many scenes"
        raise OptionError(_VECTORISE, expected=expected, received=count)
    from geodl.inference.vectorise import check_request

    check_request(polygons.target, simplify=polygons.simplify, minimum=polygons.minimum, overwrite=overwrite)


def _make_polygons(
    mapper: Mapper,
    polygons: Polygons,
    layers: dict[str, Path],
    options: Options,
    progress: Progress | None,
    overwrite: bool,
) -> None:
    from geodl.inference.vectorise import vectorise

    vectorise(
        layers["classes"],
        polygons.target,
        classes=mapper.contract.output.classes,
        confidence=layers["confidence"],
        simplify=polygons.simplify,
        minimum=polygons.minimum,
        overwrite=overwrite,
        memory=options.memory,
        progress=progress,
    )


def _of_all(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Reports one scene's progress as that of all scenes."""
    return None if progress is None else lambda done, _: progress(before + done, total)
