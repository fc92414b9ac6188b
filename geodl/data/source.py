"""Source: a lazily read georeferenced array, whatever holds it."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TypeVar, cast

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.windows import Window
from rasterio.windows import transform as window_transform
from shapely import affinity

from geodl.contract import Band
from geodl.errors import BandMismatch, SourceUnreadable

__all__ = (
    "Grid",
    "Source",
    "Window",
    "are_nameless",
    "decode",
    "find_bands",
    "finite_nodata",
    "in_all_bands",
    "is_nodata",
    "name_bands",
    "one_time",
    "time_span",
)

_NUMBERED = re.compile(r"band_\d+")


@dataclass(frozen=True)
class Grid:
    """Where pixels lie: a CRS, an affine transform and a size."""

    crs: CRS | None
    """None: a pixel grid without georeference."""
    transform: Affine
    """Maps (column, row) of a pixel's upper-left corner to CRS coordinates."""
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self.height, self.width

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size along y and x, both positive, in the CRS's unit; holds for rotated and south-up grids too."""
        t = self.transform
        return float(np.hypot(t.b, t.e)), float(np.hypot(t.a, t.d))

    @property
    def unit(self) -> str:
        """Unit of the CRS: `metre`, `degree`, …; empty without CRS."""
        return self.crs.axis_info[0].unit_name if self.crs is not None and self.crs.axis_info else ""

    @property
    def is_degenerate(self) -> bool:
        """Whether pixels have no area, or one too small for their corners to be told apart, or lie at infinity."""
        t = self.transform
        corners = np.array([t @ (x, y) for x in (0, self.width) for y in (0, self.height)])
        with np.errstate(over="ignore", invalid="ignore"):
            thinnest = abs(t.determinant) / np.hypot([t.a, t.b], [t.d, t.e]).max()
            return not 4 * np.finfo(np.float64).eps * np.abs(corners).max() < thinnest < np.inf

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.width, self.height)

    def crop(self, window: Window) -> Grid:
        """Returns the grid of `window` (which may reach beyond this one)."""
        return Grid(self.crs, window_transform(window, self.transform), int(window.height), int(window.width))

    def finer(self, factor: int) -> Grid:
        """Returns the grid with `factor` × `factor` pixels for each of this one."""
        transform = self.transform @ Affine.scale(1 / factor)
        return Grid(self.crs, transform, self.height * factor, self.width * factor)

    def footprint(self, window: Window | None = None) -> shapely.Polygon:
        """Returns the outline of `window` (default: of all) in CRS coordinates; exact for rotated grids."""
        w = window or self.window
        corners = [
            (w.col_off, w.row_off),
            (w.col_off + w.width, w.row_off),
            (w.col_off + w.width, w.row_off + w.height),
            (w.col_off, w.row_off + w.height),
        ]
        return shapely.Polygon([self.transform @ corner for corner in corners])

    def differs(self, other: Grid) -> tuple[str, object, object] | None:
        """Compares two grids to a hundredth of a pixel.

        Returns:
            None where they are the same, else what differs (`CRS`, `size` or `transform`), this grid's and the other's.
        """
        if not _same_crs(self.crs, other.crs):
            return "CRS", self.crs and self.crs.to_string(), other.crs and other.crs.to_string()
        if self.shape != other.shape:
            return "size (height, width)", self.shape, other.shape
        tolerance = 0.01 * min(self.resolution)
        mine, theirs = (np.array([c for p in g.footprint().exterior.coords for c in p]) for g in (self, other))
        if not np.allclose(mine, theirs, rtol=0, atol=tolerance):
            return "transform", tuple(self.transform)[:6], tuple(other.transform)[:6]
        return None

    @cached_property
    def lonlat_footprint(self) -> shapely.Geometry:
        """Outline in longitude and latitude (EPSG:4326), densified, cut at the antimeridian.

        Empty where there is none: without CRS, with one that is not of the Earth, or for a degenerate grid.
        """
        if self.crs is None or self.is_degenerate:
            return shapely.Polygon()
        edge = max(self.resolution) * max(self.shape) / 16
        outline = shapely.get_coordinates(shapely.segmentize(self.footprint(), edge))
        try:
            to_lonlat = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
            longitude, latitude = to_lonlat.transform(outline[:, 0], outline[:, 1])
        except ProjError:
            return shapely.Polygon()
        if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
            return shapely.Polygon()
        unwrapped = np.unwrap(longitude, period=360)
        goes_round_a_pole = abs(unwrapped[-1] - unwrapped[0]) > 1
        shape: shapely.Geometry = shapely.Polygon(
            np.column_stack([longitude if goes_round_a_pole else unwrapped, latitude])
        )
        if not shapely.is_valid(shape):  # Grids that reach far beyond what their CRS is made for.
            shape = shapely.make_valid(shape)
        world = shapely.box(-180, -90, 180, 90)
        turned = [affinity.translate(shape, turn) for turn in (-360, 0, 360)]
        return shapely.union_all(shapely.intersection(turned, world))


