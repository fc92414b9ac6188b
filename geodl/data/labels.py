"""Labels: the class of each pixel of an image, from a raster, as a rule on the same grid, or polygons in any CRS."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import shapely
from rasterio.features import rasterize

from geodl.contract import ClassInfo
from geodl.data.classes import infer_classes
from geodl.data.files import stem
from geodl.data.labelfiles import LARGEST, label_file_on, labelled_values, read_stored
from geodl.data.legend import PALETTE
from geodl.data.source import Grid, Window
from geodl.data.vectors import is_vector, read_layer
from geodl.errors import LabelsOutOfRange, PairingError

__all__ = ("IGNORE", "PALETTE", "Labels", "RasterLabels", "VectorLabels", "infer_classes", "open_labels")

IGNORE = -1
"""Class index of a pixel without label: it counts in no loss and in no metric."""

_UNKNOWN = -2
FilePath = str | os.PathLike[str]


class Labels(ABC):
    """The class of each pixel of an image. Safe to read from several threads."""

    name: str
    grid: Grid
    """The image's."""
    classes: tuple[ClassInfo, ...]
    """In the order of class indices."""

    def read(self, window: Window | None = None) -> np.ndarray:
        """Reads class indices.

        Args:
            window: whole pixels, may reach beyond the grid; default: everything.

        Returns:
            int32 of shape (height, width): positions in `classes`; `IGNORE` where unlabelled and beyond the grid.

        Raises:
            LabelsOutOfRange: there are values that are no class.
            SourceUnreadable: the file is damaged or cut short.
        """
        window = window or self.grid.window
        row, col, height, width = (int(v) for v in (window.row_off, window.col_off, window.height, window.width))
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + height, self.grid.height), min(col + width, self.grid.width)
        if (top, left, bottom, right) == (row, col, row + height, col + width):
            return self._read(window)
        indices = np.full((height, width), IGNORE, np.int32)
        if bottom > top and right > left:
            inside = self._read(Window(left, top, right - left, bottom - top))
            indices[top - row : bottom - row, left - col : right - col] = inside
        return indices

    @abstractmethod
    def _read(self, window: Window) -> np.ndarray:
        """Reads a window that lies inside the grid; see `read`."""


class RasterLabels(Labels):
    """Labels from a raster of class values on the image's grid, or brought onto it."""

    def __init__(
        self,
        path: FilePath,
        grid: Grid,
        *,
        classes: Sequence[ClassInfo],
        ignore_label: int | None = None,
        name: str | None = None,
        resample: bool = False,
    ) -> None:
        """Reads the file's header.

        Args:
            path: a raster of one band (a colour table does no harm). Unlabelled are: nodata (unless its value is one of
                `classes`), masked pixels, not-a-number, `ignore_label`, and all negative values.
            grid: the image's. A label raster without any georeference must only have its size.
            classes: values of any other pixels.
            ignore_label: value that means unlabelled.
            name: default: the file's stem.
            resample: bring a raster on another grid onto `grid`, by the nearest pixel.

        Raises:
            GridMismatch: the raster does not lie on `grid` and shall not be resampled, or lies elsewhere altogether.
            LabelsUnreadable: it has several bands.
            SourceUnreadable: it is missing, damaged or no raster.
        """
        self.name, self.grid, self.classes = name or stem(path), grid, tuple(classes)
        self._ignore_label = ignore_label
        self._declared = frozenset(info.value for info in classes)
        self._file = label_file_on(os.fspath(path), grid, resample=resample, declared=self._declared)
        self._lut = np.full(LARGEST + 1, _UNKNOWN, np.int32)
        self._lut[[info.value for info in classes]] = np.arange(len(classes))

    def _read(self, window: Window) -> np.ndarray:
        stored, labelled = read_stored(self._file, window, self._ignore_label, self._declared)
        possible = labelled & (stored <= LARGEST)
        if stored.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                possible &= stored == np.floor(stored)
        indices = self._lut[np.where(possible, stored, 0).astype(np.uint8)]
        indices[~possible] = _UNKNOWN
        indices[~labelled] = IGNORE
        if (indices == _UNKNOWN).any():
            raise LabelsOutOfRange(
                self._file.path,
                expected=[f"{info.value} ({info.name})" for info in self.classes],
                received=[f"{value:g}" for value in np.unique(stored[indices == _UNKNOWN])],
            )
        return np.asarray(indices)


