"""A finished class map and its confidence, read in strips of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rasterio.features import sieve

from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid, Window
from geodl.errors import GridMismatch, SourceUnreadable
from geodl.inference.components import OUTSIDE

__all__ = ("NODATA", "ClassMap", "Strip")

NODATA = OUTSIDE + 1
"""The class of pixels without one."""
_TYPES = ("uint8", "uint16", "int8", "int16", "int32")
_PIXEL_BYTES = 80
"""Of a strip: its classes, confidence, runs and components."""
_SIEVE_ROWS = 256


@dataclass(frozen=True, eq=False)
class Strip:
    """Some rows of a map."""

    row: int
    """The first one."""
    classes: np.ndarray
    """int32 (height, width), with `NODATA`."""
    confidence: np.ndarray | None
    """float32 of the same shape, not-a-number where it is not known."""


class ClassMap:
    """A raster of classes, and one of their confidence.

    Args:
        path: of the classes.
        confidence: path of the confidence, if there is one.

    Raises:
        SourceUnreadable: a raster is missing or damaged, or the first one holds no classes.
        GridMismatch: the two are not on one grid.
    """

    def __init__(self, path: str | os.PathLike[str], confidence: str | os.PathLike[str] | None = None) -> None:
        self._file = RasterFile(path)
        (band, *others) = self._file.bands
        if others or band.dtype not in _TYPES:
            raise SourceUnreadable(
                self._file.path, f"it is no class map (bands: {1 + len(others)}, type: {band.dtype})",
                advice=f"Expected one band of {', '.join(_TYPES)}.",
            )  # fmt: skip
        self._confidence = None if confidence is None else RasterFile(confidence)
        self._merged: np.ndarray | None = None
        difference = None if self._confidence is None else self.grid.differs(self._confidence.grid)
        if difference is not None:
            differs, expected, received = difference
            raise GridMismatch(path, confidence, differs=differs, expected=expected, received=received)

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self._file.grid

    def merge_small(self, minimum: int, folder: Path) -> None:
        """Merges regions of fewer than `minimum` pixels into their largest neighbour, from here on.

        Args:
            minimum: pixels.
            folder: for files of 5 bytes per pixel, which are mapped into memory and must stay as long as this is read.

        Raises:
            OSError: disk full.
            SourceUnreadable: the map is damaged.
        """
        classes, known = folder / "classes.raw", folder / "known.raw"
        # Written first and mapped then: a full disk would end the process where a mapped page finds no room.
        with open(classes, "wb") as values, open(known, "wb") as mask:
            for start in range(0, self.grid.height, _SIEVE_ROWS):
                part = self._rows(start, min(start + _SIEVE_ROWS, self.grid.height))
                part.tofile(values)
                (part != NODATA).tofile(mask)
        merged = np.memmap(classes, np.int32, "r+", shape=self.grid.shape)
        sieve(merged, minimum, out=merged, mask=np.memmap(known, np.bool_, "r", shape=self.grid.shape), connectivity=4)
        self._merged = merged

    def strips(self, *, memory: int, sides: int) -> Iterator[Strip]:
        """Reads the map from its top row down.

        Args:
            memory: bytes that the pixels of a strip may take; one row is read whatever it takes.
            sides: how many a strip may have at which its regions end, counted on both sides: it has fewer rows where
                regions are small.

        Raises:
            SourceUnreadable: a raster is damaged.
        """
        tall = max(1, memory // (_PIXEL_BYTES * self.grid.width))
        for top in range(0, self.grid.height, tall):
            classes = self._rows(top, min(top + tall, self.grid.height))
            confidence = None
            if self._confidence is not None:
                (confidence,), _ = self._confidence.read(Window(0, top, self.grid.width, len(classes)), [0])
            count = 4 + 2 * (classes[:, 1:] != classes[:, :-1]).sum(axis=1)
            count[1:] += 2 * (classes[1:] != classes[:-1]).sum(axis=1)
            part = np.cumsum(count) // max(sides, 1)
            cuts = [0, *(np.flatnonzero(np.diff(part)) + 1), len(classes)]
            for start, stop in pairwise(cuts):
                yield Strip(top + start, classes[start:stop], None if confidence is None else confidence[start:stop])

    def _rows(self, start: int, stop: int) -> np.ndarray:
        if self._merged is not None:
            return np.array(self._merged[start:stop])
        (stored,), valid = self._file.read(Window(0, start, self.grid.width, stop - start), [0])
        classes = stored.astype(np.int32)
        if valid is not None:
            classes[~np.broadcast_to(valid, (1, *classes.shape))[0]] = NODATA
        nodata = self._file.bands[0].nodata
        if nodata is not None:
            classes[stored == nodata] = NODATA
        return classes
