"""The part of a scene that is asked for: polygons in any CRS, burnt block by block."""

from __future__ import annotations

import os

import numpy as np
import shapely
from rasterio.features import rasterize

from geodl.data.source import Grid, Window
from geodl.data.vectors import read_layer
from geodl.errors import LabelsUnreadable, OptionError

__all__ = ("Area", "bbox_window")


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


def bbox_window(bbox: tuple[float, float, float, float], grid: Grid) -> Window:
    """The pixels of a grid that a bounding box touches.

    Args:
        bbox: (minx, miny, maxx, maxy) in the grid's CRS.
        grid: of the scene.

    Raises:
        OptionError: the box is empty or lies beside the grid.
    """
    try:
        left, bottom, right, top = (float(value) for value in bbox)
    except (TypeError, ValueError) as error:
        raise OptionError("bbox", expected="four numbers: minx, miny, maxx, maxy", received=bbox) from error
    corners = np.array([~grid.transform @ (x, y) for x in (left, right) for y in (bottom, top)])
    corners = np.clip(np.nan_to_num(corners), -1, (grid.width + 1, grid.height + 1))
    # A box given in rounded decimals must not reach a pixel more because of its last digit.
    low = np.maximum(np.floor(corners.min(axis=0) + 1e-6), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) - 1e-6), (grid.width, grid.height)).astype(int)
    if not (left < right and bottom < top and (low < high).all()):
        around = grid.footprint().bounds
        raise OptionError("bbox", expected=f"minx, miny, maxx, maxy that overlap {around}", received=tuple(bbox))
    return Window(low[0], low[1], high[0] - low[0], high[1] - low[1])
