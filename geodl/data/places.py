"""Where samples lie, and the check that none of the held-out ones was trained on."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geodl.data.source import Grid
from geodl.errors import SplitLeakage

__all__ = ("Place", "boxes", "check_leakage", "locate", "moved", "overlap")

_RELATIVE_AREA = 1e-9
_INSET = 0.25  # pixels
_SEGMENT = 64  # pixels: a chord this short leaves its curve by less than the inset, up to 1 km pixels


@dataclass(frozen=True)
class Place:
    """Where a sample lies in space and time, and to what it belongs.

    Two places overlap where they are of one space, their footprints overlap and their times overlap. A missing
    footprint means everywhere in its space, a missing time always; with neither, only the group is compared.
    """

    footprint: shapely.Geometry | None
    """All that the sample may hold: a polygon, or a point for a pixel's or station's series. None: not in space."""
    space: str
    """Which coordinates `footprint` is in: `lonlat`, or any name (of a scene without CRS, a trajectory, a data set)."""
    time: tuple[Any, Any] | None = None
    """First and last time, both inclusive, of one comparable type (numbers or datetime64); None: no time."""
    group: str | None = None
    """What must not be on both sides: a parent tile, a site, a field, a storm; None: no group."""
    name: str = ""
    """What to call it in a message."""
    source: str = ""
    """Name of the scene, event or table that it is of."""


def boxes(rectangles: np.ndarray) -> np.ndarray:
    """Returns the outlines (n,) of rectangles (n, 4: top, left, bottom, right) in pixel coordinates (column, row)."""
    top, left, bottom, right = np.asarray(rectangles).reshape(-1, 4).T
    return np.asarray(shapely.box(left, top, right, bottom))


def locate(shapes: np.ndarray, grid: Grid, name: str) -> tuple[np.ndarray, str]:
    """Takes outlines in pixel coordinates to the coordinates in which scenes are compared.

    Unless these are the pixels themselves, outlines are drawn in by a quarter of a pixel, so that neighbours stay
    neighbours when projection and rounding have moved their common border a little.

    Args:
        shapes: polygons of shape (n,), in columns and rows of `grid`.
        grid: where they lie.
        name: of the scene.

    Returns:
        The polygons, and their space: longitude and latitude (`lonlat`, cut at the date line); the grid's CRS where
        that is of no place on Earth; pixels (`name`) where there is no CRS.
    """
    if grid.crs is None:
        return shapes, name
    shapes = shapely.buffer(shapes, -_INSET, join_style="mitre")
    if not _on_earth(grid):
        return np.asarray(shapely.transform(shapes, lambda points: moved(points, grid.transform))), grid.crs.to_string()
    shapes = shapely.segmentize(shapes, min(_SEGMENT, max(grid.width / 8, 1)))
    transformer = _to_lonlat(grid.crs)

    def to_lonlat(points: np.ndarray) -> np.ndarray:
        return np.column_stack(transformer.transform(*moved(points, grid.transform).T))

    return _cut_at_date_line(np.asarray(shapely.transform(shapes, to_lonlat))), "lonlat"


def moved(points: np.ndarray, transform: Affine) -> np.ndarray:
    """Applies an affine transform to points (n, 2)."""
    return points @ np.array([[transform.a, transform.d], [transform.b, transform.e]]) + [transform.c, transform.f]


@lru_cache(maxsize=64)
def _to_lonlat(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _on_earth(grid: Grid) -> bool:
    """Says whether the grid has a longitude and latitude (not on another planet, not a site's own coordinates)."""
    try:
        corners = np.array(grid.footprint().exterior.coords)
        return bool(np.isfinite(_to_lonlat(grid.crs).transform(*corners.T)).all())  # type: ignore[arg-type]
    except ProjError:
        return False


def _cut_at_date_line(shapes: np.ndarray) -> np.ndarray:
    """Brings longitudes into -180 to 180; what spans the date line becomes two parts."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    jumps = (np.abs(np.diff(points[:, 0])) > 180) & (owner[1:] == owner[:-1])
    crossing = np.isin(np.arange(len(shapes)), owner[1:][jumps])
    shapes[crossing] = shapely.transform(shapes[crossing], lambda xy: xy + np.outer(xy[:, 0] < 0, (360, 0)))
    west, _, east, _ = shapely.bounds(shapes).T
    beyond = (west < -180) | (east > 180)
    if beyond.any():
        turns = [shapely.transform(shapes[beyond], partial(np.add, (turn, 0))) for turn in (-360, 0, 360)]
        shapes[beyond] = shapely.union_all(shapely.intersection(turns, shapely.box(-180, -90, 180, 90)), axis=0)
    return shapes


def check_leakage(train: Iterable[Place], held_out: Iterable[Place]) -> None:
    """Refuses a split whose sides overlap in space and time, or share a group.

    Borders that only touch are no overlap. A hundred thousand samples take seconds.

    Args:
        train: places of all training samples.
        held_out: places of all validation and test samples.

    Raises:
        SplitLeakage: names the first pair found.
    """
    train, held_out = list(train), list(held_out)
    groups = {place.group: place for place in train if place.group is not None}
    for place in held_out:
        if place.group is not None and place.group in groups:
            raise SplitLeakage(groups[place.group].name, place.name, f"are both of group {place.group!r}")
    ours, theirs = _by_space(train), _by_space(held_out)
    for space in ours.keys() & theirs.keys():
        pair = _first_overlap(ours[space], theirs[space])
        if pair:
            raise SplitLeakage(pair[0].name, pair[1].name, "overlap" if space == "lonlat" else f"overlap (in {space})")


def _by_space(places: Sequence[Place]) -> dict[str, list[Place]]:
    found = defaultdict(list)
    for place in places:
        if place.footprint is not None or place.time is not None:
            found[place.space].append(place)
    return found


def _first_overlap(ours: Sequence[Place], theirs: Sequence[Place]) -> tuple[Place, Place] | None:
    # Many clips of one radar have one footprint: space is compared once per footprint, then time within it.
    one, other = _by_footprint(ours), _by_footprint(theirs)
    pairs = [(a, b) for a in one for b in other if a is None or b is None] if None in one or None in other else []
    mine, yours = ([key for key in side if key is not None] for side in (one, other))
    shapes, tree = shapely.from_wkb(mine), shapely.STRtree(shapely.from_wkb(yours))
    i, j = tree.query(shapes, predicate="intersects")
    real = overlap(np.asarray(shapes)[i], tree.geometries[j])
    pairs += [(mine[a], yours[b]) for a, b in zip(i[real], j[real], strict=True)]
    return next(filter(None, (_meet_in_time(one[a], other[b]) for a, b in pairs)), None)


def _by_footprint(places: Sequence[Place]) -> dict[bytes | None, list[Place]]:
    found = defaultdict(list)
    for key, place in zip(shapely.to_wkb([place.footprint for place in places]), places, strict=True):
        found[key].append(place)
    return found


def overlap(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Says which of these pairs of geometries, known to intersect, share more than a border."""
    areal = (shapely.get_dimensions(some) == 2) & (shapely.get_dimensions(others) == 2)
    shared = ~shapely.touches(some, others)
    common = shapely.area(shapely.intersection(some[areal], others[areal]))
    smaller = np.minimum(shapely.area(some[areal]), shapely.area(others[areal]))
    shared[areal] = common > _RELATIVE_AREA * smaller
    return np.asarray(shared)


def _meet_in_time(ours: Sequence[Place], theirs: Sequence[Place]) -> tuple[Place, Place] | None:
    """Returns a pair whose times overlap: for each of theirs, the latest end among ours that start before it ends."""
    for one in ours:
        if one.time is None:
            return one, theirs[0]
    dated = sorted(((*one.time, k) for k, one in enumerate(ours) if one.time is not None), key=lambda item: item[0])
    starts = [start for start, _, _ in dated]
    latest: list[tuple[Any, int]] = []
    for _, end, k in dated:
        latest.append((end, k) if not latest or end > latest[-1][0] else latest[-1])
    for other in theirs:
        if other.time is None:
            return ours[0], other
        before = bisect_right(starts, other.time[1])
        if before and latest[before - 1][0] >= other.time[0]:
            return ours[latest[before - 1][1]], other
    return None
