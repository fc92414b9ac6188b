"""Radar rain in NetCDF files and Zarr stores under CF conventions: one file for each frame, or one for all."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from geodl.contract import Band
from geodl.data.cubefile import open_cube_file
from geodl.data.cubeword import CubeWord
from geodl.data.packing import Packing
from geodl.data.radar.cubes import RainVariable, cube_frames, rain_variable, scalar_time, stated_unit
from geodl.data.radar.filedates import date_in
from geodl.data.radar.frames import StoredFrame, in_metres
from geodl.data.radar.ncheader import read_header, read_stored
from geodl.data.source import Grid
from geodl.errors import SourceUnreadable

__all__ = ("netcdf_frames",)

_INTERVAL = re.compile(r"\btime: sum .*?\binterval: ([\d.]+) ?(s|min|h)")
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0}
_MOST_LAYOUTS = 64


def netcdf_frames(path: str, *, unit: str | None = None) -> list[StoredFrame]:
    """Lists the frames of a file.

    The rain is the variable with a standard name of rain, else the one in a unit of rain. The time is that of the time
    axis; without one, of a variable that holds one time, such as `valid_time`; else it is read from the file's name.
    Where the time has bounds, or another variable holds the start (`start_time`), they give the accumulation period,
    and the end of the bounds is the time; else `cell_methods` may state the period.

    Args:
        path: a word as `geodl.data.cubeword` has it: `rain.nc`, or `rain.nc:precipitation` to choose a variable.
        unit: of a variable that states none.

    Raises:
        SourceUnreadable: the file is damaged; it has no rain, several variables of rain, no unit or no time; or its
            grid is curvilinear or uneven.
    """
    word = CubeWord.read(path)
    if word is None:
        raise SourceUnreadable(path, "it is no NetCDF file or Zarr store", advice="Expected a name that ends in .nc.")
    header = None if word.time else read_header(word.path, word.group)
    moment = None if header is None else header.moment
    layout = None if header is None else _LAYOUTS.get((header.digest, word.group, word.variables, unit))
    if layout is not None and moment is not None:
        return [layout.frame(word, *moment)]
    source = open_cube_file(path)
    rain = rain_variable(source, word.path, chosen=word.variables)
    said = stated_unit(rain.band, word.path, unit)
    if source.times is None and header is not None:
        layout = _Layout.of(rain, word, said)
        if moment is None:
            moment = None, _time(rain, word.path)
        elif len(_LAYOUTS) < _MOST_LAYOUTS:
            _LAYOUTS[header.digest, word.group, word.variables, unit] = layout
        return [layout.frame(word, *moment)]
    if source.times is None:
        starts, ends = None, np.array([_time(rain, word.path)])
    else:
        starts, ends = (header and header.bounds(str(rain.part.time))) or (None, source.times)
    stated = _stated_minutes(rain.array.attrs)
    minutes = [stated] * len(ends) if starts is None else [_minutes(*span) for span in zip(starts, ends)]
    return cube_frames(rain, str(word), unit=said, times=ends, minutes=minutes)


@dataclass(frozen=True)
class _Layout:
    """What the files of a folder, one for each frame, have in common: found out of the first, thoroughly."""

    variable: str
    """With its group."""
    name: str
    unit: str
    minutes: float | None
    grid: Grid
    """As the files have it."""
    metric: Grid
    """The same in metres."""
    packing: Packing
    band: Band
    dtype: np.dtype[Any]
    across: bool
    """The columns of the grid are the rows of the array."""

    @classmethod
    def of(cls, rain: RainVariable, word: CubeWord, unit: str) -> Self:
        part = rain.part
        return cls(
            variable="/".join(filter(None, (word.group, rain.band.name))), name=rain.band.name, unit=unit,
            minutes=_stated_minutes(part.array.attrs), grid=rain.cube.grid, metric=in_metres(rain.cube.grid),
            packing=part.packing, band=rain.band, dtype=part.array.dtype,
            across=part.array.dims.index(part.x) < part.array.dims.index(part.y),
        )  # fmt: skip

    def frame(self, word: CubeWord, start: np.datetime64 | None, end: np.datetime64) -> StoredFrame:
        minutes = self.minutes if start is None else _minutes(start, end)
        return StoredFrame(word.path, end, self.metric, self.unit, minutes, lambda: self.load(word))

    def load(self, word: CubeWord) -> np.ndarray:
        """Reads one of the files, past all that opening it would take; where that fails, as it is read otherwise."""
        stored = read_stored(word.path, self.variable, self.dtype)
        if stored is None or stored.size != self.grid.height * self.grid.width:
            source = open_cube_file(str(replace(word, variables=(self.name,))))
            return source.read()[0][..., 0]
        if self.across:
            stored = stored.reshape(self.grid.width, self.grid.height).T
        return self.packing.decode(stored.reshape(self.grid.shape), self.band)


_LAYOUTS: dict[tuple[str, str, tuple[str, ...], str | None], _Layout] = {}
"""By digest of the header, and what was chosen."""


def _time(rain: RainVariable, path: str) -> np.datetime64:
    found = scalar_time(rain.array)
    found = date_in(path) if found is None else found
    if found is None:
        raise SourceUnreadable(
            path, "it states no time", advice="Give it a variable time, or a name like rain_20160101T0105.nc."
        )  # fmt: skip
    return found


def _minutes(start: np.datetime64, end: np.datetime64) -> float | None:
    minutes = float((end - start) / np.timedelta64(60, "s"))
    return minutes if minutes > 0 else None


def _stated_minutes(attrs: Mapping[Hashable, Any]) -> float | None:
    found = _INTERVAL.search(str(attrs.get("cell_methods", "")))
    return float(found[1]) * _MINUTES[found[2]] if found else None
