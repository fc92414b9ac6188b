"""How grids lie on the lattice of another one, the endless plane of its pixels: pure geometry, no input or output."""

from __future__ import annotations

import numpy as np
import shapely
from pyproj import Transformer
from pyproj.exceptions import ProjError

from geodl.data.source import Grid, Window

__all__ = ("bring_round", "lattice_around", "lattice_corner", "off_lattice")

_TOLERANCE = 0.01
"""Pixels by which a grid may lie off a lattice."""


def lattice_corner(lattice: Grid, grid: Grid) -> tuple[int, int]:
    """Returns row and column, on a lattice, of the first pixel of a grid that lies on it."""
    column, row = np.round(~lattice.transform @ (grid.transform @ (0, 0)))
    return int(row), int(column)


def off_lattice(lattice: Grid, grid: Grid) -> tuple[str, object, object] | None:
    """Says in what a grid is not on a lattice, to a hundredth of a pixel over its whole extent.

    Returns:
        None where it is, else what differs (CRS, pixel size or direction, or position), what was expected and what is.

    Example:

    >>> off_lattice(grid, grid.crop(Window(-3, 700, 50, 50))) is None
    True
    """
    difference = lattice.differs(grid)
    if difference is None or difference[0] == "CRS":
        return difference
    height, width = grid.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    there = np.array([~lattice.transform @ (grid.transform @ (x, y)) for x, y in corners])
    shift = there - corners
    if np.abs(shift - shift[0]).max() > _TOLERANCE:
        (a, b, _, d, e, _), (a2, b2, _, d2, e2, _) = lattice.transform[:6], grid.transform[:6]
        return "pixel size or direction", (a, b, d, e), (a2, b2, d2, e2)
    if np.abs(shift - np.round(shift[0])).max() > _TOLERANCE:
        x, y = (float(v) for v in np.round(shift[0] - np.floor(shift[0]), 3))
        return "position of the pixels", "a distance of whole pixels", f"{x:g} pixels more along x and {y:g} along y"
    return None


def lattice_around(lattice: Grid, grid: Grid) -> Grid | None:
    """Returns the smallest part of a lattice that holds all of a grid of any CRS; None where that is nowhere on it."""
    if lattice.crs is None or grid.crs is None:
        return None
    outline = shapely.segmentize(grid.footprint(), max(grid.resolution) * max(grid.shape) / 64)
    try:
        across = Transformer.from_crs(grid.crs, lattice.crs, always_xy=True)
        x, y = across.transform(*shapely.get_coordinates(outline).T)
    except ProjError:
        return None
    if _turn(lattice) is not None:
        x = np.unwrap(x, period=360)
    points = np.array([~lattice.transform @ point for point in zip(x, y, strict=True)])
    if not np.isfinite(points).all():
        return None
    left, top = (int(v) for v in np.floor(points.min(axis=0) + _TOLERANCE))
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0) - _TOLERANCE))
    return lattice.crop(Window(left, top, max(right - left, 1), max(bottom - top, 1)))


def bring_round(lattice: Grid, rectangles: np.ndarray) -> np.ndarray:
    """Moves rectangles on a lattice in degrees by whole turns of the Earth, to where all are nearest to one another.

    Args:
        lattice: any; nothing moves where it is not in degrees, or a turn is not a whole number of pixels.
        rectangles: int64 (n, 4): top, left, bottom, right.

    Returns:
        The rectangles, of which the first one has not moved.
    """
    turn = _turn(lattice)
    if turn is None or abs(turn - round(turn)) > _TOLERANCE:
        return rectangles
    turn = round(turn)
    top, left, bottom, right = rectangles.T
    begin = left % turn
    order = np.argsort(begin, kind="stable")
    # Where the widest gap lies, going round the Earth, is where their common extent ends and begins.
    ends = np.maximum.accumulate((begin + right - left)[order])
    following = np.append(begin[order][1:], begin[order][0] + turn)
    west = following[np.argmax(following - ends)] % turn
    moved = np.where(begin < west, begin + turn, begin)
    moved += left[0] - moved[0]
    together = np.stack([top, moved, bottom, moved + right - left], axis=1)
    return together if _width(together) < _width(rectangles) else rectangles


def _turn(grid: Grid) -> float | None:
    """Pixels once round the Earth along x; None where the grid is not in degrees of longitude and latitude."""
    if grid.crs is None or not grid.crs.is_geographic or grid.unit != "degree":
        return None
    return None if grid.transform.b or grid.transform.d else 360 / abs(grid.transform.a)


def _width(rectangles: np.ndarray) -> int:
    return int(rectangles[:, 3].max() - rectangles[:, 1].min())
