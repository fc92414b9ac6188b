"""Series that a trained network is asked of: from files, tables and arrays, with its bands in its order."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from geodl.contract import Band, Contract
from geodl.data.series.opening import EXTENSIONS, open_series
from geodl.data.series.table import SeriesTable
from geodl.errors import BandMismatch, OptionError, SeriesUnusable
from geodl.inference.bandorder import in_band_order

__all__ = ("is_table", "read_table", "table_of_arrays", "table_of_xarray")

_LABELLED = (".tsv", ".ts", ".npz")
"""Files whose labels are known by their place, not by a name."""

_log = logging.getLogger("geodl")


def is_table(data: Any) -> bool:
    """Says whether series are given as a table: a `SeriesTable`, one of pandas, or files that are no rasters or cubes."""
    if isinstance(data, (SeriesTable, pd.DataFrame)):
        return True
    if isinstance(data, (list, tuple)):
        return bool(data) and all(is_table(item) for item in data)
    if isinstance(data, dict):
        return bool(data) and all(is_table(item) for item in data.values())
    if not isinstance(data, str | os.PathLike):
        return False
    path = os.fspath(data)
    if os.path.isdir(path):
        names = [entry.name.lower() for entry in os.scandir(path) if entry.is_file() and entry.name[0] != "."]
        return bool(names) and all(name.endswith((*EXTENSIONS, ".txt", ".md")) for name in names)
    return path.lower().endswith((*EXTENSIONS, ".txt", ".pq"))


def read_table(data: Any, contract: Contract) -> SeriesTable:
    """Opens a table of series with the bands of a network, in its order, without what its clouds hide.

    Args:
        data: what `open_series` takes.
        contract: of the network: its bands, and what tells clouds. A table without that band is taken as it is; a
            warning says so.

    Raises:
        BandMismatch: a band is missing.
        UnitMismatch: a band has another unit.
        GeodlError: as `open_series` raises.
    """
    wanted = contract.input.bands
    if isinstance(data, SeriesTable):
        return _finite(in_band_order(_without_clouds(data, contract), wanted))
    cloud = contract.input.cloud_band
    clouds: dict[str, Any] = {"cloud_band": cloud, "cloud_values": contract.input.cloud_values} if cloud else {}
    # Labels are of no use here; where they have a name, they stay a column as they are.
    options: dict[str, Any] = {} if _has_labels(data) else {"label": ""}
    names = tuple(band.name for band in wanted)
    try:
        return in_band_order(open_series(data, bands=names, **options, **clouds), wanted)
    except BandMismatch:
        return _finite(in_band_order(_without_clouds(open_series(data, **options), contract), wanted))


def _has_labels(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and os.fspath(data).lower().endswith(_LABELLED)


def _without_clouds(table: SeriesTable, contract: Contract) -> SeriesTable:
    cloud = contract.input.cloud_band
    names = [band.name for band in table.bands]
    if not cloud:
        return table
    if cloud not in names:
        _log.warning("%s has no band %s, which tells clouds: all its observations are used.", table.name, cloud)
        return table
    cloudy = np.isin(table.values[..., names.index(cloud)], np.array(contract.input.cloud_values, np.float32))
    clear = replace(table, values=np.where(cloudy[..., None], np.float32(np.nan), table.values))
    if cloud in {band.name for band in contract.input.bands}:
        return clear
    return clear.select(tuple(name for name in names if name != cloud))


def _finite(table: SeriesTable) -> SeriesTable:
    if not np.isinf(table.values).any():
        return table
    return replace(table, values=np.where(np.isinf(table.values), np.float32(np.nan), table.values))


def table_of_arrays(values: np.ndarray, days: np.ndarray | None, bands: tuple[Band, ...]) -> SeriesTable:
    """Takes arrays as a table.

    Args:
        values: (series, time, band), in physical units, not-a-number where not observed.
        days: (time,) or (series, time): days of the year; None: nobody states them.
        bands: of the network, in its order.

    Raises:
        OptionError: the arrays do not fit one another.
        SeriesUnusable: days do not increase.
    """
    values = np.asarray(values)
    if values.ndim != 3 or values.shape[2] != len(bands) or values.dtype.kind not in "fiu":
        expected = f"an array (series, time, band) of {len(bands)} bands ({', '.join(band.name for band in bands)})"
        raise OptionError("data", expected=expected, received=values.shape)
    count, length = values.shape[:2]
    given = np.arange(length) if days is None else np.asarray(days)
    if given.shape not in ((length,), (count, length)):
        raise OptionError("days", expected=f"a day for each of {length} dates", received=given.shape)
    spread = np.broadcast_to(given.astype(np.float32), (count, length))
    return _finite(
        SeriesTable("series", values.astype(np.float32), spread, bands, np.arange(count).astype(str), days is not None)
    )  # fmt: skip


def table_of_xarray(array: Any) -> SeriesTable:
    """Takes a DataArray with dims of series, time and band as a table.

    Raises:
        SeriesUnusable: it has other dims.
    """
    from geodl.data.cubegrid import is_time
    from geodl.data.timeaxis import read_times
    from geodl.data.timecube import day_dates

    name = str(array.name or "series")
    times = [dim for dim in array.dims if is_time(dim, array.coords)]
    others = [dim for dim in array.dims if dim not in times and dim != "band"]
    if len(times) != 1 or len(others) != 1 or array.dtype.kind not in "fiu":
        raise SeriesUnusable(
            name,
            f"its dims are {', '.join(f'{dim}: {size}' for dim, size in array.sizes.items())}",
            advice="Expected numbers over series, time and band; or over time, y, x and band, for a map.",
        )
    (time,), (series,) = times, others
    if "band" not in array.dims:
        array = array.expand_dims(band=[name])
    labels = array["band"].values if "band" in array.coords else [f"band_{k + 1}" for k in range(array.sizes["band"])]
    stamps, year = read_times(array, time), None
    order = np.argsort(stamps, kind="stable")
    if np.isnat(stamps).all():
        days = np.arange(len(stamps), dtype=np.float32)
    else:
        stamps = day_dates(stamps[order])
        year = stamps[0].astype("datetime64[Y]")
        days = ((stamps - year.astype("datetime64[ns]")) / np.timedelta64(1, "D") + 1).astype(np.float32)
    values = array.transpose(series, time, "band").values[:, order].astype(np.float32)
    count = len(values)
    ids = array[series].values if series in array.coords else np.arange(count)
    years = None if year is None else np.full(count, int(year.astype(np.int64)) + 1970)
    return SeriesTable(
        name, values, np.broadcast_to(days, (count, len(days))), tuple(Band(str(label)) for label in labels),
        ids.astype(str), year is not None, years,
    )  # fmt: skip
