"""Radar scenes in the unit that a network works in: intensity, amplitude or dB."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from geodl.contract import Band
from geodl.data.source import Source, Window
from geodl.errors import UnitMismatch
from geodl.physics.speckle import Unit, from_intensity, to_intensity

__all__ = ("RadarSource", "in_unit", "one_unit", "radar_unit")

_UNITS: dict[str, Unit] = {"intensity": "intensity", "amplitude": "amplitude", "db": "dB"}


def radar_unit(bands: Iterable[Band]) -> Unit | None:
    """Returns what radar bands hold, as they all state; None where one states another unit, or none.

    Example:

    >>> radar_unit([Band("VV", unit="db"), Band("VH", unit="dB")])
    'dB'
    """
    stated = {_UNITS.get(band.unit.casefold()) for band in bands}
    return stated.pop() if len(stated) == 1 else None


def one_unit(sources: Sequence[Source]) -> Unit | None:
    """Returns what the bands of scenes hold, as they all state; None where they state no unit of radar.

    Raises:
        UnitMismatch: some state another unit of radar than the first band, or none.
    """
    bands = [(source.name, band) for source in sources for band in source.bands]
    first = bands[0][1]
    unit = radar_unit([first])
    for name, band in bands:
        if radar_unit([band]) != unit:
            raise UnitMismatch(name, band=band.name, expected=first.unit, received=band.unit)
    return unit


def in_unit(source: Source, wanted: Unit, *, unstated: Unit | None) -> Source:
    """Brings a scene to a unit.

    Args:
        source: a radar scene.
        wanted: the unit.
        unstated: what it holds where it does not state it; None: what is wanted.
    """
    stated = radar_unit(source.bands)
    return source if stated == wanted else RadarSource(source, unit=stated or unstated or wanted, wanted=wanted)


class RadarSource(Source):
    """A radar scene, converted from one unit to another.

    Args:
        source: a scene.
        unit: that it holds, whatever its bands state.
        wanted: that is to be read. Where it is dB, pixels without any intensity are nodata; where `unit` is amplitude or
            intensity, so are negative ones.
    """

    def __init__(self, source: Source, *, unit: Unit, wanted: Unit) -> None:
        self.name, self.grid, self.times = source.name, source.grid, source.times
        self.bands = tuple(replace(band, unit=wanted) for band in source.bands)
        self._source, self._units = source, (unit, wanted)

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        values, valid = self._source.read(window, times)
        unit, wanted = self._units
        with np.errstate(divide="ignore", invalid="ignore"):
            converted = from_intensity(to_intensity(values, unit), wanted).astype(np.float32)
        known = np.isfinite(converted) & valid
        if unit != "dB":
            known &= ~(values < 0)
        converted[~known] = np.nan
        return converted, known

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same source with these bands in this order. Raises `BandMismatch` where one is missing."""
        other = copy.copy(self)
        other._source = self._source.select(names)
        other.bands = tuple(replace(band, unit=self._units[1]) for band in other._source.bands)
        return other
