"""From numbered pixels to polygons: the sides at which components end, simplified or not, and the rings they form.

Sides are int32 arrays (5, n): component, x and y of the start, x and y of the end, in pixels from the raster's upper left
corner. Seen on the map, the component lies on their left.
"""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, depth_first_order
from shapely import GeometryType

from geodl.inference.components import OUTSIDE, label

__all__ = ("rings", "sides", "simplified_sides")


def sides(classes: np.ndarray, ids: np.ndarray, *, row: int) -> np.ndarray:
    """Finds the sides in a strip and along its upper border.

    A side is as long as the pixels on either of its sides stay the same, so that neighbours share their vertices.

    Args:
        classes: int32 (1 + height, width): the row above the strip, and the strip.
        ids: components, of the same shape; negative ones get no sides.
        row: of the raster, at the strip's upper border.
    """
    found = np.concatenate([_level(classes, ids, row), _upright(classes[1:], ids[1:], row)], axis=1)
    return found[:, found[0] >= 0]


def simplified_sides(classes: np.ndarray, ids: np.ndarray, *, row: int, tolerance: float) -> np.ndarray:
    """Finds the sides as `sides` does, and leaves out vertices inside the strip where that changes shapes little.

    Neighbours keep sharing their border, which is drawn by the Visvalingam–Whyatt algorithm as GEOS has it for coverages.
    Vertices on the strip's borders stay, so that the sides of the next strip go on where these end.

    Args:
        classes: int32 (1 + height, width).
        ids: components, of the same shape.
        row: of the raster, at the strip's upper border.
        tolerance: square root of the area in pixels that a corner left out may have.
    """
    border = _level(classes[:2], ids[:2], row)
    classes, ids = classes[1:], ids[1:]
    height = len(classes)
    pieces = label(classes)
    beyond = ((1, 1), (0, 0))
    whole, whole_pieces = np.pad(classes, beyond, constant_values=OUTSIDE), np.pad(pieces, beyond, constant_values=-1)
    outlines = np.concatenate([_level(whole, whole_pieces, 0), _upright(classes, pieces, 0)], axis=1)
    polygons = rings(outlines[:, outlines[0] >= 0], keep_straight=True)
    polygons = shapely.coverage_simplify(polygons, tolerance, simplify_boundary=False)
    _, xy, (ring_ends, polygon_ends) = shapely.to_ragged_array(shapely.orient_polygons(polygons, exterior_cw=True))

    owner = np.empty(len(polygons), np.int32)
    owner[pieces] = ids
    component = np.repeat(np.repeat(owner, np.diff(polygon_ends)), np.diff(ring_ends))
    x, y = xy.astype(np.int32).T
    goes_on = np.ones(len(xy), bool)
    goes_on[ring_ends[1:] - 1] = False  # The last vertex of a ring is its first.
    k = np.flatnonzero(goes_on)
    k = k[(y[k] != y[k + 1]) | ((y[k] != 0) & (y[k] != height))]
    inner = np.stack([component[k], x[k], y[k] + row, x[k + 1], y[k + 1] + row])
    found = np.concatenate([border, inner], axis=1)
    return found[:, found[0] >= 0]


def rings(segments: np.ndarray, *, transform: Affine = Affine.identity(), keep_straight: bool = False) -> np.ndarray:  # noqa: B008
    """Joins the sides of whole components to polygons.

    A component that touches itself at a corner gets a ring on either side of it, so that all polygons are valid.

    Args:
        segments: all sides of 4-connected components.
        transform: from pixels to the coordinates of the polygons.
        keep_straight: keep vertices at which a ring goes straight on.

    Returns:
        Polygons with their holes, one per component, in the order of their numbers.
    """
    if not segments.shape[1]:
        return np.zeros(0, object)
    follower = _follow(segments)
    component, x0, y0, x1, y1 = segments
    count, ring = connected_components(_graph(follower), directed=True, connection="weak")
    index = np.arange(len(follower))
    head = np.empty(count, np.int64)
    head[ring[::-1]] = index[::-1]
    doubled = np.bincount(ring, x0.astype(np.int64) * y1 - x1.astype(np.int64) * y0)
    owner = component[head]
    sequence = np.lexsort([doubled > 0, owner])  # Outlines go one way round and come first, holes the other.
    order = _walk(follower, ring, head[sequence])

    sizes = np.bincount(ring)[sequence]
    ends = np.cumsum(sizes)
    corner = np.ones(len(order), bool)
    if not keep_straight:
        dx, dy = ((b - a)[order].astype(np.int64) for a, b in ((x0, x1), (y0, y1)))
        last = np.arange(-1, len(order) - 1)
        last[ends - sizes] = ends - 1
        corner = dx[last] * dy != dy[last] * dx
        sizes = np.add.reduceat(corner.astype(np.int64), ends - sizes)
        ends = np.cumsum(sizes)
    order = order[corner]
    closed = np.insert(order, ends, order[ends - sizes])
    x, y = x0[closed].astype(float), y0[closed].astype(float)
    t = transform
    xy = np.column_stack([t.c + x * t.a + y * t.b, t.f + x * t.d + y * t.e])
    _, holes = np.unique(owner, return_counts=True)
    offsets = np.concatenate([[0], ends + np.arange(1, count + 1)]), np.concatenate([[0], np.cumsum(holes)])
    return np.asarray(shapely.from_ragged_array(GeometryType.POLYGON, xy, offsets))


