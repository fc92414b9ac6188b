"""What a user means by trajectories: tables, NetCDF files, numpy archives, folders of these, or arrays in memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from geodl.data.files import distinct_names, find_files, local_copy, stem
from geodl.data.trajectories.arrays import (
    archive_trajectories,
    dataset_trajectories,
    mapped_trajectories,
    netcdf_trajectories,
)
from geodl.data.trajectories.names import RUNS
from geodl.data.trajectories.tables import column_trajectories, read_table, table_trajectories
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import BandMismatch, EmptyDataset, SourceUnreadable, TrajectoryUnusable, UnitMismatch

__all__ = ("EXTENSIONS", "open_trajectories")

_NETCDF, _ARCHIVES, _TABLES = (".nc", ".nc4"), (".npz",), (".csv", ".tsv")
_NAMED_OUTRIGHT = (".txt", ".dat", "")
EXTENSIONS = (*_TABLES, *_NETCDF, *_ARCHIVES)
"""Endings of files that count in a folder."""


def open_trajectories(
    where: Any,
    *,
    variables: Sequence[str] | None = None,
    time: str | None = None,
    run: str | None = None,
) -> list[Trajectory]:
    """Opens trajectories; all have the same variables, in the same order.

    Args:
        where: one of

            - a table: `.csv`, `.tsv` or other text with a line of names (see `read_table` in
              `geodl.data.trajectories.tables`), with a column of times and one for each variable;
            - a NetCDF file, an `xarray.Dataset` or `DataArray` (see `dataset_trajectories` in
              `geodl.data.trajectories.arrays`);
            - a numpy archive `.npz`, or a mapping of arrays, with `times` and `states` (see `mapped_trajectories` there);
            - a mapping of columns, or a table of pandas;
            - a `Trajectory`;
            - a folder or a glob of such files, or a list of any of these.

        variables: those of the state, in this order; default: all that hold numbers, in the order of the first file.
        time: column or variable of the times; default: one called time, t, date, datetime or timestamp. Dates (ISO, UTC)
            become days since the first one of their file.
        run: column or dim that tells runs apart; default: one called trajectory, run or member, if there is one.

    Returns:
        The trajectories, in the order of the files and of the runs in them.

    Raises:
        SourceUnreadable: a file is missing, damaged or of another kind.
        EmptyDataset: the folder, glob or list holds nothing.
        TrajectoryUnusable: what is there is no trajectory, or a variable is never observed; see `Trajectory`.
        BandMismatch: one of `variables` is missing, or two files have other ones.
        UnitMismatch: two files state other units.

    Example:
        >>> columns = {"time": [0.0, 0.1, 0.2], "x": [1.0, 1.1, 1.3]}
        >>> open_trajectories(columns)
        [Trajectory('columns', 3 times from 0 to 0.2, x)]
    """
    found = [
        trajectory
        for name, thing in _things(where)
        for trajectory in _open(thing, name, variables=variables, time=time, run=run)
    ]
    if not found:
        raise EmptyDataset("trajectories", expected="at least one", received="an empty list")
    alike = _distinct([_like(trajectory, found[0]) for trajectory in found])
    _refuse_never_observed(alike)
    return alike


def _things(where: Any) -> list[tuple[str, Any]]:
    """Lists what is to be opened, with a name for each."""
    if isinstance(where, str | os.PathLike):
        where = [where]
    if not isinstance(where, (list, tuple)):
        return [(_memory_name(where), where)]
    items: list[Any] = []
    for item in where:
        files = isinstance(item, str | os.PathLike)
        items += find_files(item, extensions=EXTENSIONS, what="trajectories") if files else [item]
    paths = [item for item in items if isinstance(item, str)]
    names = dict(zip(paths, distinct_names(paths)))
    others = [item for item in items if not isinstance(item, str)]
    numbers = {id(item): f"_{k}" if len(others) > 1 else "" for k, item in enumerate(others)}
    return [
        (names[item] if isinstance(item, str) else _memory_name(item) + numbers[id(item)], item)
        for item in items
    ]  # fmt: skip


def _memory_name(thing: Any) -> str:
    if hasattr(thing, "dims"):
        return str(getattr(thing, "name", None) or "array")
    return "arrays" if isinstance(thing, Mapping) and "states" in thing else "columns"


def _open(thing: Any, name: str, **options: Any) -> list[Trajectory]:
    if isinstance(thing, Trajectory):
        wanted = options["variables"]
        if wanted is not None and not set(wanted) <= set(thing.variables):
            raise BandMismatch(thing.name, expected=list(wanted), received=thing.variables)
        return [thing if wanted is None else thing.select(wanted)]
    if isinstance(thing, str):
        return _open_file(thing, name, **options)
    if hasattr(thing, "dims"):
        return dataset_trajectories(thing, name, where=name, **options)
    if isinstance(thing, Mapping) and "states" in thing:
        return mapped_trajectories(thing, name, where=name, **options)
    if isinstance(thing, Mapping) or hasattr(thing, "columns"):
        return column_trajectories(thing, name, **options)
    raise TrajectoryUnusable(
        name, f"it is of type {type(thing).__name__}", advice="Expected files, arrays of xarray, or times and states."
    )


def _open_file(path: str, name: str, **options: Any) -> list[Trajectory]:
    path = local_copy(path)
    ending = Path(path).suffix.lower()
    if ending in _NETCDF:
        return netcdf_trajectories(path, name, **options)
    if ending in _ARCHIVES:
        return archive_trajectories(path, name, **options)
    if ending not in _TABLES + _NAMED_OUTRIGHT:
        known = ", ".join(EXTENSIONS)
        raise SourceUnreadable(path, f"files that end in {ending} are not known", advice=f"Expected one of {known}.")
    run = options["run"]
    table = read_table(path, texts=RUNS if run is None else (run.lower(),))
    return table_trajectories(table, name or stem(path), **options)


def _like(trajectory: Trajectory, first: Trajectory) -> Trajectory:
    """Brings the variables into the order of the first one; refuses others."""
    if set(trajectory.variables) != set(first.variables):
        raise BandMismatch(trajectory.name, expected=first.variables, received=trajectory.variables)
    if trajectory.variables != first.variables:
        trajectory = trajectory.select(first.variables)
    units = zip(("time", *first.variables), (first.time_unit, *first.units), (trajectory.time_unit, *trajectory.units))
    for name, expected, received in units:
        if expected != received:
            raise UnitMismatch(trajectory.name, band=name, expected=expected, received=received)
    return trajectory


def _distinct(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Numbers those of one name, because the leakage check tells trajectories apart by it."""
    counts = Counter(trajectory.name for trajectory in trajectories)
    numbers = {name: count(1) for name in counts}
    return [
        replace(each, name=f"{each.name}_{next(numbers[each.name])}") if counts[each.name] > 1 else each
        for each in trajectories
    ]


def _refuse_never_observed(trajectories: Sequence[Trajectory]) -> None:
    observed = np.any([trajectory.observed.any(0) for trajectory in trajectories], axis=0)
    if not observed.all():
        first = trajectories[0]
        never = [name for name, seen in zip(first.variables, observed) if not seen]
        where = first.name if len(trajectories) == 1 else f"Each of the {len(trajectories)} trajectories"
        raise TrajectoryUnusable(
            where,
            f"{', '.join(never)} {'is' if len(never) == 1 else 'are'} never observed",
            advice="Leave it out of the variables.",
        )
