"""Which label file belongs to which image: by name, by a regular expression, or by where they lie."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import shapely

from geodl.data.files import distinct_names, find_files
from geodl.data.opening import needs_bands, open_source
from geodl.data.raster import RASTER_EXTENSIONS
from geodl.data.rasterfile import RasterFile
from geodl.data.resample import Resample
from geodl.data.source import Grid
from geodl.data.vectors import VECTOR_EXTENSIONS, is_vector, read_layer
from geodl.data.warp import regular_grid
from geodl.errors import OptionError, PairingError

__all__ = ("find_labels", "pair")

_LOG = logging.getLogger("geodl")


def find_labels(where: Any) -> list[str]:
    """Lists the label files, rasters and vectors, that `where` means: a file, a folder, a glob or a list of these.

    Raises:
        EmptyDataset: nothing was found.
        SourceUnreadable: there is no such file or folder.
    """
    return find_files(where, extensions=(*RASTER_EXTENSIONS, *VECTOR_EXTENSIONS), what="labels")


def pair(
    images: Sequence[tuple[str, Any]],
    labels: Any,
    *,
    match: str = "auto",
    bands: Sequence[str] | None = None,
    resample: Resample | None = None,
) -> list[tuple[str, Any, str]]:
    r"""Finds the label file of each image.

    Args:
        images: (name, spec) as `find_scenes` gives them.
        labels: a file, a folder, a glob or a list of these.
        match: `stem`: image and label have the same name. `place`: the label raster lies on the image's grid (or is
            the only one that overlaps it), or one of the polygons touches the image; images without any are left out,
            with a warning. A regular expression: it is searched in both names and its first group must be equal, as
            `^(.+_\d+)_` for `India_900498_S1Hand` and `India_900498_LabelHand`. `auto`: by name, else one image and
            one raster are a pair, else by place.
        bands: with which bands images are opened, where their place is looked at: products have several grids.
        resample: how images, and label rasters, that are not placed by one transform are opened then.

    Returns:
        (name, spec, label file) of each image, in order. One label file may serve several images. Label files without
        image are passed over.

    Raises:
        PairingError: an image has no label file, or several.
        OptionError: `match` is no regular expression with a group.
        EmptyDataset: there are no label files.
    """
    files = find_labels(labels)
    names = distinct_names(files)
    place = partial(_by_place, images, files, names, bands=bands, resample=resample)
    if match == "place":
        return place()
    if match not in ("auto", "stem"):
        return _by_key(images, files, names, _pattern(match))
    by_name: dict[str, list[str]] = {}
    for name, file in zip(names, files):
        by_name.setdefault(name, []).append(file)
    missing = [name for name, _ in images if name not in by_name]
    if not missing:
        return _joined([(name, spec, by_name[name]) for name, spec in images])
    if match == "stem":
        raise PairingError(f"{_lacking(missing, images)} of the same name.", images=missing, labels=names)
    if len(images) == len(files) == 1 and not is_vector(files[0]):
        return [(*images[0], files[0])]
    return place(before=f"{_lacking(missing, images)} of the same name; matched by place, ")


def _by_key(
    images: Sequence[tuple[str, Any]], files: Sequence[str], names: Sequence[str], pattern: re.Pattern[str]
) -> list[tuple[str, Any, str]]:
    by_key: dict[str, list[str]] = {}
    for name, file in zip(names, files):
        found = pattern.search(name)
        if found:
            by_key.setdefault(found[1], []).append(file)
    if not by_key:
        raise PairingError(f"the regular expression {pattern.pattern!r} is found in no label's name.", labels=names)
    wanted, missing = [], []
    for name, spec in images:
        found = pattern.search(name)
        if found and found[1] in by_key:
            wanted.append((name, spec, by_key[found[1]]))
        else:
            missing.append(f"{name} ({'not found' if not found else f'group: {found[1]}'})")
    if missing:
        raise PairingError(
            f"{_lacking(missing, images)} with the same group of {pattern.pattern!r}.",
            images=missing,
            labels=[f"{files[0]} (group: {key})" for key, files in by_key.items()],
        )
    return _joined(wanted)


def _lacking(missing: Sequence[str], images: Sequence[Any]) -> str:
    return f"{len(missing)} of {len(images)} images have no label file"


def _joined(candidates: Sequence[tuple[str, Any, list[str]]]) -> list[tuple[str, Any, str]]:
    for name, _, files in candidates:
        if len(files) > 1:
            raise PairingError(f"{name} has {len(files)} label files.", images=[name], labels=files)
    return [(name, spec, files[0]) for name, spec, files in candidates]


def _by_place(
    images: Sequence[tuple[str, Any]],
    files: Sequence[str],
    names: Sequence[str],
    *,
    bands: Sequence[str] | None,
    resample: Resample | None,
    before: str = "",
) -> list[tuple[str, Any, str]]:
    layers = [read_layer(file) for file in files if is_vector(file)]
    opened = [RasterFile(file) for file in files if not is_vector(file)]
    rasters = [(file.path, file.grid if resample is None else regular_grid(file)) for file in opened]
    corners = np.array([_corners(grid) for _, grid in rasters]).reshape(-1, 6)
    pairs, without = [], []
    for name, spec in images:
        grid = open_source(spec, name=name, bands=bands if needs_bands(spec) else None, resample=resample).grid
        found = [layer.path for layer in layers if len(layer.on(grid)[0])]
        found += _rasters_at(grid, rasters, corners)
        if len(found) > 1:
            raise PairingError(f"{before}{name} has {len(found)} label files.", images=[name], labels=found)
        if found:
            pairs.append((name, spec, found[0]))
        else:
            without.append(name)
    if not pairs:
        raise PairingError(f"{before}no label lies where an image does.", images=without, labels=names)
    if without:
        some = ", ".join(without[:4]) + (", …" if len(without) > 4 else "")
        _LOG.warning("%d of %d images lie where no labels are and are left out: %s.", len(without), len(images), some)
    return pairs


def _rasters_at(grid: Grid, rasters: Sequence[tuple[str, Grid]], corners: np.ndarray) -> list[str]:
    """Returns the rasters on the same grid, else those that overlap (which then are refused with what differs)."""
    if grid.crs is None:
        return []
    pixel = max(grid.resolution)
    near = np.flatnonzero((np.abs(corners - _corners(grid)) < (0.5, 0.5, *[pixel] * 4)).all(axis=1)).tolist()
    same = [rasters[k][0] for k in near if grid.differs(rasters[k][1]) is None]
    if same:
        return same
    outline = grid.lonlat_footprint
    return [file for file, other in rasters if shapely.area(shapely.intersection(outline, other.lonlat_footprint)) > 0]


def _corners(grid: Grid) -> tuple[float, ...]:
    """Size, upper-left and lower-right corner."""
    return (*grid.shape, *(grid.transform @ (0, 0)), *(grid.transform @ (grid.width, grid.height)))


def _pattern(match: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(match)
    except re.error as error:
        received = f"{match} ({error})"
        raise OptionError(
            "data.match", expected="auto, stem, place or a regular expression", received=received
        ) from error
    if pattern.groups < 1:
        raise OptionError(
            "data.match", expected="a regular expression with a group around the common part", received=match
        )
    return pattern
