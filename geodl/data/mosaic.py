"""Many scenes as one: neighbouring tiles of a satellite, quarter quads, overlapping orbits."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Self

import numpy as np

from geodl.contract import Band
from geodl.data.lattice import bring_round, lattice_around, lattice_corner, off_lattice
from geodl.data.raster import RasterSource
from geodl.data.source import Grid, Source, Window, find_bands
from geodl.data.warp import METHODS, Method
from geodl.data.windows import intersects, rectangles, to_window
from geodl.errors import BandMismatch, EmptyDataset, GridMismatch, OptionError, SourceUnreadable, UnitMismatch

__all__ = ("MosaicSource", "mosaic")

_SPARSE = 0.01
"""A mosaic of which less than this share is covered is hardly meant."""
_MOST = 2**31 - 1
"""Pixels along an axis that a raster file can have."""

_LOG = logging.getLogger("geodl")


def mosaic(sources: Sequence[Source], *, name: str, resample: Method | None = None) -> MosaicSource:
    """Lays scenes side by side and over one another, as one scene. No pixel is read yet.

    The grid is the smallest on the lattice of the first scene (its CRS, pixel size and position) that holds all scenes.
    Where scenes overlap, a pixel comes from the first one, in the order given, that is valid there in all bands; where
    none is, from the first that is valid in any. All bands of a pixel come from one scene. No radiometry is adjusted:
    scenes that differ in brightness keep a seam.

    Scenes in degrees on both sides of the date line are laid side by side across it, on longitudes beyond 180 or -180
    that continue those of the first scene, if once round the Earth is a whole number of pixels.

    Args:
        sources: with the same bands, in any order.
        name: of the mosaic.
        resample: how files that are not on the lattice of the first one, such as those of the next UTM zone, are
            brought onto it while they are read: one of `geodl.data.warp.METHODS`; None: they are refused.

    Returns:
        The mosaic. To read a window, only the scenes that overlap it are read, and of those only where the ones before
        have left pixels open.

    Raises:
        EmptyDataset: there is no scene.
        BandMismatch: a scene has other bands.
        UnitMismatch: two scenes state different units for a band.
        GridMismatch: a scene is not on the lattice of the first one, to a hundredth of a pixel, and `resample` was not
            asked for or cannot be had for it.
        SourceUnreadable: a scene has several times, or nothing says where it lies.
        OptionError: there is no such method, or the scenes are so far from one another that no file could hold the
            mosaic.

    Example:

    >>> tiles = [open_source(path) for path in ("T32TPS.tif", "T32TPT.tif")]
    >>> model.predict_file(mosaic(tiles, name="alps"), "alps.tif")
    """
    if not sources:
        raise EmptyDataset(name, expected="at least one scene")
    if resample is not None and resample not in METHODS:
        raise OptionError("resample", expected=f"one of {', '.join(METHODS)}", received=resample)
    for source in sources:
        _check_place(source, alone=len(sources) == 1)
    alike = _with_same_bands(sources)
    laid = [_on_lattice(alike[0], source, resample) for source in alike]
    lattice = laid[0].grid
    corners = np.array([lattice_corner(lattice, source.grid) for source in laid], np.int64)
    places = np.hstack([corners, corners + [source.grid.shape for source in laid]])
    places = bring_round(lattice, places)
    top, left, bottom, right = (int(v) for v in (*places[:, :2].min(axis=0), *places[:, 2:].max(axis=0)))
    _check_extent(places, bottom - top, right - left, name)
    grid = lattice.crop(Window(left, top, right - left, bottom - top))
    return MosaicSource(laid, places - np.array([top, left, top, left]), grid, name)


class MosaicSource(Source):
    """Many scenes as one."""

    def __init__(self, sources: Sequence[Source], places: np.ndarray, grid: Grid, name: str) -> None:
        """Use `mosaic`."""
        self.name, self.grid, self.sources = name, grid, tuple(sources)
        self.places = places
        """Where the scenes lie, in pixels of the mosaic: int64 (scene, 4), top, left, bottom, right."""
        self.bands = tuple(_common_band(bands) for bands in zip(*(source.bands for source in sources), strict=True))

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read, where scenes are files."""
        return tuple(path for source in self._files() for path in source.paths)

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same mosaic with these bands in this order. Raises `BandMismatch` where one is missing.

        Whether a scene is valid at a pixel then depends on these bands only.
        """
        positions = find_bands(self.name, self.bands, names)
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other.sources = tuple(s.select(tuple(s.bands[k].name for k in positions)) for s in self.sources)
        return other

    def close(self) -> None:
        """Closes the files; reading opens them again."""
        for source in self._files():
            source.close()

    def _files(self) -> list[RasterSource | MosaicSource]:
        return [source for source in self.sources if isinstance(source, RasterSource | MosaicSource)]

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        wanted = rectangles([window])
        begin, end = wanted[0, :2], wanted[0, 2:]
        height, width = (int(v) for v in end - begin)
        values = np.full((height, width, len(self.bands)), np.nan, np.float32)
        # 0: nothing there yet; 1: valid in some bands; 2: in all, which is final.
        rank = np.zeros((height, width), np.uint8)
        overlapping = np.flatnonzero(intersects(self.places, wanted))
        for k in overlapping:
            corner = self.places[k, :2]
            low, high = np.maximum(corner, begin), np.minimum(self.places[k, 2:], end)
            here = tuple(slice(*pair) for pair in zip(low - begin, high - begin, strict=True))
            if rank[here].min() == 2:
                continue
            found, valid = self.sources[k].read(to_window((*(low - corner), *(high - corner))))
            if len(overlapping) == 1 and found.shape == values.shape:
                return found, valid
            # Along the last, short axis the same takes ten times as long.
            planes = np.ascontiguousarray(np.moveaxis(np.broadcast_to(valid, found.shape), -1, 0))
            own = np.add(planes.all(axis=0), planes.any(axis=0), dtype=np.uint8)
            better = own > rank[here]
            np.copyto(values[here], found, where=better[..., None] if rank[here].any() else True)
            np.copyto(rank[here], own, where=better)
        return values, np.isfinite(values)


def _check_place(source: Source, *, alone: bool) -> None:
    if source.times is not None:
        raise SourceUnreadable(source.name, "it has several times", advice="Choose one.")
    nowhere = source.grid.crs is None and source.grid.transform.is_identity and not alone
    if nowhere or source.grid.is_degenerate:
        advice = "Give scenes with a CRS, or at least with a transform (a world file)."
        raise SourceUnreadable(source.name, "nothing says where in the mosaic it lies", advice=advice)


def _with_same_bands(sources: Sequence[Source]) -> list[Source]:
    """Brings the bands of all scenes into the order of the first one's."""
    names = tuple(band.name for band in sources[0].bands)
    units: dict[str, str] = {}
    alike = []
    for source in sources:
        own = tuple(band.name for band in source.bands)
        if sorted(own) != sorted(names):
            raise BandMismatch(source.name, expected=names, received=own)
        alike.append(source if own == names else source.select(names))
        for band in source.bands:
            expected = units.setdefault(band.name, band.unit) or band.unit
            if band.unit and band.unit.casefold() != expected.casefold():
                raise UnitMismatch(source.name, band=band.name, expected=expected, received=band.unit)
            units[band.name] = expected
    return alike


