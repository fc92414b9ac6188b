"""Forecast trajectories as `xarray` objects, and as files: CF NetCDF, filled piece by piece, or small tables."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from geodl.contract import Band, Contract
from geodl.errors import OptionError, OutputExists, OutputUnwritable
from geodl.inference.rollout import Piece
from geodl.inference.scratch import reserve, scratch_folder
from geodl.inference.statefile import Starts, variable_names
from geodl.wholefile import whole_file

__all__ = ("Frame", "check_target", "is_table", "write_netcdf", "write_table")

_NETCDF = (".nc", ".nc4")
_TABLE = ".csv"
_CONVENTIONS = "CF-1.11"
_HEADERS = 1 << 18
"""Bytes that a file takes beyond its values, at most."""

_DIMS = ("member", "start", "time")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Frame:
    """All about forecast trajectories but their states: dims ([member,] [start,] time) and coordinates."""

    contract: Contract
    starts: Starts
    steps: int
    step: float
    """In the system's time unit."""
    members: int | None = None
    attributes: dict[str, Any] | None = None
    """What else is to be told of them."""

    @property
    def dims(self) -> tuple[str, ...]:
        """Of each variable: those of member, start and time that there are."""
        return self.named(_DIMS)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(member, start, time), with ones for the dims that there are not."""
        return self.members or 1, len(self.starts.values), self.steps + 1

    def named(self, parts: Sequence[_T]) -> tuple[_T, ...]:
        """Returns those of what is given for (member, start, time) whose dims there are."""
        there = self.members is not None, not self.starts.single, True
        return tuple(part for part, held in zip(parts, there, strict=True) if held)

    def describe(self) -> xr.Dataset:
        """Returns the data set without its variables; dates are numbers, as CF conventions have them."""
        unit, starts = self.contract.input.dim("time").unit or "1", self.starts
        own = np.zeros(1) if starts.times is None else starts.times
        dated = unit if starts.origin is None else f"{unit} since {np.datetime_as_string(starts.origin, unit='s')}"
        together = bool((own == own[0]).all())
        times = np.arange(self.steps + 1) * self.step
        about = {"long_name": "time", "units": dated}
        coordinates: dict[str, Any] = {"time": ("time", own[0] + times, about)}
        if not together:
            coordinates["time"] = "time", times, {"long_name": "time since the first state", "units": unit}
            coordinates["start_time"] = "start", own, about
        if not starts.single:
            coordinates["start"] = "start", starts.labels, {"long_name": "first state"}
        if self.members:
            about = {"long_name": "ensemble member", "standard_name": "realization", "units": "1"}
            coordinates["member"] = "member", np.arange(self.members, dtype=np.int32), about
        title = f"Trajectories of {self.contract.pipeline} from {starts.name}"
        general = {"Conventions": _CONVENTIONS, "title": title, "source": f"geodl {version('geodl')}"}
        return xr.Dataset(coords=coordinates, attrs={**general, "step": self.step, **(self.attributes or {})})

    def fill(self, states: np.ndarray) -> xr.Dataset:
        """Returns the data set with its variables.

        Args:
            states: (member, start, time, state).
        """
        filled, shape = self.describe(), self.named(self.shape)
        for k, band in enumerate(self.contract.input.bands):
            filled[band.name] = xr.Variable(self.dims, states[..., k].reshape(shape), _about(band))
        return xr.decode_cf(filled, decode_timedelta=False) if self.starts.origin is not None else filled

    def place(self, piece: Piece) -> tuple[slice, ...]:
        """Returns where a piece lies, a slice per dim."""
        starts = len(self.starts.values)
        member, start = divmod(piece.trajectories.start, starts)
        count = piece.trajectories.stop - piece.trajectories.start
        members, across = (count // starts, starts) if count >= starts else (1, count)
        return self.named((slice(member, member + members), slice(start, start + across), piece.times))


def check_target(target: Path, sources: Iterable[str], *, overwrite: bool) -> None:
    """Refuses what may not be written, before any work is done.

    Args:
        target: of the forecast.
        sources: files that it is made from.
        overwrite: replace an existing file.

    Raises:
        OptionError: the name ends neither in `.nc` nor in `.csv`, or it is one of the sources.
        OutputExists: there is such a file.
        OutputUnwritable: it is a folder.
    """
    if target.suffix.lower() not in (*_NETCDF, _TABLE):
        raise OptionError("target", expected="a file name that ends in .nc or .csv", received=os.fspath(target))
    if os.path.realpath(target) in {os.path.realpath(path) for path in sources}:
        raise OptionError("target", expected="another file than that of the states", received=os.fspath(target))
    if target.is_dir():
        raise OutputUnwritable(target, "it is a folder")
    if target.exists() and not overwrite:
        raise OutputExists(target, "a forecast")


def is_table(target: Path) -> bool:
    """Says whether a forecast is to be written as a table."""
    return target.suffix.lower() == _TABLE


def write_netcdf(frame: Frame, pieces: Iterable[Piece], target: Path) -> None:
    """Writes trajectories to a NetCDF-4 file as they come; only a piece at a time is in memory.

    The values are neither compressed nor cut into chunks: chaotic ones hardly shrink, and any part is read at once.

    Args:
        frame: what they are.
        pieces: all of them.
        target: the file; missing folders are made.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    names = variable_names(frame.contract)
    dtype = np.dtype(frame.contract.input.dtype)
    try:
        with scratch_folder(target) as folder:
            made = folder / target.name
            # HDF5 may crash where a disk fills up, so that must show before.
            with open(folder / "room", "wb") as room:
                reserve(room, math.prod(frame.shape) * len(names) * dtype.itemsize + _HEADERS)
            os.remove(room.name)
            _write_coordinates(frame.describe(), made)
            _write_values(frame, pieces, made, dtype)
            with open(made, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(made, target)
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error
    except RuntimeError as error:  # What HDF5 says of a disk that fills up while it closes a file.
        raise OutputUnwritable(target, next(iter(str(error).splitlines()), "HDF5 could not write it")) from error


def _write_coordinates(described: xr.Dataset, made: Path) -> None:
    floats = [name for name, array in described.coords.items() if array.dtype.kind == "f"]
    described.to_netcdf(made, engine="h5netcdf", encoding={name: {"_FillValue": None} for name in floats})


def _write_values(frame: Frame, pieces: Iterable[Piece], made: Path, dtype: np.dtype[Any]) -> None:
    import h5netcdf  # type: ignore[import-untyped]

    with h5netcdf.File(made, "a") as file:
        variables = []
        for band in frame.contract.input.bands:
            variable = file.create_variable(band.name, frame.dims, dtype, fillvalue=dtype.type(np.nan))
            variable.attrs.update(_about(band))
            variables.append(variable)
        for piece in pieces:
            where = frame.place(piece)
            shape = tuple(part.stop - part.start for part in where)
            for k, variable in enumerate(variables):
                variable[where] = piece.states[..., k].reshape(shape)


def _about(band: Band) -> dict[str, str]:
    return {"long_name": band.name, "units": band.unit or "1"}


def write_table(filled: xr.Dataset, target: Path) -> None:
    """Writes trajectories to a table (.csv): a row per member, start and time, a column per variable.

    Args:
        filled: of `Frame.fill`.
        target: the file; missing folders are made.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    with whole_file(target) as temporary:
        order = [dim for dim in _DIMS if dim in filled.dims]
        rows = filled.to_dataframe(dim_order=order).reset_index()
        rows.to_csv(temporary, index=False, lineterminator="\n")