class Source(ABC):
    """A lazily read georeferenced array of bands (and, for cubes, of times). Safe to read from several threads."""

    name: str
    """Short name, unique in a data set: the file's stem."""
    grid: Grid
    bands: tuple[Band, ...]
    times: np.ndarray | None = None
    """datetime64[ns] of shape (time,), or None."""

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of what `read` returns."""
        return ("y", "x", "band") if self.times is None else ("time", "y", "x", "band")

    def read(self, window: Window | None = None, times: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Reads a window, which may reach beyond the grid.

        Args:
            window: whole pixels; default: everything.
            times: slice over the time axis of a cube; default: all times.

        Returns:
            `values`, float32 of shape ([time,] height, width, band), in physical units (scale and offset applied),
            not-a-number where invalid; and `valid`, bool, broadcastable to `values`, False beyond the grid.

        Raises:
            SourceUnreadable: the file is missing, truncated or damaged.
        """
        window = window or self.grid.window
        row, col, height, width = (int(v) for v in (window.row_off, window.col_off, window.height, window.width))
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + height, self.grid.height), min(col + width, self.grid.width)
        if (top, left, bottom, right) == (row, col, row + height, col + width):
            return self._read(window, times)
        lead = () if self.times is None else (len(self.times[times or slice(None)]),)
        values = np.full((*lead, height, width, len(self.bands)), np.nan, np.float32)
        valid = np.zeros((*lead, height, width, len(self.bands)), bool)
        if bottom > top and right > left:
            inside = (..., slice(top - row, bottom - row), slice(left - col, right - col), slice(None))
            values[inside], valid[inside] = self._read(Window(left, top, right - left, bottom - top), times)
        return values, valid

    @abstractmethod
    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        """Reads a window that lies inside the grid; see `read`."""

    @abstractmethod
    def select(self, names: tuple[str, ...]) -> Source:
        """Returns the same source with these bands in this order. Raises `BandMismatch` where one is missing."""

    def rename(self, names: Sequence[str]) -> Source:
        """Returns the same source with other names for its bands, one for each."""
        other = copy.copy(self)
        other.bands = tuple(replace(band, name=name) for band, name in zip(self.bands, names, strict=True))
        return other


_AnySource = TypeVar("_AnySource", bound=Source)


def find_bands(where: object, bands: Sequence[Band], names: Sequence[str]) -> list[int]:
    """Returns the positions of the bands called `names`. Raises `BandMismatch`, about `where`, if one is missing."""
    positions = {band.name: k for k, band in enumerate(bands)}
    if not set(names) <= positions.keys():
        raise BandMismatch(where, expected=names, received=[band.name for band in bands])
    return [positions[name] for name in names]


