"""Scale bars that are true where a map lies, and arrows where north is not up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D, ScaledTranslation
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from geodl.data.source import Grid

__all__ = ("draw_north_arrow", "draw_scale_bar", "length_name", "metres_per_unit", "north_angle", "round_length")

_LONGEST = 0.3
"""Part of the map's width that a bar takes at most."""
_INSET = 0.05
"""Distance of bar and arrow from the corner, in parts of the axes."""
_UPRIGHT = 2.0
"""Degrees by which north may lean without an arrow that says so."""
_STEP = 1e-4
"""Degrees of latitude that tell where north is."""
_ROOM, _HALF = 22.0, 8.0
"""Points from the corner to the middle of an arrow, and from there to its tip."""


def metres_per_unit(grid: Grid) -> float | None:
    """Returns the length on the ground, in metres, of one unit of x along the middle of a scene.

    It is measured along the ellipsoid, so it holds for degrees, and for Mercator maps far from the equator, too. A CRS
    that is of no place on Earth, as of a building site, has the length of its own unit.

    Args:
        grid: of the scene.

    Returns:
        Metres per unit of the CRS; None without CRS, or where its unit has no length.

    Example:
        >>> degrees = Grid(CRS.from_epsg(4326), Affine(0.1, 0, 9.5, 0, -0.1, 0.5), 10, 10)
        >>> round(metres_per_unit(degrees))
        111319
    """
    if grid.crs is None:
        return None
    left, low, right, high = grid.footprint().bounds
    x = np.array([0.505, 0.495]) @ [[left, right], [right, left]]
    found = _to_lonlat(grid.crs, x, np.full(2, (low + high) / 2))
    if found is None:
        axis = grid.crs.axis_info[0] if grid.crs.axis_info else None
        return None if axis is None or grid.crs.is_geographic else float(axis.unit_conversion_factor) or None
    metres = found[0].line_length(*found[1]) / abs(x[1] - x[0])
    return float(metres) if math.isfinite(metres) and metres > 0 else None


def north_angle(grid: Grid, *, pixels: bool = False) -> float | None:
    """Returns by how many degrees north leans from up to the right, in the middle of a scene.

    Args:
        grid: of the scene.
        pixels: whether the scene is drawn by its rows and columns, the first row on top; else by coordinates, the
            second one growing upwards, as `geodl.report.axes.draw_raster` does.

    Returns:
        Degrees from -180 to 180; None without CRS. Where the CRS is of no place on Earth, north is where its second
        coordinate grows.

    Example:
        >>> south_up = Grid(CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, 10, 5e6), 10, 10)
        >>> abs(north_angle(south_up, pixels=True)), abs(north_angle(south_up))
        (180.0, 0.0)
    """
    if grid.crs is None:
        return None
    left, low, right, high = grid.footprint().bounds
    step = _northwards(grid.crs, (left + right) / 2, (low + high) / 2)
    if pixels:
        t = grid.transform
        column, row = np.linalg.solve([[t.a, t.b], [t.d, t.e]], step)
        step = np.array([column, -row])
    return math.degrees(math.atan2(*step))


