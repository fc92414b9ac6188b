"""Parcels from files, and tables with what a network says of them to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from geodl.data.files import local_copy
from geodl.data.handles import without_warnings
from geodl.data.series.parcels import read_parcels, read_parquet
from geodl.data.vectors import is_vector
from geodl.errors import LabelsUnreadable, OptionError, OutputExists, OutputUnwritable
from geodl.inference.polygonfile import DRIVERS
from geodl.inference.scratch import scratch_folder

if TYPE_CHECKING:
    import geopandas

__all__ = ("TABLES", "check_table_target", "open_parcels", "write_table")

TABLES = (".csv", ".parquet", *DRIVERS)
"""Endings of tables that are written."""
_UNWRITABLE = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    GeometryError,
    pyarrow.ArrowException,
    ValueError,
)


def open_parcels(where: Any) -> geopandas.GeoDataFrame:
    """Reads parcels, or points, with all their columns.

    Args:
        where: a vector file (GeoPackage, GeoJSON, FlatGeobuf, Shapefile, …), GeoParquet, or a table of GeoPandas.

    Raises:
        SourceUnreadable: the file is missing or damaged.
        LabelsUnreadable: it says of nothing where it is.
    """
    import geopandas

    if isinstance(where, geopandas.GeoDataFrame):
        return where.reset_index(drop=True)
    path = local_copy(where)
    sheet = read_parcels(path) if is_vector(path) else read_parquet(path)
    if not isinstance(sheet.frame, geopandas.GeoDataFrame) or sheet.frame._geometry_column_name is None:
        raise LabelsUnreadable(path, "it has no column of shapes", advice="Give parcels: a vector file or GeoParquet.")
    return sheet.frame


def check_table_target(target: Path, *, shaped: bool, sources: Sequence[str] = (), overwrite: bool = False) -> None:
    """Refuses a file that could not be written, before any work is done.

    Args:
        target: of the table.
        shaped: whether it is known where the series are.
        sources: files that are read, which are never overwritten.
        overwrite: replace an existing file.

    Raises:
        OptionError: the ending is not known, or is of a format of shapes and there are none; or it is a source.
        OutputExists: there is such a file.
        OutputUnwritable: it is a folder.
    """
    ending = target.suffix.lower()
    if ending not in TABLES:
        expected = f"a file name that ends in {', '.join(TABLES)}, for a table or parcels"
        raise OptionError("target", expected=expected, received=os.fspath(target))
    if ending in DRIVERS and not shaped:
        expected = "a file name that ends in .csv or .parquet, for series of which nobody says where they are"
        raise OptionError("target", expected=expected, received=os.fspath(target))
    if target.is_dir():
        raise OutputUnwritable(target, "it is a folder")
    if target.exists() and any(os.path.exists(path) and target.samefile(path) for path in sources):
        raise OptionError("target", expected="another file than what is read", received=os.fspath(target))
    if target.exists() and not overwrite:
        raise OutputExists(target, "a table")


def write_table(frame: pd.DataFrame, target: Path) -> None:
    """Writes a table, beside the target, and gives it its name when it is whole.

    Of shapes, `.csv` has columns `lon` and `lat` (`x` and `y` where the CRS is not geographic) for points, and `WKT` for
    all else.

    Args:
        frame: of pandas, or of GeoPandas.
        target: ending as `TABLES` has it.

    Raises:
        OutputUnwritable: no permission, disk full, or a column that the format cannot hold.
    """
    ending = target.suffix.lower()
    try:
        with scratch_folder(target) as folder:
            path = folder / target.name
            if ending == ".csv":
                _flat(frame).to_csv(path, index=False)
            elif ending == ".parquet":
                frame.to_parquet(path, index=False)
            else:
                with without_warnings(UserWarning):  # That there is no CRS.
                    frame.to_file(path, driver=DRIVERS[ending], layer=target.stem, engine="pyogrio", index=False)  # type: ignore[attr-defined]
            os.replace(path, target)
    except _UNWRITABLE as error:
        raise OutputUnwritable(target, (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")) from error
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without shapes."""
    name = getattr(frame, "_geometry_column_name", None)
    if name is None:
        return frame
    shapes, crs = frame[name].to_numpy(), frame.crs  # type: ignore[attr-defined]
    plain = pd.DataFrame(frame.drop(columns=name))
    if (shapely.is_missing(shapes) | (shapely.get_type_id(shapes) == shapely.GeometryType.POINT)).all():
        x, y = ("lon", "lat") if crs is not None and crs.is_geographic else ("x", "y")
        return plain.assign(**{x: shapely.get_x(shapes), y: shapely.get_y(shapes)})
    return plain.assign(WKT=shapely.to_wkt(shapes, trim=True, rounding_precision=-1))
