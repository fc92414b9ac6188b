"""Simulated events of rain, as CF NetCDF files."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from geodl.data.simulate.rain import simulate_rain
from geodl.wholefile import whole_file

__all__ = ("events",)

_KNOWN = 16
"""Events to learn from."""
_SHAPE, _PIXEL = (128, 128), 2.0
"""Pixels of an event, and their side in km: so large that most of the rain of the next hour is in it already."""
_FRAMES, _STEP = 49, 5.0
"""Frames of an event, and minutes between them."""


def events(folder: Path) -> tuple[Path, Path]:
    """Writes simulated rain: events of 256 × 256 km and four hours each, a frame every 5 minutes; files that are there stay.

    Args:
        folder: for the files; it need not exist.

    Returns:
        A folder with a folder for each event to train on, and the file of the event to be shown.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    known, unknown = folder / "train", folder / "test" / "event.nc"
    for seed, path in enumerate((unknown, *(known / f"event_{k + 1:02d}" / "rain.nc" for k in range(_KNOWN)))):
        if not path.is_file():
            # A day for each: events of one place at one time would be one event.
            day = f"2024-06-{seed + 1:02d}T12:00"
            _write(simulate_rain(_SHAPE, _FRAMES, seed=seed, step_minutes=_STEP, pixel_km=_PIXEL, start=day), path)
    return known, unknown


def _write(rain: xr.DataArray, path: Path) -> None:
    """Writes a NetCDF file in hundredths of mm/h: whole or not at all (temporary name, then rename)."""
    rain = rain.clip(max=600)  # More than falls, and no more than two bytes hold.
    packed = {"dtype": "uint16", "scale_factor": 0.01, "_FillValue": 65535, "zlib": True, "complevel": 4}
    with whole_file(path) as temporary:
        rain.to_netcdf(temporary, engine="h5netcdf", encoding={rain.name: packed})
