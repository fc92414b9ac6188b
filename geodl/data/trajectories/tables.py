"""Trajectories in tables: text files with a header (CSV and the like), and mappings of columns."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, TextIO

import numpy as np

from geodl.data.trajectories.names import DAYS, RUNS, days_since, find_run, find_time, name_and_unit
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import BandMismatch, SourceUnreadable, TrajectoryUnusable

__all__ = ("StateTable", "column_trajectories", "read_table", "table_trajectories")

_DELIMITERS = (",", ";", "\t")
_ABSENT = ("", "na", "n/a", "nan", "null", "none", "nat", "-", "--")
"""What stands for a value that was not observed, in lower case."""


@dataclass
class StateTable:
    """The columns of a table."""

    where: str
    """For messages."""
    columns: dict[str, np.ndarray]
    """By name: float64, datetime64 or text, of shape (row,)."""
    units: dict[str, str] = field(default_factory=dict)
    """Stated in the header, as in `height (m)`."""


def read_table(path: str, *, columns: Collection[str] | None = None, texts: Collection[str] = RUNS) -> StateTable:
    """Reads a text file with a line of names, then lines of values.

    Values are separated by commas, semicolons, tabs or spaces, whichever the line of names has. Lines that begin with #
    are passed over; where there is no other, the last one before the values is taken as the line of names. With
    semicolons, decimal commas are understood. Empty values, nan, na, null and - are not-a-number.

    Args:
        path: of the file, in UTF-8.
        columns: which to read; default: all.
        texts: columns that are read as text whatever they hold, in lower case.

    Returns:
        The columns: float64; or text, where no value is a number, as with dates.

    Raises:
        SourceUnreadable: the file is missing, empty or no text; a line has too few or too many values; there is text
            among numbers; or there is no line of names.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read(path, file, columns, texts)
    except FileNotFoundError as error:
        raise SourceUnreadable(path, "there is no such file") from error
    except UnicodeDecodeError as error:
        cause = "it is no text in UTF-8, or damaged"
        raise SourceUnreadable(path, cause, advice="Expected a table as CSV.") from error
    except csv.Error as error:
        raise SourceUnreadable(path, f"it is no table ({error})", advice="Expected a table as CSV.") from error
    except OSError as error:
        raise SourceUnreadable(path, (error.strerror or str(error)).lower()) from error


def table_trajectories(
    table: StateTable,
    name: str,
    *,
    variables: Sequence[str] | None = None,
    time: str | None = None,
    run: str | None = None,
) -> list[Trajectory]:
    """Takes a table apart into trajectories, one for each value of the column that tells runs apart.

    Args:
        table: its rows are sorted by time within each run, whose rows need not be together.
        name: of the trajectory; those of several runs are called after their value too.
        variables, time, run: see `open_trajectories`.

    Raises:
        BandMismatch: one of `variables` is missing.
        TrajectoryUnusable: there are no times, no rows or no numbers; or see `Trajectory`.
    """
    columns, where = table.columns, table.where
    names = list(columns)
    time = find_time(names, time, where=where)
    run = find_run(names, run, where=where)
    kept = [other for other in names if other not in (time, run)] if variables is None else list(variables)
    if not set(kept) <= set(names):
        raise BandMismatch(where, expected=kept, received=[other for other in names if other not in (time, run)])
    if not len(columns[time]):
        raise TrajectoryUnusable(where, "it has no rows", advice="Expected at least two, one for each time.")
    kept = [other for other in kept if columns[other].dtype.kind in "fiub" or variables is not None]
    if not kept:
        raise TrajectoryUnusable(
            where,
            f"no column beside {time} holds numbers",
            advice="Expected a column for each variable of the state.",
        )
    times, origin, unit = _times(columns[time], table.units.get(time, ""), time, where)
    states = np.stack([_numbers(columns[other], other, where) for other in kept], -1)
    units = tuple(table.units.get(other, "") for other in kept)
    found = []
    for label, rows in _runs(None if run is None else columns[run]):
        called = name if label is None else f"{name}_{label}"
        found.append(Trajectory(called, times[rows], states[rows], tuple(kept), units, unit, origin))
    return found


def column_trajectories(
    columns: Mapping[Any, Any], name: str, *, variables: Sequence[str] | None, time: str | None, run: str | None
) -> list[Trajectory]:
    """Does the same with columns in memory: a mapping of their names to values, or a table of pandas."""
    named = {name_and_unit(str(key)): np.asarray(columns[key]) for key in columns}
    table = StateTable(name, {key: values for (key, _), values in named.items()}, dict(named))
    sizes = {key: values.shape for key, values in table.columns.items()}
    if len(set(sizes.values())) > 1 or any(len(shape) != 1 for shape in sizes.values()):
        raise TrajectoryUnusable(
            name, f"its columns have the shapes {sizes}", advice="Expected columns of equal length."
        )
    return table_trajectories(table, name, variables=variables, time=time, run=run)


