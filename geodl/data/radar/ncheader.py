"""Headers of NetCDF-4 files, read far faster than they are opened: a radar event is hundreds of files with the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import h5py
import numpy as np
import xarray as xr
from scipy.io import netcdf_file

from geodl.data.timeaxis import read_times

__all__ = ("Header", "read_header", "read_stored")

_STRUCTURE = (
    "CLASS",
    "NAME",
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "_NCProperties",
)
_FAILURES = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
"""What h5py and scipy raise of a damaged file. Whoever gets None for it opens the file thoroughly, and words the error."""
_LONGEST = 100_000
"""Values of a coordinate that are compared."""
_USUAL = ("standard", "gregorian", "proleptic_gregorian")
_GREGORIAN = np.datetime64("1700-01-01", "ns")
"""From here on all of these calendars are one."""


@dataclass(frozen=True)
class Header:
    """What a file says, without its rain."""

    digest: str
    """Equal for files that differ in their times and values only: same variables, attributes, coordinates."""
    times: Mapping[str, xr.Variable]
    """Variables that hold times, and their bounds, not decoded."""

    @property
    def moment(self) -> tuple[np.datetime64 | None, np.datetime64] | None:
        """Start, where it is stated, and end of the one time of a file; None where no variable, or several, hold it."""
        single = [name for name, variable in self.times.items() if variable.size == 1 and not self._is_other(name)]
        begins = [name for name in single if self._begins(name)]
        ends = [name for name in single if name not in begins]
        told = [name for name in ends if self.times[name].attrs.get("standard_name") == "time"]
        usual = [name for name in told or ends if name in ("time", "valid_time")] or told or ends
        if len(usual) != 1:
            return None
        span = self.bounds(usual[0])
        if span is not None:
            return span[0][0], span[1][0]
        end = self._decoded(usual[0]).ravel()[0]
        return (self._decoded(begins[0]).ravel()[0] if len(begins) == 1 else None), end

    def bounds(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Starts and ends of the times that a variable holds, datetime64[ns]; None where it has no bounds."""
        held = self.times.get(name)
        bounds = str(held.attrs.get("bounds", "")) if held is not None else ""
        if held is None or bounds not in self.times or self.times[bounds].size != 2 * held.size:
            return None
        spans = self._decoded(bounds, like=name).reshape(-1, 2)
        return spans[:, 0], spans[:, 1]

    def _decoded(self, name: str, *, like: str = "") -> np.ndarray:
        """Times as numpy has them, not-a-time where they cannot be told. Bounds may state no unit: that of the times."""
        raw = self.times[name]
        told = self.times[like or name].attrs | raw.attrs
        units, calendar = str(told.get("units", "")), str(told.get("calendar", "standard")).lower()
        line = _line(units, calendar) if calendar in _USUAL else None
        if line is not None and raw.dtype.kind in "iu":
            return line[0] + raw.values.astype(np.int64) * line[1]
        return _decoded(raw.values, units, calendar, raw.attrs)

    def _begins(self, name: str) -> bool:
        told = f"{name} {self.times[name].attrs.get('long_name', '')}".lower()
        return "start" in told or "begin" in told

    def _is_other(self, name: str) -> bool:
        """Not when it rained, but when that was computed; or the bounds of another."""
        told = f"{name} {self.times[name].attrs.get('standard_name', '')}".lower()
        return any(word in told for word in ("reference", "creat", "process", "issue", "bounds", "bnds"))


def read_header(path: str, group: str = "") -> Header | None:
    """Returns the header of a NetCDF file; None where it is of another format, remote, or damaged."""
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
        if magic == b"\x89HDF":
            with h5py.File(path) as file:
                return _header(
                    {name: item for name, item in file[group or "/"].items() if isinstance(item, h5py.Dataset)}
                )
        if magic in (b"CDF\x01", b"CDF\x02"):
            with netcdf_file(path, mmap=True) as file:
                return _header(file.variables)
    except _FAILURES:
        pass
    return None


def read_stored(path: str, variable: str, dtype: np.dtype[Any]) -> np.ndarray | None:
    """Returns the values of a variable as stored; None where they cannot be read, or are of another type."""
    try:
        with h5py.File(path) as file:
            item = file[variable]
            return item[()] if isinstance(item, h5py.Dataset) and item.dtype == dtype else None
    except _FAILURES:
        return None


def _decoded(values: np.ndarray, units: str, calendar: str, attrs: Mapping[Any, Any]) -> np.ndarray:
    """Decodes times after the CF conventions; those of other calendars where they exist in the common one."""
    stated = dict(attrs) | {"units": units, "calendar": calendar}
    try:
        decoded = xr.conventions.decode_cf_variable("t", xr.Variable(["t"], values.ravel(), stated)).values
    except (ValueError, OverflowError):
        return np.full(values.shape, "NaT", "datetime64[ns]")
    times = read_times(xr.DataArray(decoded, dims="t", coords={"t": decoded}), "t")
    return times.astype("datetime64[ns]").reshape(values.shape)


@lru_cache(maxsize=256)
def _line(units: str, calendar: str) -> tuple[np.datetime64, np.timedelta64] | None:
    """The times 0 and, after it, 1: the files of an event say them alike, and decoding takes longer than all else."""
    zero, one = _decoded(np.array([0, 1]), units, calendar, {})
    return None if np.isnat(zero) or np.isnat(one) or zero < _GREGORIAN else (zero, one - zero)


def _header(variables: Mapping[str, Any]) -> Header:
    attrs = {name: _attributes(item) for name, item in variables.items()}
    timely = {name for name, own in attrs.items() if " since " in str(own.get("units", ""))}
    timely |= {str(attrs[name]["bounds"]) for name in timely if "bounds" in attrs[name]}
    digest = blake2b(digest_size=16)
    times = {}
    for name, item in sorted(variables.items()):
        shape = tuple(item.shape)
        if name in timely:
            digest.update(repr((name, shape)).encode())
            times[name] = xr.Variable([f"{name}_{k}" for k in range(len(shape))], np.array(item[...]), attrs[name])
            continue
        digest.update(repr((name, shape, _dtype(item), sorted(attrs[name].items()))).encode())
        if len(shape) == 1 and shape[0] <= _LONGEST:
            digest.update(np.array(item[...]).tobytes())
    return Header(digest.hexdigest(), times)


def _dtype(item: Any) -> str:
    return str(item.dtype if hasattr(item, "dtype") else item.data.dtype)


def _attributes(item: Any) -> dict[str, Any]:
    own = item.attrs if isinstance(item, h5py.Dataset) else item._attributes
    return {name: _plain(own[name]) for name in own if name not in _STRUCTURE}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value
