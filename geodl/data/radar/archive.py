"""Radar rain in numpy archives (`.npz`) with coordinates, MeteoNet's among them."""

from __future__ import annotations

import glob
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine

from geodl.contract import Band
from geodl.data.cubegrid import REGRID, array_grid
from geodl.data.radar.cubes import stated_unit
from geodl.data.radar.dates import ForeignObject, read_dates
from geodl.data.radar.frames import StoredFrame, in_metres
from geodl.data.source import Grid, decode, finite_nodata
from geodl.errors import SourceUnreadable

__all__ = ("archive_frames",)

_VALUES = ("values", "rain", "rain_rate", "rate", "precipitation", "precip", "data")
_TIMES = ("time", "times", "date", "dates")
_AXES = (("y", "lat", "lats", "latitude", "latitudes"), ("x", "lon", "lons", "longitude", "longitudes"))
_METEONET = {"data", "dates", "miss_dates"}
_EXPECTED = (
    "Expected values (time, y, x), times (time,), x and y of pixel centres (with crs) or lat and lon, and unit; nodata and "
    "minutes where needed."
)
_EVEN = 0.05
"""Share of a pixel by which 2-D latitudes and longitudes of a regular grid may be off it."""


def archive_frames(path: str, *, unit: str | None = None) -> list[StoredFrame]:
    """Lists the frames of an archive. No pickled object of it is ever made, except dates.

    Its arrays: `values` (or `rain`, `rain_rate`, `precipitation`, `data`) of shape (time, y, x); `times` (or `time`,
    `dates`), datetime64 or ISO text in UTC; `x` and `y`, pixel centres, with `crs` as text, or `lat` and `lon`, of one
    dim or of two on a regular grid; `unit`; `nodata`, the value that means it; `minutes`, in which a depth fell.
    MeteoNet's archives (Larvor et al. 2020) are known by their arrays; their coordinates are in a file beside them.

    Args:
        path: of the file.
        unit: of a file that states none.

    Returns:
        The frames; none where the file holds coordinates only. The values are read at the first need, all at once.

    Raises:
        SourceUnreadable: the file is damaged, lacks something, or its grid is not regular.
    """
    archive = _Archive(path)
    if archive.find(_VALUES) is None and all(archive.find(names) is not None for names in _AXES):
        return []
    if archive.keys >= _METEONET:
        return _meteonet(archive)
    key, times = archive.needs(_VALUES), archive.dates(archive.needs(_TIMES)).ravel()
    shape, dtype = archive.shape(key)
    if len(shape) == 2 and len(times) == 1:
        shape = (1, *shape)
    if len(shape) == 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or shape[0] != len(times) or dtype.kind not in "fiu":
        raise SourceUnreadable(
            path, f"its {key} are {dtype} of shape {shape}, with {len(times)} times", advice=_EXPECTED
        )
    said = stated_unit(Band(key, unit=archive.text("unit") or archive.text("units")), path, unit)
    grid = _grid(archive, archive, shape[1:])
    band = Band(key, dtype=str(dtype), nodata=finite_nodata(archive.number("nodata")))
    return _frames(archive, key, times, grid, band, said, archive.number("minutes"))


