"""Rain in cubes: which variable of several it is, and a frame for each of its times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from geodl.contract import Band
from geodl.data.cube import ArraySource
from geodl.data.radar.frames import StoredFrame, in_metres
from geodl.errors import OptionError, SourceUnreadable
from geodl.physics.rain import quantity_of

__all__ = ("RainVariable", "cube_frames", "rain_variable", "scalar_time", "stated_unit")

_STANDARD_NAMES = (
    "precipitation_amount", "rainfall_amount", "precipitation_flux", "rainfall_flux", "rainfall_rate",
    "lwe_precipitation_rate", "lwe_thickness_of_precipitation_amount", "thickness_of_rainfall_amount",
    "equivalent_reflectivity_factor",
)  # fmt: skip
_LONG = 10
"""Millimetres in a unit; what is in metres may be depths of rain, but is a height, or a distance, more often."""


@dataclass(frozen=True)
class RainVariable:
    """The variable of a cube that holds its rain."""

    cube: ArraySource
    """Its one band is the rain."""
    part: Any
    """The one of its cube's parts that holds it."""
    band: Band
    """Says the unit, empty where it is not stated."""

    @property
    def array(self) -> xr.DataArray:
        """As it is stored, with its attributes and coordinates."""
        return self.part.array  # type: ignore[no-any-return]


def rain_variable(cube: ArraySource, path: str, *, chosen: Sequence[str] = ()) -> RainVariable:
    """Finds the variable that holds rain: by its CF standard name, else by its unit.

    Args:
        cube: as it was opened, with all its bands.
        path: for messages.
        chosen: the variable that the user names, if any.

    Raises:
        SourceUnreadable: none does, or several do.
    """
    parts = [part for part in cube.parts for _ in range(part.count)]
    known = [RainVariable(cube, part, band) for part, band in zip(parts, cube.bands, strict=True)]
    named = [one for one in known if one.array.attrs.get("standard_name") in _STANDARD_NAMES]
    rainy = known if chosen or len(known) == 1 else named or [one for one in known if _is_rain(one.band.unit)]
    if len(rainy) != 1:
        shown = ", ".join(f"{one.band.name} ({one.band.unit or 'no unit'})" for one in rainy or known)
        raise SourceUnreadable(
            path, f"{'several' if rainy else 'none'} of its variables hold{'' if rainy else 's'} rain: {shown}",
            advice=f"Choose one, as in {path}:{(rainy or known)[0].band.name}.",
        )  # fmt: skip
    (found,) = rainy
    return RainVariable(cube.select((found.band.name,)), found.part, found.band)


def cube_frames(
    rain: RainVariable, path: str, *, unit: str, times: np.ndarray, minutes: Iterable[float | None] | None = None
) -> list[StoredFrame]:
    """Makes a frame for each time of a rain variable, which is read when they are loaded.

    Args:
        rain: with or without a time axis.
        path: for messages.
        unit: of the variable.
        times: datetime64 of shape (time,).
        minutes: accumulation period of each, None where it is not stated.

    Raises:
        SourceUnreadable: a time is not stated.
    """
    if np.isnat(times).any():
        raise SourceUnreadable(path, "it does not state the times of its frames", advice="Give it a time coordinate.")
    cube = rain.cube
    grid = in_metres(cube.grid)
    periods = itertools.repeat(None) if minutes is None else minutes
    return [
        StoredFrame(path, time, grid, unit, period, _load(cube, None if cube.times is None else k))
        for k, (time, period) in enumerate(zip(times.astype("datetime64[ns]"), periods))
    ]


def stated_unit(band: Band, path: str, unit: str | None) -> str:
    """Returns the unit that a file states, else the one that the user does. Raises `SourceUnreadable` without either."""
    if band.unit or unit:
        return band.unit or str(unit)
    raise SourceUnreadable(
        path, f"it states no unit for {band.name}", advice="Say what it is: unit='mm/h', 'mm' or 'dBZ' (data.unit)."
    )


def scalar_time(array: xr.DataArray) -> np.datetime64 | None:
    """Returns the time of an array without a time axis, from a coordinate that is one time; None where there is none."""
    found = {
        str(name): coordinate.values.astype("datetime64[ns]")[()]
        for name, coordinate in array.coords.items()
        if coordinate.ndim == 0 and coordinate.dtype.kind == "M"
    }
    for name in ("time", "valid_time", *found):
        if name in found:
            return found[name]
    return None


def _is_rain(unit: str) -> bool:
    try:
        quantity = quantity_of(unit, minutes=1.0)
    except OptionError:
        return False
    return quantity.unit != "mm" or quantity.scale < _LONG


def _load(cube: ArraySource, k: int | None) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        values, _ = cube.read(times=None if k is None else slice(k, k + 1))
        return values.reshape(cube.grid.shape)

    return load
