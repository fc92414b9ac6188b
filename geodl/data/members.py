"""Which pixels of a grid belong to which place: points, and parcels by the centres that lie in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.features import rasterize
from shapely import GeometryType

from geodl.data.places import moved, overlap
from geodl.data.source import Grid, Window
from geodl.data.windows import grid_windows
from geodl.errors import LabelsUnreadable

__all__ = ("MemberPixels", "Members", "parcel_pixels")

_POINTS = (GeometryType.POINT,)
_PARCELS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
_SIDE = 2048
"""Pixels of the side of a square that is looked at at a time."""


@dataclass(frozen=True)
class MemberPixels:
    """Pixels of places, those of one place after another."""

    place: np.ndarray
    """int64 (pixel,), not decreasing: position of the place."""
    rows: np.ndarray
    """int64 (pixel,), of the whole grid."""
    columns: np.ndarray
    """int64 (pixel,)."""

    def __len__(self) -> int:
        return len(self.place)

    @property
    def window(self) -> Window:
        """The smallest window that holds all of them, of which there must be one."""
        top, left = int(self.rows.min()), int(self.columns.min())
        return Window(left, top, int(self.columns.max()) + 1 - left, int(self.rows.max()) + 1 - top)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each place that occurs begins among the pixels."""
        return np.flatnonzero(np.r_[True, self.place[1:] != self.place[:-1]]) if len(self) else np.zeros(0, np.int64)


class Members:
    """The pixels of places on a grid.

    A point has the pixel that it lies in. A parcel has those whose centres lie in it; one that is too small or too thin for
    that has the pixel under a point of it. What lies in two parcels belongs to both.

    Args:
        geometry: points, polygons and multipolygons (place,); None, or empty: nowhere.
        crs: of the geometry.
        grid: whose pixels are meant.
        where: what the places are of, for messages.

    Raises:
        LabelsUnreadable: there are other shapes; only one of the two has a CRS; or one cannot be brought into the other.

    Example:

    >>> grid = Grid(None, Affine.identity(), 4, 5)
    >>> members = Members(np.array([shapely.box(1, 1, 3, 4), shapely.Point(4.5, 0.5)]), None, grid)
    >>> members.counts.tolist(), members.within(Window(0, 0, 5, 2)).columns.tolist()
    ([6, 1], [1, 2, 4])
    """

    def __init__(self, geometry: np.ndarray, crs: CRS | None, grid: Grid, *, where: str = "The places") -> None:
        self.grid = grid
        self._shapes = _on_pixels(geometry, crs, grid, where)
        kinds = shapely.get_type_id(self._shapes)
        odd = sorted({GeometryType(kind).name.lower() for kind in set(kinds.tolist()) - {*_POINTS, *_PARCELS, -1}})
        if odd:
            raise LabelsUnreadable(
                where, f"there are features of type {' and '.join(odd)}", advice="Expected points or polygons."
            )
        self._tree = shapely.STRtree(self._shapes)
        self._parcels = np.isin(kinds, _PARCELS)
        self._single = np.full((len(kinds), 2), -1)
        points = np.isin(kinds, _POINTS)
        self._single[points] = self._pixels(self._shapes[points])
        self._apart = self._overlapping()
        counts = np.zeros(len(kinds), np.int64)
        for window in grid_windows(grid.shape, _SIDE):
            counts += np.bincount(self.within(window).place, minlength=len(kinds))
        small = self._parcels & (counts == 0)
        self._single[small] = self._pixels(shapely.point_on_surface(self._shapes[small]))
        self.counts = counts + (small & (self._single[:, 0] >= 0))
        """Pixels of each place, int64 (place,): 0 where it lies outside."""

    def __len__(self) -> int:
        return len(self._shapes)

    @property
    def points(self) -> np.ndarray:
        """Rows and columns of the pixels of the points that lie on the grid, (point, 2); parcels are left out."""
        return self._single[~self._parcels & (self.counts > 0)]

    def within(self, window: Window) -> MemberPixels:
        """Returns the pixels that lie in a window of whole pixels, place by place, row by row."""
        top, left = max(int(window.row_off), 0), max(int(window.col_off), 0)
        bottom = min(int(window.row_off + window.height), self.grid.height)
        right = min(int(window.col_off + window.width), self.grid.width)
        if bottom <= top or right <= left:
            return MemberPixels(*np.zeros((3, 0), np.int64))
        near = np.sort(self._tree.query(shapely.box(left, top, right, bottom)))
        rows, columns = self._single[near].T
        single = near[(rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)]
        found = [np.column_stack([single, self._single[single]])]
        areal = near[self._parcels[near]]
        found.append(self._burnt(areal[~self._apart[areal]], (top, left, bottom, right)))
        found += [self._burnt(areal[k : k + 1], (top, left, bottom, right)) for k in np.flatnonzero(self._apart[areal])]
        every = np.concatenate(found).astype(np.int64)
        return MemberPixels(*every[np.argsort(every[:, 0], kind="stable")].T)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Gives rows and columns of the pixels of each place in turn; none where it lies outside."""
        for k, count in enumerate(self.counts):
            single = self._single[k : k + 1] if count and self._single[k, 0] >= 0 else self._single[:0]
            found = self._burnt(np.array([k]), (0, 0, *self.grid.shape))[:, 1:] if count and not len(single) else single
            yield found[:, 0], found[:, 1]

    def _burnt(self, parcels: np.ndarray, extent: tuple[int, int, int, int]) -> np.ndarray:
        """Burns parcels of which none overlap; returns place, row and column of their pixels within an extent (n, 3)."""
        left, top, right, bottom = shapely.total_bounds(self._shapes[parcels]) if len(parcels) else np.zeros(4)
        top, left = max(extent[0], int(np.floor(top))), max(extent[1], int(np.floor(left)))
        bottom, right = min(extent[2], int(np.ceil(bottom))), min(extent[3], int(np.ceil(right)))
        if bottom <= top or right <= left:
            return np.zeros((0, 3), np.int64)
        burnt = rasterize(
            zip(self._shapes[parcels], range(1, len(parcels) + 1), strict=True), (bottom - top, right - left),
            transform=Affine.translation(left, top), dtype="int32",
        )  # fmt: skip
        rows, columns = np.nonzero(burnt)
        return np.column_stack([parcels[burnt[rows, columns] - 1], rows + top, columns + left])

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """Rows and columns of the pixels that points lie in, (point, 2); −1 outside the grid."""
        places = np.floor(np.column_stack([shapely.get_y(points), shapely.get_x(points)]))
        inside = np.all((places >= 0) & (places < self.grid.shape), axis=1)
        return np.where(inside[:, None], places, -1).astype(np.int64)

    def _overlapping(self) -> np.ndarray:
        """Parcels that overlap an earlier one, and so cannot be burnt together with it: bool (place,)."""
        areal = np.flatnonzero(self._parcels)
        tree = shapely.STRtree(self._shapes[areal])
        first, second = tree.query(self._shapes[areal], predicate="intersects")
        pairs = np.column_stack([areal[first], areal[second]])[first < second]
        apart = np.zeros(len(self._shapes), bool)
        apart[pairs[overlap(self._shapes[pairs[:, 0]], self._shapes[pairs[:, 1]]), 1]] = True
        return apart


def parcel_pixels(geometry: np.ndarray, crs: CRS | None, grid: Grid) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Gives the pixels of parcels, one parcel after another; see `Members`, which gives them window by window, too.

    Args:
        geometry: points, polygons and multipolygons (place,).
        crs: of the geometry.
        grid: whose pixels are meant.

    Returns:
        Position of the parcel, and rows and columns of its pixels; none where it lies outside the grid.

    Raises:
        LabelsUnreadable: see `Members`.

    Example:

    >>> grid = Grid(None, Affine.identity(), 4, 5)
    >>> [(k, rows.tolist()) for k, rows, _ in parcel_pixels(np.array([shapely.box(1, 1, 2, 3)]), None, grid)]
    [(0, [1, 2])]
    """
    members = Members(geometry, crs, grid)
    return ((k, *pixels) for k, pixels in enumerate(members))


