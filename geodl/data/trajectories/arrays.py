"""Trajectories in arrays: NetCDF files and xarray objects, numpy archives and mappings of arrays."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from geodl.data.timeaxis import read_times
from geodl.data.trajectories.names import DAYS, days_since, find_run, find_time
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import BandMismatch, SourceUnreadable, TrajectoryUnusable

__all__ = ("archive_trajectories", "dataset_trajectories", "mapped_trajectories", "netcdf_trajectories")

_EXPECTED = (
    "Expected times (time,) or (trajectory, time), states (time, variable) or (trajectory, time, variable) and, if "
    "wanted, variables, units, time_unit and names."
)
_DAMAGED = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What readers raise of damaged files: they check little of what a header says."""


def netcdf_trajectories(
    path: str, name: str, *, variables: Sequence[str] | None = None, time: str | None = None, run: str | None = None
) -> list[Trajectory]:
    """Reads a NetCDF file; see `dataset_trajectories`.

    Raises:
        SourceUnreadable: the file is missing, damaged or of another format.
    """
    _refuse_absent(path)
    with open(path, "rb") as file:
        engine = "scipy" if file.read(3) == b"CDF" else "h5netcdf"
    try:
        with xr.open_dataset(path, engine=engine, decode_timedelta=False, cache=False) as opened:
            dataset = opened.load()
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return dataset_trajectories(dataset, name, where=path, variables=variables, time=time, run=run)


def archive_trajectories(
    path: str, name: str, *, variables: Sequence[str] | None = None, time: str | None = None, run: str | None = None
) -> list[Trajectory]:
    """Reads a numpy archive; see `mapped_trajectories`. No pickled object of it is ever made.

    Raises:
        SourceUnreadable: the file is missing, damaged, or holds objects.
    """
    _refuse_absent(path)
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {key: opened[key] for key in opened.files}
    except _DAMAGED as error:
        if "pickle" in str(error).lower():
            cause = "it holds pickled objects, or is no numpy archive"
            raise SourceUnreadable(path, cause, advice=_EXPECTED) from error
        raise _damaged(path, error) from error
    return mapped_trajectories(arrays, name, where=path, variables=variables, time=time, run=run)


def mapped_trajectories(
    arrays: Mapping[str, Any],
    name: str,
    *,
    where: str,
    variables: Sequence[str] | None = None,
    time: str | None = None,
    run: str | None = None,
) -> list[Trajectory]:
    """Takes arrays called `times` and `states` apart into trajectories.

    Args:
        arrays: `states` (time, variable) or (trajectory, time, variable); `times` (also `time` or `t`), numbers or
            datetime64, (time,) or (trajectory, time), not-a-number where a shorter trajectory is padded; and, if wanted,
            `variables` and `units` (variable,), `time_unit`, and `names` (trajectory,).
        name: of one trajectory; several are called after `names`, or numbered.
        where: for messages.
        variables, time, run: as with `open_trajectories`; `time` is the array of times, `run` that of names.

    Raises:
        BandMismatch: one of `variables` is missing.
        TrajectoryUnusable: there are no times or states, or their shapes do not fit; or see `Trajectory`.
    """
    keys = list(arrays)
    if "states" not in keys:
        raise TrajectoryUnusable(
            where, f"it has no states; there are {', '.join(keys) or 'no arrays'}", advice=_EXPECTED
        )
    key = find_time(keys, time, where=where, what="arrays")
    states, times = np.asarray(arrays["states"]), np.asarray(arrays[key])
    if states.ndim not in (2, 3) or times.shape not in (states.shape[-2:-1], states.shape[:-1]):
        shapes = f"its {key} are of shape {times.shape} and its states of shape {states.shape}"
        raise TrajectoryUnusable(where, shapes, advice=_EXPECTED)
    size = states.shape[-1]
    known = _texts(arrays, "variables") or tuple(f"x{k}" for k in range(1, size + 1))
    units = _texts(arrays, "units") or ("",) * size
    if not len(known) == len(units) == size:
        count = f"it has {size} columns of states, {len(known)} variables and {len(units)} units"
        raise TrajectoryUnusable(where, count, advice="Expected one of each.")
    unit = "".join(_texts(arrays, "time_unit")[:1])
    labels = _texts(arrays, run or "names") or None
    return _trajectories(name, where, (times, unit), states, known, units, labels, variables)