class VectorLabels(Labels):
    """Labels from polygons in any CRS, burnt window by window; a pixel belongs to the polygon that holds its centre.

    Where polygons of several classes overlap, the one that comes last in the file counts. What no polygon covers is
    unlabelled.
    """

    features: list[tuple[shapely.Geometry, int]]
    """The polygons that touch the image, in its CRS, each with its class index, in the file's order."""

    def __init__(
        self,
        path: FilePath,
        grid: Grid,
        *,
        classes: Sequence[ClassInfo],
        column: str | None = None,
        ignore_label: int | None = None,
        subset: Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        """Reads the polygons that touch the image.

        Args:
            path: GeoPackage, GeoJSON, Shapefile, …, of polygons.
            grid: the image's.
            classes: text in `column` is matched with their names, numbers with their values.
            column: the column that holds the class; default: see `infer_classes`.
            ignore_label: number that means unlabelled; so do negative numbers and empty fields.
            subset: positions in `features` to keep; default: all.
            name: default: the file's stem.

        Raises:
            PairingError: no polygon touches the image.
            LabelsOutOfRange: there are values that are no class.
            LabelsUnreadable: no CRS, no polygons, no such column.
        """
        self.name, self.grid, self.classes = name or stem(path), grid, tuple(classes)
        layer = read_layer(path)
        column = column or layer.class_column()
        values = labelled_values(layer, column, ignore_label)
        shapes, positions = layer.on(grid)
        if len(shapes) == 0:
            bounds = ", ".join(f"{edge:.10g}" for edge in grid.footprint().bounds)
            raise PairingError("no polygon touches the image.", images=[f"bounds {bounds}"], labels=[layer.path])
        touching = [(shape, value) for shape, k in zip(shapes, positions) if (value := values[k]) is not None]
        where = f"{layer.path}, column {column}"
        index = _index_by_value({value for _, value in touching}, layer.codes(column), self.classes, where)
        self.features = [(shape, index[value]) for shape, value in touching]
        if subset is not None:
            self.features = [self.features[k] for k in subset]
        self._tree = shapely.STRtree([shape for shape, _ in self.features])

    @property
    def polygons(self) -> list[shapely.Geometry]:
        """The polygons of `features`."""
        return [shape for shape, _ in self.features]

    def only(self, subset: Sequence[int]) -> Self:
        """Returns the labels of some polygons only, given by their positions in `features`."""
        other = copy.copy(self)
        other.features = [self.features[k] for k in subset]
        other._tree = shapely.STRtree([shape for shape, _ in other.features])
        return other

    def _read(self, window: Window) -> np.ndarray:
        near = np.sort(self._tree.query(self.grid.footprint(window), predicate="intersects"))
        here = self.grid.crop(window)
        if len(near) == 0:
            return np.full(here.shape, IGNORE, np.int32)
        shapes = [self.features[k] for k in near]
        return np.asarray(rasterize(shapes, here.shape, fill=IGNORE, transform=here.transform, dtype="int32"))


def open_labels(
    path: FilePath,
    grid: Grid,
    *,
    classes: Sequence[ClassInfo],
    column: str | None = None,
    ignore_label: int | None = None,
    name: str | None = None,
    resample: bool = False,
) -> Labels:
    """Opens a raster or polygons as labels of the image with `grid`; see `RasterLabels` and `VectorLabels`."""
    if is_vector(os.fspath(path)):
        return VectorLabels(path, grid, classes=classes, column=column, ignore_label=ignore_label, name=name)
    return RasterLabels(path, grid, classes=classes, ignore_label=ignore_label, name=name, resample=resample)


def _index_by_value(
    values: set[int | str], codes: Mapping[int | str, int], classes: Sequence[ClassInfo], where: str
) -> dict[int | str, int]:
    """Matches the values of a column with classes: by name, by number, or by the number that goes with the name."""
    by_name = {info.name: k for k, info in enumerate(classes)}
    by_number = {info.value: k for k, info in enumerate(classes)}
    if all(str(value) in by_name for value in values):
        return {value: by_name[str(value)] for value in values}
    if all(value in by_number for value in values):
        return {value: by_number[int(value)] for value in values}
    if all(codes.get(value) in by_number for value in values):
        return {value: by_number[codes[value]] for value in values}
    unknown = sorted(str(value) for value in values if str(value) not in by_name and value not in by_number)
    raise LabelsOutOfRange(where, expected=[f"{info.value} ({info.name})" for info in classes], received=unknown)
