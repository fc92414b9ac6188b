"""Series in numpy archives, in two layouts: named arrays of one table, and arrays of official parts."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pyproj import CRS

from geodl.data.series.naming import Wanted, detect_label, official_parts
from geodl.data.series.parcels import points
from geodl.data.series.records import Records
from geodl.data.series.sheets import Sheet, refuse_absent
from geodl.data.series.wide import plain_labels
from geodl.errors import BandMismatch, SeriesUnusable, SourceUnreadable

__all__ = ("archive_records",)

_EXPECTED = (
    "Expected X (series, time) or (series, time, band) and, if wanted, label, days_since_1970, bands, lon, lat; or "
    "x_train, y_train, x_val, y_val, x_test, y_test."
)
_DATES = ("days_since_1970", "dates", "date")
_DAMAGED = (OSError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy raises of damaged files."""


def archive_records(path: str, wanted: Wanted) -> Records:
    """Reads a numpy archive. No pickled object of it is ever made.

    One layout is `X` (series, time) or (series, time, band) with `label` (series,), `days_since_1970` (series, time) or
    (time,), or `dates` as datetime64 or ISO texts, `bands` (band,), `ids`, `lon`, `lat` (series,), and further arrays
    (series,), which become columns. The other is `x_train` and `y_train`, and the same for val (or validation) and test,
    whose positions stand for dates.

    Raises:
        SourceUnreadable: the file is missing, damaged, or holds objects.
        SeriesUnusable: arrays are missing or do not fit.
        BandMismatch: a wanted band is missing.
    """
    refuse_absent(path)
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {key: opened[key] for key in opened.files}
    except _DAMAGED as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        pickled = "pickle" in first.lower()
        cause = "it holds pickled objects, or is no numpy archive" if pickled else f"it is damaged ({first})"
        raise SourceUnreadable(path, cause, advice=_EXPECTED) from error
    lower = {key.lower(): key for key in arrays}
    parts = {key.removeprefix("x_"): name for key, name in lower.items() if key.startswith("x_")}
    if "x" in lower:
        return _whole(path, arrays, lower["x"], wanted)
    if parts and set(parts) <= {"train", "val", "validation", "test"}:
        return _parted(path, {key.lower(): array for key, array in arrays.items()}, list(parts), wanted)
    raise SeriesUnusable(path, f"it holds {', '.join(arrays) or 'no arrays'}", advice=_EXPECTED)


def _whole(path: str, arrays: Mapping[str, np.ndarray], key: str, wanted: Wanted) -> Records:
    values = _values(path, key, arrays[key])
    count, length = values.shape[:2]
    per_series = {name: array for name, array in arrays.items() if array.shape == (count,)}
    # With one series, or as many bands as series, the shape alone does not tell.
    others = {name: array for name, array in per_series.items() if name not in (key, "bands", *_DATES)}
    label = wanted.label if wanted.label is not None else detect_label(list(others), where=path)
    for name in (label, *wanted.series, *wanted.columns):
        if name and name not in others:
            have = ", ".join(others) or "none"
            raise SeriesUnusable(path, f"there is no array {name} of {count} values", advice=f"There are: {have}.")
    dates, dated = _times(path, arrays, (count, length))
    naming = wanted.series or tuple(name for name in ("ids", "id") if name in others)
    ids = pd.Series(["_".join(row) for row in zip(*(others[name].astype(str) for name in naming))], dtype=str)
    twins = ids.duplicated()
    if twins.any():
        raise SeriesUnusable(
            path, f"series {ids[twins.idxmax()]} occurs twice", advice="Give each series a name of its own."
        )
    lon, lat = ((others.get(name), name)[0] for name in ("lon", "lat"))
    located = lon is not None and lat is not None and lon.dtype.kind in "fiu" and lat.dtype.kind in "fiu"
    part = next((name for name in ("split", "part", "set") if name in others), None)
    apart = {label, part, *naming, *(("lon", "lat") if located else ())}
    bands = _bands(path, arrays.get("bands"), values.shape[2], wanted)
    records = Records(
        path, values, dates, bands, ids.to_numpy(str) if naming else np.arange(count).astype(str), dated, not naming,
        labels=_labels(path, others[label], label) if label else None,
        columns={name: array for name, array in others.items() if name not in apart or name in wanted.columns},
        geometry=points(lon, lat, path, geographic=True) if located and lon is not None and lat is not None else None,
        crs=CRS(4326) if located else None,
        parts=None if part is None else official_parts(others[part], path, part),
    )  # fmt: skip
    return records if wanted.read is None else records.select(wanted.read)


