"""What a user means by time series: tables in files or in memory, of one sensor or of several."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from geodl.contract import Band
from geodl.data.files import common_name, distinct_names, find_files, local_copy, stem
from geodl.data.series.archives import archive_records
from geodl.data.series.dating import with_dates
from geodl.data.series.labelling import Classes, as_classes, classify, warn_of_few
from geodl.data.series.long import long_records
from geodl.data.series.merging import joined, merged
from geodl.data.series.naming import LABELS, SERIES, Wanted, find_roles
from geodl.data.series.parcels import read_parcels, read_parquet
from geodl.data.series.records import Records, table_records
from geodl.data.series.sheets import Sheet, frame_sheet, read_sheet
from geodl.data.series.table import SeriesTable
from geodl.data.series.ucr import part_records, parts_of_files, ts_records, with_siblings
from geodl.data.series.wide import wide_columns, wide_records
from geodl.data.vectors import is_vector
from geodl.errors import BandMismatch, EmptyDataset, OptionError, SeriesUnusable, SourceUnreadable

__all__ = ("EXTENSIONS", "open_series")

EXTENSIONS = (".csv", ".tsv", ".gz", ".parquet", ".geoparquet", ".gpkg", ".geojson", ".fgb", ".shp", ".npz", ".ts")
"""Endings of files that count in a folder. A table named outright may also end in `.txt`."""
_TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_PARQUET = (".parquet", ".geoparquet", ".pq")
_LOG = logging.getLogger("geodl")


def open_series(
    where: Any,
    *,
    bands: Sequence[str] | None = None,
    label: str | None = None,
    time: str | None = None,
    series: str | Sequence[str] | None = None,
    columns: Sequence[str] = (),
    dates: Sequence[Any] | Mapping[str, Any] | None = None,
    classes: Classes | None = None,
    cloud_band: str = "",
    cloud_values: Sequence[float] = (),
) -> SeriesTable:
    """Opens time series of one table or of many.

    Args:
        where: one of

            - a table, `.csv`, `.tsv` (also packed, `.gz`), Parquet, GeoParquet or a vector file with attribute columns
              (GeoPackage, GeoJSON, FlatGeobuf): long, with a row for each series and date and a column of dates; or wide,
              with a row for each series and columns such as NDVI_2020-05-01 (see `dated_columns` in
              `geodl.data.series.dating`); or wide without names of columns, which then are column_1, column_2, …: what
              is no label, series or other column are the values of all `bands` on the first date, then on the next;
            - `.npz` (see `geodl.data.series.archives`), or `.ts` and `.tsv` of the UCR archive, of which NAME_TRAIN and
              NAME_TEST are read both, whichever is named, as official parts;
            - a `SeriesTable`, or a table of pandas or GeoPandas;
            - a folder or a glob of such files, or a list of any of these, all with the same bands;
            - a mapping from sensors to any of these: series are joined by their ids, dates are those of all sensors,
              and a band whose name two sensors share becomes `sensor_band`.

        bands: those to be read, in this order; default: all. The names of the bands where a file states none.
        label: column of the label; default: one called label, class, crop, landcover, y, …, if there is one. Empty: no
            labels are read.
        time: column of the dates of a long table; default: one called date, time, day, ….
        series: column that tells series apart, or several, such as parcel and year; default: one called series, id,
            parcel, … that does.
        columns: that hold no values of bands, where their names do not say so; they are kept beside the series.
        dates: of tables that state none: a list of dates (ISO), or `{start: date, step: days}`.
        classes: names, whole numbers, names by value, or `ClassInfo`; default: the labels that occur.
        cloud_band: band that tells clouds; it is left out, unless it is among `bands`.
        cloud_values: its values at which an observation is none.

    Returns:
        The series, with dates in order. Places come from geometries, or from columns called lon and lat, longitude and
        latitude (EPSG:4326), or x and y (no CRS); official parts from a column called split, part or set.

    Raises:
        SourceUnreadable: a file is missing, damaged, of another kind, or has ragged rows or text among numbers.
        EmptyDataset: a folder, glob or list holds no file.
        SeriesUnusable: dates, labels, ids or places cannot be read, are ambiguous, contradict one another or occur twice.
        BandMismatch: a band is missing; files have different ones.
        DatesMismatch: `dates` are more or fewer than the table has.
        LabelsOutOfRange: a label is none of `classes`.
        OptionError: an argument has a value that cannot be used.

    Example:
        >>> import pandas as pd
        >>> rows = {"id": [7, 7], "date": ["2020-05-01", "2020-05-11"], "NDVI": [0.3, 0.6], "crop": ["maize"] * 2}
        >>> table = open_series(pd.DataFrame(rows))
        >>> table.days.tolist(), table.classes[0].name
        ([[122.0, 132.0]], 'maize')
    """
    series_columns = (series,) if isinstance(series, str) else tuple(series or ())
    chosen = None if bands is None else tuple(bands)
    if chosen is not None and (not chosen or len(set(chosen)) < len(chosen)):
        raise OptionError("bands", expected="names of bands, each once", received=bands)
    if bool(cloud_band) != bool(len(cloud_values)):
        received = {"cloud_band": cloud_band, "cloud_values": list(cloud_values)}
        raise OptionError(
            "cloud_band", expected="a band and, in cloud_values, its values that mean cloud", received=received
        )
    given = None if classes is None else as_classes(classes)
    wanted = Wanted(chosen, label, time, series_columns, tuple(columns), cloud_band)
    if isinstance(where, Mapping):
        # Names with the sensor in front are known only when all have been read.
        each = {str(sensor): _records(one, replace(wanted, bands=None), dates) for sensor, one in where.items()}
        if not each:
            raise EmptyDataset("series", expected="at least one sensor", received="an empty mapping")
        if cloud_band and not any(cloud_band in records.bands for records in each.values()):
            raise BandMismatch(
                "series", expected=[cloud_band], received=[band for one in each.values() for band in one.bands]
            )
        records = merged({s: _cleared(one, cloud_band, cloud_values, chosen) for s, one in each.items()})
    else:
        records = _records(where, wanted, dates)
        if cloud_band and cloud_band not in records.bands:
            raise BandMismatch(records.where, expected=[cloud_band], received=records.bands)
        records = _cleared(records, cloud_band, cloud_values, chosen)
    return _table(records if chosen is None else records.select(chosen), given)


def _records(where: Any, wanted: Wanted, dates: Any) -> Records:
    """All series of a table, or of several of one sensor."""
    items = where if isinstance(where, (list, tuple)) else [where]
    things: list[Any] = []
    for item in items:
        files = isinstance(item, (str, os.PathLike))
        things += with_siblings(find_files(item, extensions=EXTENSIONS, what="tables of series")) if files else [item]
    # A pair is found through each of its files.
    things = list({thing if isinstance(thing, str) else id(thing): thing for thing in things}.values())
    if not things:
        raise EmptyDataset("series", expected="at least one table", received="an empty list")
    paths = list(dict.fromkeys(thing for thing in things if isinstance(thing, str)))
    names, parts = dict(zip(paths, distinct_names(paths))), parts_of_files(paths) if len(paths) == len(things) else {}
    tables: dict[str, Records] = {}
    for k, thing in enumerate(things):
        if isinstance(thing, str):
            found = part_records(_open_file(thing, wanted), parts.get(thing))
            tables[names[thing]] = with_dates(found, dates)
        else:
            found = _open_memory(thing, wanted)
            name = found.where if found.where not in tables else f"{found.where}_{k}"
            tables[name] = with_dates(found, dates) if dates is None or not found.dated else found
    together = joined(tables)
    return replace(together, name=common_name(paths)) if paths else together


def _open_file(path: str, wanted: Wanted) -> Records:
    path = local_copy(path)
    lower = path.lower()
    if lower.endswith(".npz"):
        return archive_records(path, wanted)
    if lower.endswith(".ts"):
        return ts_records(path, wanted)
    if lower.endswith(_PARQUET):
        return _sheet_records(read_parquet(path), wanted)
    if is_vector(path):
        return _sheet_records(read_parcels(path), wanted)
    if lower.endswith(_TABLES):
        words = LABELS if wanted.label is None else (wanted.label,)
        sheet = read_sheet(path, texts=wanted.series or _either_case(SERIES), words=_either_case(words))
        if not sheet.headed and lower.endswith(".tsv") and wanted.label is None:
            wanted = replace(wanted, label="column_1")  # As in the UCR archive.
        return _sheet_records(sheet, wanted)
    raise SourceUnreadable(
        path, "files that end so are no tables that are known", advice=f"Expected one of {', '.join(EXTENSIONS)}."
    )


def _open_memory(thing: Any, wanted: Wanted) -> Records:
    if isinstance(thing, SeriesTable):
        records = table_records(thing)
        if wanted.label == "":
            records = replace(records, labels=None, classes=())
        return records if wanted.read is None else records.select(wanted.read)
    if isinstance(thing, pd.DataFrame):
        return _sheet_records(frame_sheet(thing, "table"), wanted)
    raise SeriesUnusable(
        "series",
        f"they are of type {type(thing).__name__}",
        advice="Expected files, SeriesTable, or a table of pandas.",
    )


def _sheet_records(sheet: Sheet, wanted: Wanted) -> Records:
    """Long, if a column of dates is named; wide, if columns carry dates; long, if a column is called as dates are."""
    roles = find_roles(sheet, wanted)
    found = None if wanted.time is not None else wide_columns(sheet, roles, wanted)
    if roles.time is not None and (found is None or found.times.dtype.kind != "M"):
        return long_records(sheet, roles, wanted)
    if found is None:
        shown = ", ".join(sheet.names[:12]) + (f", … ({len(sheet.names)} in all)" if len(sheet.names) > 12 else "")
        raise SeriesUnusable(
            sheet.where,
            f"it has neither a column of dates nor columns such as NDVI_2020-05-01; its columns are {shown}",
            advice="Say which column holds the dates (time), or give a table of series.",
        )
    # What looks like a date beside dated columns, of sowing for example, is one more column.
    return wide_records(sheet, replace(roles, time=None), wanted, found)


def _either_case(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(variant for name in names for variant in (name, name.upper(), name.title(), name.capitalize()))


def _cleared(
    records: Records, cloud_band: str, cloud_values: Sequence[float], bands: tuple[str, ...] | None
) -> Records:
    if not cloud_band or cloud_band not in records.bands:
        return records
    clear = records.clear(cloud_band, cloud_values)
    if bands is not None and any(band == cloud_band or band.endswith(f"_{cloud_band}") for band in bands):
        return clear
    others = [band for band in records.bands if band != cloud_band]
    if not others:
        raise BandMismatch(records.where, expected=[f"a band beside {cloud_band}"], received=records.bands)
    return clear.select(others)


def _table(records: Records, classes: tuple[Any, ...] | None) -> SeriesTable:
    """Turns dates into days of the year and labels into classes, and says what is odd."""
    records = records.sorted()
    years, days = None, records.times
    if records.times.dtype.kind == "M":
        # A series without any date begins nowhere; it has no values either.
        begin = records.times[:, 0].astype("datetime64[Y]")
        years = np.where(np.isnat(begin), -1, begin.astype(np.int64) + 1970)
        days = (records.times - begin.astype("datetime64[D]")[:, None]) / np.timedelta64(1, "D") + 1
    values, infinite = records.values, np.isinf(records.values)
    if infinite.any():
        _LOG.warning("%s: %s infinite values are taken as not observed.", records.where, int(infinite.sum()))
        values = np.where(infinite, np.float32(np.nan), values)
    unseen = int((~np.isfinite(values).any((1, 2))).sum())
    if unseen:
        _LOG.warning("%s: %s of %s series have no observation at all.", records.where, unseen, len(values))
    labels, known = None, classes or records.classes
    if records.labels is not None:
        labels, known = classify(records.labels, known or None, where=records.where)
        warn_of_few(np.bincount(labels[labels >= 0], minlength=len(known)), known, where=records.where)
    return SeriesTable(
        records.name or stem(records.where), np.ascontiguousarray(values), days.astype(np.float32),
        tuple(Band(name) for name in records.bands), records.ids, records.dated, years, labels, known,
        records.columns, records.geometry, records.crs, records.parts,
    )  # fmt: skip