def round_length(most: float) -> float:
    """Returns the greatest 1, 2 or 5 times a power of ten that is not above `most`.

    Example:
        >>> round_length(730.0), round_length(0.2)
        (500.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(most))
    # Divided, not multiplied: 0.2 is not 2 · 0.1 to the last bit.
    steps = [step * power if power >= 1 else step / round(1 / power) for step in (1, 2, 5, 10)]
    return max((step for step in steps if step <= most * (1 + 1e-12)), default=power)


def length_name(metres: float) -> str:
    """Returns a length in words, in kilometres from one on.

    Example:
        >>> length_name(500.0), length_name(2000.0), length_name(0.5)
        ('500 m', '2 km', '0.5 m')
    """
    return f"{metres / 1000:,.6g} km" if metres >= 1000 else f"{metres:g} m"


def draw_scale_bar(axes: Axes, where: Grid | float | None) -> None:
    """Draws a bar of 1, 2 or 5 times a power of ten metres, up to three tenths of the map long, in its lower left corner.

    Args:
        axes: with the map; the bar lies in its coordinates along x, so it stays true when limits change afterwards.
        where: grid of the map, or the metres on the ground that a unit of x is long; with None, or a grid without CRS,
            nothing is drawn.
    """
    scale = metres_per_unit(where) if isinstance(where, Grid) else where
    if scale is None:
        return
    left, right = axes.get_xlim()
    length = round_length(_LONGEST * abs(right - left) * scale)
    start = left + _INSET * (right - left)
    end = start + math.copysign(length / scale, right - left)
    halo = [withStroke(linewidth=3.5, foreground="white")]
    place = axes.get_xaxis_transform()
    bar = Line2D([start, end], [_INSET] * 2, transform=place, color="black", linewidth=2.5, path_effects=halo)
    bar.set(solid_capstyle="butt", zorder=6)
    axes.add_line(bar)
    axes.annotate(
        length_name(length),
        (start, _INSET),
        xycoords=place,
        xytext=(0, 4),
        textcoords="offset points",
        # Words longer than the bar would leave the map to the left.
        ha="left",
        va="bottom",
        fontsize=8,
        zorder=6,
        path_effects=halo,
    )


def draw_north_arrow(axes: Axes, grid: Grid, *, pixels: bool = False) -> None:
    """Draws an arrow to the north in the upper right corner of a map, where north leans by 2° or more from up.

    Args:
        axes: with the map.
        grid: of the map.
        pixels: whether the map is drawn by its rows and columns; see `north_angle`.
    """
    angle = north_angle(grid, pixels=pixels)
    if angle is None or abs(angle) < _UPRIGHT:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    at_corner: Any = axes.transAxes
    corner = Affine2D().scale(1 / 72) + figure.dpi_scale_trans + ScaledTranslation(1, 1, at_corner)
    along = np.array([math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    middle = np.array([-_ROOM, -_ROOM])
    halo = [withStroke(linewidth=3, foreground="white")]
    style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.6, "path_effects": halo, "shrinkA": 0, "shrinkB": 0}
    tip, foot = middle + _HALF * along, middle - _HALF * along
    axes.annotate("", tuple(tip), tuple(foot), xycoords=corner, textcoords=corner, arrowprops=style, zorder=6)
    beyond = middle + 1.75 * _HALF * along
    axes.text(
        float(beyond[0]),
        float(beyond[1]),
        "N",
        transform=corner,
        ha="center",
        va="center",
        fontsize=8,
        fontweight="bold",
        path_effects=halo,
        zorder=6,
    )


def _to_lonlat(crs: CRS, x: np.ndarray, y: np.ndarray) -> tuple[Geod, tuple[np.ndarray, np.ndarray]] | None:
    """Returns the ellipsoid of a CRS, and the longitudes and latitudes of points; None where the CRS is of no place."""
    try:
        geodetic, geod = crs.geodetic_crs, crs.get_geod()
        if geodetic is None or geod is None:
            return None
        found = Transformer.from_crs(crs, geodetic, always_xy=True).transform(x, y)
    except ProjError:
        return None
    return (geod, found) if np.isfinite(found).all() else None


def _northwards(crs: CRS, x: float, y: float) -> np.ndarray:
    """Returns a step to the north in the coordinates of a CRS."""
    up = np.array([0.0, 1.0])
    if crs.is_geographic:
        return up
    found = _to_lonlat(crs, np.array([x]), np.array([y]))
    if found is None:
        return up
    (lon,), (lat,) = found[1]
    # Away from the pole, where no step northwards is left.
    ends = np.array([lat - _STEP, lat] if lat > 0 else [lat, lat + _STEP])
    geodetic = crs.geodetic_crs
    assert geodetic is not None
    east, north = Transformer.from_crs(geodetic, crs, always_xy=True).transform(np.full(2, lon), ends)
    step = np.array([east[1] - east[0], north[1] - north[0]])
    return step if np.isfinite(step).all() and step.any() else up
