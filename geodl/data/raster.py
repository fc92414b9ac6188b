"""Raster files through rasterio: GeoTIFF, COG, VRT, JPEG 2000, PNG, …; several files may be the bands of one scene."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Self

import numpy as np

from geodl.data.files import common_name, distinct_parts, stem
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Source, Window, decode, find_bands, name_bands
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable

__all__ = ("RASTER_EXTENSIONS", "RasterSource", "Spec", "numbered", "open_raster")

RASTER_EXTENSIONS = (".tif", ".tiff", ".gtiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg", ".img", ".bil", ".gif", ".bmp")
"""What counts as an image in a folder."""

FilePath = str | os.PathLike[str]
Spec = FilePath | Mapping[str, FilePath] | Sequence[FilePath]
"""How one scene is given: a file, the files of its bands by name, or a list of files."""

_LOG = logging.getLogger("geodl")


def open_raster(spec: Spec, *, name: str | None = None, bands: Sequence[str] | None = None) -> RasterSource:
    """Opens one scene.

    Bands are called by their description in the file, else by their colour (`red`, `nir`, …), else `band_1`, `band_2`,
    … In a list of files of one band each, a band without description is called by what is particular to its file.

    Args:
        spec: a path; a mapping of band names to paths of files with one band each; or a list of paths, whose bands
            follow one another. All files of a scene must lie on one grid.
        name: name of the scene; default: the file's stem, or what the stems have in common.
        bands: the bands to take, in this order; default: all. If the file has as many and they have no names of their
            own, they are given these.

    Raises:
        SourceUnreadable: a file is missing, damaged, no image, complex-valued, a palette image, or placed on the Earth
            by ground control points only.
        GridMismatch: the files do not lie on one grid.
        BandMismatch: one of `bands` is missing.

    Example:

    >>> scene = open_raster({"B04": "T33_B04.tif", "B08": "T33_B08.tif"})  # doctest: +SKIP
    >>> values, valid = scene.read(Window(0, 0, 256, 256))  # doctest: +SKIP
    """
    if isinstance(spec, Mapping):
        paths = [os.fspath(path) for path in spec.values()]
    else:
        paths = [os.fspath(spec)] if isinstance(spec, (str, os.PathLike)) else [os.fspath(path) for path in spec]
    if not paths:
        raise SourceUnreadable(name or "a scene", "it is made of no file", advice="Give at least one path.")
    files = [_image(path) for path in paths]
    for other in files[1:]:
        difference = files[0].grid.differs(other.grid)
        if difference:
            what, expected, received = difference
            raise GridMismatch(files[0].path, other.path, differs=what, expected=expected, received=received)
    source = RasterSource(files, _names(files, spec), name or common_name(paths))
    if source.grid.crs is None:
        _warn(
            f"{source.name} has no CRS: it is taken as a plain pixel grid; what is made of it has no CRS either.",
            paths[0],
        )
    for file in files:
        band = file.alpha_like_data()
        if band:
            _warn(
                f"band {band} of {stem(file.path)} is marked as transparency but looks like a measurement (infrared?). "
                "It is not used as a band. If it is one, mark it so: rio edit-info --colorinterp, undefined for alpha.",
                file.path,
            )
    return source if bands is None else name_bands(source, bands)


class RasterSource(Source):
    """A scene held by one or several raster files on one grid."""

    def __init__(self, files: Sequence[RasterFile], names: Sequence[str], name: str) -> None:
        """Use `open_raster`."""
        self.name = name
        self.grid = files[0].grid
        bands = [band for file in files for band in file.bands]
        self.bands = tuple(replace(band, name=called) for band, called in zip(bands, names))
        self._places = tuple((file, k) for file in files for k in range(len(file.bands)))

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read."""
        return tuple(dict.fromkeys(file.path for file, _ in self._places))

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same scene with these bands in this order. Raises `BandMismatch` where one is missing."""
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other._places = tuple(self._places[k] for k in positions)
        return other

    def close(self) -> None:
        """Closes the files; reading opens them again."""
        for file, _ in self._places:
            file.close()

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        values = np.empty((int(window.height), int(window.width), len(self.bands)), np.float32)
        for file in dict.fromkeys(file for file, _ in self._places):
            axes = [axis for axis, (owner, _) in enumerate(self._places) if owner is file]
            stored, valid = file.read(window, [self._places[axis][1] for axis in axes])
            for position, axis in enumerate(axes):
                plane = decode(stored[position], self.bands[axis])
                if valid is not None:
                    plane[~(valid if valid.ndim == 2 else valid[position])] = np.nan
                values[..., axis] = plane
        return values, np.isfinite(values)


def _image(path: str) -> RasterFile:
    file = RasterFile(path)
    if file.colormap is not None:
        raise SourceUnreadable(
            path, "it is a palette image: its values are indices of colours, not measurements",
            advice="Expand it to red, green and blue first (gdal_translate -expand rgb). As labels it can stay.",
        )  # fmt: skip
    return file


def _names(files: Sequence[RasterFile], spec: Spec) -> list[str]:
    if isinstance(spec, Mapping):
        for (name, path), file in zip(spec.items(), files):
            if len(file.bands) != 1:
                received = [band.name for band in file.bands]
                raise BandMismatch(f"{name}: {path}", expected=["one band"], received=received)
        return list(spec)
    if len(files) == 1:
        return [band.name for band in files[0].bands]
    described = [name for file in files for name in file.given_names]
    if all(described) and len(set(described)) == len(described):
        return [str(name) for name in described]
    parts = distinct_parts([stem(file.path) for file in files])
    return [
        part if len(file.bands) == 1 else f"{part}_{band.name}"
        for part, file in zip(numbered(parts), files)
        for band in file.bands
    ]


@lru_cache(maxsize=65536)
def _warn(message: str, path: str) -> None:
    """Cached, so that each thing is said once of each file."""
    _LOG.warning(message)


def numbered(names: Sequence[str]) -> list[str]:
    """Appends numbers to names that occur several times."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if names.count(name) == 1 else f"{name}_{seen[name]}")
    return unique
