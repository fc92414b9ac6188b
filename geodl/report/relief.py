"""Figures of elevation models, lit from the north-west: noise that no map of heights would show becomes visible."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LightSource, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from geodl.data.source import Grid
from geodl.report.axes import draw_raster, height_to_width
from geodl.report.comparison import caption
from geodl.report.palette import signed
from geodl.report.scalebar import draw_north_arrow, draw_scale_bar, metres_per_unit

__all__ = ("relief", "relief_figure")

_LIGHT = LightSource(azdeg=315, altdeg=45)
_LAND = LinearSegmentedColormap.from_list("land", matplotlib.colormaps["gist_earth"](np.linspace(0.36, 0.97, 256)))
"""The colours of land: none that would be taken for water."""
_SHOWN = 99.5
"""Percentile of the size of differences that is shown in the last colour."""


def relief_figure(
    surfaces: Mapping[str, np.ndarray],
    differences: Mapping[str, np.ndarray],
    *,
    grid: Grid,
    exaggeration: float = 4.0,
    title: str = "",
) -> Figure:
    """Draws elevations side by side as shaded relief, and differences of them, blue below zero and red above.

    Args:
        surfaces: name → elevations in metres, shape (height, width), not-a-number where unknown; they share one scale of
            colours.
        differences: likewise; they share one scale of colours, that of the first one.
        grid: where all of them lie.
        exaggeration: of heights, for the light.
        title: above all panels.

    Example:
        >>> heights = np.random.rand(20, 30)
        >>> figure = relief_figure({"noisy": heights, "smooth": 0 * heights}, {"removed": heights}, grid=grid)
    """
    tall = height_to_width(grid, grid.shape, within=(0.2, 3.0))
    count = len(surfaces) + len(differences)
    width = min(3.2, 13 / count)
    figure = Figure((count * width + 0.6, width * tall + 1.6), layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.06))
    panels = figure.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0]

    known = np.concatenate([values[np.isfinite(values)] for values in surfaces.values()] or [np.zeros(1)])
    heights = Normalize(*(np.percentile(known, (0.5, 99.5)) if known.size else (0, 1)))
    first = np.abs(next(iter(differences.values()), np.ones(1)))
    limit = float(np.percentile(first[np.isfinite(first)], _SHOWN)) if np.isfinite(first).any() else 0.0
    around = Normalize(-limit or -1.0, limit or 1.0)

    drawn: list[ScalarMappable] = [ScalarMappable(heights, _LAND), ScalarMappable(around, signed())]
    for axes, (name, values) in zip(panels, surfaces.items()):
        draw_raster(axes, relief(values, heights, grid, exaggeration=exaggeration), grid)
        axes.set_title(name, fontsize=10)
    for axes, (name, values) in zip(panels[len(surfaces) :], differences.items()):
        draw_raster(axes, np.ma.masked_invalid(values), grid, cmap=signed(), norm=around)
        axes.set_title(name, fontsize=10)
    draw_scale_bar(panels[0], grid)
    draw_north_arrow(panels[0], grid)
    for axes in panels:
        axes.label_outer()
    for owners, mappable, label in (
        (panels[: len(surfaces)], drawn[0], "elevation (m)"),
        (panels[len(surfaces) :], drawn[1], "difference (m)"),
    ):
        if len(owners):
            bar = figure.colorbar(
                mappable, ax=list(owners), location="bottom", aspect=22 * len(owners), pad=0.02, extend="both"
            )
            bar.set_label(label, fontsize=8)
            bar.ax.tick_params(labelsize=7)
    caption(figure, f"Lit from the north-west; heights × {exaggeration:g} for the light.")
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def relief(elevation: np.ndarray, heights: Normalize, grid: Grid, *, exaggeration: float = 4.0) -> np.ndarray:
    """Colours elevations by height and shades them by the light from the north-west, 45° above the horizon.

    Unlike `matplotlib.colors.LightSource.hillshade`, which stretches each image to its own brightest and darkest
    pixel, equal slopes are equally bright in all images.

    Args:
        elevation: shape (height, width), metres, not-a-number where unknown.
        heights: what is shown in the first and last colour.
        grid: of the image; without CRS a pixel is taken as one metre.
        exaggeration: of heights.

    Returns:
        uint8 of shape (height, width, 4): red, green, blue and opacity, which is 0 where unknown.
    """
    known = np.isfinite(elevation)
    filled = np.where(known, elevation, np.mean(elevation, where=known) if known.any() else 0.0)
    metres = metres_per_unit(grid) or 1.0
    _, low, _, high = grid.footprint().bounds
    dy, dx = grid.resolution
    # A degree of latitude is as long as one of longitude at the equator, to half a per cent.
    north = metres / math.cos(math.radians((low + high) / 2)) if grid.crs and grid.crs.is_geographic else metres
    down, along = np.gradient(exaggeration * filled, dy * north, dx * metres)
    # Rows run southwards.
    normal = np.stack([-along, down, np.ones_like(along)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.clip(normal @ _LIGHT.direction, 0, 1)
    colours = _LAND(heights(filled))[..., :3]
    shaded = _LIGHT.blend_soft_light(colours, light[..., None])
    return np.rint(255 * np.concatenate([np.clip(shaded, 0, 1), known[..., None]], axis=-1)).astype(np.uint8)
