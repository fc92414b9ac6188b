"""Georeferenced axes: north up, coordinates with units, degrees as wide as they are on the ground."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Affine2D

from geodl.data.source import Grid
from geodl.report.palette import NODATA

__all__ = ("draw_raster", "height_to_width")

_THINNEST = 0.05
"""Cosine of the latitude from which on maps of degrees get no narrower."""
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


def height_to_width(grid: Grid | None, shape: tuple[int, ...], *, within: tuple[float, float] = (0.1, 6.0)) -> float:
    """Returns how high a raster is drawn, in parts of its width; a degree of longitude counts as long as it is.

    Args:
        grid: of the raster; None: it is drawn in pixels.
        shape: its height and width in pixels.
        within: least and greatest ratio that a page can show.

    Example:
        >>> height_to_width(None, (30, 60))
        0.5
    """
    height, width = map(float, shape[:2])
    if grid is not None:
        left, low, right, high = grid.footprint().bounds
        height, width = high - low, (right - left) * _shrinking(grid, (low + high) / 2)
    return float(np.clip(height / width, *within))


def _shrinking(grid: Grid, middle: float) -> float:
    """The length of a unit of x in those of y."""
    degrees = grid.crs is not None and grid.crs.is_geographic
    return max(math.cos(math.radians(middle)), _THINNEST) if degrees else 1.0


def _label(axes: Axes, grid: Grid, middle: float) -> None:
    """Names the coordinates, with their unit."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
    axes.tick_params(labelsize=7)
    axes.set_aspect(1 / _shrinking(grid, middle))
    if grid.crs is None:
        names = ("column (pixels)", "row (pixels)")
    elif grid.crs.is_geographic:
        names = ("longitude (°)", "latitude (°)")
    elif grid.unit == "metre":
        names = ("easting (km)", "northing (km)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.10g}"))
    else:
        names = (f"x ({grid.unit})", f"y ({grid.unit})")
    axes.set_xlabel(names[0], fontsize=8)
    axes.set_ylabel(names[1], fontsize=8)
