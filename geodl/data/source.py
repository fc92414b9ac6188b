"""Source: a lazily read georeferenced array, whatever holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from geodl.contract import Band

__all__ = ("Grid", "Source", "Window")


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
        return "" if self.crs is None else self.crs.axis_info[0].unit_name

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.width, self.height)

    def crop(self, window: Window) -> Grid:
        """Returns the grid of `window` (which may reach beyond this one)."""
        return Grid(self.crs, window_transform(window, self.transform), int(window.height), int(window.width))

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
        if self.crs != other.crs:
            return "CRS", self.crs and self.crs.to_string(), other.crs and other.crs.to_string()
        if self.shape != other.shape:
            return "size (height, width)", self.shape, other.shape
        tolerance = 0.01 * min(self.resolution)
        mine, theirs = (np.array([c for p in g.footprint().exterior.coords for c in p]) for g in (self, other))
        if not np.allclose(mine, theirs, rtol=0, atol=tolerance):
            return "transform", tuple(self.transform)[:6], tuple(other.transform)[:6]
        return None

    @cached_property
    def lonlat_footprint(self) -> shapely.Polygon:
        """Outline in longitude and latitude (EPSG:4326), densified; empty polygon without CRS."""
        if self.crs is None:
            return shapely.Polygon()
        edge = max(self.resolution) * max(self.shape) / 16
        outline = shapely.segmentize(self.footprint(), edge)
        to_lonlat = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        return shapely.transform(outline, lambda xy: np.column_stack(to_lonlat.transform(xy[:, 0], xy[:, 1])))


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
            not-a-number where invalid; and `valid`, bool, broadcastable to `values`. Pixels beyond the grid are invalid.

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
