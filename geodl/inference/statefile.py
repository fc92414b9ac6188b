"""The states that forecasts start from: read from arrays, tables and files, put into the network's order by name."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from geodl.contract import Contract
from geodl.data.files import local_copy
from geodl.data.trajectories.names import DAYS, days_since
from geodl.data.trajectories.tables import read_table
from geodl.errors import OptionError, SourceUnreadable, UnitMismatch

__all__ = ("Starts", "read_starts", "variable_names")

_AXES = ("variable", "state")
"""What a dim is called whose positions are variables."""
_TIMES = ("time", "t")
_LABELS = ("name", "start")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Starts:
    """States that forecasts start from."""

    name: str
    """What they were read from."""
    values: np.ndarray
    """float64 of shape (start, state), finite, in the network's order and physical units."""
    labels: np.ndarray
    """What each is called, (start,): text, or numbers from 0."""
    times: np.ndarray | None = None
    """float64 of shape (start,): when each holds, in the system's time unit; None: not known."""
    origin: np.datetime64 | None = None
    """The date at time 0, where times are dates."""
    single: bool = False
    """Whether it is one state, not a list that happens to hold one."""
    paths: tuple[str, ...] = ()
    """Files they were read from."""


def variable_names(contract: Contract) -> tuple[str, ...]:
    """Returns the names of a network's variables, in its order."""
    return tuple(band.name for band in contract.input.bands)


def read_starts(data: Any, contract: Contract) -> Starts:
    """Reads the states that forecasts start from.

    Args:
        data: an array (state,) or (start, state) in the network's order; a DataArray with a dim `variable` or `state`
            whose coordinate names the variables, in any order; a Dataset or a mapping with a variable for each; or the
            path of a file: a table (.csv, .tsv, .txt) with a column per variable and a row per state, .nc (as a Dataset)
            or .npz (arrays by the variables' names, or one called `state` or `states`). Besides, a column or coordinate
            `time` or `t` says when a state holds, `name` or `start` what it is called; others are not looked at.
        contract: of the network.

    Raises:
        OptionError: a variable is missing, there is no state, or one is not finite.
        UnitMismatch: a variable has another unit than in training.
        SourceUnreadable: the file is missing, damaged or of another kind.
    """
    if isinstance(data, Starts):
        return data
    names = variable_names(contract)
    if isinstance(data, str | os.PathLike):
        found = _read_file(Path(local_copy(data)), contract)
    elif isinstance(data, xr.DataArray):
        found = _from_array(data, contract, "states")
    elif isinstance(data, xr.Dataset):
        found = _from_dataset(data, contract, "states")
    elif isinstance(data, Mapping):
        found = _from_columns(data, contract, "states")
    else:
        found = _from_values(data, names, "states")
    _check(found, names)
    if found.origin is not None and contract.input.dim("time").unit != DAYS:
        expected = f"numbers, in the system's time unit ({contract.input.dim('time').unit or 'it has no name'})"
        raise OptionError(f"{found.name}, time", expected=expected, received=f"dates, such as {found.origin}")
    return found


def _read_file(path: Path, contract: Contract) -> Starts:
    suffix = path.suffix.lower()
    readers = {".nc": _read_netcdf, ".nc4": _read_netcdf, ".npz": _read_npz}
    if suffix not in (*readers, ".csv", ".tsv", ".txt"):
        raise SourceUnreadable(
            path, f"states are not read from {suffix} files", advice="Give a .csv, .nc or .npz file."
        )
    if not path.is_file():
        raise SourceUnreadable(path, "it is a folder" if path.is_dir() else "there is no such file")
    found = readers.get(suffix, _read_table)(path, contract)
    return replace(found, paths=(os.fspath(path),))


def _read_table(path: Path, contract: Contract) -> Starts:
    table = read_table(os.fspath(path), texts=_LABELS)
    return _from_columns(table.columns, contract, path.name, table.units)


def _read_netcdf(path: Path, contract: Contract) -> Starts:
    try:
        with xr.open_dataset(path, decode_timedelta=False) as opened:
            dataset = opened.load()
    except _DAMAGED as error:
        raise SourceUnreadable(path, next(iter(str(error).splitlines()), type(error).__name__)) from error
    return _from_dataset(dataset, contract, path.name)


def _read_npz(path: Path, contract: Contract) -> Starts:
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except _DAMAGED as error:
        raise SourceUnreadable(path, next(iter(str(error).splitlines()), type(error).__name__)) from error
    return _from_columns(columns, contract, path.name)


def _from_values(data: Any, names: Sequence[str], where: str) -> Starts:
    values = _numbers(data, where)
    if values.ndim not in (1, 2) or values.shape[-1] != len(names):
        expected = f"an array of {len(names)} variables ({', '.join(names)}), or (start, {len(names)})"
        raise OptionError(where, expected=expected, received=values.shape)
    return _starts(where, np.atleast_2d(values), single=values.ndim == 1)


