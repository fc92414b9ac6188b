"""What the series of a table have in common, and must not have on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import shapely

from geodl.data.series.table import SeriesTable
from geodl.data.splits import group_keys
from geodl.errors import SplitError

__all__ = ("SeriesBy", "choose_by", "column_keys", "group_series", "parcel_column", "same_place")

SeriesBy = Literal["auto", "official", "column", "group", "year", "blocks", "random", "none"]

_PARCELS = ("parcel", "polygon", "field", "plot", "farm")
"""What a column of parcels is called; perhaps with id, number or the like behind it."""
_HALVINGS = 8


def choose_by(table: SeriesTable, *, column: str | None = None, pattern: str | None = None) -> SeriesBy:
    """Returns what `auto` stands for.

    Returns:
        `official` where the file states parts; `group` where there is a `pattern`; `column` where one is named, or one that
        is called like parcels (`parcel`, `polygon_id`, …) has several series of one; `blocks` where all series have
        coordinates and are not all at one place; else `random`.
    """
    if table.parts is not None:
        return "official"
    if pattern:
        return "group"
    found = column or parcel_column(table)
    if column or (found and 1 < len(np.unique(table.columns[found])) < len(table)):
        return "column"
    places = table.lonlat()
    if places is None or not np.isfinite(places).all():
        return "random"
    return "blocks" if len(np.unique(places, axis=0)) > 1 else "random"


def parcel_column(table: SeriesTable) -> str | None:
    """Returns the column that is called like parcels, or None."""

    def stem(name: str) -> str:
        letters = "".join(filter(str.isalpha, name.lower()))
        return next((letters.removesuffix(end) for end in ("identifier", "number", "name", "no", "id", "s") if
                     letters.endswith(end)), letters)  # fmt: skip

    return next((name for kind in _PARCELS for name in table.columns if stem(name) == kind), None)


def group_series(
    table: SeriesTable,
    by: SeriesBy,
    column: str | None,
    degrees: float,
    pattern: str | None,
    divide: int | None,
    blocks: int,
) -> Sequence[tuple]:
    """Returns one key per series, the same for those that stay together.

    Args:
        table, by, column, degrees, pattern, divide: see `geodl.data.series.splitting.split_series`.
        blocks: `degrees` is halved until there are so many, if there can be.

    Raises:
        SplitError: the table lacks what it shall be grouped by.
    """
    if by == "year":
        if table.years is None:
            raise SplitError(
                f"{table.name} states no years.", advice="Give dates with years, or name a column (data.split.column)."
            )
        return [(f"year {year}",) for year in table.years.tolist()]
    if by == "column":
        found = column or parcel_column(table)
        if found is None:
            raise SplitError(
                "by column needs a column.",
                advice=f"Set data.split.column to one of: {', '.join(table.columns) or 'none; the table has no others'}.",
            )
        return column_keys(table, found)
    if by == "group":
        names = [str(name) for name in (table.ids if column is None else _column(table, column))]
        return group_keys(names, pattern, divide)
    places = table.lonlat()
    if places is None or not np.isfinite(places).all():
        problem = "states no coordinates (or no CRS)" if places is None else "has series without coordinates"
        raise SplitError(
            f"{table.name} {problem}, which blocks need.", advice="Split by column, year or random instead."
        )
    if not degrees > 0:
        raise SplitError(f"degrees is {degrees}.", advice="Expected the side of a block in degrees, above 0.")
    for halving in range(_HALVINGS + 1):
        side = degrees / 2**halving
        cells = np.floor(places / side)
        if len(np.unique(cells, axis=0)) >= blocks:
            break
    return [(f"block {west:.6g}, {south:.6g}",) for west, south in (cells * side).tolist()]


def _column(table: SeriesTable, name: str) -> np.ndarray:
    if name not in table.columns:
        raise SplitError(
            f"{table.name} has no column {name!r}.",
            advice=f"Set data.split.column to one of: {', '.join(table.columns) or 'none; the table has no others'}.",
        )
    return np.asarray(table.columns[name])


def column_keys(table: SeriesTable, name: str) -> list[tuple]:
    """Returns the key of each series by what it has in a column. Raises `SplitError` if there is none of this name."""
    return [(f"{name} {value}",) for value in _column(table, name).tolist()]


def same_place(table: SeriesTable) -> np.ndarray:
    """Returns a number for each series, from 0 without gaps, the same for those whose geometry is the same."""
    if table.geometry is None:
        return np.arange(len(table))
    # A series without a place is of none but its own.
    keys = [shape or k for k, shape in enumerate(shapely.to_wkb(table.geometry).tolist())]
    numbers: dict[bytes | int, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])