def name_bands(source: _AnySource, names: Sequence[str]) -> _AnySource:
    """Selects bands by name or, where as many bands have no names of their own (`band_1`, …), gives them these."""
    own = [band.name for band in source.bands]
    nameless = own == [f"band_{k}" for k in range(1, len(own) + 1)]
    if nameless and len(set(names)) == len(own) and not set(names) <= set(own):
        return cast("_AnySource", source.rename(names))
    return cast("_AnySource", source.select(tuple(names)))


def are_nameless(names: Iterable[str]) -> bool:
    """Whether bands have no names of their own, but were numbered: `band_1`, …"""
    return all(_NUMBERED.fullmatch(name) for name in names)


def one_time(source: _AnySource) -> _AnySource:
    """Returns the source, where it has no times. Raises `SourceUnreadable`, which says how to choose one, otherwise."""
    if source.times is None:
        return source
    span = time_span(source.times)
    raise SourceUnreadable(
        source.name,
        f"it has {len(source.times)} times" + (f", {span[0]} to {span[1]}" if span else ""),
        advice=f"Choose one: of a file with @, as in rain.nc@{span[0] if span else 0}; of an array with .isel(time=0).",
    )


def time_span(times: np.ndarray) -> tuple[str, str] | None:
    """Returns the first and last of some times, to the minute or day; None where they are not stated."""
    first, last = (str(time)[:16].removesuffix("T00:00") for time in times[[0, -1]])
    return None if "NaT" in (first, last) else (first, last)


def decode(stored: np.ndarray, band: Band) -> np.ndarray:
    """Turns stored values of one band into physical ones.

    Args:
        stored: values as the file holds them, any real type and shape.
        band: its scale, offset and nodata.

    Returns:
        float32 of the same shape: stored × scale + offset; not-a-number where `stored` is nodata or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if band.scale == 1 and band.offset == 0:
            values = stored.astype(np.float32)
        else:
            values = (stored * np.float64(band.scale) + band.offset).astype(np.float32)
    missing = is_nodata(stored, band.nodata)
    if missing is not None:
        values[missing] = np.nan
    if stored.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    return values


def finite_nodata(nodata: float | None) -> float | None:
    """Leaves out what is not finite: that is nodata whether anyone says so or not."""
    return float(nodata) if nodata is not None and np.isfinite(nodata) else None


def in_all_bands(valid: np.ndarray) -> np.ndarray:
    """Says of validities (…, band) whether all bands are valid, (…): band by band, five times faster than `all(-1)`.

    Example:

    >>> in_all_bands(np.array([[True, True], [True, False]]))
    array([ True, False])
    """
    return reduce(np.logical_and, np.moveaxis(valid, -1, 0))


def is_nodata(stored: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Finds nodata among stored values, as GDAL does.

    Floating-point values are compared to within two units in the last place, because nodata is written as decimal
    text in headers. A nodata value that the stored type cannot hold never matches.

    Returns:
        bool of the shape of `stored`, or None where nothing can match. Nodata that is not finite is left to
        `numpy.isfinite`.
    """
    if nodata is None or not np.isfinite(nodata):
        return None
    if stored.dtype.kind == "f":
        epsilon = 4 * np.finfo(stored.dtype).eps * abs(nodata)
        with np.errstate(invalid="ignore", over="ignore"):
            return (stored == nodata) | (np.abs(stored - stored.dtype.type(nodata)) <= epsilon)
    if stored.dtype.kind == "b":
        return stored == bool(nodata) if nodata in (0, 1) else None
    limits = np.iinfo(stored.dtype)
    if nodata != int(nodata) or not limits.min <= nodata <= limits.max:
        return None
    return np.asarray(stored == stored.dtype.type(int(nodata)))


def _same_crs(one: CRS | None, other: CRS | None) -> bool:
    """The order of a CRS's axes is of no matter here: a transform always gives x, then y."""
    if one is None or other is None:
        return one is other
    return one == other or one.equals(other, ignore_axis_order=True)
