"""Simulated rain events, as CF NetCDF files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import xarray as xr

from geodl.data.simulate.rain import simulate_rain
from geodl.errors import OutputUnwritable

__all__ = ("events",)

_KNOWN = 12
"""Events to learn from."""


def events(folder: Path) -> tuple[Path, Path]:
    """Writes simulated rain of 128 × 128 km, six hours each, a frame every 10 minutes; files that are there stay.

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
            _write(simulate_rain(seed=seed), path)
    return known, unknown


def _write(rain: xr.DataArray, path: Path) -> None:
    """Writes a NetCDF file in hundredths of mm/h: whole or not at all (temporary name, then rename)."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -1, "zlib": True, "complevel": 4}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rain.to_netcdf(temporary, engine="h5netcdf", encoding={rain.name: packed})
        os.replace(temporary, path)
    except OSError as error:
        raise OutputUnwritable(path, error.strerror or error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
