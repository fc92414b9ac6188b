"""Rasters of any size read for the screen: decimated, and brought onto the grid of another, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geodl.data.handles import Handle
from geodl.data.pixelsize import metres_per_pixel
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid, Window
from geodl.errors import GridMismatch
from geodl.inference.pixelarea import pixel_areas
from geodl.report.scalebar import metres_per_unit

__all__ = ("ClassArea", "class_areas", "pixel_metres", "read_decimated", "screen_grid")

_STRIP = 1 << 22
"""Pixels that are counted at once."""
_WARP_MEGABYTES = 64
"""Memory that GDAL may take to bring a raster onto another grid."""


@dataclass(frozen=True)
class ClassArea:
    """How much of a map is of one class."""

    value: int
    pixels: int
    square_metres: float | None
    """None without CRS."""


def screen_grid(grid: Grid, most: int) -> Grid:
    """Returns a grid of the same place with at most so many rows and columns.

    Example:
        >>> from affine import Affine
        >>> screen_grid(Grid(None, Affine.identity(), 5000, 2000), 1000).shape
        (1000, 400)
    """
    factor = max(1.0, max(grid.shape) / most)
    height, width = (max(1, round(side / factor)) for side in grid.shape)
    transform = grid.transform @ rasterio.Affine.scale(grid.width / width, grid.height / height)
    return Grid(grid.crs, transform, height, width)


def pixel_metres(grid: Grid) -> tuple[float, float] | None:
    """Returns the size of a pixel along y and x on the ground, in metres; None where it is not known."""
    across, flat = metres_per_unit(grid), metres_per_pixel(grid)
    if across is None or flat is None or not flat[1]:
        return None
    width = across * grid.resolution[1]
    return width * flat[0] / flat[1], width


def read_decimated(file: RasterFile, grid: Grid, bands: Sequence[int], *, categorical: bool = False) -> np.ndarray:
    """Reads a raster onto a grid; overviews are used where there are any.

    Args:
        file: of any size, on any grid.
        grid: where the pixels shall lie. Without CRS on both sides the raster is taken for what the grid covers.
        bands: positions in `file.bands`.
        categorical: take the nearest pixel; else the mean of those that lie in each.

    Returns:
        float32 of shape (height, width, band), in physical units, not-a-number where invalid.

    Raises:
        GridMismatch: one of the two has a CRS and the other has none.
        SourceUnreadable: the raster is damaged.
    """
    if (file.grid.crs is None) != (grid.crs is None):
        received = file.grid.crs.to_string() if file.grid.crs else "none"
        expected = grid.crs.to_string() if grid.crs else "none"
        raise GridMismatch("The map", file.path, differs="CRS", expected=expected, received=received)
    indexes = [file.indexes[band] for band in bands]
    shrinks = file.grid.width > grid.width
    resampling = Resampling.nearest if categorical or not shrinks else Resampling.average
    given: dict[str, Any] = {"indexes": indexes, "masked": True}

    def read(dataset: Any) -> np.ma.MaskedArray:
        if _covers_the_same(file.grid, grid):
            return dataset.read(**given, out_shape=(len(indexes), *grid.shape), resampling=resampling)
        with WarpedVRT(
            dataset,
            crs=rasterio.CRS.from_user_input(grid.crs),
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=resampling,
            warp_mem_limit=_WARP_MEGABYTES,
            add_alpha=dataset.nodata is None and not file.alpha,
        ) as warped:
            return warped.read(**given)

    stored = Handle(file.path).use(read)
    values = np.ma.filled(stored.astype(np.float32), np.nan)
    for plane, band in zip(values, bands, strict=True):
        own = file.bands[band]
        plane *= own.scale
        plane += own.offset
    values[~np.isfinite(values)] = np.nan
    return np.moveaxis(values, 0, -1)


def class_areas(file: RasterFile) -> list[ClassArea]:
    """Counts the pixels of each value of a raster's only band, all of them, strip by strip.

    Args:
        file: of type uint8 or uint16; nodata is left out.

    Raises:
        SourceUnreadable: the raster is damaged.
    """
    grid, nodata = file.grid, file.bands[0].nodata
    counts, areas = np.zeros(1 << 16, np.int64), np.zeros(1 << 16)
    known = True
    tall = max(1, _STRIP // grid.width)
    tall = max(1, tall // file.block[0]) * file.block[0] if tall >= file.block[0] else tall
    for top in range(0, grid.height, tall):
        rows = min(tall, grid.height - top)
        (stored,), valid = file.read(Window(0, top, grid.width, rows), [0])
        seen = np.ones(stored.shape, bool) if valid is None else np.broadcast_to(valid, (1, *stored.shape))[0]
        values = stored[seen]
        found = np.bincount(values, minlength=len(counts))
        counts += found
        size = pixel_areas(grid, start=top, stop=top + rows)
        if size is None:
            known = False
        elif size.size == 1:
            areas += found * float(size.item())
        else:
            each = np.broadcast_to(size, stored.shape)[seen]
            areas += np.bincount(values, weights=each, minlength=len(counts))
    if nodata is not None and 0 <= nodata < len(counts):
        counts[int(nodata)] = 0
    return [ClassArea(int(k), int(counts[k]), float(areas[k]) if known else None) for k in np.flatnonzero(counts)]


def _covers_the_same(one: Grid, other: Grid) -> bool:
    """Whether two grids have one footprint, to half a pixel of the finer of them, or no place at all."""
    if one.crs is None or other.crs is None:
        return True
    if one.crs != other.crs and not one.crs.equals(other.crs, ignore_axis_order=True):
        return False
    corners = [np.array(grid.footprint().exterior.coords) for grid in (one, other)]
    return bool(np.abs(corners[0] - corners[1]).max() <= 0.5 * min(*one.resolution, *other.resolution) * math.sqrt(2))