def _level(classes: np.ndarray, ids: np.ndarray, row: int) -> np.ndarray:
    """The sides along the lines between rows."""
    line, start, end = _runs(classes[:-1], classes[1:])
    y = line + row
    below = ids[line + 1, start], end, y, start, y
    above = ids[line, start], start, y, end, y
    return np.concatenate([np.array(below, np.int32), np.array(above, np.int32)], axis=1)


def _upright(classes: np.ndarray, ids: np.ndarray, row: int) -> np.ndarray:
    """The sides along the lines between columns, and along the outer ones."""
    beyond = ((0, 0), (1, 1))
    wide = np.ascontiguousarray(np.pad(classes, beyond, constant_values=OUTSIDE).T)
    wide_ids = np.pad(ids, beyond, constant_values=-1).T
    column, start, end = _runs(wide[:-1], wide[1:])
    top, bottom = start + row, end + row
    right = wide_ids[column + 1, start], column, top, column, bottom
    left = wide_ids[column, start], column, bottom, column, top
    return np.concatenate([np.array(right, np.int32), np.array(left, np.int32)], axis=1)


def _runs(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds where two arrays (line, position) differ and neither changes: the line, start and end of each such run."""
    differ = one != other
    changes = (one[:, 1:] != one[:, :-1]) | (other[:, 1:] != other[:, :-1])
    begins, stops = differ.copy(), differ.copy()
    begins[:, 1:] &= changes
    stops[:, :-1] &= changes
    line, start = np.nonzero(begins)
    return line, start, np.nonzero(stops)[1] + 1


def _follow(segments: np.ndarray) -> np.ndarray:
    """Finds the side that comes after each one on its ring."""
    component, x0, y0, x1, y1 = (row.astype(np.int64) for row in segments)
    width = max(int(x0.max()), 1) + 1
    height = int(y0.max()) + 1
    starts, stops = ((component * height + y) * width + x for x, y in ((x0, y0), (x1, y1)))
    leaving, coming = np.argsort(starts, kind="stable"), np.argsort(stops, kind="stable")
    place = starts[leaving]
    double = np.flatnonzero(place[1:] == place[:-1])
    if len(double):
        # The component touches itself. The ring keeps to what lies on its right, and so never meets itself.
        first, second, come = leaving[double], leaving[double + 1], coming[double]
        dx, dy = x1 - x0, y1 - y0

        def turn(out: np.ndarray) -> np.ndarray:
            return np.arctan2(dx[come] * dy[out] - dy[come] * dx[out], dx[come] * dx[out] + dy[come] * dy[out])

        swap = turn(second) > turn(first)
        leaving[double[swap]], leaving[double[swap] + 1] = second[swap], first[swap]
    follower = np.empty(len(leaving), np.int64)
    follower[coming] = leaving
    return follower


def _graph(follower: np.ndarray) -> csr_array:
    size = len(follower)
    return csr_array((np.ones(size), follower, np.arange(size + 1)), (size, size))


def _walk(follower: np.ndarray, ring: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Lists the sides in the order of their rings: these are cut at their heads and tied to one long path."""
    leader = np.empty_like(follower)
    leader[follower] = np.arange(len(follower))
    path = follower.copy()
    tails = leader[heads]
    path[tails] = np.append(heads[1:], tails[-1])
    return np.asarray(depth_first_order(_graph(path), heads[0], return_predecessors=False))
