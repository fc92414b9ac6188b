"""The part of a scene that is asked for: polygons in any CRS, burnt block by block."""

from __future__ import annotations

import os

import numpy as np
import shapely
from rasterio.features import rasterize

from geodl.data.source import Grid, Window
from geodl.data.vectors import read_layer
from geodl.errors import LabelsUnreadable, OptionError

__all__ = ("Area",)


class Area:
    """Polygons on the grid of a map.

    Args:
        polygons: in the CRS of the grid.
        grid: of the map.

    Raises:
        OptionError: the polygons lie beside the grid.
    """

    def __init__(self, polygons: np.ndarray, grid: Grid) -> None:
        self._polygons = polygons
        self._grid = grid
        self._tree = shapely.STRtree(polygons)
        if not self._tree.query(grid.footprint(), predicate="intersects").size:
            raise OptionError("mask", expected="polygons that overlap the scene", received="none that does")

    @classmethod
    def read(cls, path: str | os.PathLike[str], grid: Grid) -> Area:
        """Reads a vector file (GeoPackage, GeoJSON, Shapefile, …), in any CRS.

        Raises:
            SourceUnreadable: no such file, or no vector file.
            EmptyDataset: there is no polygon in it.
            OptionError: the polygons lie beside the grid, only one of the two has a CRS, there are several layers, or
                points or lines.
        """
        try:
            polygons, _ = read_layer(path).on(grid)
        except LabelsUnreadable as error:
            expected = "one layer of polygons, with a CRS where the scene has one"
            raise OptionError("mask", expected=expected, received=os.fspath(path)) from error
        return cls(polygons, grid)

    def mask(self, window: Window) -> np.ndarray:
        """Returns, as bool (height, width), which pixels of a window of the grid have their centre in a polygon."""
        grid = self._grid.crop(window)
        near = self._polygons[self._tree.query(grid.footprint(), predicate="intersects")]
        if not near.size:
            return np.zeros(grid.shape, bool)
        return np.asarray(rasterize(near, grid.shape, transform=grid.transform, dtype="uint8") == 1)