def _parted(path: str, arrays: Mapping[str, np.ndarray], parts: list[str], wanted: Wanted) -> Records:
    values, labels, names, ids = [], [], [], []
    for part in parts:
        values.append(_values(path, f"x_{part}", arrays[f"x_{part}"]))
        count = len(values[-1])
        given = arrays.get(f"y_{part}")
        if given is not None and given.shape != (count,):
            raise SeriesUnusable(
                path, f"y_{part} has shape {given.shape}, and x_{part} {count} series", advice=_EXPECTED
            )
        labels.append(np.full(count, None, object) if given is None else _labels(path, given, f"y_{part}"))
        names += [part] * count
        ids += [f"{part}_{k}" for k in range(count)]
    shapes = {array.shape[1:] for array in values}
    if len(shapes) > 1:
        raise SeriesUnusable(
            path, f"its parts have series of the shapes {sorted(shapes)}", advice="Expected one shape."
        )
    together = np.concatenate(values)
    bands = _bands(path, arrays.get("bands"), together.shape[2], wanted)
    unlabelled = wanted.label == "" or not any(f"y_{part}" in arrays for part in parts)
    records = Records(
        path, together, np.broadcast_to(np.arange(together.shape[1], dtype=np.float64), together.shape[:2]), bands,
        np.array(ids), dated=False, numbered=True, labels=None if unlabelled else np.concatenate(labels),
        parts=official_parts(np.array(names), path, "part"),
    )  # fmt: skip
    return records if wanted.read is None else records.select(wanted.read)


def _values(path: str, key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub" or array.ndim not in (2, 3) or not array.size:
        raise SeriesUnusable(path, f"{key} has shape {array.shape} and type {array.dtype}", advice=_EXPECTED)
    with np.errstate(over="ignore"):
        return array.reshape(*array.shape[:2], -1).astype(np.float32)


def _labels(path: str, array: np.ndarray, name: str) -> np.ndarray:
    cells = pd.Series(array.astype(str) if array.dtype.kind in "US" else array)
    return plain_labels(Sheet(path, pd.DataFrame()), cells.replace("", None), name)


def _times(path: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray, bool]:
    name = next((name for name in _DATES if name in arrays), None)
    if name is None:
        return np.broadcast_to(np.arange(shape[1], dtype=np.float64), shape), False
    given = arrays[name]
    if given.shape not in (shape, shape[1:]):
        raise SeriesUnusable(path, f"{name} has shape {given.shape}, and the series {shape}", advice=_EXPECTED)
    try:
        if given.dtype.kind in "fiu":
            if name != _DATES[0]:
                raise ValueError(f"numbers in {name}; days since 1970 must be called so")
            absent = ~np.isfinite(given)
            days = np.where(absent, 0, np.floor(given)).astype(np.int64).astype("datetime64[D]")
            given = np.where(absent, np.datetime64("NaT", "D"), days)
        dates = given.astype("datetime64[D]")
    except ValueError as error:
        raise SeriesUnusable(path, f"its dates cannot be read ({error})", advice=_EXPECTED) from error
    return np.broadcast_to(dates, shape), True


def _bands(path: str, stated: np.ndarray | None, count: int, wanted: Wanted) -> tuple[str, ...]:
    if stated is not None:
        names = tuple(str(name) for name in np.atleast_1d(stated))
    elif wanted.read is not None and len(wanted.read) == count:
        names = wanted.read
    else:
        names = tuple(f"band_{k}" for k in range(1, count + 1))
    if len(names) != count or len(set(names)) != count:
        raise BandMismatch(path, expected=[f"{count} names, each once"], received=names)
    return names
