"""Long tables: one row for each series and date, one column for each band."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from geodl.data.series.dating import cell_times
from geodl.data.series.naming import LABELS, SERIES, Roles, Wanted, is_group, official_parts
from geodl.data.series.parcels import places_of
from geodl.data.series.records import Records
from geodl.data.series.sheets import Sheet
from geodl.data.series.wide import joined_ids, plain_labels
from geodl.errors import BandMismatch, SeriesUnusable

__all__ = ("long_records",)

_LOG = logging.getLogger("geodl")


def long_records(sheet: Sheet, roles: Roles, wanted: Wanted) -> Records:
    """Gathers the rows of each series, wherever they stand; series come in the order in which they begin.

    Bands, unless they are wanted by name, are the columns of numbers that change within series and are not called as
    parcels, regions, years and the like are. What does not change is a further column of the series.

    Args:
        sheet: the rows.
        roles: see `find_roles`; `time` must be there.
        wanted: what the user says.

    Raises:
        BandMismatch: a wanted band is missing.
        SeriesUnusable: no column tells the series apart; a label, or a column that must not, changes within a series; a
            row has no date.
        SourceUnreadable: there is text among the numbers.
    """
    assert roles.time is not None
    times, dated = cell_times(sheet, roles.time)
    ids, by = _ids(sheet, roles, wanted)
    codes, known = pd.factorize(ids)
    at = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    first = np.flatnonzero(at == 0)
    bands, further = _bands(sheet, roles, wanted, codes, by)
    geometry, crs, shaped = places_of(sheet, roles.coordinates)
    shape = (len(known), int(at.max()) + 1)
    values = np.full((*shape, len(bands)), np.nan, np.float32)
    values[codes, at] = sheet.numbers(bands)
    absent = np.datetime64("NaT", "D") if times.dtype.kind == "M" else np.nan
    moments = np.full(shape, absent, times.dtype)
    moments[codes, at] = times
    stated = _constant(sheet, codes, known, [name for name in (roles.label, roles.part) if name is not None])
    columns = _constant(sheet, codes, known, [name for name in further if name not in shaped])
    for name in roles.coordinates or ():
        _constant(sheet, codes, known, [name])
    return Records(
        sheet.where,
        values,
        moments,
        tuple(bands),
        np.asarray(known, str),
        dated,
        labels=None if roles.label is None else plain_labels(sheet, stated[roles.label], roles.label),
        columns={name: cells.to_numpy() for name, cells in columns.items()},
        geometry=None if geometry is None else geometry[first],
        crs=crs,
        parts=None if roles.part is None else official_parts(stated[roles.part].to_numpy(), sheet.where, roles.part),
    )


def _ids(sheet: Sheet, roles: Roles, wanted: Wanted) -> tuple[np.ndarray, set[str]]:
    """Names the series of each row, and the columns that do so."""
    if wanted.series:
        single = {name for name in wanted.series if len(wanted.series) == 1 and not is_group(name)}
        return joined_ids(sheet, wanted.series), single
    # What differs in every row numbers the rows.
    repeated = [name for name in roles.series if sheet.frame[name].duplicated().any()]
    chosen = (repeated or list(roles.series))[:1] or list(roles.coordinates or ())
    if not chosen:
        raise SeriesUnusable(
            sheet.where,
            f"none of its columns tells the series apart; there are {', '.join(sheet.names[:12])}",
            advice=f"Call one {SERIES[0]} or id, or say which it is (series).",
        )
    return joined_ids(sheet, chosen), {name for name in chosen if not is_group(name)}


def _bands(sheet: Sheet, roles: Roles, wanted: Wanted, codes: np.ndarray, by: set[str]) -> tuple[list[str], list[str]]:
    """Returns the bands, and the further columns."""
    # Another name of series that differs in every row numbers the rows.
    rows = {name for name in roles.series if sheet.frame[name].is_unique} - {*wanted.series, *wanted.columns}
    free = [name for name in sheet.names if name not in roles.named | by | rows]
    apart = {*wanted.columns, *wanted.series}
    if wanted.read is not None:
        bands = list(wanted.read)
        if not set(bands) <= set(free):
            numeric = [name for name in free if sheet.numeric(name)]
            raise BandMismatch(sheet.where, expected=bands, received=numeric)
        others = [name for name in free if name not in bands]
    else:
        maybe = [name for name in free if name not in apart and not _is_no_band(name) and sheet.numeric(name)]
        varying = _changing(sheet, codes, maybe, missing=True)
        # Where no series has two dates, nothing can change.
        single = len(np.unique(codes)) == len(codes)
        bands = [name for name in maybe if single or name in varying or name == wanted.cloud_band]
        others = [name for name in free if name not in bands]
    if not bands:
        raise SeriesUnusable(
            sheet.where,
            "no column holds numbers that change within a series",
            advice="Expected a column for each band; say which they are (bands).",
        )
    changing = _changing(sheet, codes, [name for name in others if name not in apart and not _is_no_band(name)])
    # Other bands that are not wanted say nothing of the series as a whole.
    told = sorted(name for name in changing if not sheet.numeric(name))
    if told:
        _LOG.warning("%s: left out, because it changes within a series: %s.", sheet.where, ", ".join(told))
    return bands, [name for name in others if name not in changing]


def _is_no_band(name: str) -> bool:
    return is_group(name) or name.lower() in SERIES or name.lower() in LABELS


def _changing(sheet: Sheet, codes: np.ndarray, names: list[str], *, missing: bool = False) -> set[str]:
    """Columns that change within a series; by a missing cell, too, if that counts."""
    plain = [name for name in names if str(sheet.frame[name].dtype) != "geometry"]
    return {name for name in plain if (sheet.frame[name].groupby(codes).nunique(dropna=not missing) > 1).any()}


def _constant(sheet: Sheet, codes: np.ndarray, known: np.ndarray, names: list[str]) -> dict[str, pd.Series]:
    """Returns the value of each series in columns that must not change within one."""
    found = {}
    for name in names:
        groups = sheet.frame[name].groupby(codes)
        wrong = np.flatnonzero((groups.nunique() > 1).to_numpy())
        if len(wrong):
            some = " and ".join(map(str, sheet.frame[name][codes == wrong[0]].dropna().unique()[:2]))
            others = f", and {len(wrong) - 1} other series are alike" if len(wrong) > 1 else ""
            raise SeriesUnusable(
                f"{sheet.where}, series {known[wrong[0]]}",
                f"its {name} changes ({some}){others}",
                advice="Give each series one; or say which columns tell the series apart (series), for example "
                "[parcel, year].",
            )
        found[name] = groups.first()
    return found
