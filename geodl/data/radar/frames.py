"""One time of a radar sequence: where it comes from, when and where it rained, and how its rain rates are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS

from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.physics.rain import ZR, Quantity, quantity_of

__all__ = ("Frame", "StoredFrame", "in_metres")

_LEAST_RADIUS = 1e5
"""Metres; the Earth's radius is above this, and below it where somebody stated it in kilometres."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One time of a radar sequence. Nothing but its header has been read."""

    path: str
    """The file that holds it, for messages."""
    time: np.datetime64
    """datetime64[ns]; the end of the accumulation, or the nominal time."""
    grid: Grid
    """In metres where the CRS allows it."""
    quantity: Quantity
    """What the file stores."""
    load: Callable[[], np.ndarray]
    """Gives the whole frame: mm/h, float32, (height, width), NaN where nodata, 0 where no rain. Raises `SourceUnreadable`."""


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """A frame in the unit of its file, whose accumulation period may still be unknown."""

    path: str
    time: np.datetime64
    """As `Frame.time`."""
    grid: Grid
    unit: str
    """As the file or the user states it."""
    minutes: float | None
    """Accumulation period, where the file states it."""
    load: Callable[[], np.ndarray]
    """Gives the whole frame in `unit`: float32, (height, width), NaN where nodata."""

    def as_rate(self, *, zr: ZR | None = None, minutes: float | None = None) -> Frame:
        """Returns the frame in mm/h.

        Args:
            zr: relation of reflectivity and rain rate; default: Marshall and Palmer's.
            minutes: accumulation period, where the file does not state it.

        Raises:
            OptionError: the unit is none of rain, or a depth has no accumulation period.
        """
        period = self.minutes if self.minutes is not None else minutes
        try:
            quantity = quantity_of(self.unit, minutes=period, zr=zr)
        except OptionError as error:
            raise _named(self.path, self.unit, period) from error
        load = self.load
        return Frame(self.path, self.time, self.grid, quantity, lambda: quantity.to_rate(load()))


def _named(path: str, unit: str, minutes: float | None) -> OptionError:
    """The same mistake, with the file in which it is and what to do."""
    try:
        quantity_of(unit, minutes=minutes or 1.0)
    except OptionError:
        return OptionError(
            f"the unit of {path}", expected="mm/h, mm, dBZ or another unit of rain (unit=)", received=unit
        )
    return OptionError(
        f"minutes, for {path} in {unit}",
        expected="the minutes in which a depth fell, which neither the file nor a time step tells (minutes=)",
        received=minutes,
    )


def in_metres(grid: Grid) -> Grid:
    """Returns a grid whose projected coordinates are metres; any other grid as it is.

    A projection in kilometres (`+units=km`), or one that is in kilometres because its ellipsoid is (`+a=6378.137`), is
    the same place with other numbers.

    Example:

    >>> stereographic = CRS("+proj=stere +lat_0=90 +lat_ts=60 +a=6378.14 +b=6356.75")
    >>> in_metres(Grid(stereographic, Affine(1, 0, 0, 0, -1, -3650), 765, 700)).transform.f
    -3650000.0
    """
    if grid.crs is None or not grid.crs.is_projected:
        return grid
    crs, factor = _metric(grid.crs)
    return grid if factor == 1 else Grid(crs, Affine.scale(factor) @ grid.transform, grid.height, grid.width)


@lru_cache(maxsize=64)
def _metric(crs: CRS) -> tuple[CRS, float]:
    """The same projection in metres, and the metres in one unit of the old one."""
    factor = float(crs.axis_info[0].unit_conversion_factor)
    ellipsoid = crs.ellipsoid
    radius = 1e3 if ellipsoid is not None and ellipsoid.semi_major_metre < _LEAST_RADIUS else 1.0
    if factor * radius == 1:
        return crs, 1.0
    return CRS.from_json_dict(_rescaled(crs.to_json_dict(), radius)), factor * radius


def _rescaled(node: Any, radius: float) -> Any:
    """Rewrites a PROJJSON tree: axes in metres, and what is a length of the ellipsoid or the projection × `radius`."""
    if isinstance(node, list):
        return [_rescaled(part, radius) for part in node]
    if not isinstance(node, dict):
        return node
    tree = {key: _rescaled(value, radius) for key, value in node.items()}
    if tree.get("type") == "ProjectedCRS":
        for axis in tree["coordinate_system"]["axis"]:
            axis["unit"] = "metre"
        tree.pop("id", None)
    for key in ("semi_major_axis", "semi_minor_axis", "radius"):
        if isinstance(tree.get(key), (int, float)):
            tree[key] *= radius
    if tree.get("unit") == "metre" and "value" in tree:
        tree["value"] *= radius
    return tree
