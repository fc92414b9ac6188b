"""Raster files through rasterio: GeoTIFF, COG, VRT, JPEG 2000, PNG, …; several files may be the bands of one scene."""

from __future__ import annotations

import copy
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Self

import numpy as np

from geodl.data.asset import Asset
from geodl.data.files import common_name, distinct_parts, stem
from geodl.data.palette import PaletteFile
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid, Source, Window, decode, find_bands, name_bands
from geodl.data.warp import Method, Resample, WarpedFile, regular_grid, resized
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable

__all__ = ("RASTER_EXTENSIONS", "Asset", "RasterSource", "Resample", "Spec", "numbered", "open_raster")

RASTER_EXTENSIONS = (".tif", ".tiff", ".gtiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg", ".img", ".bil", ".gif", ".bmp")
"""What counts as an image in a folder."""

FilePath = str | os.PathLike[str]
Spec = FilePath | Mapping[str, FilePath] | Sequence[FilePath]
"""How one scene is given: a file, the files of its bands by name, or a list of files. A file may be an `Asset`."""

_LOG = logging.getLogger("geodl")


def open_raster(
    spec: Spec, *, name: str | None = None, bands: Sequence[str] | None = None, resample: Resample | None = None
) -> RasterSource:
    """Opens one scene.

    Bands are called by their description in the file, else by their colour (`red`, `nir`, …), else `band_1`, `band_2`,
    … In a list of files of one band each, a band without description is called by what is particular to its file.
    Palette images become `red`, `green` and `blue`.

    Args:
        spec: a path; a mapping of band names to paths of files with one band each; or a list of paths, whose bands
            follow one another. An `Asset` in place of a path says what the file does not. All files of a scene must lie
            on one grid, unless `resample` is given.
        name: name of the scene; default: the file's stem, or what the stems have in common.
        bands: the bands to take, in this order; default: all. If the file has as many and they have no names of their
            own, they are given these.
        resample: bring files on different grids onto that of the finest of them (in the first one's CRS), and files
            that are placed by ground control points only onto a regular grid; and all onto another pixel size or CRS
            where it says so. A scene that needs none of this is read as it is.

    Raises:
        SourceUnreadable: a file is missing, damaged, no image, complex-valued or, without `resample`, placed on the
            Earth by ground control points only; or resampling is asked for without a CRS.
        GridMismatch: the files do not lie on one grid.
        BandMismatch: one of `bands` is missing.

    Example:

    >>> scene = open_raster({"B04": "T33_B04.tif", "B08": "T33_B08.tif"})
    >>> values, valid = scene.read(Window(0, 0, 256, 256))
    """
    if isinstance(spec, Mapping):
        given = list(spec.values())
    else:
        given = [spec] if isinstance(spec, (str, os.PathLike)) else list(spec)
    if not given:
        raise SourceUnreadable(name or "a scene", "it is made of no file", advice="Give at least one path.")
    files = [_image(path) for path in given]
    scene = name or common_name([file.path for file in files])
    if resample is None:
        for other in files[1:]:
            difference = files[0].grid.differs(other.grid)
            if difference:
                what, expected, received = difference
                raise GridMismatch(files[0].path, other.path, differs=what, expected=expected, received=received)
        source = RasterSource(files, _names(files, spec), scene)
    else:
        grid = _common_grid(files, resample)
        source = RasterSource([_onto(file, grid, resample.method) for file in files], _names(files, spec), scene)
    if source.grid.crs is None:
        _warn_of_pixel_grid(source.name, os.path.dirname(files[0].path))
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

    def __init__(self, files: Sequence[RasterFile | PaletteFile | WarpedFile], names: Sequence[str], name: str) -> None:
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

    @property
    def stored_resolutions(self) -> tuple[tuple[float, float], ...]:
        """Pixel size of each band along y and x as its file has it, whatever the grid that it is brought onto."""
        return tuple((file.file if isinstance(file, WarpedFile) else file).grid.resolution for file, _ in self._places)

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same scene with these bands in this order. Raises `BandMismatch` where one is missing."""
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other._places = tuple(self._places[k] for k in positions)
        return other

    def onto(self, grid: Grid, method: Method) -> Self:
        """Brings the scene onto another grid, of any CRS.

        Values are resampled from the files, once, even where the scene has been resampled already. Invalid pixels take
        no part. Beyond the scene all is invalid.

        Args:
            grid: where its pixels shall lie; must have a CRS.
            method: one of `geodl.data.warp.METHODS`.

        Raises:
            SourceUnreadable: the scene or the grid has no CRS.
        """
        warped = {file: _onto(file, grid, method) for file, _ in self._places}
        other = copy.copy(self)
        other.grid = grid
        other._places = tuple((warped[file], k) for file, k in self._places)
        other.bands = tuple(
            replace(file.bands[k], name=band.name) for (file, k), band in zip(other._places, self.bands, strict=True)
        )
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


def _image(path: FilePath) -> RasterFile | PaletteFile:
    file = RasterFile(path)
    return file if file.colormap is None else PaletteFile(file)


def _onto(
    file: RasterFile | PaletteFile | WarpedFile, grid: Grid, method: Method
) -> RasterFile | PaletteFile | WarpedFile:
    """Returns the file on this grid: as it is where it lies on it, else resampled from what is stored."""
    original = file.file if isinstance(file, WarpedFile) else file
    if not original.by_points and original.grid.differs(grid) is None:
        return original
    return WarpedFile(original, grid, method=method)


def _common_grid(files: Sequence[RasterFile | PaletteFile], resample: Resample) -> Grid:
    """Returns the grid that a scene is brought onto: that of its finest file, with the CRS and pixel size asked for."""
    grids = [regular_grid(file) for file in files]
    alike = [k for k, grid in enumerate(grids) if grid.crs == grids[0].crs]
    finest = min(alike, key=lambda k: math.prod(grids[k].resolution))
    grid = grids[finest]
    if resample.crs is not None and grid.crs != resample.crs:
        grid = regular_grid(files[finest], resample.crs)
    if resample.resolution is None or np.allclose(grid.resolution, resample.resolution, rtol=1e-3, atol=0):
        return grid
    return resized(grid, resample.resolution)


def _names(files: Sequence[RasterFile | PaletteFile], spec: Spec) -> list[str]:
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


_pixel_grids: set[str] = set()
"""Folders one of whose scenes was said to have no CRS."""


def _warn_of_pixel_grid(name: str, folder: str) -> None:
    """Names one scene of a folder: pictures come by the hundred, and none of them has a CRS."""
    if folder not in _pixel_grids:
        _pixel_grids.add(folder)
        _LOG.warning("%s has no CRS: it is taken as a plain pixel grid; what is made of it has no CRS either.", name)


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
