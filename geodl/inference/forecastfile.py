"""Writes forecasts as CF NetCDF, and as one cloud-optimised GeoTIFF per lead time, each whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

from geodl.contract import Band
from geodl.data.source import Grid
from geodl.errors import OptionError, OutputExists, OutputUnwritable
from geodl.inference.products import Layer
from geodl.inference.scratch import reserve, scratch_folder
from geodl.inference.writers import MapWriter

__all__ = ("check_target", "geotiff_paths", "write_geotiffs", "write_netcdf")

_SUFFIXES = (".nc", ".nc4")
_CONVENTIONS = "CF-1.11"
_HEADERS = 1 << 18
"""Bytes that a file takes beyond its values, at most."""
_MINUTE = np.timedelta64(60, "s")


def check_target(target: Path, geotiffs: Sequence[Path], sources: Sequence[str], *, overwrite: bool) -> None:
    """Refuses what may not be written, before any work is done.

    Args:
        target: of the NetCDF file.
        geotiffs: of the GeoTIFFs.
        sources: files that the forecast is made from.
        overwrite: replace existing files.

    Raises:
        OptionError: the name does not end in `.nc`, or it is one of the sources.
        OutputExists: there is such a file.
        OutputUnwritable: it is a folder.
    """
    if target.suffix.lower() not in _SUFFIXES:
        raise OptionError("target", expected="a file name that ends in .nc", received=os.fspath(target))
    own = {os.path.realpath(path) for path in sources}
    for path in (target, *geotiffs):
        if os.path.realpath(path) in own:
            raise OptionError("target", expected="another file than the radar's own", received=os.fspath(path))
        if path.is_dir():
            raise OutputUnwritable(path, "it is a folder")
        if path.exists() and not overwrite:
            raise OutputExists(path, "a forecast")


def write_netcdf(forecast: xr.Dataset, target: Path, *, title: str) -> None:
    """Writes a forecast to a NetCDF-4 file: compressed float32, one chunk per lead time.

    Args:
        forecast: of `forecast_array` and `probability_array`; what dask holds is computed chunk by chunk.
        target: the file; missing folders are made.
        title: what it is.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    about = {"Conventions": _CONVENTIONS, "title": title, "source": f"geodl {version('geodl')}"}
    described = forecast.assign_attrs(about)
    encoding: dict[Any, dict[str, Any]] = {}
    for name, array in described.data_vars.items():
        chunks = (*(1 for _ in array.dims[:-2]), *array.shape[-2:])
        mapping = {"grid_mapping": array.encoding["grid_mapping"]} if "grid_mapping" in array.encoding else {}
        encoding[name] = {
            **mapping,
            "dtype": "float32", "zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks, "_FillValue": np.float32(np.nan),
        }  # fmt: skip
    leads = described.lead_time.values
    unit = "minutes" if not (leads % _MINUTE).astype(int).any() else "seconds"
    encoding["lead_time"] = {"units": unit, "dtype": "int32", "_FillValue": None}
    for name in ("time", "valid_time"):
        encoding[name] = {"units": "seconds since 1970-01-01", "dtype": "int64", "_FillValue": None}
    for axis in described.dims:
        if axis in described.coords and described.coords[axis].dtype.kind == "f":
            encoding[axis] = {"_FillValue": None}
    try:
        with scratch_folder(target) as folder:
            made = folder / target.name
            # HDF5 may crash where a disk fills up, so that must show before: compressed it takes less than this.
            with open(folder / "room", "wb") as room:
                reserve(room, described.nbytes + _HEADERS)
            os.remove(room.name)
            # One chunk after the other: what dask holds need not fit the memory.
            with dask.config.set(scheduler="synchronous"):
                described.to_netcdf(made, engine="h5netcdf", encoding=encoding)
            with open(made, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(made, target)
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error
    except RuntimeError as error:  # What HDF5 says of a disk that fills up while it closes a file.
        raise OutputUnwritable(target, next(iter(str(error).splitlines()), "HDF5 could not write it")) from error


def geotiff_paths(folder: Path, stem: str, leads: np.ndarray) -> list[Path]:
    """Returns where each lead time goes: `forecast_+010min.tif`, …"""
    minutes = [lead / _MINUTE for lead in leads]
    digits = max(3, len(str(int(minutes[-1]))))
    whole = all(minute.is_integer() for minute in minutes)
    names = [f"{minute:0{digits}.0f}min" if whole else f"{minute * 60:0{digits + 2}.0f}s" for minute in minutes]
    return [folder / f"{stem}_+{name}.tif" for name in names]


def write_geotiffs(forecast: xr.DataArray, paths: Sequence[Path], grid: Grid, *, overwrite: bool) -> None:
    """Writes each lead time to a cloud-optimised GeoTIFF, tagged with its times; members are its bands.

    Args:
        forecast: of `forecast_array`.
        paths: one per lead time. Missing folders are made.
        grid: of the forecast.
        overwrite: replace existing files.

    Raises:
        OutputExists: there is such a file.
        OutputUnwritable: no permission, disk full.
    """
    members = [int(number) for number in forecast.member.values] if "member" in forecast.dims else []
    names = [f"member_{number}" for number in members] or ["rain_rate"]
    bands = tuple(Band(name, "mm/h", nodata=np.nan) for name in names)
    layer = Layer("rain_rate", bands, "float32", np.nan, "average", description="rain rate")
    for k, path in enumerate(paths):
        now = forecast.isel(lead_time=k)
        valid, analysis = (str(np.datetime_as_string(now[name].values, unit="s")) for name in ("valid_time", "time"))
        tags = {
            "TIFFTAG_SOFTWARE": "geodl",
            "TIFFTAG_DATETIME": valid.replace("-", ":").replace("T", " "),
            "valid_time": f"{valid}Z",
            "analysis_time": f"{analysis}Z",
            "lead_time_minutes": f"{now.lead_time.values / _MINUTE:g}",
        }
        with MapWriter(path, (layer,), grid, overwrite=overwrite, tags=tags) as writer:
            writer.write(0, 0, [now.values.reshape(len(bands), *grid.shape)])
            writer.finish()
