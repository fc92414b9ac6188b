"""The part of a scene that is asked for: polygons in any CRS, burnt block by block."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from rasterio.features import rasterize

from geodl.data.source import Grid, Window
from geodl.errors import OptionError, SourceUnreadable

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
            around = shapely.total_bounds(polygons)
            raise OptionError("mask", expected=f"polygons within {grid.footprint().bounds}", received=tuple(around.tolist()))

    @classmethod
    def read(cls, path: str | os.PathLike[str], grid: Grid) -> Area:
        """Reads the first layer of a vector file (GeoPackage, GeoJSON, Shapefile, …) and reprojects it to the grid.

        Raises:
            SourceUnreadable: no such file, no vector file, or no polygon in it.
            OptionError: the polygons lie beside the grid, or only one of the two has a CRS.
        """
        try:
            meta, _, geometry, _ = pyogrio.raw.read(Path(path), columns=[])
        except (DataSourceError, DataLayerError, OSError) as error:
            raise SourceUnreadable(path, error, advice="Expected polygons, in a vector file.") from error
        polygons = np.array([]) if geometry is None else shapely.from_wkb(geometry)
        polygons = polygons[np.isin(shapely.get_type_id(polygons), (3, 6)) & ~shapely.is_empty(polygons)]
        if not polygons.size:
            raise SourceUnreadable(path, "it holds no polygon", advice="Expected polygons, in a vector file.")
        crs = meta["crs"] and CRS.from_user_input(meta["crs"])
        if grid.crs is None and crs:
            raise OptionError("mask", expected="polygons without CRS, in pixels, for a scene without CRS", received=crs.name)
        if crs and crs != grid.crs:
            transformer = Transformer.from_crs(crs, grid.crs, always_xy=True)
            polygons = shapely.transform(polygons, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
        return cls(polygons, grid)

    def mask(self, window: Window) -> np.ndarray:
        """Returns, as bool (height, width), which pixels of a window of the grid have their centre in a polygon."""
        grid = self._grid.crop(window)
        near = self._polygons[self._tree.query(grid.footprint(), predicate="intersects")]
        if not near.size:
            return np.zeros(grid.shape, bool)
        return rasterize(near, out_shape=grid.shape, transform=grid.transform, fill=0, default_value=1, dtype="uint8") == 1


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
    # A box given in rounded decimals must not reach a pixel more because of its last digit.
    low = np.maximum(np.floor(corners.min(axis=0) + 1e-6), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) - 1e-6), (grid.width, grid.height)).astype(int)
    if not (left < right and bottom < top and (low < high).all()):
        raise OptionError("bbox", expected=f"minx, miny, maxx, maxy that overlap {grid.footprint().bounds}", received=tuple(bbox))
    return Window(low[0], low[1], high[0] - low[0], high[1] - low[1])
