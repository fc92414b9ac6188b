"""NetCDF files and Zarr stores as sources, local or remote: their variables are the bands."""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from geodl.data.cube import ArraySource, open_cube
from geodl.data.cubegrid import is_place, is_time, mapping_name
from geodl.data.cubeword import CUBE_EXTENSIONS, CubeWord
from geodl.data.files import is_local, local_copy
from geodl.data.handles import without_warnings
from geodl.data.source import Window, name_bands
from geodl.data.timeaxis import find_time
from geodl.errors import SourceUnreadable, nearest

__all__ = ("CubeFile", "fetch", "open_cube_file", "storage_options")

_LOG = logging.getLogger("geodl")
_TRIES = 3
"""How often what came over a network is asked for."""
_CHUNKS = 2**24
"""Bytes of decompressed chunks that HDF5 keeps for each variable, so that a row of tiles reads each chunk once."""
_NOT_READ = (PermissionError, IsADirectoryError)
_Result = TypeVar("_Result")


def open_cube_file(
    path: str | os.PathLike[str], *, name: str | None = None, bands: Sequence[str] | None = None
) -> CubeFile:
    """Opens variables of a NetCDF file or a Zarr store.

    Only what is read is loaded. Values are unpacked here, once, after the CF conventions: scale and offset, fill and
    missing values, valid ranges, unsigned integers. The grid is that of `open_cube`; rows stay in the file's order, and
    longitudes of 0 to 360 stay so. A remote NetCDF file is copied into a temporary folder first; of a remote Zarr store
    only chunks that are needed come over the network.

    Args:
        path: a word as `geodl.data.cubeword` has it; `https://`, `s3://` and other URLs that fsspec knows too.
        name: name of the scene; default: the file's stem, and what was chosen of it.
        bands: the bands to take, in this order; default: all variables over y and x.

    Returns:
        The source. It has `times` where the file has several and none was chosen.

    Raises:
        SourceUnreadable: the file is missing, damaged or of another format; it has no such variable or time; or its
            grid is curvilinear or uneven.
        BandMismatch: one of `bands` is missing.

    Example:

    >>> scene = open_cube_file("weather.nc:pr@1999-03")
    """
    word = CubeWord.read(path)
    if word is None:
        raise SourceUnreadable(
            os.fspath(path), "it is no NetCDF file or Zarr store", advice=f"Expected one of {CUBE_EXTENSIONS}."
        )
    with _reading(word.path):
        dataset = _coordinates(_open(word))
    if word.variables:
        dataset = _choose(dataset, word)
    if word.time:
        dataset = _at_time(dataset, word)
    cube = open_cube(dataset, name=str(word), as_stored=True)
    cube.name = name or word.name
    if cube.grid.crs is None:
        _warn(f"{cube.name} has no CRS: it is taken as a plain pixel grid; what is made of it has no CRS either.")
    source = CubeFile(cube, word.path)
    return source if bands is None else name_bands(source, bands)


class CubeFile(ArraySource):
    """Variables of a NetCDF file or a Zarr store."""

    def __init__(self, cube: ArraySource, path: str) -> None:
        """Use `open_cube_file`."""
        super().__init__(cube.parts, cube.grid, cube.bands, cube.name, cube.times)
        self.path = path

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        with _reading(self.path):
            return _again(self.path, lambda: super(CubeFile, self)._read(window, times))


def _open(word: CubeWord) -> xr.Dataset:
    """Opens without decoding anything: packed values stay packed, and nothing is loaded."""
    path, group = word.path, word.group or None
    options: dict[str, Any] = {"decode_cf": False, "cache": False, "chunks": None}
    if _is_zarr(path):
        if is_local(path) and not os.path.isdir(path):
            raise SourceUnreadable(path, "there is no such folder")
        options |= {"engine": "zarr", "group": group}
        if not is_local(path):
            options["storage_options"] = storage_options(path)
        try:
            return xr.open_dataset(path, consolidated=True, **options)
        except (KeyError, ValueError, FileNotFoundError):
            dataset = _again(path, lambda: xr.open_dataset(path, consolidated=False, **options))
            # Without an index the variables come as the folder is listed: in any order, that of bands included.
            return dataset[sorted(dataset.data_vars, key=str)]
    # HDF5 can read through Python files, but holds its lock while it waits for them; with fsspec, which answers from
    # another thread, a garbage collection there waits for that lock for ever.
    local = local_copy(path)
    if not os.path.isfile(local):
        raise SourceUnreadable(path, "it is a folder" if os.path.isdir(local) else "there is no such file")
    with open(local, "rb") as file:
        magic = file.read(8)
    if not magic:
        raise SourceUnreadable(path, "the file is empty", advice="Copy or download it again.")
    if magic[:4] in (b"CDF\x01", b"CDF\x02"):
        if group:
            raise SourceUnreadable(path, f"it has no group {group}: NetCDF-3 files have none")
        return xr.open_dataset(local, engine="scipy", **options)
    if magic[:3] == b"CDF":
        raise SourceUnreadable(
            path, "it is of the 64-bit data format of NetCDF-3 (CDF-5)", advice="Convert it with nccopy -k nc4."
        )
    if magic != b"\x89HDF\r\n\x1a\n":
        raise SourceUnreadable(path, "it is not a NetCDF file, whatever its name says")
    # Plain HDF5 has dims without names; h5netcdf warns where it isn't said how to call them.
    options |= {"engine": "h5netcdf", "phony_dims": "access", "driver_kwds": {"rdcc_nbytes": _CHUNKS}}
    return xr.open_dataset(local, group=group, **options)


