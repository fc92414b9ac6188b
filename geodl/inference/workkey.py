"""What a map depends on, as one word: a run that was broken off is gone on with only where all of it is the same."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from geodl.data.files import is_local
from geodl.data.source import Source
from geodl.inference.portable import PortableCall
from geodl.inference.request import Request

__all__ = ("scene_paths", "work_key")


def work_key(request: Request, network: Any, about: str = "") -> str:
    """Returns a word that changes with the network, what runs it, the scene's files, the mask, the options and geodl.

    Args:
        request: what is asked.
        network: the function that runs it; one that is not of a file, such as a scene in memory, is never the same again.
        about: what else is asked.
    """
    paths = scene_paths(request.source)
    if not paths or not isinstance(network, PortableCall):
        return uuid4().hex
    mask = request.options.mask
    files = [*paths, *([] if mask is None else [os.fspath(mask)])]
    source, adapted = request.source, request.adapted
    crs = None if source.grid.crs is None else source.grid.crs.to_wkt()
    told = (
        version("geodl"),
        network.identity,
        [(path, _state(path)) for path in files],
        (source.bands, crs, source.grid.transform, source.grid.shape),
        (adapted.contract, adapted.network, adapted.units, adapted.of_parts),
        request.products.layers,
        request.options,
        about,
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()


def scene_paths(source: Source) -> tuple[str, ...]:
    """Returns the files that a scene is read from; none where some of it is in memory."""
    parts = getattr(source, "sources", None)
    if parts:
        each = [scene_paths(part) for part in parts]
        return tuple(dict.fromkeys(path for paths in each for path in paths)) if all(each) else ()
    cube = getattr(source, "cube", None)
    if isinstance(cube, Source):
        return scene_paths(cube)
    path = getattr(source, "path", None)
    return (os.fspath(path),) if path else tuple(getattr(source, "paths", ()))


def _state(path: str) -> object:
    """What tells whether a file is still the same: size and time, or what a store says."""
    if is_local(path):
        if os.path.isdir(path):
            return uuid4().hex
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    import fsspec

    try:
        described = fsspec.core.url_to_fs(path)[0].info(path)
    except (OSError, ValueError, ImportError):
        # GDAL reads from more places, such as archives.
        return uuid4().hex
    return [str(described.get(name)) for name in ("size", "ETag", "etag", "LastModified", "mtime", "updated")]
