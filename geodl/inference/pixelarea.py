"""The area that pixels have on the ground."""

from __future__ import annotations

import numpy as np

from geodl.data.source import Grid

__all__ = ("pixel_areas",)


def pixel_areas(grid: Grid, *, start: int, stop: int) -> np.ndarray | None:
    """Computes the area of the pixels of some rows.

    In a projected CRS that of the map plane, which is the true one where the projection keeps areas and nearly so in
    UTM. In longitude and latitude that on the ellipsoid (Snyder 1987, *Map projections: a working manual*, equation
    3-12), which is exact for north-up grids.

    Args:
        grid: of the map.
        start: first row.
        stop: row after the last one.

    Returns:
        m², of a shape that can be broadcast to (stop - start, width); None without CRS.

    Example:

    >>> grid = Grid(CRS("EPSG:32633"), Affine(10, 0, 5e5, 0, -10, 5e6), 100, 100)
    >>> float(pixel_areas(grid, start=0, stop=1).item())
    100.0
    """
    if grid.crs is None or not grid.crs.axis_info:
        return None
    unit = grid.crs.axis_info[0].unit_conversion_factor  # Metres or radians.
    t = grid.transform
    plane = abs(t.determinant) * unit**2
    if not grid.crs.is_geographic or grid.crs.ellipsoid is None:
        return np.full((1, 1), plane)
    row = np.arange(start, stop)[:, None] + 0.5
    column = (np.arange(grid.width) if t.d else np.zeros(1)) + 0.5
    latitude = (t.f + t.d * column + t.e * row) * unit
    half = grid.resolution[0] * unit / 2
    ellipsoid = grid.crs.ellipsoid
    major, minor = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    e = np.sqrt(max(0.0, 1 - (minor / major) ** 2))

    def authalic(angle: np.ndarray) -> np.ndarray:
        """Area between the equator and a parallel, per radian of longitude, in units of the semi-major axis squared."""
        sine = np.sin(np.clip(angle, -np.pi / 2, np.pi / 2))
        return sine if e == 0 else (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e) / 2

    return np.asarray(plane * major**2 * (authalic(latitude + half) - authalic(latitude - half)) / (2 * half))
