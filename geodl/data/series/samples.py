"""Samples of series: the values of a place over time, their days, and what grows there."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any, Literal

import numpy as np
import shapely
from pyproj import Transformer

from geodl.data.places import Place
from geodl.data.series.augmentation import SeriesAugmentation
from geodl.data.series.calendar import pad_days
from geodl.data.series.table import SeriesTable
from geodl.errors import NoValidPixels, OptionError, SeriesUnusable

__all__ = ("SPLIT_COLUMN", "SeriesSamples", "input_arrays")

SPLIT_COLUMN = "split group"
"""Column of a table that names what its series were split by, such as a parcel; none of these is in two parts."""

_LOG = logging.getLogger("geodl")

Sample = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]


def input_arrays(table: SeriesTable, *, length: int | None = None) -> dict[str, np.ndarray]:
    """Returns what a network of series gets.

    Args:
        table: any, labelled or not.
        length: dates of each series, at least `table.length`, which is the default.

    Returns:
        `values` float32 (series, length, band), not-a-number where not observed and behind the end of shorter series;
        `days` float32 (series, length), finite, strictly increasing: behind the end they go on by 1.

    Raises:
        OptionError: series are longer than that.
    """
    length = table.length if length is None else length
    if length < table.length:
        raise OptionError("length", expected=f"at least {table.length}, dates of the longest series", received=length)
    values = table.values.astype(np.float32, copy=False)
    if length > table.length:
        values = np.pad(values, ((0, 0), (0, length - table.length), (0, 0)), constant_values=np.nan)
    return {"values": values, "days": pad_days(table.days.astype(np.float32, copy=False), length)}


class SeriesSamples:
    """The labelled series of a table: see `geodl.data.samples.Samples`.

    Series without a label, and those of which nothing was observed, are left out; a warning says how many.

    Args:
        table: with labels.
        length: dates of each sample; shorter series are padded, see `input_arrays`. Default: those of the longest one.
        sampling: `balanced`: each class is drawn equally often; `random`: each series once per pass.
        augment: changes each sample that is read.

    Raises:
        SeriesUnusable: no series has a label and an observation.
        OptionError: series are longer than `length`.

    Example:

    >>> from geodl.data.simulate.phenology import simulate_series
    >>> samples = SeriesSamples(simulate_series(20, seed=0, irregular=False))
    >>> x, y, weight = samples.read(0, np.random.default_rng(0))
    >>> x["values"].shape, x["days"].shape, y.shape, weight.shape
    ((73, 4), (73,), (), ())
    """

    def __init__(
        self,
        table: SeriesTable,
        *,
        length: int | None = None,
        sampling: Literal["balanced", "random"] = "balanced",
        augment: SeriesAugmentation | None = None,
    ) -> None:
        if sampling not in ("balanced", "random"):
            raise OptionError("data.sampling", expected="balanced or random", received=sampling)
        self.table, self.sampling, self.augment = table, sampling, augment
        self.rows = _usable(table)
        """int (samples,): positions in `table` of the series that are samples."""
        assert table.labels is not None
        self._y = table.labels[self.rows].astype(np.int32)
        kept = table if len(self.rows) == len(table) else table.take(self.rows)
        self._x = input_arrays(kept, length=length)
        self.class_counts: np.ndarray = np.bincount(self._y, minlength=len(table.classes)).astype(np.int64)
        """Samples of each class, int64 (class,)."""
        # Those of a class lie one behind the other, so that one of it is drawn by its position alone.
        self._by_class = np.argsort(self._y, kind="stable")
        self._ends = np.cumsum(self.class_counts)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def length(self) -> int:
        """Dates of each sample."""
        return self._x["days"].shape[1]

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        means, stds = [], []
        for k, band in enumerate(self.table.bands):
            column = self._x["values"][..., k]
            seen = column[np.isfinite(column)].astype(np.float64)
            if not len(seen):
                raise NoValidPixels(self.table.name, f"Band {band.name} was never observed in the training series")
            means.append(seen.mean())
            stds.append(seen.std())
        mean, std = np.array(means), np.array(stds)
        constant = std <= 1e-7 * np.abs(mean)
        if constant.any():
            which = ", ".join(band.name for band, same in zip(self.table.bands, constant, strict=True) if same)
            _LOG.warning("Band(s) %s have one value in all training series: nothing can be learnt from them.", which)
        return mean, np.where(constant, 1.0, std)

    @property
    def mean(self) -> np.ndarray:
        """Mean of each band over what was observed: float64 (band,), in physical units.

        Raises:
            NoValidPixels: a band was never observed.
        """
        return self._moments[0]

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each band over what was observed: float64 (band,); 1 where a band is constant.

        Raises:
            NoValidPixels: a band was never observed.
        """
        return self._moments[1]

    def arrays(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns all samples as they are, not augmented: `x` with the series first, and `y` int32 (samples,)."""
        return self._x, self._y

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray | None:
        """Draws samples as `sampling` says; None for `random`. See `geodl.data.samples.DrawnSamples`."""
        if self.sampling == "random":
            return None
        kinds = rng.choice(np.flatnonzero(self.class_counts), count)
        places = self._ends[kinds] - self.class_counts[kinds] + rng.integers(self.class_counts[kinds])
        return np.asarray(self._by_class[places])

    def read(self, index: int, rng: np.random.Generator) -> Sample:
        """Reads one sample. See `read_batch` for the arrays, here without the batch axis."""
        x, y, weight = self.read_batch(np.array([index]), rng)
        return {name: array[0] for name, array in x.items()}, y[0], weight[0]

    def read_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Sample:
        """Reads several samples at once.

        Args:
            indices: (batch,).
            rng: source of chance of the augmentation.

        Returns:
            `x`: `values` float32 (batch, time, band), not-a-number where not observed, and `days` float32 (batch, time),
            finite and increasing; `y` int32 (batch,), positions in the classes; `weight` float32 (batch,), all 1.
        """
        values, days = self._x["values"][indices], self._x["days"][indices]
        if self.augment is not None:
            values, days = self.augment(values, days, rng)
        return {"values": values, "days": days}, self._y[indices], np.ones(len(indices), np.float32)

    def place(self, index: int) -> Place:
        """Returns where a series lies, when it was observed, and the group that it was split by; see `Samples`.

        The time is that of the first and last date where the years are known. Without geometry only groups are compared.
        """
        return self._places[index]

    @cached_property
    def _places(self) -> list[Place]:
        table, rows = self.table, self.rows
        shapes, space = _footprints(table, rows)
        times = _times(table, rows)
        groups = table.columns.get(SPLIT_COLUMN)
        return [
            Place(
                shapes[k],
                space,
                # Without a footprint a series would be taken to overlap all whose times overlap its own.
                time=None if times is None or shapes[k] is None else times[k],
                group=None if groups is None else str(groups[row]),
                name=f"{table.name}, series {table.ids[row]}",
                source=table.name,
            )
            for k, row in enumerate(rows)
        ]


def _usable(table: SeriesTable) -> np.ndarray:
    if table.labels is None or not (table.labels >= 0).any():
        raise SeriesUnusable(
            table.name,
            "none of the series has a label" if table.labels is None else "every label is that of no class",
            advice="Name the column of the labels (data.label), and check data.classes.",
        )
    labelled, observed = table.labels >= 0, table.observed
    usable = np.flatnonzero(labelled & observed)
    if not len(usable):
        raise SeriesUnusable(
            table.name,
            f"nothing was observed of any of the {labelled.sum()} labelled series",
            advice="Check the value that means nodata, the cloud mask and the dates.",
        )
    reasons = [
        f"{count} {'is' if count == 1 else 'are'} {why}"
        for count, why in (
            (int((~labelled).sum()), "without a label"),
            (int((labelled & ~observed).sum()), "without any observation"),
        )
        if count
    ]
    if reasons:
        left = len(table) - len(usable)
        _LOG.warning("%s: %d of %d series left out: %s.", table.name, left, len(table), " and ".join(reasons))
    return usable


def _footprints(table: SeriesTable, rows: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns a geometry, or None, of each sample, and the space that they are in."""
    if table.geometry is None:
        return np.full(len(rows), None), table.name
    if table.crs is None:
        return table.geometry[rows], table.name
    transformer = Transformer.from_crs(table.crs, "EPSG:4326", always_xy=True)

    def to_lonlat(points: np.ndarray) -> np.ndarray:
        return np.column_stack(transformer.transform(*points.T))

    return np.asarray(shapely.transform(table.geometry[rows], to_lonlat)), "lonlat"


def _times(table: SeriesTable, rows: np.ndarray) -> list[tuple[Any, Any]] | None:
    """Returns the first and last date of each, or None where the years are not known."""
    if table.years is None or not table.dated:
        return None
    start = (table.years[rows] - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    days, last = table.days[rows], table.lengths[rows] - 1
    ends = days[np.arange(len(rows)), last]
    first, final = (start + np.floor(day - 1).astype("timedelta64[D]") for day in (days[:, 0], ends))
    return list(zip(first, final, strict=True))
