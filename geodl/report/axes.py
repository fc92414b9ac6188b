"""Georeferenced axes: north up, coordinates with units, a scale bar that is true where the scene lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Affine2D
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geodl.data.source import Grid

__all__ = ("NODATA", "draw_raster", "draw_scale_bar", "metres_per_unit")

NODATA: dict[str, Any] = {"facecolor": "#e4e4e4", "edgecolor": "#b8b8b8", "hatch": "////"}
"""How patches without data look."""

_MOST = 1200
"""Rows and columns drawn at most: more than a figure shows."""


def draw_raster(axes: Axes, values: np.ndarray, grid: Grid | None, **style: Any) -> AxesImage:
    """Draws a raster where it lies, north up, decimated if it is large.

    Args:
        axes: where to draw; they get limits, labels and a hatched ground that shows through transparent pixels.
        values: shape (height, width) or (height, width, 4) of `grid`.
        grid: None draws pixels without coordinates.
        style: as `Axes.imshow` takes it.
    """
    step = max(1, math.ceil(max(values.shape[:2]) / _MOST))
    shown = values[::step, ::step]
    rows, columns = shown.shape[0] * step, shown.shape[1] * step
    image = axes.imshow(shown, extent=(0, columns, rows, 0), interpolation="nearest", **style)
    axes.patch.set(**NODATA)
    if grid is None:
        axes.set(xticks=[], yticks=[])
        return image
    t = grid.transform
    image.set_transform(Affine2D(np.array([[t.a, t.b, t.c], [t.d, t.e, t.f], [0, 0, 1]])) + axes.transData)
    left, low, right, high = grid.footprint().bounds
    # Without CRS the rows count downwards, as in the file.
    axes.set(xlim=(left, right), ylim=(low, high) if grid.crs else (high, low))
    _label(axes, grid, (low + high) / 2)
    return image


def _label(axes: Axes, grid: Grid, middle: float) -> None:
    """Names the coordinates, with their unit."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=7)
    axes.set_aspect("equal")
    if grid.crs is None:
        names = ("column (pixels)", "row (pixels)")
    elif grid.crs.is_geographic:
        names = ("longitude (°)", "latitude (°)")
        axes.set_aspect(1 / max(math.cos(math.radians(middle)), 0.05))
    elif grid.unit == "metre":
        names = ("easting (km)", "northing (km)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
    else:
        names = (f"x ({grid.unit})", f"y ({grid.unit})")
    axes.set_xlabel(names[0], fontsize=8)
    axes.set_ylabel(names[1], fontsize=8)


def metres_per_unit(grid: Grid) -> float | None:
    """Metres on the ground per unit of x, in the middle of the scene; None where that cannot be known.

    Measured along the ellipsoid, so it holds for degrees and for Mercator maps far from the equator too.
    """
    if grid.crs is None:
        return None
    left, low, right, high = grid.footprint().bounds
    x = np.array([0.505, 0.495]) @ [[left, right], [right, left]]
    try:
        geodetic = CRS.from_user_input(grid.crs).geodetic_crs
        geod = grid.crs.get_geod()
        if geodetic is None or geod is None:
            return None
        lon, lat = Transformer.from_crs(grid.crs, geodetic, always_xy=True).transform(x, [(low + high) / 2] * 2)
    except ProjError:
        return None
    metres = geod.line_length(lon, lat) / abs(x[1] - x[0])
    return float(metres) if math.isfinite(metres) and metres > 0 else None


def draw_scale_bar(axes: Axes, grid: Grid) -> None:
    """Draws a bar of 1, 2 or 5 times a power of ten metres, about a quarter of the scene long."""
    scale = metres_per_unit(grid)
    if scale is None:
        return
    left, _, right, _ = grid.footprint().bounds
    quarter = 0.3 * (right - left) * scale
    power = 10 ** math.floor(math.log10(quarter))
    length = max(step for step in (1, 2, 5) if step * power <= quarter) * power
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    end = 0.05 + length / scale / (right - left)
    halo = [withStroke(linewidth=3.5, foreground="white")]
    bar = Line2D([0.05, end], [0.05, 0.05], transform=axes.transAxes, color="black", linewidth=2.5, path_effects=halo)
    bar.set_solid_capstyle("butt")
    axes.add_line(bar)
    axes.annotate(
        name,
        ((0.05 + end) / 2, 0.05),
        xycoords="axes fraction",
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
        path_effects=halo,
    )