def dataset_trajectories(
    dataset: xr.Dataset | xr.DataArray,
    name: str,
    *,
    where: str,
    variables: Sequence[str] | None = None,
    time: str | None = None,
    run: str | None = None,
) -> list[Trajectory]:
    """Takes an xarray object apart into trajectories.

    Args:
        dataset: its arrays over time are the variables: (time,) or (trajectory, time) each; where they have one more
            dim, such as `state` (or `variable`), each place along it is a variable, called by its coordinate. Those that
            do not lie over time, or hold no numbers, are left out. Attributes `units` give the units.
        name: of one trajectory; those of several are called after it and the coordinate of their dim.
        where: for messages.
        variables, time, run: as with `open_trajectories`; `time` is a coordinate or variable, (time,) or (trajectory,
            time), `run` a dim.

    Raises:
        BandMismatch: one of `variables` is missing.
        TrajectoryUnusable: there are no times or no numbers, or a variable has other dims; or see `Trajectory`.
    """
    if isinstance(dataset, xr.DataArray):
        dataset = dataset.to_dataset(name=dataset.name or "states")
    time = find_time([str(key) for key in dataset.variables], time, where=where, what="variables")
    axis = dataset[time]
    run = find_run([str(dim) for dim in dataset.dims], run, where=where, what="dims")
    over = [str(dim) for dim in axis.dims if dim != run]
    if len(over) != 1:
        dims = ", ".join(map(str, axis.dims)) or "none"
        raise TrajectoryUnusable(
            where, f"its {time} has the dims {dims}", advice="Expected (time,) or (trajectory, time)."
        )
    found: dict[str, tuple[xr.DataArray, str]] = {}
    for key, values in dataset.data_vars.items():
        if over[0] in values.dims and key != time and values.dtype.kind in "fiub":
            found |= _columns(values, str(key), over[0], run, where)
    wanted = list(found) if variables is None else [key for key in variables if key in found]
    if variables is not None and len(wanted) < len(variables):
        raise BandMismatch(where, expected=list(variables), received=list(found))
    if not wanted:
        raise TrajectoryUnusable(
            where, f"none of its variables over {over[0]} holds numbers", advice="Expected one or more."
        )
    arrays = xr.broadcast(*(found[key][0].astype(float) for key in wanted))
    order = [run, over[0]] if run in arrays[0].dims else over
    states = np.stack([array.transpose(*order).values for array in arrays], -1)
    values = axis.transpose(*[dim for dim in order if dim in axis.dims])
    other_calendar = values.dtype.kind == "O" and time in dataset.dims
    times = read_times(dataset, time) if other_calendar else values.values
    labels = [str(label) for label in dataset[run].values] if run in dataset.coords else None
    units = tuple(found[key][1] for key in wanted)
    unit = str(axis.attrs.get("units", ""))
    return _trajectories(name, where, (times, unit), states, tuple(wanted), units, labels, None)


def _columns(
    values: xr.DataArray, key: str, time: str, run: str | None, where: str
) -> dict[str, tuple[xr.DataArray, str]]:
    """The variables of one array, each with its unit."""
    unit = str(values.attrs.get("units", ""))
    others = [dim for dim in values.dims if dim not in (time, run)]
    if not others:
        return {key: (values.reset_coords(drop=True), unit)}
    if len(others) > 1:
        raise TrajectoryUnusable(
            where,
            f"{key} has the dims {', '.join(map(str, values.dims))}",
            advice="Expected (time,), (time, state) or (trajectory, time, state): stack the others into one.",
        )
    dim = others[0]
    named = dim in values.coords and values[dim].dtype.kind in "OUST"
    labels = [str(label) for label in values[dim].values] if named else [f"x{k + 1}" for k in range(values.sizes[dim])]
    return {label: (values.isel({dim: k}, drop=True).reset_coords(drop=True), unit) for k, label in enumerate(labels)}


def _trajectories(
    name: str,
    where: str,
    timing: tuple[np.ndarray, str],
    states: np.ndarray,
    known: tuple[str, ...],
    units: tuple[str, ...],
    labels: Sequence[str] | None,
    variables: Sequence[str] | None,
) -> list[Trajectory]:
    """Makes a trajectory of each run, without the padding at its end."""
    times, unit = timing
    origin = None
    for what, array in (("times", times), ("states", states)):
        if array.dtype.kind not in ("fiuM" if what == "times" else "fiub"):
            raise TrajectoryUnusable(where, f"its {what} are of type {array.dtype}", advice="Expected numbers.")
    if times.dtype.kind == "M":
        (times, origin), unit = days_since(times, where=where), DAYS
    if variables is not None:
        if not set(variables) <= set(known):
            raise BandMismatch(where, expected=list(variables), received=list(known))
        columns = [known.index(key) for key in variables]
        states, known, units = states[..., columns], tuple(variables), tuple(units[k] for k in columns)
    if states.ndim == 2:
        return [Trajectory(name, times, states, known, units, unit, origin)]
    names = [f"{name}_{label}" for label in labels or range(len(states))]
    if len(names) != len(states):
        raise TrajectoryUnusable(where, f"it has {len(states)} trajectories and {len(names)} names", advice=_EXPECTED)
    found = []
    for k, called in enumerate(names):
        moments = times if times.ndim == 1 else times[k]
        length = _length(moments, states[k])
        found.append(Trajectory(called, moments[:length], states[k, :length], known, units, unit, origin))
    return found


def _length(times: np.ndarray, states: np.ndarray) -> int:
    """How many rows there are up to the last one with a time and an observed variable."""
    held = np.isfinite(times) & ~np.isnan(states).all(-1)
    return int(np.flatnonzero(held)[-1]) + 1 if held.any() else len(times)


def _texts(arrays: Mapping[str, Any], key: str) -> tuple[str, ...]:
    if key not in arrays:
        return ()
    values = np.atleast_1d(np.asarray(arrays[key])).ravel()
    return tuple(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values)


def _refuse_absent(path: str) -> None:
    if not os.path.isfile(path):
        raise SourceUnreadable(path, "it is a folder" if os.path.isdir(path) else "there is no such file")
    if not os.path.getsize(path):
        raise SourceUnreadable(path, "the file is empty", advice="Copy or write it again.")


def _damaged(path: str, error: BaseException) -> SourceUnreadable:
    if isinstance(error, PermissionError):
        return SourceUnreadable(path, (error.strerror or "no permission").lower())
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__
    return SourceUnreadable(path, f"the file is damaged or not as expected ({first})", advice="Copy or write it again.")
