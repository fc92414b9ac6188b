"""Pixel sizes of scenes in different units, compared and brought to one another."""

from __future__ import annotations

import shapely
from pyproj import Geod

from geodl.data.raster import RasterSource
from geodl.data.resample import Method
from geodl.data.source import Grid, Source
from geodl.data.warp import resized
from geodl.errors import ResolutionMismatch

__all__ = ("TOLERANCE", "metres_per_pixel", "size_ratio", "to_pixel_size")

TOLERANCE = 0.1
"""Pixel sizes may differ by this share and still be taken for the same."""


def metres_per_pixel(grid: Grid) -> tuple[float, float] | None:
    """Pixel size along y and x in metres at the grid's centre; None without a CRS, or in a unit that is no length."""
    if grid.crs is None:
        return None
    if not grid.crs.is_geographic:
        factor = _metres(grid)
        return None if factor is None else (grid.resolution[0] * factor, grid.resolution[1] * factor)
    geod = grid.crs.get_geod() or Geod(ellps="WGS84")
    centre = shapely.centroid(grid.footprint())
    ends = [grid.transform @ (grid.width / 2 + x, grid.height / 2 + y) for y, x in ((1, 0), (0, 1))]
    return tuple(geod.inv(centre.x, centre.y, *end)[2] for end in ends)  # type: ignore[return-value]


def size_ratio(grid: Grid, step: tuple[float, float], unit: str) -> tuple[float, float] | None:
    """Compares pixel sizes.

    Args:
        grid: of a scene.
        step: pixel size along y and x that it is compared with.
        unit: of `step`, as `Grid.unit`.

    Returns:
        The grid's pixel size in parts of `step`, along y and x; None where they cannot be compared: without a CRS, or
        where one of them is in degrees and not the other, unless `step` is in metres.
    """
    if grid.crs is None or not unit:
        return None
    own = grid.resolution if unit == grid.unit else metres_per_pixel(grid) if unit == "metre" else None
    return None if own is None else (own[0] / step[0], own[1] / step[1])


def to_pixel_size(
    source: Source,
    step: tuple[float, float],
    unit: str,
    *,
    method: Method | None,
    tolerance: float = TOLERANCE,
    advice: str | None = None,
) -> Source:
    """Returns a scene with pixels of a given size: as it is where they have it, or where it cannot be told.

    Args:
        source: of any kind; only raster files can be resampled.
        step: pixel size along y and x.
        unit: of `step`, as `Grid.unit`.
        method: how to resample; None: a scene with other pixels is refused.
        tolerance: by how much pixel sizes may differ, as a share of `step`.
        advice: what to do, for the message, where there is no `method`.

    Raises:
        ResolutionMismatch: the pixel size differs, and there is no `method` or the scene cannot be resampled.
    """
    ratio = size_ratio(source.grid, step, unit)
    if ratio is None or all(abs(part - 1) <= tolerance for part in ratio):
        return source
    if method is not None and isinstance(source, RasterSource):
        y, x = (size / part for size, part in zip(source.grid.resolution, ratio, strict=True))
        return source.onto(resized(source.grid, (y, x)), method)
    if method is not None:
        advice = "Only scenes in raster files can be resampled as they are read: resample it before."
    wanted = " x ".join(f"{size:.4g}" for size in step[::-1])
    found = " x ".join(f"{size * part:.4g}" for size, part in zip(step[::-1], ratio[::-1], strict=True))
    words = {"expected": f"{wanted} {unit}s (to within {tolerance:.0%})", "received": f"{found} {unit}s"}
    raise (
        ResolutionMismatch(source.name, **words)
        if advice is None
        else ResolutionMismatch(source.name, **words, advice=advice)
    )


def _metres(grid: Grid) -> float | None:
    """Metres in one unit of the grid's CRS; None where it is no length that is known."""
    assert grid.crs is not None
    if grid.unit == "metre":
        return 1.0
    return grid.crs.axis_info[0].unit_conversion_factor if grid.crs.is_projected else None
