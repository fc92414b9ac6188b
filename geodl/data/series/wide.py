"""Wide tables: one row for each series, one column for each band and date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from geodl.data.series.dating import DatedColumns, dated_columns
from geodl.data.series.naming import Roles, Wanted, is_group, official_parts
from geodl.data.series.parcels import places_of
from geodl.data.series.records import Records
from geodl.data.series.sheets import Sheet
from geodl.errors import BandMismatch, SeriesUnusable

__all__ = ("joined_ids", "plain_labels", "wide_columns", "wide_records")


def wide_columns(sheet: Sheet, roles: Roles, wanted: Wanted) -> DatedColumns | None:
    """Finds the columns of bands and dates; in a sheet without names all that are left, dates × bands.

    Raises:
        SeriesUnusable: names can be read in two ways; the columns are no whole number of dates.
    """
    taken = {*roles.named, *wanted.series, *wanted.columns}
    free = [name for name in sheet.names if name not in taken]
    if sheet.headed:
        # Text such as crop_2019 is no value.
        return dated_columns([name for name in free if sheet.numeric(name)], sheet.where, bands=wanted.read)
    bands = wanted.read or ("",)
    dates, rest = divmod(len(free), len(bands))
    if rest or not dates:
        raise SeriesUnusable(
            sheet.where,
            f"it has no names of columns, and the {len(free)} that are no label, series or other column are no multiple "
            f"of {len(bands)} bands ({', '.join(bands)})",
            advice="Expected the bands of the first date, then those of the next: name what is no value (label, series, "
            "columns), such as column_1.",
        )
    places = {name: (bands[k % len(bands)], k // len(bands)) for k, name in enumerate(free)}
    return DatedColumns(places, np.arange(dates, dtype=np.float64), dated=False)


def wide_records(sheet: Sheet, roles: Roles, wanted: Wanted, found: DatedColumns) -> Records:
    """Takes a row as a series.

    Args:
        sheet: the rows.
        roles: see `find_roles`.
        wanted: what the user says.
        found: the columns of bands and dates.

    Raises:
        BandMismatch: a wanted band is missing.
        SeriesUnusable: two rows are of the same series, or see `places_of`.
        SourceUnreadable: there is text among the numbers.
    """
    names = found.bands
    if names == [""]:
        names = list(wanted.read or ("band_1",))
    bands = names if wanted.read is None else list(wanted.read)
    if not set(bands) <= set(names) or (found.bands == [""] and len(names) > 1):
        raise BandMismatch(sheet.where, expected=bands, received=[name or "one without a name" for name in found.bands])
    used = [name for name, (band, _) in found.places.items() if not band or band in bands]
    values = np.full((len(sheet.frame), len(found.times), len(bands)), np.nan, np.float32)
    numbers = sheet.numbers(used)
    for k, name in enumerate(used):
        band, at = found.places[name]
        values[:, at, bands.index(band) if band else 0] = numbers[:, k]
    geometry, crs, shaped = places_of(sheet, roles.coordinates)
    ids, by = _ids(sheet, roles, wanted)
    frame, apart = (
        sheet.frame,
        {*roles.named, *found.places, *shaped, *(name for name in by[:1] if len(by) == 1 and not is_group(name))},
    )
    return Records(
        sheet.where,
        values,
        np.broadcast_to(found.times, values.shape[:2]),
        tuple(bands),
        ids,
        found.dated,
        not by,
        labels=None if roles.label is None else plain_labels(sheet, frame[roles.label], roles.label),
        columns={name: frame[name].to_numpy() for name in sheet.names if name not in apart},
        geometry=geometry,
        crs=crs,
        parts=None if roles.part is None else official_parts(frame[roles.part].to_numpy(), sheet.where, roles.part),
    )


def plain_labels(sheet: Sheet, cells: pd.Series, column: str) -> np.ndarray:
    """Returns labels as whole numbers, texts and, where there is none, None.

    Raises:
        SeriesUnusable: there are fractions, dates or the like.
    """
    stated = cells.notna().to_numpy()
    found = np.full(len(cells), None, object)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = cells.to_numpy(np.float64, na_value=np.nan)
        wrong = np.flatnonzero(stated & (numbers != np.floor(numbers)))
        if len(wrong):
            raise SeriesUnusable(
                sheet.where,
                f"the label {numbers[wrong[0]]:g} in column {column} is no whole number",
                advice="Expected names or whole numbers of classes; say which column holds them (label).",
            )
        found[stated] = [int(number) for number in numbers[stated]]
        return found
    if not (pd.api.types.is_string_dtype(cells.dtype) or cells.dtype == object or cells.dtype.name == "category"):
        raise SeriesUnusable(
            sheet.where, f"column {column} holds {cells.dtype}, and no labels",
            advice="Expected names or whole numbers of classes; say which column holds them (label).",
        )  # fmt: skip
    found[stated] = [str(cell).strip() or None for cell in cells[stated]]
    return found


def joined_ids(sheet: Sheet, names: Sequence[str]) -> np.ndarray:
    """Returns what one or several columns call the series, str (row,).

    Raises:
        SeriesUnusable: a cell is empty.
    """
    columns = []
    for name in names:
        cells = sheet.frame[name]
        if cells.isna().any():
            row = int(np.argmax(cells.isna().to_numpy()))
            raise SeriesUnusable(
                sheet.where, f"{sheet.place(row)} does not say which series it belongs to (column {name})",
                advice="State it in each row, or say which column does (series).",
            )  # fmt: skip
        if pd.api.types.is_float_dtype(cells.dtype) and (cells == np.floor(cells)).all():
            cells = cells.astype(np.int64)
        columns.append(cells.astype(str).str.strip())
    joined = columns[0]
    for column in columns[1:]:
        joined = joined + "_" + column
    return joined.to_numpy(str)


def _ids(sheet: Sheet, roles: Roles, wanted: Wanted) -> tuple[np.ndarray, tuple[str, ...]]:
    """Names the series, and the columns that do so."""
    for name in [] if wanted.series else roles.series:
        if sheet.frame[name].is_unique and sheet.frame[name].notna().all():
            return joined_ids(sheet, [name]), (name,)
    if not wanted.series:
        return np.arange(len(sheet.frame)).astype(str), ()
    ids = joined_ids(sheet, wanted.series)
    twins = pd.Series(ids).duplicated().to_numpy()
    if twins.any():
        row = int(np.argmax(twins))
        raise SeriesUnusable(
            sheet.where, f"series {ids[row]} occurs twice, the second time in {sheet.place(row)}",
            advice="Keep one row of each, or give several columns that tell the rows apart (series).",
        )  # fmt: skip
    return ids, wanted.series
