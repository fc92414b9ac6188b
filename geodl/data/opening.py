"""What a user means by a scene, or by many: opens each with the adapter that its kind needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from geodl.data.files import common_name, distinct_names, find_files
from geodl.data.raster import RASTER_EXTENSIONS, Spec, numbered, open_raster
from geodl.data.source import Source

__all__ = ("find_scenes", "open_source")


def open_source(thing: Any, *, name: str | None = None, bands: Sequence[str] | None = None) -> Source:
    """Opens whatever holds one scene.

    Args:
        thing: a path, a mapping of band names to paths, a list of paths (each a band or several), an `xarray.DataArray`
            or `Dataset`, an array of shape (height, width[, band]), or a `Source`, which is returned as it is.
        name: name of the scene; default: from the file's stem.
        bands: the bands to take, in this order; default: all. A source whose bands have no names takes these.

    Returns:
        The source. Nothing but the header has been read.

    Raises:
        SourceUnreadable: the thing is missing, damaged, or of a kind that cannot be read.
        BandMismatch: one of `bands` is missing.
        GridMismatch: the files of one scene do not lie on one grid.
    """
    if isinstance(thing, Source):
        return thing if bands is None else thing.select(tuple(bands))
    if isinstance(thing, (str, os.PathLike, Mapping, list, tuple)) and not hasattr(thing, "dims"):
        return open_raster(thing, name=name, bands=bands)  # type: ignore[arg-type]
    from geodl.data.cube import open_cube

    return open_cube(thing, name=name, bands=bands)


def find_scenes(where: Any, *, stack: bool = False) -> list[tuple[str, Spec]]:
    """Lists the scenes that `where` means.

    Args:
        where: a file, a folder (all its rasters; hidden files and sidecars are passed over), a glob, or a list: many
            scenes. A mapping of band names to paths is one scene; a list may hold such mappings.
        stack: the files of the folder, glob or list are the bands of one scene.

    Returns:
        A (name, spec) per scene, sorted by path; a spec is what `open_source` opens. Names are unique.

    Raises:
        EmptyDataset: nothing was found.
        SourceUnreadable: there is no such file or folder.
    """
    if isinstance(where, Mapping):
        paths = [os.fspath(path) for path in where.values()]
        return [(common_name(paths), dict(where))] if paths else find_scenes([])
    if isinstance(where, (list, tuple)) and any(isinstance(item, Mapping) for item in where):
        scenes = [scene for item in where for scene in find_scenes(item)]
        return [(name, spec) for name, (_, spec) in zip(numbered([name for name, _ in scenes]), scenes)]
    files = find_files(where, extensions=RASTER_EXTENSIONS, what="images")
    if stack:
        folder = isinstance(where, (str, os.PathLike)) and os.path.isdir(where)
        return [(os.path.basename(os.path.abspath(os.fspath(where))) if folder else common_name(files), files)]
    return list(zip(distinct_names(files), files))
