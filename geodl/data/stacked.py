"""Several sources as one: side by side on one grid, or a finer one folded into the pixels of a coarser one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from geodl.contract import Band
from geodl.data.source import Source, Window, find_bands
from geodl.errors import GridMismatch, OptionError

__all__ = ("FoldedSource", "StackedSource", "unfold")


class StackedSource(Source):
    """The bands of several sources on one grid, in their order. Bands whose names come twice are numbered.

    Args:
        sources: on one grid, without times.

    Raises:
        GridMismatch: one lies on another grid.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        first, *others = sources
        for other in others:
            differs = first.grid.differs(other.grid)
            if differs is not None:
                what, expected, received = differs
                raise GridMismatch(first.name, other.name, differs=what, expected=expected, received=received)
        self.name, self.grid = first.name, first.grid
        bands: dict[str, Band] = {}
        for band in (band for source in sources for band in source.bands):
            numbered = (f"{band.name}.{k}" for k in itertools.count(2))
            name = next(name for name in itertools.chain([band.name], numbered) if name not in bands)
            bands[name] = replace(band, name=name)
        self.bands = tuple(bands.values())
        self._sources = tuple(sources)
        self._kept: list[int] | None = None

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        parts = [source.read(window) for source in self._sources]
        values = np.concatenate([values for values, _ in parts], -1)
        valid = np.concatenate([np.broadcast_to(valid, values.shape) for values, valid in parts], -1)
        return (values, valid) if self._kept is None else (values[..., self._kept], valid[..., self._kept])

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same source with these bands in this order. Raises `BandMismatch` where one is missing."""
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other._kept = positions if self._kept is None else [self._kept[k] for k in positions]
        return other


class FoldedSource(Source):
    """A coarse source, and behind its bands those of a finer one, each square of `factor` × `factor` pixels in one.

    So one window of one grid holds what both see there; `unfold` takes them apart again.

    Args:
        coarse: without times.
        fine: without times, on `coarse.grid.finer(factor)`.
        factor: fine pixels per coarse pixel, along y and x.

    Raises:
        OptionError: the factor is below 2.
        GridMismatch: the fine grid is not the coarse one, refined.
    """

    def __init__(self, coarse: Source, fine: Source, *, factor: int) -> None:
        if factor < 2:
            raise OptionError("factor", expected="2 or more", received=factor)
        differs = coarse.grid.finer(factor).differs(fine.grid)
        if differs is not None:
            what, expected, received = differs
            raise GridMismatch(
                f"{_listed(coarse)}, {factor} times finer",
                _listed(fine),
                differs=what,
                expected=expected,
                received=received,
                advice=f"Choose bands of which each coarse pixel is exactly {factor} × {factor} fine ones, or warp them first.",
            )
        self.name, self.grid, self._factor = coarse.name, coarse.grid, factor
        self._coarse, self._fine = coarse, fine
        folded = [replace(band, name=f"{band.name}/{k}") for band in fine.bands for k in range(factor**2)]
        self.bands = (*coarse.bands, *folded)

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        s = self._factor
        row, column, height, width = window.row_off, window.col_off, int(window.height), int(window.width)
        coarse, known = self._coarse.read(window)
        fine, clear = self._fine.read(Window(column * s, row * s, width * s, height * s))
        parts = [(coarse, np.broadcast_to(known, coarse.shape))]
        parts.append((_fold(fine, s), _fold(np.broadcast_to(clear, fine.shape), s)))
        values, valid = (np.concatenate(arrays, -1) for arrays in zip(*parts, strict=True))
        return values, valid

    def select(self, names: tuple[str, ...]) -> Source:
        """Returns the same source. Raises `BandMismatch` where other bands are asked for: pixels stay whole."""
        find_bands(self.name, self.bands, names)
        if tuple(names) != tuple(band.name for band in self.bands):
            raise OptionError("bands", expected="all bands of a folded scene, in their order", received=names)
        return self


def _listed(source: Source) -> str:
    return f"{source.name} ({', '.join(band.name for band in source.bands)})"


def _fold(fine: np.ndarray, factor: int) -> np.ndarray:
    """Turns (height * factor, width * factor, band) into (height, width, band * factor ** 2)."""
    height, width, bands = fine.shape[0] // factor, fine.shape[1] // factor, fine.shape[2]
    squares = fine.reshape(height, factor, width, factor, bands).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(squares).reshape(height, width, bands * factor**2)


def unfold(values: np.ndarray, *, coarse: int, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes apart what a `FoldedSource` gives.

    Args:
        values: (height, width, coarse + fine * factor ** 2).
        coarse: number of coarse bands.
        factor: fine pixels per coarse pixel.

    Returns:
        The coarse bands (height, width, coarse) and the fine ones (height * factor, width * factor, fine).
    """
    height, width = values.shape[:2]
    bands = (values.shape[2] - coarse) // factor**2
    squares = values[..., coarse:].reshape(height, width, bands, factor, factor).transpose(0, 3, 1, 4, 2)
    fine = np.ascontiguousarray(squares).reshape(height * factor, width * factor, bands)
    return np.ascontiguousarray(values[..., :coarse]), fine
