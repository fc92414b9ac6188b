"""Many tables as one: those of several files one below the other, those of several sensors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS, Transformer

from geodl.data.series.records import Records
from geodl.errors import BandMismatch, SeriesUnusable

__all__ = ("joined", "merged")


def joined(tables: Mapping[str, Records]) -> Records:
    """Puts tables of the same bands one below the other.

    Args:
        tables: by name, which is put before the ids where two tables have the same.

    Raises:
        BandMismatch: one has other bands.
        SeriesUnusable: some state dates and others do not, or a CRS, or official parts.
    """
    names, all_of = list(tables), list(tables.values())
    first = all_of[0]
    if len(all_of) == 1:
        return first
    alike = []
    for each in all_of:
        if set(each.bands) != set(first.bands):
            raise BandMismatch(each.where, expected=first.bands, received=each.bands)
        alike.append(each.select(first.bands))
    _refuse_mixed(all_of)
    length = max(each.values.shape[1] for each in alike)
    ids = np.concatenate([each.ids for each in alike])
    columns = {name: [each.columns.get(name) for each in alike] for each in alike for name in each.columns}
    if len(np.unique(ids)) < len(ids):
        # Which of them are of one place is still to be seen.
        if not any(each.numbered for each in alike) and "series" not in columns:
            columns["series"] = [each.ids for each in alike]
        ids = np.concatenate([[f"{name}_{one}" for one in each.ids] for name, each in tables.items()])
    crs = next((each.crs for each in alike if each.crs is not None), None)
    some = {what: any(getattr(each, what) is not None for each in alike) for what in ("labels", "geometry", "parts")}
    return replace(
        first,
        where=f"{first.where} and {len(names) - 1} more",
        values=np.concatenate([_padded(each.values, length, np.float32(np.nan)) for each in alike]),
        times=np.concatenate([_padded(each.times, length, _absent(each.times)) for each in alike]),
        ids=ids,
        numbered=any(each.numbered for each in alike),
        labels=np.concatenate([_or_none(each.labels, len(each)) for each in alike]) if some["labels"] else None,
        classes=first.classes if all(each.classes == first.classes for each in alike) else (),
        columns={name: _stacked(arrays, [len(each) for each in alike]) for name, arrays in columns.items()},
        geometry=np.concatenate([_or_none(_moved(each, crs), len(each)) for each in alike])
        if some["geometry"]
        else None,
        crs=crs,
        parts=np.concatenate([each.parts for each in alike if each.parts is not None]) if some["parts"] else None,
    )


def merged(tables: Mapping[str, Records]) -> Records:
    """Puts tables of several sensors side by side, by the ids of their series and by date.

    A series has the dates of all sensors, and no value of a sensor on dates that it lacks. A band whose name two sensors
    share gets the sensor's name and `_` in front.

    Args:
        tables: by sensor.

    Raises:
        SeriesUnusable: one has no ids; they have none in common; dates are positions in some and not in others; labels or
            parts of a series contradict one another; a date occurs twice in a series of one sensor.
    """
    if len(tables) == 1:
        return next(iter(tables.values()))
    tables = {sensor: each.sorted() for sensor, each in tables.items()}
    where = " + ".join(each.where for each in tables.values())
    for sensor, each in tables.items():
        if each.numbered:
            raise SeriesUnusable(
                where, f"the table of {sensor} does not say what its series are called",
                advice="Give it a column of ids, or say which it is (series): series are joined by it.",
            )  # fmt: skip
    _refuse_mixed(list(tables.values()), parts=False)
    ids = np.array(list(dict.fromkeys(name for each in tables.values() for name in each.ids.tolist())))
    index = pd.Index(ids)
    rows = {sensor: index.get_indexer(each.ids) for sensor, each in tables.items()}
    if len(ids) == sum(map(len, tables.values())):
        some = ", ".join(f"{sensor}: {each.ids[0]}" for sensor, each in tables.items())
        raise SeriesUnusable(
            where, f"no series is in two of the tables (the first of each are {some})",
            advice="Name the series alike in all tables (series).",
        )  # fmt: skip
    values, times, bands = _side_by_side(tables, rows, len(ids))
    located = next((each for each in tables.values() if each.geometry is not None), None)
    geometry = None
    for sensor, each in tables.items():
        if located is not None and each.geometry is not None:
            moved = _moved(each, located.crs)
            geometry = _filled(geometry, moved, rows[sensor], len(ids))
    first = next(iter(tables.values()))
    return Records(
        where, values, times, bands, ids, first.dated,
        labels=_agreed("label", {sensor: each.labels for sensor, each in tables.items()}, rows, ids, where),
        classes=first.classes if all(each.classes in ((), first.classes) for each in tables.values()) else (),
        name="_".join(tables), columns=_columns(tables, rows, len(ids)),
        geometry=geometry,
        crs=None if located is None else located.crs,
        parts=_whole_parts(_agreed("part", {sensor: each.parts for sensor, each in tables.items()}, rows, ids, where), where),
    )  # fmt: skip


def _side_by_side(
    tables: Mapping[str, Records], rows: Mapping[str, np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Values and times on the dates of all sensors, and the bands."""
    shared = pd.Series([band for each in tables.values() for band in each.bands])
    twins = set(shared[shared.duplicated()])
    bands = tuple(
        f"{sensor}_{band}" if band in twins else band for sensor, each in tables.items() for band in each.bands
    )
    found = []
    for sensor, each in tables.items():
        at, place = np.nonzero(~pd.isna(each.times))
        found.append((rows[sensor][at], each.times[at, place], each.values[at, place]))
    series = np.concatenate([each[0] for each in found])
    moments, moment = np.unique(np.concatenate([each[1] for each in found]), return_inverse=True)
    pairs, inverse = np.unique(series * len(moments) + moment, return_inverse=True)
    owner, when = np.divmod(pairs, max(len(moments), 1))
    lengths = np.bincount(owner, minlength=count)
    position = np.arange(len(pairs)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    length = max(1, int(lengths.max(initial=0)))
    times = np.full((count, length), _absent(moments), moments.dtype)
    times[owner, position] = moments[when]
    values = np.full((count, length, len(bands)), np.nan, np.float32)
    start = begin = 0
    for _, _, own in found:
        where = inverse[start : start + len(own)]
        values[owner[where], position[where], begin : begin + own.shape[1]] = own
        start, begin = start + len(own), begin + own.shape[1]
    return values, times, bands


def _agreed(
    what: str, stated: Mapping[str, np.ndarray | None], rows: Mapping[str, np.ndarray], ids: np.ndarray, where: str
) -> np.ndarray | None:
    """What any sensor's table says of each series, and none contradicts."""
    agreed: np.ndarray | None = None
    for sensor, given in stated.items():
        if given is None:
            continue
        own = _filled(None, given, rows[sensor], len(ids))
        if agreed is not None:
            wrong = [
                k for k, (one, other) in enumerate(zip(agreed, own))
                if one is not None and other is not None and str(one) != str(other)
            ]  # fmt: skip
            if wrong:
                k = wrong[0]
                raise SeriesUnusable(
                    f"{where}, series {ids[k]}",
                    f"its {what}s contradict one another ({agreed[k]}, and {own[k]} for {sensor})"
                    + (f", and {len(wrong) - 1} other series are alike" if len(wrong) > 1 else ""),
                    advice="Mend one of the tables, or leave the column out of it.",
                )
        agreed = _filled(agreed, given, rows[sensor], len(ids))
    return agreed


def _filled(known: np.ndarray | None, given: np.ndarray | None, rows: np.ndarray, count: int) -> np.ndarray:
    """Adds what is given of some series where nothing is known yet."""
    found = np.full(count, None, object) if known is None else known.copy()
    if given is not None:
        for row, value in zip(rows.tolist(), given.tolist()):
            if found[row] is None:
                found[row] = value
    return found


def _columns(tables: Mapping[str, Records], rows: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The further columns of all; one that two tables have comes from the first that knows it."""
    found: dict[str, np.ndarray] = {}
    for sensor, each in tables.items():
        for name, given in each.columns.items():
            found[name] = _filled(found.get(name), given, rows[sensor], count)
    return {name: pd.Series(given.tolist()).to_numpy() for name, given in found.items()}


def _whole_parts(parts: np.ndarray | None, where: str) -> np.ndarray | None:
    if parts is None:
        return None
    if any(part is None for part in parts):
        raise SeriesUnusable(where, "some series belong to no part", advice="State the part of each series.")
    return parts.astype(str)


def _refuse_mixed(tables: Sequence[Records], *, parts: bool = True) -> None:
    first = tables[0]
    for each in tables[1:]:
        where = f"{first.where} and {each.where}"
        if each.times.dtype.kind != first.times.dtype.kind or each.dated != first.dated:
            raise SeriesUnusable(
                where,
                "one states its dates and the other does not, or only days of a year",
                advice="State them in both.",
            )
        if None not in (first.geometry, each.geometry) and (first.crs is None) != (each.crs is None):
            raise SeriesUnusable(where, "one states its CRS and the other does not", advice="State it in both.")
        if parts and (each.parts is None) != (first.parts is None):
            raise SeriesUnusable(
                where,
                "one states official parts and the other does not",
                advice="State them in both, or open them apart.",
            )


def _absent(times: np.ndarray) -> Any:
    return np.datetime64("NaT", "D") if times.dtype.kind == "M" else np.nan


def _padded(array: np.ndarray, length: int, value: Any) -> np.ndarray:
    more = [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, more, constant_values=value)


def _or_none(array: np.ndarray | None, count: int) -> np.ndarray:
    return np.full(count, None, object) if array is None else array.astype(object)


def _stacked(arrays: Sequence[np.ndarray | None], counts: Sequence[int]) -> np.ndarray:
    """One column below the other; numbers among texts become texts."""
    stated = [array for array in arrays if array is not None]
    numeric = [array.dtype.kind in "iufb" for array in stated]
    if any(numeric) and not all(numeric):
        arrays = [None if array is None else array.astype(str) for array in arrays]
    parts = [pd.Series([None] * n if array is None else array) for array, n in zip(arrays, counts)]
    cells = [value for part in parts for value in part.tolist()]
    return pd.Series(cells).to_numpy()


def _moved(records: Records, crs: CRS | None) -> np.ndarray | None:
    """Shapes in another CRS."""
    if records.geometry is None or records.crs is None or crs is None or records.crs == crs:
        return records.geometry
    transformer = Transformer.from_crs(records.crs, crs, always_xy=True)
    return np.asarray(shapely.transform(records.geometry, lambda xy: np.column_stack(transformer.transform(*xy.T))))
