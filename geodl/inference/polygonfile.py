"""Writes polygons and their columns to a vector file, batch by batch."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj import CRS

from geodl.data.handles import without_warnings
from geodl.errors import OptionError, OutputExists, OutputUnwritable
from geodl.inference.scratch import scratch_folder

__all__ = ("DRIVERS", "PolygonFile", "check_target")

DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
"""Formats by the ending of the file's name. Batches are added to a GeoPackage without touching those before."""
_BATCH = 500_000
"""Vertices that are written together."""

_log = logging.getLogger("geodl")


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Refuses what cannot be written, before any work is done.

    Raises:
        OptionError: the name's ending is no vector format that is written.
        OutputExists: there is such a file, and it may not be replaced.
        OutputUnwritable: there is a folder of this name, or nothing may be written beside it.
    """
    if path.suffix.lower() not in DRIVERS:
        expected = f"a file name that ends in {', '.join(DRIVERS)}"
        raise OptionError("vectorise (--vectorize)", expected=expected, received=str(path))
    if path.is_dir():
        raise OutputUnwritable(path, "it is a folder")
    if path.exists() and not overwrite:
        raise OutputExists(path, "polygons")
    try:
        with scratch_folder(path):
            pass
    except OSError as error:
        raise OutputUnwritable(path, error.strerror or error) from error


class PolygonFile:
    """A vector file with one layer of polygons, called as the file, with a spatial index where the format has one.

    Args:
        target: path of the file, of one of the known endings. It appears there when it is finished.
        folder: where it is made, on the same file system; there is no file of its name in it.
        crs: of the polygons.

    Example:

    >>> with scratch_folder(Path("map.gpkg")) as folder:
    ...     file = PolygonFile(Path("map.gpkg"), folder, CRS("EPSG:32633"))
    ...     file.add(shapely.box([0], [0], [1], [1]), {"value": np.array([3])})
    ...     file.finish()
    """

    def __init__(self, target: Path, folder: Path, crs: CRS | None) -> None:
        self._target, self._path, self._crs = target, folder / target.name, crs
        self._waiting: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._vertices = 0
        self.count = 0
        """Polygons so far."""
        self._written = False

    def add(self, polygons: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        """Takes polygons, shape (n,), and the same columns each time; not-a-number and None mean missing.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        self._waiting.append((polygons, columns))
        self._vertices += int(shapely.get_num_coordinates(polygons).sum())
        self.count += len(polygons)
        if self._vertices > _BATCH:
            self._write()

    def finish(self) -> None:
        """Writes what is left, looks whether all has arrived, and gives the file its name.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        if self._waiting:
            self._write()
        try:
            info = pyogrio.read_info(self._path, force_feature_count=True)
            if info["features"] != self.count:
                raise OutputUnwritable(
                    self._target, f"only {info['features']} of {self.count} polygons reached the disk"
                )
            if self._path.suffix.lower() == ".gpkg" and not info["capabilities"]["fast_spatial_filter"]:
                _log.warning(
                    "%s has no spatial index, since TensorFlow was imported before geodl and hides what makes it. "
                    "Import geodl first, or let your GIS make one.",
                    self._target,
                )
            os.replace(self._path, self._target)
        except (DataSourceError, DataLayerError, OSError) as error:
            raise OutputUnwritable(self._target, getattr(error, "strerror", None) or error) from error

    def _write(self) -> None:
        names = tuple(self._waiting[0][1])
        try:
            with without_warnings(UserWarning):  # That there is no CRS.
                pyogrio.raw.write(
                    self._path,
                    shapely.to_wkb(np.concatenate([polygons for polygons, _ in self._waiting])),
                    [np.concatenate([columns[name] for _, columns in self._waiting]) for name in names],
                    names,
                    layer=self._target.stem,
                    driver=DRIVERS[self._path.suffix.lower()],
                    geometry_type="Polygon",
                    crs=None if self._crs is None else self._crs.to_wkt(),
                    append=self._written,
                )
        except (DataSourceError, DataLayerError, FeatureError, GeometryError) as error:
            raise OutputUnwritable(self._target, error) from error
        self._waiting, self._vertices, self._written = [], 0, True