def _common_band(bands: Sequence[Band]) -> Band:
    """Describes a band of a mosaic: as its scenes do where they agree, else as the physical values that are read."""
    if len(set(bands)) == 1:
        return bands[0]
    return Band(bands[0].name, next((band.unit for band in bands if band.unit), ""))


def _on_lattice(first: Source, source: Source, resample: Method | None) -> Source:
    """Returns a scene on the lattice of the first one, resampled if need be."""
    difference = off_lattice(first.grid, source.grid)
    if difference is None:
        return source
    around = lattice_around(first.grid, source.grid) if resample is not None else None
    if around is not None and resample is not None and isinstance(source, RasterSource):
        return source.onto(around, resample)
    what, expected, received = difference
    raise GridMismatch(first.name, source.name, differs=what, expected=expected, received=received)


def _check_extent(places: np.ndarray, height: int, width: int, name: str) -> None:
    """Refuses what no file can hold; warns of a mosaic that is nearly empty."""
    covered = float((places[:, 2:] - places[:, :2]).astype(float).prod(axis=1).sum()) / (float(height) * width)
    if max(height, width) > _MOST:
        raise OptionError(
            "mosaic", expected="scenes near to one another", received=f"an extent of {height} x {width} pixels"
        )
    if covered < _SPARSE:
        _LOG.warning(
            "%s: its %d scenes lie far from one another. The mosaic has %d x %d pixels (height x width), of which they "
            "cover %.2g %%. Map them one by one, or in groups of neighbours, to save time and space.",
            name, len(places), height, width, 100 * covered,
        )  # fmt: skip
