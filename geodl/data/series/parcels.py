"""Places of series: files of parcels or points with attribute columns, and columns of coordinates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from geodl.data.handles import without_warnings
from geodl.data.series.sheets import Sheet, frame_sheet, refuse_absent
from geodl.errors import EmptyDataset, SeriesUnusable, SourceUnreadable

__all__ = ("places_of", "points", "read_parcels", "read_parquet")


def read_parquet(path: str) -> Sheet:
    """Reads Parquet or GeoParquet.

    Raises:
        SourceUnreadable: the file is missing, empty or damaged.
    """
    refuse_absent(path)
    try:
        if b"geo" in (pyarrow.parquet.read_schema(path).metadata or {}):
            import geopandas

            return frame_sheet(geopandas.read_parquet(path), path)
        return frame_sheet(pd.read_parquet(path), path)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, CRSError, shapely.errors.ShapelyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SourceUnreadable(path, f"it is no Parquet, or damaged ({first})") from error


def read_parcels(path: str) -> Sheet:
    """Reads the features of a vector file (GeoPackage, GeoJSON, FlatGeobuf, …) with their attribute columns.

    Raises:
        SourceUnreadable: the file is missing, empty, damaged or has several layers.
        EmptyDataset: there is no feature in it.
    """
    import geopandas

    refuse_absent(path)
    try:
        with without_warnings(RuntimeWarning):
            layers = [str(name) for name, _ in pyogrio.list_layers(path)]
            if len(layers) > 1:
                raise SourceUnreadable(
                    path, f"it has several layers ({', '.join(layers)})", advice="Export the one with the series."
                )
            frame = geopandas.read_file(path, engine="pyogrio")
    except (DataSourceError, DataLayerError, IndexError, UnboundLocalError, UnicodeError, CRSError) as error:
        raise SourceUnreadable(path, str(error).rstrip(".")) from error
    if not len(frame):
        raise EmptyDataset(path, expected="features", received="an empty layer")
    return frame_sheet(frame, path)


def places_of(sheet: Sheet, coordinates: tuple[str, str] | None) -> tuple[np.ndarray | None, CRS | None, set[str]]:
    """Returns where the rows are: their shapes, or points made of two columns, and the CRS; and which columns say so.

    Raises:
        SeriesUnusable: longitudes or latitudes are out of range.
        SourceUnreadable: they are no numbers.
    """
    # Of GeoPandas' own columns only the active one is taken; others could not be written beside it.
    shaped = {str(name) for name, dtype in sheet.frame.dtypes.items() if str(dtype) == "geometry"}
    if shaped:
        active = getattr(sheet.frame, "active_geometry_name", None)
        series = sheet.frame[active if active in shaped else min(shaped)]
        shapes = np.array(series.to_numpy(), object)
        return shapes, (CRS.from_user_input(series.crs) if series.crs else None), shaped
    if coordinates is None:
        return None, None, set()
    sheet.numbers(coordinates)  # Refuses text.
    x, y = (
        pd.to_numeric(sheet.frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan) for name in coordinates
    )
    geographic = coordinates[0].lower() != "x"
    return points(x, y, sheet.where, geographic=geographic), CRS(4326) if geographic else None, set(coordinates)


def points(x: np.ndarray, y: np.ndarray, where: str, *, geographic: bool) -> np.ndarray:
    """Returns points, None where a coordinate is not stated.

    Raises:
        SeriesUnusable: geographic ones are out of range.
    """
    if geographic:
        wrong = np.flatnonzero((np.abs(y) > 90) | (x < -180) | (x > 360))
        if len(wrong):
            raise SeriesUnusable(
                where,
                f"longitude {x[wrong[0]]:g} and latitude {y[wrong[0]]:g} are out of range",
                advice="Expected degrees; call projected coordinates x and y, and look whether the two are exchanged.",
            )
    stated = np.isfinite(x) & np.isfinite(y)
    found = np.full(len(x), None, object)
    found[stated] = shapely.points(x[stated], y[stated])
    return found
