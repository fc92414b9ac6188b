"""Records: series as a file states them, whose dates are no days of the year yet and whose labels are no classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from pyproj import CRS

from geodl.contract import ClassInfo
from geodl.data.series.table import SeriesTable
from geodl.errors import BandMismatch, SeriesUnusable

__all__ = ("Records", "table_records")

_LOG = logging.getLogger("geodl")


@dataclass(frozen=True)
class Records:
    """Series of the same bands."""

    where: str
    """For messages."""
    name: str = field(default="", kw_only=True)
    """Of the table that is made of them; by default that of `where`, without folder and ending."""
    values: np.ndarray
    """float32 (series, time, band), not-a-number where not observed."""
    times: np.ndarray
    """(series, time): dates, datetime64[D]; or, in float64, days of a year that nobody states, or positions. Not-a-time or
    not-a-number behind the end of a shorter series."""
    bands: tuple[str, ...]
    ids: np.ndarray
    """str (series,)."""
    dated: bool = True
    """Whether `times` are dates or days of the year, and not positions."""
    numbered: bool = False
    """Whether `ids` only count the rows."""
    labels: np.ndarray | None = None
    """(series,): whole numbers, texts, and None where unlabelled, as objects."""
    classes: tuple[ClassInfo, ...] = ()
    """Where they are known already."""
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    geometry: np.ndarray | None = None
    crs: CRS | None = None
    parts: np.ndarray | None = None
    """See `SeriesTable` for the rest."""

    def __len__(self) -> int:
        return len(self.values)

    def select(self, names: Sequence[str]) -> Self:
        """Returns them with these bands, in this order.

        Raises:
            BandMismatch: one is missing.
        """
        if not set(names) <= set(self.bands):
            raise BandMismatch(self.where, expected=names, received=self.bands)
        places = [self.bands.index(name) for name in names]
        return replace(self, values=self.values[..., places], bands=tuple(names))

    def clear(self, cloud_band: str, cloud_values: Sequence[float]) -> Self:
        """Returns them without the observations at which one band has one of some values."""
        cloud = np.isin(self.values[..., self.bands.index(cloud_band)], np.asarray(cloud_values, np.float32))
        return replace(self, values=np.where(cloud[..., None], np.float32(np.nan), self.values))

    def sorted(self) -> Self:
        """Returns them with the dates of each series in order, and none behind the last; warns of those that were not.

        Raises:
            SeriesUnusable: a date occurs twice in one series, or a value has no date.
        """
        absent = np.isnat(self.times) if self.times.dtype.kind == "M" else np.isnan(self.times)
        lost = np.argwhere(absent & np.isfinite(self.values).any(2))
        if len(lost):
            series, at = lost[0]
            raise SeriesUnusable(
                f"{self.where}, series {self.ids[series]}",
                f"the {at + 1}. of its observations has no date",
                advice="State the date of each, or leave the observation out.",
            )
        order = np.argsort(self.times, axis=1, kind="stable")
        times = np.take_along_axis(self.times, order, 1)
        absent = np.take_along_axis(absent, order, 1)
        same = np.argwhere((times[:, 1:] == times[:, :-1]) & ~absent[:, 1:])
        if len(same):
            series, at = same[0]
            others = len(np.unique(same[:, 0])) - 1
            what = f"{times[series, at]}" if times.dtype.kind == "M" else f"day {times[series, at]:g}"
            raise SeriesUnusable(
                f"{self.where}, series {self.ids[series]}",
                f"{what if self.dated else what.replace('day', 'position')} occurs twice"
                + (f", and {others} other series {'is' if others == 1 else 'are'} alike" if others else ""),
                advice="Keep one observation of each date, or say which columns tell the series apart (series).",
            )
        moved = int((order != np.arange(order.shape[1])).any(1).sum())
        if moved:
            _LOG.warning("%s: the dates of %s series were not in order; they are sorted.", self.where, moved)
        length = max(1, int((~absent).sum(1).max()))
        values = np.take_along_axis(self.values, order[..., None], 1) if moved else self.values
        return replace(self, values=values[:, :length], times=times[:, :length])


def table_records(table: SeriesTable) -> Records:
    """Takes a table back to what a file would state."""
    times = table.days.astype(np.float64)
    if table.dated and table.years is not None:
        begin = (table.years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        offsets = np.where(np.isnan(times), 0, times - 1).astype("timedelta64[D]")
        times = np.where(np.isnan(times), np.datetime64("NaT", "D"), begin[:, None] + offsets)
    labels = None
    if table.labels is not None:
        names = np.array([*(each.name for each in table.classes), None], object)
        labels = names[np.where(table.labels < 0, len(names) - 1, table.labels)]
    return Records(
        table.name, table.values, times, tuple(band.name for band in table.bands), table.ids, table.dated,
        labels=labels, classes=table.classes, columns=table.columns, geometry=table.geometry, crs=table.crs,
        parts=table.parts,
    )  # fmt: skip
