"""Dates in tables: in cells, in the names of columns, and those that the user states."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from geodl.data.series.records import Records
from geodl.data.series.sheets import Sheet
from geodl.errors import DatesMismatch, OptionError, SeriesUnusable

__all__ = ("DatedColumns", "cell_times", "dated_columns", "with_dates")

_DATE = (
    r"(?P<y>(?:19|20)\d\d)(?P<s>[-_./]?)"
    r"(?:(?P<m>0[1-9]|1[0-2])(?:(?P=s)(?P<d>0[1-9]|[12]\d|3[01]))?|(?P<j>[0-3]\d\d))(?:T\d{4,6})?"
)
"""Year, month and day; year and month; or year and day of the year."""
_KIND = r"(?P<k>t|d|doy|day)?"
_PATTERNS = {
    "dates behind names": re.compile(rf"(?P<name>.*?)[-_. :]?(?<!\d){_DATE}"),
    "dates before names": re.compile(rf"{_DATE}[-_. :](?P<name>.+)"),
    "numbers behind names": re.compile(rf"(?P<name>.+?)[-_. :]{_KIND}(?P<n>\d{{1,4}})", re.IGNORECASE),
    "numbers before names": re.compile(rf"{_KIND}(?P<n>\d{{1,4}})[-_. :](?P<name>.+)", re.IGNORECASE),
    "numbers alone": re.compile(rf"(?P<name>){_KIND}(?P<n>\d{{1,4}})", re.IGNORECASE),
}


@dataclass(frozen=True)
class DatedColumns:
    """Columns that each hold one band on one date."""

    places: Mapping[str, tuple[str, int]]
    """Of each column its band (empty: the only one, without a name) and the position of its date."""
    times: np.ndarray
    """(time,), increasing: datetime64[D], or float64."""
    dated: bool
    """See `Records`."""

    @property
    def bands(self) -> list[str]:
        """The bands, in the order of the columns."""
        return list(dict.fromkeys(band for band, _ in self.places.values()))


def dated_columns(names: Sequence[str], where: str, *, bands: Sequence[str] | None = None) -> DatedColumns | None:
    """Finds the columns called NAME_DATE or DATE_NAME, by what they have in common.

    Dates are 2020-05-01, 20200501, 2020-05, 202005, or 2020122 (year and day of the year), before or behind the name of the
    band and, as a rule, separated from it. Where there are none, whole numbers are looked for in the same way: positions
    if they follow one another (b1_t0, b1_t1, …), days of the year otherwise (NDVI_120, NDVI_136, …) or where they are
    written with d, day or doy.

    Args:
        names: of all columns that may be meant.
        where: for messages.
        bands: only these count; default: all names, but of those with numbers only ones that have about as many as the
            others.

    Returns:
        The columns; None where there are no such ones, or of one date only.

    Raises:
        SeriesUnusable: names can be read in two ways, or two columns hold the same.
    """
    found = {}
    for kind, pattern in _PATTERNS.items():
        matches = {name: match for name in names if (match := pattern.fullmatch(name)) and _possible(match)}
        groups: dict[str, list[str]] = defaultdict(list)
        for name, match in matches.items():
            if bands is None or match["name"] in bands or (not match["name"] and len(bands) == 1):
                groups[match["name"]].append(name)
        if not kind.startswith("dates"):
            most = max(map(len, groups.values()), default=0)
            groups = {band: columns for band, columns in groups.items() if 2 * len(columns) >= most > 1}
        kept = [matches[name] for columns in groups.values() for name in columns]
        if len({_moment(match) for match in kept}) > 1:
            found[kind] = kept
    exact = {kind: kept for kind, kept in found.items() if kind.startswith("dates")}
    ranked = exact or found
    if not ranked:
        return None
    scores = {
        kind: (sum(bool(match.groupdict().get("k")) for match in kept), len(kept)) for kind, kept in ranked.items()
    }
    best = [kind for kind, score in scores.items() if score == max(scores.values())]
    if len(best) > 1:
        raise SeriesUnusable(
            where,
            f"columns such as {ranked[best[0]][0].string} can be read as {' and as '.join(best)}",
            advice="Rename them, for example to NDVI_2020-05-01 or NDVI_t1, or say which are the bands (bands).",
        )
    return _places(ranked[best[0]], where)


def cell_times(sheet: Sheet, column: str) -> tuple[np.ndarray, bool]:
    """Reads a column of dates.

    Dates are those of pandas, ISO texts, or whole numbers such as 20200501. Other numbers are days since 1970 where the
    column's name says so; days of the year, if its name has `day` or `doy` in it (with a column `year`: dates);
    positions otherwise.

    Returns:
        The times (row,), datetime64[D] or float64; and whether they are dates or days.

    Raises:
        SeriesUnusable: a cell holds no date.
    """
    cells = sheet.frame[column]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return _numbers(sheet, column)
    if not pd.api.types.is_datetime64_any_dtype(cells.dtype):
        texts = cells.astype("string").str.strip()
        dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    else:
        dates = pd.to_datetime(cells, utc=True)
    _refuse_no_date(sheet, column, dates.isna().to_numpy())
    return dates.dt.tz_localize(None).to_numpy().astype("datetime64[D]"), True


def with_dates(records: Records, dates: Sequence[Any] | Mapping[str, Any] | None) -> Records:
    """Gives records whose dates nobody states the ones that the user does.

    Args:
        records: any.
        dates: as with `open_series`.

    Raises:
        DatesMismatch: there are more or fewer.
        OptionError: they are none, or the records have dates of their own.
    """
    if dates is None:
        return records
    if records.dated:
        raise OptionError("dates", expected="none, because the table states its own dates", received=dates)
    length = records.values.shape[1]
    if isinstance(dates, Mapping):
        if set(dates) != {"start", "step"} or not isinstance(dates["step"], int) or dates["step"] < 1:
            raise OptionError(
                "dates", expected="start (a date) and step (whole days, at least 1)", received=dict(dates)
            )
        given = _date(dates["start"], dates) + np.arange(length) * np.timedelta64(dates["step"], "D")
    else:
        given = np.array([_date(each, dates) for each in dates], "datetime64[D]")
        if len(given) != length:
            raise DatesMismatch(
                records.where, expected=f"{length} dates, as many as the table has", received=str(len(given)),
                advice="State one for each (dates), or start and step.",
            )  # fmt: skip
    # Positions say only in which order the columns come.
    times = np.where(np.isnan(records.times), np.datetime64("NaT", "D"), given)
    return replace(records, times=times, dated=True)


def _date(text: object, given: object) -> np.datetime64:
    try:
        if isinstance(text, (str, datetime.date, np.datetime64)):
            return np.datetime64(pd.to_datetime(str(text), format="ISO8601").to_datetime64(), "D")
    except ValueError:
        pass
    raise OptionError("dates", expected="ISO dates such as 2020-10-31, or {start: date, step: days}", received=given)


def _numbers(sheet: Sheet, column: str) -> tuple[np.ndarray, bool]:
    cells, name = sheet.frame[column].to_numpy(np.float64, na_value=np.nan), column.lower()
    _refuse_no_date(sheet, column, ~np.isfinite(cells))
    if ((cells >= 19000101) & (cells <= 21001231)).all():
        dates = pd.to_datetime(pd.Series(cells).astype(np.int64).astype(str), format="%Y%m%d", errors="coerce")
        _refuse_no_date(sheet, column, dates.isna().to_numpy())
        return dates.to_numpy().astype("datetime64[D]"), True
    if "1970" in name or "epoch" in name:
        return np.floor(cells).astype(np.int64).astype("datetime64[D]"), True
    if "day" not in name and "doy" not in name:
        return cells, False
    year = next((other for other in sheet.names if other.lower() == "year"), None)
    if year is None or not sheet.numeric(year):
        return np.floor(cells), True
    years = sheet.frame[year].to_numpy(np.float64, na_value=np.nan)
    _refuse_no_date(sheet, year, ~np.isfinite(years))
    begin = (years - 1970).astype(np.int64).astype("datetime64[Y]").astype("datetime64[D]")
    return begin + (np.floor(cells) - 1).astype("timedelta64[D]"), True


def _refuse_no_date(sheet: Sheet, column: str, wrong: np.ndarray) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        cell = sheet.frame[column].iloc[row]
        shown = "no date" if pd.isna(cell) else f"{str(cell)[:40]!r}, which is no date"
        raise SeriesUnusable(
            sheet.where,
            f"{sheet.place(row)} has {shown} in column {column}",
            advice="Expected dates such as 2020-10-31 or 20201031; or say which column holds them (time).",
        )


def _possible(match: re.Match[str]) -> bool:
    return "n" in match.groupdict() or _moment(match) is not None


def _moment(match: re.Match[str]) -> datetime.date | float | None:
    found = match.groupdict()
    if "n" in found:
        return float(found["n"])
    try:
        if found["j"]:
            begin = datetime.date(int(found["y"]), 1, 1)
            return begin + datetime.timedelta(int(found["j"]) - 1) if 1 <= int(found["j"]) <= 366 else None
        return datetime.date(int(found["y"]), int(found["m"]), int(found["d"] or 1))
    except ValueError:
        return None


def _places(matches: Sequence[re.Match[str]], where: str) -> DatedColumns:
    keys = [_moment(match) for match in matches]
    calendar = isinstance(keys[0], datetime.date)
    times, inverse = np.unique(np.array(keys, "datetime64[D]" if calendar else np.float64), return_inverse=True)
    places: dict[str, tuple[str, int]] = {}
    taken: dict[tuple[str, int], str] = {}
    for match, at in zip(matches, inverse.tolist()):
        key = (match["name"], at)
        if key in taken:
            raise SeriesUnusable(
                where, f"columns {taken[key]} and {match.string} are of the same band and date ({times[at]})",
                advice="Keep one of them.",
            )  # fmt: skip
        taken[key], places[match.string] = match.string, key
    written = {(match.groupdict().get("k") or "").lower() for match in matches}
    in_days = (
        calendar or bool(written & {"d", "day", "doy"}) or ("t" not in written and bool((np.diff(times) > 1).any()))
    )
    return DatedColumns(places, times, in_days)
