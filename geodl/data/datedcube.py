"""Cubes of dates: sources of one or of several dates each, on one grid, as one source with a time axis."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from geodl.contract import Band
from geodl.data.source import Source, Window, find_bands
from geodl.errors import BandMismatch, DatesMismatch, GridMismatch, OptionError, SeriesUnusable, UnitMismatch

__all__ = ("DatedCube", "DatedPart", "day_dates")


@dataclass(frozen=True)
class DatedPart:
    """A source, and what it gives to a cube."""

    source: Source
    times: np.ndarray
    """datetime64 (date,): those of the source; one where it has no times of its own; not-a-time where nobody states them."""
    names: tuple[str, ...]
    """What its bands are called in the cube."""


@dataclass(frozen=True)
class _Placed:
    source: Source
    dates: np.ndarray
    """(date,): where each of its dates is on the cube's time axis, −1 where it is not among the cube's."""
    bands: tuple[int, ...]
    """Where each of its bands is among the cube's."""


class DatedCube(Source):
    """Bands on dates that increase, each held by a source of its own or several by one; not-a-number where none has it.

    Args:
        parts: on one grid. Their dates may be in any order, and are whole days unless several times are of one day.
        name: of the cube.

    Raises:
        GridMismatch: one lies on another grid.
        SeriesUnusable: two give the same band on the same date; only some dates are stated.
        DatesMismatch: the parts state no dates and differ in their number; or some of them do and others do not.
        UnitMismatch: a band has another unit in another part.
    """

    times: np.ndarray

    def __init__(self, parts: Sequence[DatedPart], name: str) -> None:
        first = parts[0].source
        for part in parts[1:]:
            differs = first.grid.differs(part.source.grid)
            if differs is not None:
                what, expected, received = differs
                raise GridMismatch(first.name, part.source.name, differs=what, expected=expected, received=received)
        self.name, self.grid = name, first.grid
        self.bands = _common_bands(parts)
        self.times, places = _common_times(parts, name)
        position = {band.name: k for k, band in enumerate(self.bands)}
        self._parts = tuple(
            _Placed(part.source, dates, tuple(position[own] for own in part.names))
            for part, dates in zip(parts, places, strict=True)
        )
        self._refuse_twins()
        self._cloud: int | None = None
        self._cloud_values: tuple[float, ...] = ()
        self._steps: tuple[tuple[int, Band], ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read, as far as their sources know them."""
        return tuple(dict.fromkeys(path for part in self._parts for path in getattr(part.source, "paths", ())))

    def clouded(self, band: str, values: Sequence[float]) -> Self:
        """Returns the same cube without the observations at which a band has one of some values.

        Args:
            band: any of the cube's; selecting others later does not undo it.
            values: stored in it where there is cloud, shadow or whatever else makes a date worthless.

        Raises:
            BandMismatch: there is no such band.
        """
        other = copy.copy(self)
        (other._cloud,) = find_bands(self.name, self.bands, [band])
        other._cloud_values = tuple(values)
        return other

    def stated(
        self, *, scale: float | Mapping[str, float] | None, offset: float | Mapping[str, float] | None,
        nodata: float | Mapping[str, float] | None, but: Sequence[str] = (),
    ) -> Self:  # fmt: skip
        """Returns the same cube with what its files do not state: physical = stored × scale + offset.

        Args:
            scale: for all bands, or by band; None: as the files have it.
            offset: likewise, in physical units.
            nodata: likewise, the stored value that means nodata.
            but: bands that stay as they are, such as codes of clouds.

        Raises:
            OptionError: the files state another scale or offset themselves, or there is no such band.
        """
        known = [band.name for band in self.bands]
        for key, given in {"scale": scale, "offset": offset, "nodata": nodata}.items():
            unknown = [str(name) for name in given if name not in known] if isinstance(given, Mapping) else []
            if unknown:
                raise OptionError(key, expected=f"a number, or one by band ({', '.join(known)})", received=unknown[0])
        other = copy.copy(self)
        steps = []
        bands = list(self.bands)
        for k, band in enumerate(self.bands):
            if band.name in but:
                continue
            wanted = replace(band, **_chosen({"scale": scale, "offset": offset, "nodata": nodata}, band.name))
            packed = (band.scale, band.offset) != (1, 0)
            if packed and (wanted.scale, wanted.offset) != (band.scale, band.offset):
                key, own = ("scale", band.scale) if wanted.scale != band.scale else ("offset", band.offset)
                raise OptionError(
                    key,
                    expected=f"none, or {own:g}, which is what the files state for band {band.name}",
                    received=wanted.scale if key == "scale" else wanted.offset,
                )
            if wanted != band:
                # What the files state has been applied already when these values are read.
                missing = None if wanted.nodata is None else wanted.nodata * band.scale + band.offset
                step = Band(band.name) if packed else wanted
                steps.append((k, replace(step, nodata=missing)))
                bands[k] = wanted
        other.bands, other._steps = tuple(bands), (*self._steps, *steps)
        return other

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same cube with these bands in this order, and without dates on which none of them was taken.

        Raises:
            BandMismatch: one is missing.
        """
        positions = find_bands(self.name, self.bands, names)
        if len(set(positions)) < len(positions):
            raise BandMismatch(self.name, expected=names, received=["one of them twice"])
        becomes = {old: new for new, old in enumerate(positions)}
        used = [part.dates for part in self._parts if set(part.bands) & becomes.keys()]
        taken = np.unique(np.concatenate(used))
        taken = taken[taken >= 0]
        if self._cloud is not None:
            # A cloud band that is not among them is read behind them all, and then left out.
            becomes.setdefault(self._cloud, len(positions))
        other = copy.copy(self)
        other.bands = tuple(self.bands[k] for k in positions)
        other.times = self.times[taken]
        other._cloud = None if self._cloud is None else becomes[self._cloud]
        other._steps = tuple((becomes[k], step) for k, step in self._steps if k in positions)
        other._parts = tuple(filter(None, (_narrowed(part, becomes, taken) for part in self._parts)))
        return other

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        wanted = np.arange(len(self.times))[times or slice(None)]
        order = np.full(len(self.times), -1)
        order[wanted] = np.arange(len(wanted))
        shape = (len(wanted), int(window.height), int(window.width))
        values = np.full((*shape, len(self.bands)), np.nan, np.float32)
        hidden = self._cloud is not None and self._cloud >= len(self.bands)
        clouds = np.full(shape, np.nan, np.float32) if hidden else None
        for part in self._parts:
            place = np.where(part.dates >= 0, order[part.dates], -1)
            own = np.flatnonzero(place >= 0)
            if len(own) == 0:
                continue
            for at, read in zip(place[own], _dates(part.source, window, own), strict=True):
                if part.bands == tuple(range(len(self.bands))):
                    values[at] = read
                    continue
                for k, band in enumerate(part.bands):
                    if band < len(self.bands):
                        values[at, ..., band] = read[..., k]
                    elif clouds is not None:
                        clouds[at] = read[..., k]
        self._unpack(values)
        if self._cloud is not None:
            cloudy = np.isin(
                values[..., self._cloud] if clouds is None else clouds, np.array(self._cloud_values, np.float32)
            )
            values[cloudy] = np.nan
        return values, np.isfinite(values)

    def _unpack(self, values: np.ndarray) -> None:
        for band, step in self._steps:
            for plane in values[..., band]:
                if step.nodata is not None:
                    plane[plane == np.float32(step.nodata)] = np.nan
                if (step.scale, step.offset) != (1, 0):
                    plane[:] = plane * np.float64(step.scale) + step.offset

    def _refuse_twins(self) -> None:
        owners = np.full((len(self.times), len(self.bands)), -1)
        for number, part in enumerate(self._parts):
            own = np.ix_(part.dates, np.array(part.bands))
            if (owners[own] >= 0).any():
                at, k = np.argwhere(owners[own] >= 0)[0]
                date, band = part.dates[at], part.bands[k]
                pair = [self._parts[n].source.name for n in (owners[date, band], number)]
                raise SeriesUnusable(
                    self.name,
                    f"band {self.bands[band].name} comes twice on {_day(self.times[date])} (from {' and '.join(pair)})",
                    advice="Keep one of each date: take one orbit or tile, or make a mosaic of each date first.",
                )
            owners[own] = number


def day_dates(times: np.ndarray) -> np.ndarray:
    """Returns times as whole days, datetime64[ns]; as they are where several are of one day, or not stated."""
    days = times.astype("datetime64[D]")
    whole = not np.isnat(times).any() and len(np.unique(days)) == len(np.unique(times))
    return (days if whole else times).astype("datetime64[ns]")


def _narrowed(part: _Placed, becomes: Mapping[int, int], taken: np.ndarray) -> _Placed | None:
    kept = [k for k, band in enumerate(part.bands) if band in becomes]
    here = np.isin(part.dates, taken)
    if not kept or not here.any():
        return None
    source = part.source
    if len(kept) < len(part.bands):
        source = source.select(tuple(source.bands[k].name for k in kept))
    # Dates without any of the bands hold at most clouds; they are read with their neighbours and then left out.
    dates = np.where(here, np.searchsorted(taken, part.dates), -1)
    return _Placed(source, dates, tuple(becomes[part.bands[k]] for k in kept))


def _dates(source: Source, window: Window, own: np.ndarray) -> np.ndarray:
    """Reads some dates of a source (date, height, width, band), by their positions on its own time axis."""
    if source.times is None:
        return source.read(window)[0][None]
    begin, end = int(own.min()), int(own.max()) + 1
    values = source.read(window, slice(begin, end))[0]
    return values if len(own) == end - begin else values[own - begin]


def _common_times(parts: Sequence[DatedPart], name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """The dates of all parts, and where each part's are among them."""
    missing = [int(np.isnat(part.times).sum()) for part in parts]
    counts = [len(part.times) for part in parts]
    if not any(missing):
        own = [day_dates(part.times) for part in parts]
        times = np.unique(np.concatenate(own))
        if len(np.unique(times.astype("datetime64[D]"))) < len(times):
            own = [part.times.astype("datetime64[ns]") for part in parts]
            times = np.unique(np.concatenate(own))
        places = [np.searchsorted(times, dates) for dates in own]
        for part, dates in zip(parts, places, strict=True):
            found, count = np.unique(dates, return_counts=True)
            if (count > 1).any():
                raise SeriesUnusable(
                    part.source.name,
                    f"{_day(times[found[np.argmax(count > 1)]])} comes {count.max()} times on its time axis",
                    advice="Keep one of each date.",
                )
        return times, places
    for part, absent, length in zip(parts, missing, counts, strict=True):
        if 0 < absent < length:
            raise SeriesUnusable(
                part.source.name, f"{absent} of its {length} times are not stated", advice="State a date for each."
            )
    if len({*counts}) > 1 or len({absent > 0 for absent in missing}) > 1:
        facts = [f"{count} in {p.source.name}" + (" (not stated)" if n else "")
                 for p, n, count in zip(parts, missing, counts, strict=True)]  # fmt: skip
        raise DatesMismatch(
            name,
            expected="dates that are stated, or the same number of them everywhere",
            received="; ".join(facts[:4]),
            advice="Give each source the dates that it was taken on.",
        )
    return np.full(counts[0], "NaT", "datetime64[ns]"), [np.arange(counts[0])] * len(parts)


def _common_bands(parts: Sequence[DatedPart]) -> tuple[Band, ...]:
    found: dict[str, Band] = {}
    for part in parts:
        for name, own in zip(part.names, part.source.bands, strict=True):
            band = replace(own, name=name)
            known = found.setdefault(name, band)
            if known.unit and band.unit and known.unit.casefold() != band.unit.casefold():
                raise UnitMismatch(part.source.name, band=name, expected=known.unit, received=band.unit)
            if known != band:
                # Files that pack a band in different ways agree in the physical values that are read.
                alike = all(getattr(known, key) == getattr(band, key) for key in ("dtype", "scale", "offset", "nodata"))
                unit = known.unit or band.unit
                found[name] = replace(known, unit=unit) if alike else Band(name, unit)
    return tuple(found.values())


def _chosen(given: Mapping[str, float | Mapping[str, float] | None], band: str) -> dict[str, Any]:
    """What of it holds for one band."""
    own = {key: value.get(band) if isinstance(value, Mapping) else value for key, value in given.items()}
    return {key: float(value) for key, value in own.items() if value is not None}


def _day(time: np.datetime64) -> str:
    return str(time)[:16].removesuffix("T00:00")