def _coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """Decodes times, where they can be, and coordinates; the values of all other variables stay as stored."""
    with without_warnings(xr.SerializationWarning):
        try:
            decoded = xr.decode_cf(dataset, mask_and_scale=False, decode_timedelta=False)
        except (ValueError, OverflowError, TypeError):
            decoded = xr.decode_cf(dataset, mask_and_scale=False, decode_timedelta=False, decode_times=False)
        packed = {
            key: xr.conventions.decode_cf_variable(key, coordinate.variable, decode_times=False)
            for key, coordinate in decoded.coords.items()
            if key in decoded.dims and {"scale_factor", "add_offset"} & coordinate.attrs.keys()
        }
        return decoded.assign_coords(packed)


def _choose(dataset: xr.Dataset, word: CubeWord) -> xr.Dataset:
    known = [str(key) for key in dataset.data_vars]
    for variable in word.variables:
        if variable not in known:
            hint = nearest(variable, known)
            some = ", ".join(known[:12]) or "none"
            raise SourceUnreadable(word.path, f"it has no variable {variable}", advice=f"It has {some}.{hint}")
    # What holds the CRS, or the latitude of each pixel, is no coordinate in many files; it stays without being chosen.
    mappings = {mapping_name(dataset[variable]) for variable in word.variables}
    kept = [
        key for key, variable in dataset.data_vars.items()
        if (key in mappings or is_place(variable)) and key not in word.variables
    ]  # fmt: skip
    return dataset[list(word.variables) + kept]


def _at_time(dataset: xr.Dataset, word: CubeWord) -> xr.Dataset:
    for dim in dataset.dims:
        if is_time(dim, dataset.coords):
            return dataset.isel({dim: find_time(dataset, dim, word.time, where=word.path)})
    raise SourceUnreadable(word.path, "it has no times to choose from", advice=f"Leave out @{word.time}.")


def _is_zarr(path: str) -> bool:
    if is_local(path):
        return path.rstrip("/\\").lower().endswith(".zarr") or os.path.isdir(path)
    return path.partition("?")[0].rstrip("/").lower().endswith(".zarr")


def storage_options(path: str) -> dict[str, Any]:
    """Settings for fsspec, from the environment variables that GDAL understands too; s3fs finds the others itself."""
    if not path.startswith("s3://"):
        return {}
    options: dict[str, Any] = {}
    if os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "1"):
        options["anon"] = True
    host = os.environ.get("AWS_S3_ENDPOINT")
    if host:
        secure = os.environ.get("AWS_HTTPS", "YES").upper() in ("YES", "TRUE", "1")
        options["endpoint_url"] = host if "://" in host else f"{'https' if secure else 'http'}://{host}"
    return options


def fetch(address: str) -> bytes:
    """Returns the content of a small file, local or remote. Raises `SourceUnreadable`."""
    import fsspec

    with _reading(address):
        files, inner = fsspec.url_to_fs(address, **storage_options(address))
        return bytes(_again(address, lambda: files.cat_file(inner)))


def _again(path: str, call: Callable[[], _Result]) -> _Result:
    """Calls; what comes over a network, and is not just missing, is tried again a moment later."""
    for k in range(_TRIES if not is_local(path) else 1):
        if k:
            time.sleep(0.2 * 4 ** (k - 1))
        try:
            return call()
        except (FileNotFoundError, PermissionError):
            raise
        except _failures() as error:
            last = error
    raise last


def _failures() -> tuple[type[BaseException], ...]:
    """What readers raise of damaged files and broken connections.

    They check little of what a header says: a wrong byte there may come back as nearly any of Python's own errors.
    """
    import aiohttp

    kinds: tuple[type[BaseException], ...] = (
        OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError,
        MemoryError, EOFError, SystemError, struct.error, aiohttp.ClientError,
    )  # fmt: skip
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return kinds
    return (*kinds, BotoCoreError)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except SourceUnreadable:
        raise
    except ImportError as error:
        raise SourceUnreadable(path, error, advice="Install what is missing, for s3:// geodl[s3].") from error
    except _failures() as error:
        raise SourceUnreadable(path, _cause(path, error), advice=_advice(path, error)) from error


def _cause(path: str, error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "it is no Zarr store" if is_local(path) and os.path.isdir(path) else "there is no such file"
    if isinstance(error, _NOT_READ) and is_local(path):
        return (error.strerror or first).lower()
    if is_local(path):
        return f"the file is damaged or cut short ({first})"
    return f"it could not be had, or is damaged ({first})"


def _advice(path: str, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) or (isinstance(error, _NOT_READ) and is_local(path)):
        return "Check the path and the file."
    return "Copy or download it again." if is_local(path) else "Check the address, your permission and the network."


@lru_cache(maxsize=65536)
def _warn(message: str) -> None:
    """Cached, so that each thing is said once."""
    _LOG.warning(message)
