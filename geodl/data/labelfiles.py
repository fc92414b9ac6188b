"""What label files store, and which of it means unlabelled."""

from __future__ import annotations

import logging
import os
from functools import lru_cache

import numpy as np

from geodl.data.rasterfile import RasterFile
from geodl.data.source import Window, is_nodata
from geodl.data.vectors import Layer
from geodl.errors import LabelsUnreadable

__all__ = ("LARGEST", "label_file", "labelled_values", "read_stored")

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


def read_stored(
    file: RasterFile, window: Window, ignore_label: int | None, declared: frozenset[int] = frozenset()
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
