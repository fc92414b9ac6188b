"""Formats of radar files: told apart by their endings and first bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from geodl.data.cubeword import CUBE_EXTENSIONS, CubeWord
from geodl.data.files import is_local, local_copy
from geodl.data.radar import importers, knmi, odim
from geodl.data.radar.archive import archive_frames
from geodl.data.radar.frames import Frame, StoredFrame
from geodl.data.radar.geotiff import geotiff_frames
from geodl.data.radar.hdf5 import opened, text
from geodl.data.radar.netcdf import netcdf_frames
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR
from geodl.storage.address import is_address, parsed

__all__ = ("RADAR_EXTENSIONS", "file_frames", "is_radar_file")

RADAR_EXTENSIONS = (*CUBE_EXTENSIONS, ".tif", ".tiff", ".npz", ".h5", ".hdf", ".hdf5")
"""Lower-case endings of what counts in a folder, beside what pysteps' importers are known to read."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_radar_file(path: str) -> bool:
    """Whether a file counts as one with radar frames by its name. One named outright is read whatever its name."""
    return path.lower().endswith(RADAR_EXTENSIONS) or importers.find_kind(path) is not None


def file_frames(
    path: str, *, zr: ZR | None = None, unit: str | None = None, minutes: float | None = None
) -> Sequence[Frame | StoredFrame]:
    """Lists the frames of a file, by the reader of its format. See `open_sequence`.

    Raises:
        SourceUnreadable: the file is missing, damaged or of an unknown format.
    """
    path = _local(path)
    word = CubeWord.read(path)
    if word is not None:
        _begin(word.path)
        return netcdf_frames(path, unit=unit)
    begin = _begin(path)
    if begin == _HDF5:
        return _hdf5_frames(path, zr=zr, minutes=minutes)
    if begin.startswith(_TIFF) or not is_local(path):
        return geotiff_frames(path, unit=unit)
    if begin.startswith(b"PK"):
        return archive_frames(path, unit=unit)
    return importers.read_frames(path, zr=zr, minutes=minutes)


def _local(path: str) -> str:
    """The file's copy on this machine, if it is at an address; of what is read from there in parts, the address."""
    word = CubeWord.read(path)
    file = path if word is None else word.path
    if not is_address(file) or parsed(file).key.lower().endswith((".tif", ".tiff", ".zarr")):
        return path
    return local_copy(file) if word is None else str(replace(word, path=local_copy(file)))


def _begin(path: str) -> bytes:
    """The first bytes of a local file; empty for anything else."""
    if not is_local(path) or os.path.isdir(path):
        return b""
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
    except FileNotFoundError:
        raise SourceUnreadable(path, "there is no such file") from None
    except OSError as error:
        raise SourceUnreadable(path, (error.strerror or str(error)).lower()) from error
    if not begin:
        raise SourceUnreadable(path, "the file is empty", advice="Copy or download it again.")
    return begin


def _hdf5_frames(path: str, *, zr: ZR | None, minutes: float | None) -> Sequence[Frame]:
    with opened(path) as file:
        is_odim = text(file.attrs, "Conventions").upper().startswith("ODIM") or {"what", "dataset1"} <= file.keys()
        is_knmi = {"overview", "geographic"} <= file.keys()
    if is_odim:
        return odim.read_frames(path, zr=zr, minutes=minutes)
    if is_knmi:
        return knmi.read_frames(path, zr=zr, minutes=minutes)
    raise SourceUnreadable(
        path, "it is HDF5, but neither ODIM nor KNMI's", advice="If it is NetCDF, give it a name that ends in .nc."
    )
