"""Radar files written for tests: small, each with known stored values, and a helper for frames in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.transform import from_origin

from geodl.data.radar.frames import Frame
from geodl.data.source import Grid
from geodl.physics.rain import Quantity

ALBERS = {
    "grid_mapping_name": "albers_conical_equal_area", "standard_parallel": np.array([-26.2, -29.3]),
    "longitude_of_central_meridian": 153.24, "latitude_of_projection_origin": -27.7178,
    "semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.31414,
}  # fmt: skip
GRID = Grid(CRS.from_epsg(32633), Affine(500, 0, 0, 0, -500, 0), 6, 8)


def times(*minutes: float) -> np.ndarray:
    """Times that many minutes after the first hour of 2020."""
    start = np.datetime64("2020-01-01T01:00", "ns")
    return np.array([start + np.timedelta64(round(60 * minute), "s") for minute in minutes])


def frames(
    when: Sequence[np.datetime64] | np.ndarray, values: np.ndarray | None = None, grid: Grid = GRID
) -> list[Frame]:
    """Frames in memory; the k-th holds k everywhere, unless `values` (time, y, x) say otherwise."""

    def image(k: int) -> np.ndarray:
        return np.full(grid.shape, k, np.float32) if values is None else values[k].astype(np.float32)

    return [
        Frame(f"frame_{k}", time, grid, Quantity("mm/h"), lambda k=k: image(k))  # type: ignore[misc]
        for k, time in enumerate(when)
    ]


def write_bom(
    path: Path, stored: np.ndarray, end: np.datetime64, *, minutes: int = 10, shift: float = 0.0, units: str = "kg m-2"
) -> Path:
    """A file as the Bureau of Meteorology writes it: int16 in steps of 0.05, -1 nodata, kilometres, times as scalars."""
    height, width = stored.shape
    with h5py.File(path, "w") as file:
        seconds = int((end - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "s"))
        for name, value, told in (
            ("valid_time", seconds, {"standard_name": "time"}),
            ("start_time", seconds - 60 * minutes, {"long_name": "Start of accumulation period"}),
        ):
            file[name] = np.int64(value)
            file[name].attrs.update(told | {"units": "seconds since 1970-01-01 00:00:00 UTC"})
        for name, centres in (("y", 1 - 0.5 * np.arange(height)), ("x", 0.5 * np.arange(width) + shift)):
            file[name] = centres
            file[name].make_scale(name)
            file[name].attrs.update({"units": "km", "standard_name": f"projection_{name}_coordinate"})
        file["proj"] = np.int8(0)
        file["proj"].attrs.update(ALBERS)
        rain = file.create_dataset("precipitation", data=stored.astype(np.int16), compression="gzip")
        rain.dims[0].attach_scale(file["y"])
        rain.dims[1].attach_scale(file["x"])
        rain.attrs.update(
            {"standard_name": "precipitation_amount", "units": units, "scale_factor": 0.05, "add_offset": 0.0,
             "_FillValue": np.int16(-1), "grid_mapping": "proj"}
        )  # fmt: skip
    return path


def write_raster(path: Path, values: np.ndarray, *, unit: str = "", description: str = "", tag: str = "") -> Path:
    """A GeoTIFF of one band, -1 nodata."""
    height, width = values.shape
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": -1,
        "crs": "EPSG:32633", "transform": from_origin(0, 0, 500, 500),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
        file.units = (unit,)
        if description:
            file.set_band_description(1, description)
        if tag:
            file.update_tags(TIFFTAG_DATETIME=tag)
    return path