class _Archive:
    """The arrays of a file, each read by itself."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as file:
            self.keys = {name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")}

    def find(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.keys), None)

    def needs(self, names: tuple[str, ...]) -> str:
        found = self.find(names)
        if found is None:
            raise SourceUnreadable(
                self.path,
                f"it has no {names[0]}; there are {', '.join(sorted(self.keys)) or 'no arrays'}",
                advice=_EXPECTED,
            )
        return found

    def shape(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array, out of its header."""
        with self._open() as file, file.open(f"{key}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            return shape, dtype

    def array(self, key: str) -> np.ndarray:
        with self._open() as file, file.open(f"{key}.npy") as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))

    def dates(self, key: str) -> np.ndarray:
        with self._open() as file:
            return read_dates(file.read(f"{key}.npy"))

    def text(self, key: str) -> str:
        if key not in self.keys:
            return ""
        value = self.array(key).ravel()[0]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def number(self, key: str) -> float | None:
        return float(self.array(key).ravel()[0]) if key in self.keys else None

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as file:
                yield file
        except FileNotFoundError as error:
            raise SourceUnreadable(self.path, "there is no such file") from error
        except ForeignObject as error:
            raise SourceUnreadable(
                self.path, f"its dates hold {error}, and making that could run any code",
                advice="Store times as datetime64 or as text.",
            ) from error  # fmt: skip
        except (OSError, ValueError, EOFError, LookupError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            cause = str(error).rstrip(".") or type(error).__name__
            raise SourceUnreadable(
                self.path, f"the file is damaged or not as expected ({cause})", advice="Copy or write it again."
            ) from error


def _meteonet(archive: _Archive) -> list[StoredFrame]:
    """MeteoNet: depths in hundredths of a millimetre in 5 minutes; -1 where nodata; latitudes and longitudes apart."""
    folder, name = os.path.split(os.path.abspath(archive.path))
    zone = re.search(r"_([A-Z]{2})_", name)
    pattern = f"radar_coords_{zone[1]}.npz" if zone else "radar_coords_*.npz"
    beside = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    if len(beside) != 1:
        raise SourceUnreadable(
            archive.path, f"its coordinates are in {pattern}, and {len(beside)} such files are beside it",
            advice="Put the one of its zone into the same folder.",
        )  # fmt: skip
    times = archive.dates("dates").ravel()
    shape, dtype = archive.shape("data")
    if len(shape) != 3 or shape[0] != len(times):
        raise SourceUnreadable(
            archive.path, f"its data are of shape {shape}, with {len(times)} dates", advice=_EXPECTED
        )
    grid = _grid(archive, _Archive(beside[0]), shape[1:])
    return _frames(archive, "data", times, grid, Band("data", dtype=str(dtype), nodata=-1.0), "0.01 mm", 5.0)


def _frames(
    archive: _Archive, key: str, times: np.ndarray, grid: Grid, band: Band, unit: str, minutes: float | None
) -> list[StoredFrame]:
    if np.isnat(times).any():
        raise SourceUnreadable(archive.path, "some of its times are not stated", advice=_EXPECTED)
    state = os.stat(archive.path).st_mtime_ns

    def load(k: int) -> Callable[[], np.ndarray]:
        return lambda: decode(_whole(archive.path, state, key).reshape(-1, *grid.shape)[k], band)

    return [StoredFrame(archive.path, time, grid, unit, minutes, load(k)) for k, time in enumerate(times)]


_READING = threading.Lock()


def _whole(path: str, state: int, key: str) -> np.ndarray:
    """All values as they are stored, kept for the next frames: a compressed archive is read from its beginning only."""
    with _READING:
        return _kept(path, state, key)


@lru_cache(maxsize=2)
def _kept(path: str, state: int, key: str) -> np.ndarray:
    return _Archive(path).array(key)


def _grid(archive: _Archive, holder: _Archive, shape: tuple[int, ...]) -> Grid:
    """The grid that the coordinates of one archive give the values of another, or its own."""
    names = [holder.find(axis) for axis in _AXES]
    if None in names:
        if names != [None, None]:
            holder.needs(_AXES[names.index(None)])
        return Grid(None, Affine.identity(), *shape)
    y, x = (_centres(holder, str(name), axis) for axis, name in enumerate(names))
    if (len(y), len(x)) != shape:
        raise SourceUnreadable(
            archive.path, f"its values are {shape} pixels, and its coordinates {(len(y), len(x))}", advice=_EXPECTED
        )
    by_degrees = str(names[0]).startswith("lat")
    crs = holder.text("crs") or archive.text("crs") or ("EPSG:4326" if by_degrees else None)
    attrs = {} if crs is None else {"crs": crs}
    array = xr.DataArray(np.broadcast_to(np.int8(0), shape), coords={"y": y, "x": x}, dims=("y", "x"), attrs=attrs)
    return in_metres(array_grid(array, ("y", "x"), archive.path))


def _centres(archive: _Archive, name: str, axis: int) -> np.ndarray:
    """Coordinates along one axis; of those that are stated for each pixel the ones that all rows, or columns, share."""
    values = archive.array(name)
    if values.ndim == 1:
        return values
    along = np.moveaxis(values, axis, 0) if values.ndim == 2 else values
    means = along.reshape(len(along), -1).mean(1) if along.ndim == 2 else along
    step = abs(means[-1] - means[0]) / max(len(means) - 1, 1) if along.ndim == 2 else np.nan
    if not (along.ndim == 2 and np.abs(along - means[:, None]).max() <= max(_EVEN * step, 1e-9)):
        raise SourceUnreadable(archive.path, f"its {name} are those of a curvilinear grid", advice=REGRID)
    return means
