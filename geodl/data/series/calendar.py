"""Calendars: the dates that series share, and how a source is brought to those that a network was trained on."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geodl.data.series.matching import best_match, match_days
from geodl.data.series.table import SeriesTable
from geodl.errors import DatesMismatch, OptionError

__all__ = ("common_days", "fit_days", "match_days", "pad_days", "take_days")

_LEAP = 1.5
"""Days by which one calendar may differ from year to year."""
_LEAST = 0.5
"""Share of the calendar that a source must have for a network of fixed length."""


def common_days(table: SeriesTable) -> tuple[float, ...]:
    """Returns the calendar of a table: the days on which all its series were observed.

    Args:
        table: any.

    Returns:
        Days of the year as in `SeriesTable.days`, where all series have the same number of dates and agree in them to
        within 1.5 days (leap years); the median of these. Positions 0, 1, … where nobody states dates and all series are
        of one length. Empty where the series have no common calendar.

    Example:

    >>> common_days(simulate_series(10, seed=0, irregular=False, revisit=16))[:3]
    (1.0, 17.0, 33.0)
    """
    days = table.days.astype(np.float64)
    if not np.isfinite(days).all():
        return ()
    if not table.dated:
        return tuple(days[0].tolist()) if (days == days[0]).all() else ()
    # A series that begins on 31 December is of the same calendar as one that begins on 1 January.
    days = days - 365 * np.round((days[:, :1] - days[0, 0]) / 365)
    calendar = np.quantile(days, 0.5, axis=0, method="inverted_cdf")
    step = np.diff(calendar).min(initial=_LEAP)
    if np.abs(days - calendar).max() > min(_LEAP, step):
        return ()
    return tuple((calendar - 365 * np.floor((calendar[0] - 1) / 366)).tolist())


def fit_days(
    values: np.ndarray,
    days: np.ndarray,
    calendar: Sequence[float] | np.ndarray,
    *,
    fixed: int | None = None,
    name: str = "The source",
) -> tuple[np.ndarray, np.ndarray]:
    """Brings series to the dates that a network gets.

    A source that has all dates of the calendar gives these alone, under the calendar's days. One that lacks some gives
    what it has to a network of any length; to one of fixed length it gives the calendar, not-a-number on the dates that
    it lacks. Series with dates of their own are treated each for itself.

    Args:
        values: (…, time, band), not-a-number where not observed.
        days: (time,), of all series, or (series, time) with values (series, time, band).
        calendar: that of the network's contract; empty where it has none.
        fixed: dates that the network eats; None or 0: any number.
        name: of the source, for messages.

    Returns:
        Values (…, length, band) and days as many-dimensional as those given, finite and increasing; behind the end of
        shorter series values are not-a-number and days go on by 1.

    Raises:
        DatesMismatch: for a network of fixed length, a series has less than half of the calendar's dates, or, where there
            is no calendar, more dates than the network eats.
    """
    wanted = np.asarray(calendar, np.float64)
    if days.ndim == 1:
        taken, fitted = _fit(days, wanted, fixed, name)
        return _taken(values, taken), fitted.astype(np.float32)
    if (days == days[0]).all():
        taken, fitted = _fit(days[0], wanted, fixed, name)
        return _taken(values, taken), np.tile(fitted.astype(np.float32), (len(days), 1))
    kinds, of = np.unique(np.where(np.isfinite(days), days, np.inf), axis=0, return_inverse=True)
    fits = [_fit(np.where(np.isfinite(kind), kind, np.nan), wanted, fixed, name) for kind in kinds]
    length = max(len(taken) for taken, _ in fits)
    took = np.full((len(kinds), length), -1)
    fitted = np.full((len(kinds), length), np.nan)
    for k, (taken, found) in enumerate(fits):
        took[k, : len(taken)], fitted[k, : len(found)] = taken, found
    of = of.reshape(-1)
    rows = took[of]
    chosen = np.take_along_axis(values, np.maximum(rows, 0)[..., None], axis=1)
    chosen[rows < 0] = np.nan
    return chosen, pad_days(fitted)[of].astype(np.float32)


def pad_days(days: np.ndarray, length: int | None = None) -> np.ndarray:
    """Lets days go on by 1 behind the end of shorter series.

    Args:
        days: (series, time), not-a-number behind the end.
        length: dates of the result, at least those of `days`; default: the same.

    Returns:
        (series, length), finite and strictly increasing.
    """
    count, time = days.shape
    padded = np.full((count, length or time), np.nan, days.dtype)
    padded[:, :time] = days
    known = np.isfinite(padded)
    if known.all():
        return padded
    ends = known.sum(1)
    last = np.where(ends > 0, padded[np.arange(count), np.maximum(ends - 1, 0)], 0)
    beyond = np.arange(padded.shape[1]) - ends[:, None] + 1
    return np.where(known, padded, (last[:, None] + beyond).astype(days.dtype))


def take_days(table: SeriesTable, days: Sequence[float | str | datetime.date]) -> SeriesTable:
    """Returns a table with some dates only.

    Args:
        table: any.
        days: what to take, increasing: days as in `SeriesTable.days`, or ISO dates. These are found in the same season of
            another year, too, where a series has no date near them.

    Returns:
        The table with one date for each of `days`: the series' own where it has one near (see `match_days`); where it has
        none, the one asked for, on which nothing was observed.

    Raises:
        OptionError: the days are none, or not in order.
        DatesMismatch: no series has any of them; or they are dates and the table has none.

    Example:

    >>> take_days(table, ["2018-04-01", "2018-05-01", "2018-06-01"]).length
    3
    """
    wanted, first = _as_days(days)
    if first is not None and not table.dated:
        raise DatesMismatch(
            table.name,
            expected=f"dates such as {days[0]}",
            received=f"series of up to {table.length} observations without dates",
            advice="Name the positions to take, counted from 0, or state the column of the dates (data.time).",
        )
    years = np.zeros(len(table), int) if table.years is None or first is None else np.asarray(table.years, int)
    # The same dates and the same year make the same choice: it is made once.
    known = np.where(np.isfinite(table.days), table.days, np.inf)
    kinds, at, of = np.unique(np.column_stack([years, known]), axis=0, return_index=True, return_inverse=True)
    took, shown = np.full((len(kinds), len(wanted)), -1), np.empty((len(kinds), len(wanted)))
    for k, row in enumerate(at):
        asked = wanted
        if first is not None and table.years is not None:
            asked = wanted + _days_between(int(years[row]), first)
        own = table.days[row].astype(np.float64)
        took[k], offset = best_match(own, asked if table.dated else wanted, dated=table.dated)
        shown[k] = np.where(took[k] >= 0, own[took[k]], asked + offset)
    rows = took[of.reshape(-1)]
    if (rows < 0).all():
        held = table.days[np.isfinite(table.days)]
        raise DatesMismatch(
            table.name,
            expected=f"dates near {', '.join(map(str, days[:4]))}{' …' if len(days) > 4 else ''}",
            received=f"days {held.min():g} to {held.max():g}, counted from 1 January (day 1) of the year of the first",
            advice="Ask for dates that the series have (data.dates).",
        )
    values = np.take_along_axis(table.values, np.maximum(rows, 0)[..., None], axis=1)
    values[rows < 0] = np.nan
    taken = replace(table, values=values, days=shown[of.reshape(-1)].astype(np.float32))
    return _rebased(taken) if table.dated else taken


def _as_days(days: Sequence[float | str | datetime.date]) -> tuple[np.ndarray, int | None]:
    """Returns increasing days, and the year that they are counted from where they were given as dates."""
    first = None
    try:
        if days and not any(isinstance(day, int | float | np.number) for day in days):
            dates = np.array([np.datetime64(day, "D") for day in days])  # type: ignore[call-overload]
            first = int(str(dates[0])[:4])
            wanted = (dates - np.datetime64(f"{first:04d}-01-01", "D")).astype(np.float64) + 1
        else:
            wanted = np.asarray(days, np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError("data.dates", expected="days, or dates such as 2018-05-01", received=list(days)) from error
    if not len(wanted) or not np.isfinite(wanted).all() or (np.diff(wanted) <= 0).any():
        raise OptionError("data.dates", expected="at least one date, in order and each once", received=list(days))
    return wanted, first


def _days_between(year: int, later: int) -> float:
    """Days from the 1st of January of one year to that of another."""
    return float((datetime.date(later, 1, 1) - datetime.date(year, 1, 1)).days)


def _rebased(table: SeriesTable) -> SeriesTable:
    """Counts days from the year in which each series begins, after its first dates were left out."""
    days, years = table.days.astype(np.float64), None if table.years is None else np.array(table.years, int)
    while True:
        lengths = np.full(len(days), 365.0)
        if years is not None:
            lengths = np.array([_days_between(year, year + 1) for year in years.tolist()])
        else:
            lengths += days[:, 0] == 366
        late = days[:, 0] > lengths
        if not late.any():
            return replace(table, days=days.astype(np.float32), years=years)
        days[late] -= lengths[late, None]
        if years is not None:
            years = years + late


def _fit(days: np.ndarray, wanted: np.ndarray, fixed: int | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for series of one set of dates, the positions to take (−1: none) and the days to show."""
    own = days[np.isfinite(days)].astype(np.float64)
    as_is = np.arange(len(own))
    if not len(wanted):
        if fixed and len(own) > fixed:
            raise _too_many(name, fixed, len(own))
        length = max(fixed or len(own), 1)
        return np.concatenate([as_is, np.full(length - len(own), -1)]), pad_days(own[None], length)[0]
    if wanted[0] <= 0 and len(own) > len(wanted):
        if fixed:
            raise _too_many(name, len(wanted), len(own))
        return as_is, own
    taken = best_match(own, wanted)[0]
    missing = int((taken < 0).sum())
    if missing and not fixed:
        return (as_is, own) if len(own) else (np.array([-1]), np.ones(1))
    if len(wanted) - missing < _LEAST * len(wanted):
        has = f"days {own[0]:g} to {own[-1]:g}" if len(own) else "none"
        raise DatesMismatch(
            name,
            expected=f"at least half of {len(wanted)} dates, days {wanted[0]:g} to {wanted[-1]:g}",
            received=f"{len(own)} dates ({has}), {len(wanted) - missing} of them near these",
            advice="Give series of the same season, or train a network that takes any dates (an LSTM or a transformer).",
        )
    return taken, wanted


def _too_many(name: str, expected: int, received: int) -> DatesMismatch:
    return DatesMismatch(
        name,
        expected=f"{expected} observations",
        received=str(received),
        advice="Choose the dates to take (data.dates), or train a network that takes any number of them.",
    )


def _taken(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    if np.array_equal(positions, np.arange(values.shape[-2])):
        return values
    taken = np.take(values, np.maximum(positions, 0), axis=-2)
    taken[..., positions < 0, :] = np.nan
    return taken