def _on_pixels(geometry: np.ndarray, crs: CRS | None, grid: Grid, where: str) -> np.ndarray:
    """Brings geometries to columns and rows of a grid; None where they are missing or cannot be had there."""
    if (crs is None) != (grid.crs is None):
        lacking, other = ("places", "image") if crs is None else ("image", "places")
        raise LabelsUnreadable(
            where, f"the CRS of the {lacking} is not stated, that of the {other} is",
            advice="Assign the CRS to the file that lacks it.",
        )  # fmt: skip
    shapes = np.array(geometry, object)
    shapes[shapely.is_missing(shapes) | shapely.is_empty(shapes)] = None
    shapes = shapely.force_2d(shapes)
    if crs is not None and grid.crs is not None and not crs.equals(grid.crs, ignore_axis_order=True):
        try:
            transformer = Transformer.from_crs(crs, grid.crs, always_xy=True)
        except ProjError as error:
            raise LabelsUnreadable(
                where, f"its CRS cannot be brought to the image's ({error})", advice="Reproject the places first."
            ) from error
        shapes = shapely.transform(shapes, lambda xy: np.column_stack(transformer.transform(*xy.T)))
    shapes = np.asarray(shapely.transform(shapes, lambda xy: moved(xy, ~grid.transform)))
    present = ~shapely.is_missing(shapes)
    shapes[present & ~np.isfinite(shapely.bounds(shapes)).all(axis=1)] = None
    broken = present & ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    shapes[shapely.is_empty(shapes)] = None
    return shapes