def _from_columns(
    columns: Mapping[Any, Any], contract: Contract, where: str, units: Mapping[str, str] | None = None
) -> Starts:
    names = variable_names(contract)
    whole = next((columns[axis] for axis in ("states", "state") if axis in columns), None)
    if whole is not None and not set(names) <= set(columns):
        found = _from_values(whole, names, where)
        values, single = found.values, found.single
    else:
        _check_names(columns, names, where)
        _check_units(units or {}, contract, where)
        parts = [_numbers(columns[name], f"{where}, {name}") for name in names]
        if len({part.shape for part in parts}) > 1 or parts[0].ndim > 1:
            shapes = ", ".join(f"{name} {part.shape}" for name, part in zip(names, parts, strict=True))
            raise OptionError(where, expected="a number for each variable, or as many for each", received=shapes)
        values, single = np.stack([np.atleast_1d(part) for part in parts], axis=-1), parts[0].ndim == 0
    times = next((columns[name] for name in _TIMES if name in columns and name not in names), None)
    labels = next((columns[name] for name in _LABELS if name in columns and name not in names), None)
    return _starts(where, values, labels, times, single=single)


def _from_array(array: xr.DataArray, contract: Contract, where: str) -> Starts:
    names = variable_names(contract)
    axis = next((dim for dim in _AXES if dim in array.dims), None)
    if axis is None:
        expected = "an array with a dim 'variable' or 'state', or a Dataset with an array for each variable"
        raise OptionError(where, expected=expected, received=array.dims)
    held = list(names)
    if axis in array.coords:
        held = [str(name) for name in array[axis].values]
        _check_names(held, names, where)
    elif array.sizes[axis] != len(names):
        expected = f"{len(names)} variables: {', '.join(names)}"
        raise OptionError(where, expected=expected, received=array.sizes[axis])
    columns: dict[Any, Any] = {name: array.isel({axis: held.index(name)}, drop=True) for name in names}
    return _from_dataset(xr.Dataset(columns), contract, where)


def _from_dataset(dataset: xr.Dataset, contract: Contract, where: str) -> Starts:
    names = variable_names(contract)
    held = [str(name) for name in dataset.data_vars]
    if not set(names) <= set(held):
        together = [name for name in held if set(dataset[name].dims) & set(_AXES)]
        if len(together) == 1:
            return _from_array(dataset[together[0]], contract, where)
    _check_names(held, names, where)
    given = dataset[list(names)]
    _check_units({name: str(given[name].attrs.get("units", "")) for name in names}, contract, where)
    given = given.squeeze([dim for dim in given.dims if dim in _TIMES and given.sizes[dim] == 1])
    dims = [str(dim) for dim in given.dims]
    if len(dims) > 1:
        expected = "one dim of states at most beside that of the variables; choose with isel"
        raise OptionError(where, expected=expected, received=", ".join(dims))
    values = _numbers(given.to_array().values.T, where)
    times = next((given[name].values for name in _TIMES if name in given.coords), None)
    named = [name for name in (*_LABELS, *dims) if name in given.coords and name not in _TIMES]
    labels = given[named[0]].values if named else None
    return _starts(where, np.atleast_2d(values), labels, times, single=not dims)


def _starts(where: str, values: np.ndarray, labels: Any = None, times: Any = None, *, single: bool = False) -> Starts:
    count, origin = len(values), None
    if times is not None and count:
        times = np.broadcast_to(np.asarray(times), (count,))
        if times.dtype.kind not in "fiu":
            times, origin = days_since(_dates(times, where), where=where)
        times = times.astype(np.float64)
        if not np.isfinite(times).all():
            raise OptionError(f"{where}, time", expected="a time for each state, or none", received="gaps")
    labels = np.broadcast_to(np.arange(count) if labels is None else np.asarray(labels), (count,))
    return Starts(where, values, labels if labels.dtype.kind in "iu" else labels.astype(str), times, origin, single)


def _dates(values: np.ndarray, where: str) -> np.ndarray:
    try:
        return values.astype(str).astype("datetime64[ns]")
    except ValueError:
        expected = "numbers, or dates such as 2020-10-31T12:00 in UTC"
        raise OptionError(f"{where}, time", expected=expected, received=str(values[0])) from None


def _numbers(data: Any, where: str) -> np.ndarray:
    values = np.asarray(data)
    if values.dtype.kind not in "iuf":
        received = values.ravel()[0] if values.size else values.dtype
        raise OptionError(where, expected="numbers", received=str(received))
    return values.astype(np.float64)


def _check_names(received: Any, names: Sequence[str], where: str) -> None:
    held = [str(name) for name in received]
    if not set(names) <= set(held):
        raise OptionError(where, expected=f"the variables {', '.join(names)}", received=", ".join(held))


def _check_units(units: Mapping[str, str], contract: Contract, where: str) -> None:
    for band in contract.input.bands:
        stated = units.get(band.name, "")
        if stated not in ("", "1") and band.unit not in ("", "1", stated):
            raise UnitMismatch(where, band=band.name, expected=band.unit, received=stated)


def _check(starts: Starts, names: Sequence[str]) -> None:
    if not len(starts.values):
        raise OptionError(starts.name, expected="at least one state", received="none")
    bad = np.argwhere(~np.isfinite(starts.values))
    if len(bad):
        row, column = bad[0]
        which = "" if starts.single else f" of state {starts.labels[row]}"
        received = f"{names[column]}{which} is {starts.values[row, column]}"
        raise OptionError(
            starts.name, expected="finite numbers: a forecast starts from a whole state", received=received
        )
