"""Arrays as radar sequences: `xarray.DataArray` (time, y, x[, band]) and `Dataset`."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr

from geodl.data.cube import open_cube
from geodl.data.radar.cubes import cube_frames, rain_variable, scalar_time, stated_unit
from geodl.data.radar.frames import StoredFrame
from geodl.errors import SourceUnreadable

__all__ = ("array_frames",)

_LOG = logging.getLogger("geodl")


def array_frames(thing: xr.DataArray | xr.Dataset, name: str, *, unit: str | None = None) -> list[StoredFrame]:
    """Lists the frames of an array. What is held by dask is computed when it is read, frame by frame.

    Args:
        thing: see `geodl.data.open_cube`, also for the CRS. Its attribute `units` says what it holds.
        name: for messages.
        unit: of an array that states none; default: mm/h, with a warning.

    Raises:
        SourceUnreadable: other dims, no times, uneven coordinates, or a Dataset with several rain variables.
    """
    cube = open_cube(thing, name=name)
    rain = rain_variable(cube, name)
    if not rain.band.unit and unit is None:
        _LOG.warning("%s states no unit: it is taken as mm/h. Set its attribute units, or give unit=.", name)
        unit = "mm/h"
    own = scalar_time(rain.array)
    times = cube.times if cube.times is not None else None if own is None else np.array([own])
    if times is None:
        raise SourceUnreadable(
            name, "it has no time", advice="Expected dims (time, y, x), or a scalar coordinate time."
        )
    return cube_frames(rain, name, unit=stated_unit(rain.band, name, unit), times=times)
