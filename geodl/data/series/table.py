"""A table of time series: values over time of fields, pixels or stations, with dates, labels and places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import shapely
from pyproj import CRS, Transformer

from geodl.contract import Band, ClassInfo
from geodl.errors import BandMismatch, SeriesUnusable

__all__ = ("SeriesTable",)


@dataclass(frozen=True)
class SeriesTable:
    """Series of the same bands, each on dates of its own.

    Raises:
        SeriesUnusable: arrays do not fit one another; days of a series are not strictly increasing; there is no series.
    """

    name: str
    """For messages: the file's stem."""
    values: np.ndarray
    """float32 (series, time, band), in physical units; not-a-number where not observed, and behind the end of a series that
    is shorter than others."""
    days: np.ndarray
    """float32 (series, time), strictly increasing in each series: the day of the year, 1 being the 1st of January of the
    year in which the series begins, so that 366 and more follow where it goes on in the next; positions 0, 1, 2, … where
    nobody states dates. Not-a-number behind the end of a shorter series."""
    bands: tuple[Band, ...]
    ids: np.ndarray
    """str (series,): what each is called in messages and in what is written; unique."""
    dated: bool = True
    """Whether `days` are days of the year, and not positions."""
    years: np.ndarray | None = None
    """int (series,): the year in which each begins; None where nobody states it."""
    labels: np.ndarray | None = None
    """int (series,): position in `classes`, −1 where unlabelled; None: no labels."""
    classes: tuple[ClassInfo, ...] = ()
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further columns by name, such as parcel and region, each (series,)."""
    geometry: np.ndarray | None = None
    """shapely geometries (series,), points or polygons; None: nobody states where they are."""
    crs: CRS | None = None
    """Of `geometry`."""
    parts: np.ndarray | None = None
    """str (series,): train, validation or test where the file has an official split."""

    def __post_init__(self) -> None:
        count, length = self.values.shape[:2] if self.values.ndim == 3 else (0, 0)
        if not count:
            problem = f"there is none (values of shape {self.values.shape})"
            raise SeriesUnusable(self.name, problem, advice="Give a table with at least one series.")
        if not length or self.values.shape[2] != len(self.bands) or self.days.shape != (count, length):
            raise SeriesUnusable(
                self.name,
                f"values {self.values.shape}, days {self.days.shape} and {len(self.bands)} bands do not fit one another",
                advice="Expected values (series, time, band) and days (series, time).",
            )
        others = {
            "ids": self.ids,
            "years": self.years,
            "labels": self.labels,
            "geometry": self.geometry,
            "parts": self.parts,
            **self.columns,
        }
        for name, column in others.items():
            if column is not None and np.shape(column) != (count,):
                raise SeriesUnusable(
                    self.name,
                    f"{name} has shape {np.shape(column)}",
                    advice=f"Expected one value for each of the {count} series.",
                )
        steps = np.diff(self.days, axis=1)
        wrong = np.flatnonzero((steps <= 0).any(1))
        if len(wrong):
            at = int(np.argmax(steps[wrong[0]] <= 0))
            pair = self.days[wrong[0], at : at + 2].tolist()
            raise SeriesUnusable(
                f"{self.name}, series {self.ids[wrong[0]]}",
                f"day {pair[1]:g} follows day {pair[0]:g}"
                + (f", and {len(wrong) - 1} other series are alike" if len(wrong) > 1 else ""),
                advice="Expected dates in their order, each once.",
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def length(self) -> int:
        """Dates of the longest series."""
        return self.values.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """Dates of each series, observed or not: int (series,)."""
        return np.isfinite(self.days).sum(1)

    @property
    def observed(self) -> np.ndarray:
        """Whether any band of any date of each series was observed: bool (series,)."""
        return np.asarray(np.isfinite(self.values).any((1, 2)))

    @property
    def counts(self) -> np.ndarray:
        """Series of each class: int (class,)."""
        labels = np.full(len(self), -1) if self.labels is None else self.labels
        return np.bincount(labels[labels >= 0], minlength=len(self.classes))

    def take(self, rows: np.ndarray) -> Self:
        """Returns some of the series, by position (int) or as a mask (bool), of at least one."""

        def of(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[rows]

        return replace(
            self,
            values=self.values[rows],
            days=self.days[rows],
            ids=self.ids[rows],
            years=of(self.years),
            labels=of(self.labels),
            columns={name: column[rows] for name, column in self.columns.items()},
            geometry=of(self.geometry),
            parts=of(self.parts),
        )

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the table with these bands, in this order.

        Raises:
            BandMismatch: one is missing.
        """
        found = [band.name for band in self.bands]
        if not set(names) <= set(found):
            raise BandMismatch(self.name, expected=names, received=found)
        places = [found.index(name) for name in names]
        return replace(self, values=self.values[..., places], bands=tuple(self.bands[k] for k in places))

    def lonlat(self) -> np.ndarray | None:
        """Returns where the series are: centroids, longitude and latitude in degrees, (series, 2); None if not stated.

        Of a series without a place it is not-a-number.
        """
        if self.geometry is None or self.crs is None:
            return None
        centres = np.array(shapely.centroid(self.geometry), object)
        # There are no coordinates of an empty point; of none they are not-a-number.
        centres[shapely.is_empty(centres)] = None
        transformer = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        moved = np.column_stack(transformer.transform(shapely.get_x(centres), shapely.get_y(centres)))
        return np.where(np.isfinite(moved), moved, np.nan)