def _read(path: str, file: TextIO, wanted: Collection[str] | None, texts: Collection[str]) -> StateTable:
    header, lines = _header(path, file)
    delimiter = max(_DELIMITERS, key=header.count)
    if not header.count(delimiter):
        delimiter = " " if " " in header.strip() else ","
    names, units = _names(path, _cells(header, delimiter))
    positions = [k for k, name in enumerate(names) if wanted is None or name in wanted]
    rows = _rows(path, lines, delimiter, len(names))
    first = next(rows, None)
    textual = [
        k for k in positions
        if names[k].lower() in texts or (first is not None and not _is_number(first[1][k]) and not _is_absent(first[1][k]))
    ]  # fmt: skip
    numeric = [k for k in positions if k not in textual]
    numbers, words = array("d"), {k: list[str]() for k in textual}
    # The first is picked twice, so that one column comes as a tuple, too.
    pick = itemgetter(*numeric, *numeric[:1]) if numeric else None
    for line, cells in chain([] if first is None else [first], rows):
        for k, column in words.items():
            if names[k].lower() not in texts and _is_number(cells[k]):
                assert first is not None
                raise _no_number(path, first[0], names[k], first[1][k])
            column.append(cells[k].strip())
        if pick is None:
            continue
        try:
            numbers.extend(list(map(float, pick(cells)[:-1])))
        except ValueError:
            numbers.extend([_number(path, line, names[k], cells[k], delimiter) for k in numeric])
    values = np.frombuffer(numbers, float).reshape(-1, max(len(numeric), 1))
    columns: dict[str, np.ndarray] = {}
    for k in positions:
        columns[names[k]] = np.array(words[k], str) if k in words else values[:, numeric.index(k)]
    return StateTable(path, columns, units)


def _header(path: str, file: TextIO) -> tuple[str, Iterator[tuple[int, str]]]:
    """Returns the line of names, and the lines behind it with their numbers."""
    lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    comment = ""
    for number, line in lines:
        if line.lstrip().startswith("#"):
            comment = line.strip().lstrip("#").strip()
            continue
        separated = line
        for mark in _DELIMITERS:
            separated = separated.replace(mark, " ")
        cells = separated.split()
        if comment and any(map(_is_number, cells)):
            return comment, chain([(number, line)], lines)
        if all(_is_number(cell) or _is_absent(cell) for cell in cells):
            raise SourceUnreadable(
                path,
                f"line {number} holds numbers where the names of the columns were expected",
                advice="Put a line like time,x,y,z in front.",
            )
        return line.strip(), lines
    cause = "it holds no line but comments" if comment else "the file is empty"
    raise SourceUnreadable(path, cause, advice="Expected a line of names, then lines of values.")


def _cells(line: str, delimiter: str) -> list[str]:
    return line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _names(path: str, cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    parts = [name_and_unit(cell) for cell in cells]
    names = [name or f"column_{k}" for k, (name, _) in enumerate(parts, 1)]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SourceUnreadable(path, f"several columns are called {twins[0]}", advice="Rename them.")
    return names, {name: unit for name, (_, unit) in zip(names, parts) if unit}


def _rows(
    path: str, lines: Iterator[tuple[int, str]], delimiter: str, width: int
) -> Iterator[tuple[int, Sequence[str]]]:
    for number, line in lines:
        if line.lstrip().startswith("#"):
            continue
        plain = delimiter == " " or '"' not in line
        cells = line.split(None if delimiter == " " else delimiter) if plain else _cells(line, delimiter)
        if len(cells) != width:
            raise SourceUnreadable(
                path,
                f"line {number} has {len(cells)} values, and the line of names has {width}",
                advice="Give each line a value for each column, empty where not observed; the file may be cut short.",
            )
        yield number, cells


def _is_absent(cell: str) -> bool:
    return cell.strip().lower() in _ABSENT


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return not _is_absent(cell)


def _number(path: str, line: int, column: str, cell: str, delimiter: str) -> float:
    text = cell.strip()
    if _is_absent(text):
        return np.nan
    try:
        return float(text.replace(",", ".") if delimiter == ";" else text)
    except ValueError:
        raise _no_number(path, line, column, text) from None


def _no_number(path: str, line: int, column: str, text: str) -> SourceUnreadable:
    return SourceUnreadable(
        path,
        f"line {line} has {text.strip()[:40]!r} in column {column}, where a number was expected",
        advice="Leave what was not observed empty, or say which columns are the variables of the state (variables).",
    )


def _times(values: np.ndarray, unit: str, column: str, where: str) -> tuple[np.ndarray, np.datetime64 | None, str]:
    if values.dtype.kind in "fiu":
        return values, None, unit
    dates = values if values.dtype.kind == "M" else _dates(values, column, where)
    times, origin = days_since(dates, where=where)
    return times, origin, DAYS


def _dates(values: np.ndarray, column: str, where: str) -> np.ndarray:
    texts = [str(value).strip().removesuffix("Z").removesuffix("+00:00") for value in values]
    try:
        return np.array(texts, "datetime64[ns]")
    except ValueError:
        pass
    for row, text in enumerate(texts, 1):
        try:
            np.datetime64(text, "ns")
        except ValueError as error:
            raise TrajectoryUnusable(
                where,
                f"{text[:40]!r} in column {column}, row {row}, is no time",
                advice="Expected numbers, or dates like 2020-10-31T12:00 in UTC.",
            ) from error
    raise TrajectoryUnusable(where, f"column {column} holds no times", advice="Expected numbers or dates.")


def _numbers(values: np.ndarray, column: str, where: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise TrajectoryUnusable(where, f"column {column} holds no numbers", advice="Leave it out of the variables.")
    return values.astype(float)


def _runs(labels: np.ndarray | None) -> list[tuple[str | None, slice | np.ndarray]]:
    """Returns each run's label and rows, in the order in which they begin."""
    if labels is None:
        return [(None, slice(None))]
    known, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    written = [f"{label:g}" if isinstance(label, float) else str(label) for label in known]
    return [(written[k], rows[k]) for k in np.argsort(first)]
