"""Footprints of samples on maps: areas where they are large, points where they are small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from pyproj import Geod

from geodl.report.lines import name_axes
from geodl.report.palette import CAPTION, PARTS, UNUSED
from geodl.report.scalebar import draw_scale_bar

__all__ = ("draw_scene", "ratio")

_SMALL = 1 / 80
"""Size of a footprint, in parts of the map, below which it is drawn as a point."""
_GAP = 1e-3
"""Distance, in parts of a scene, that two areas may be apart and still be drawn as one: footprints are drawn in a little."""
_LEFT = 0.002
"""Share of a scene that is in no part, from which on it is told."""
_THINNEST = 0.05
"""Cosine of the latitude from which on maps of degrees get no narrower."""


def ratio(space: str, of: Mapping[str, Sequence[shapely.Geometry]]) -> float:
    """Returns how high the map of all shapes is, in parts of its width.

    Args:
        space: which coordinates they are in, as `geodl.data.places.Place` says it.
        of: part → shapes.
    """
    left, low, right, high = _limits(of)
    shrunk = max(math.cos(math.radians((low + high) / 2)), _THINNEST) if space == "lonlat" else 1.0
    return (high - low) / max((right - left) * shrunk, 1e-12)


def _limits(of: Mapping[str, Sequence[shapely.Geometry]]) -> tuple[float, float, float, float]:
    """Limits of all shapes, a little wider; never without an extent."""
    left, low, right, high = shapely.total_bounds(np.concatenate([np.asarray(shapes) for shapes in of.values()]))
    margin = 0.03 * max(right - left, high - low) or 1e-3
    return left - margin, low - margin, right + margin, high + margin


def draw_scene(
    axes: Axes, space: str, of: Mapping[str, Sequence[shapely.Geometry]], *, rest: bool = True
) -> tuple[bool, bool]:
    """Draws the footprints of the parts where they lie, with coordinates and a scale bar.

    Args:
        axes: where to draw.
        space: which coordinates the shapes are in, as `geodl.data.places.Place` says it.
        of: part → shapes.
        rest: whether their convex hull is drawn, too, as unused where nothing else is: scenes are convex.

    Returns:
        Whether some of the hull is in no part, and whether points were drawn.
    """
    left, low, right, high = _limits(of)
    extent = max(right - left, high - low)
    shapes = {part: np.asarray(found) for part, found in of.items()}
    sizes = np.concatenate([_sizes(found) for found in shapes.values()])
    unused = False
    small = bool(np.median(sizes) < _SMALL * extent)
    if small:
        for part, found in shapes.items():
            _draw_points(axes, shapely.get_coordinates(shapely.centroid(found)), part)
    else:
        areas = {part: _merged(found, _GAP * extent) for part, found in shapes.items()}
        if rest:
            whole = shapely.convex_hull(shapely.union_all(list(areas.values())))
            left_over = whole.difference(shapely.union_all(list(areas.values()))).buffer(-2 * _GAP * extent)
            unused = left_over.area > _LEFT * whole.area
            _draw_area(axes, whole, {**UNUSED, "hatch": UNUSED["hatch"] if unused else ""}, zorder=1)
        for number, (part, area) in enumerate(areas.items()):
            _draw_area(axes, area, PARTS[part], zorder=2 + number)
    axes.set(xlim=(left, right), ylim=(low, high))
    _name(axes, space, (low + high) / 2, (left + right) / 2)
    return unused, small


def _sizes(shapes: np.ndarray) -> np.ndarray:
    west, south, east, north = shapely.bounds(shapes).T
    return np.maximum(east - west, north - south)


def _merged(shapes: np.ndarray, gap: float) -> shapely.Geometry:
    """Joins neighbours; shapes grow by less than what is seen, and shrink again."""
    return shapely.union_all(shapely.buffer(shapes, gap, join_style="mitre")).buffer(-gap, join_style="mitre")


def _draw_points(axes: Axes, points: np.ndarray, part: str) -> None:
    look = PARTS[part]
    size = float(np.clip(9000 / max(len(points), 1), 9, 30))
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        c=look["colour"],
        marker=look["marker"],
        linewidths=0.3,
        edgecolors="white",
        # Fewer are drawn over more.
        zorder=2 + 1 / max(len(points), 1),
        rasterized=True,
    )


def _draw_area(axes: Axes, area: shapely.Geometry, look: Mapping[str, str], *, zorder: float) -> None:
    """Draws polygons with their holes."""
    rings = [ring for polygon in _polygons(area) for ring in (polygon.exterior, *polygon.interiors)]
    if not rings:
        return
    path = Path.make_compound_path(*(Path(np.asarray(ring.coords)[:, :2], closed=True) for ring in rings))
    style: dict[str, Any] = {"facecolor": look["colour"], "hatch": look["hatch"], "edgecolor": CAPTION}
    axes.add_patch(PathPatch(path, linewidth=0.6, zorder=zorder, **style))


def _polygons(area: shapely.Geometry) -> list[shapely.Polygon]:
    return [part for part in shapely.get_parts(area) if isinstance(part, shapely.Polygon) and not part.is_empty]


def _name(axes: Axes, space: str, middle: float, along: float) -> None:
    """Names coordinates; degrees are as wide as they are on the ground, and rows count downwards."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
        axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    if space == "lonlat":
        name_axes(axes, "longitude (°)", "latitude (°)")
        axes.set_aspect(1 / max(math.cos(math.radians(middle)), _THINNEST))
        draw_scale_bar(axes, float(Geod(ellps="WGS84").line_length([along, along + 0.01], [middle, middle])) / 0.01)
    elif ":" in space or "[" in space:
        name_axes(axes, "x (CRS units)", "y (CRS units)")
        axes.set_aspect("equal")
    else:
        name_axes(axes, "column (pixels)", "row (pixels)")
        axes.set_aspect("equal")
        axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
