"""What label files store, and which of it means unlabelled."""

from __future__ import annotations

import logging
import math
import os
from functools import lru_cache

import numpy as np
import shapely

from geodl.data.asset import Asset
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid, Window, is_nodata
from geodl.data.vectors import Layer
from geodl.data.warp import WarpedFile, regular_grid
from geodl.errors import GridMismatch, LabelsUnreadable

__all__ = ("LARGEST", "label_file", "label_file_on", "labelled_values", "read_stored")

LARGEST = 255
"""Largest class value: maps are written as uint8."""

_LOG = logging.getLogger("geodl")


def label_file(path: str) -> RasterFile:
    """Opens a raster of one band. Raises `LabelsUnreadable` if it has several."""
    file = RasterFile(path)
    if len(file.bands) != 1:
        raise LabelsUnreadable(
            path, f"it has {len(file.bands)} bands",
            advice="Expected one band of class values (a picture in the classes' colours will not do).",
        )  # fmt: skip
    return file


def label_file_on(
    path: str, grid: Grid, *, resample: bool, declared: frozenset[int] = frozenset()
) -> RasterFile | WarpedFile:
    """Opens a raster of class values that lies, or is brought, onto the grid of its image.

    Args:
        path: of the raster. Without any georeference it must only have the image's size.
        grid: the image's.
        resample: take each pixel's class from where it lies in a raster on another grid.
        declared: values that are classes even if the file calls one of them nodata.

    Raises:
        GridMismatch: the raster does not lie on the image's grid and shall not be resampled, or lies elsewhere.
        LabelsUnreadable: it has several bands.
    """
    file = label_file(path)
    if not file.by_points:
        own = file.grid
        if own.crs is None and own.transform.is_identity and own.shape == grid.shape:
            return file
        difference = grid.differs(own)
        if difference is None:
            return file
        if not resample:
            what, expected, received = difference
            raise GridMismatch("its image", path, differs=what, expected=expected, received=received)
    elif not resample:
        raise GridMismatch(
            "its image", path, differs="placement", expected="a transform", received="ground control points"
        )
    if file.bands[0].nodata in declared:
        file = RasterFile(Asset(path, nodata=math.nan))
    outlines = (grid.lonlat_footprint, regular_grid(file).lonlat_footprint)
    if not any(shapely.is_empty(outlines)) and not shapely.intersects(*outlines):
        places = [
            "longitude {0:.4g} to {2:.4g}, latitude {1:.4g} to {3:.4g}".format(*shapely.bounds(outline))
            for outline in outlines
        ]
        raise GridMismatch("its image", path, differs="place", expected=places[0], received=places[1])
    return WarpedFile(file, grid, method="nearest")


def read_stored(
    file: RasterFile | WarpedFile, window: Window, ignore_label: int | None, declared: frozenset[int] = frozenset()
) -> tuple[np.ndarray, np.ndarray]:
    """Reads class values, and where there is a label (bool), both of shape (height, width)."""
    planes, labelled = file.read(window, [0])
    stored: np.ndarray = planes[0]
    if labelled is None:
        labelled = np.ones(stored.shape, bool)
    elif labelled.ndim == 3:
        labelled = labelled[0]
    nodata = file.bands[0].nodata
    missing = None if nodata in declared else is_nodata(stored, nodata)
    if missing is not None:
        labelled &= ~missing
    if ignore_label is not None:
        labelled &= stored != ignore_label
    if stored.dtype.kind == "f":
        labelled &= np.isfinite(stored)
    if stored.dtype.kind in "if":
        negative = labelled & (stored < 0)
        if negative.any():
            values = ", ".join(f"{value:g}" for value in np.unique(stored[negative])[:5])
            _warn_of_negatives(os.path.dirname(os.path.abspath(file.path)), values)
            labelled &= ~negative
    return stored, labelled


def labelled_values(layer: Layer, column: str, ignore_label: int | None) -> list[int | str | None]:
    """Returns the value of each polygon, None where it means unlabelled."""
    values, codes = layer.values(column), layer.codes(column)
    numbers = {value: codes.get(value, value) for value in values if value is not None}
    negative = {v for v, number in numbers.items() if isinstance(number, int) and number < 0 and number != ignore_label}
    if negative:
        _warn_of_negatives(os.path.abspath(layer.path), ", ".join(sorted(map(str, negative))))
    ignored = negative | {
        value for value, number in numbers.items() if ignore_label is not None and number == ignore_label
    }
    return [None if value in ignored else value for value in values]


@lru_cache(maxsize=4096)
def _warn_of_negatives(where: str, values: str) -> None:
    """Cached, so that each folder is named once."""
    _LOG.warning("%s: labels below zero (%s) are taken as unlabelled. Set data.ignore_label to say so.", where, values)
