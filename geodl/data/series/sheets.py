"""Sheets: rows and columns of a file or a data frame, before anybody knows what they mean."""

from __future__ import annotations

import csv
import gzip
import itertools
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import pandas as pd

from geodl.errors import SeriesUnusable, SourceUnreadable

__all__ = ("Sheet", "frame_sheet", "is_number", "read_sheet", "refuse_absent")

_DELIMITERS = (",", ";", "\t")
_ABSENT = (
    "",
    "na",
    "NA",
    "n/a",
    "N/A",
    "nan",
    "NaN",
    "NAN",
    "null",
    "NULL",
    "none",
    "None",
    "nat",
    "NaT",
    "-",
    "--",
    "?",
)
"""What stands for a number or a date that was not observed."""
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")


@dataclass(frozen=True)
class Sheet:
    """Rows and columns, and where each row stands, for messages."""

    where: str
    frame: pd.DataFrame
    """Its columns are called by texts, each once."""
    lines: np.ndarray | None = None
    """Line of each row, counted from 1, in a text file."""
    headed: bool = True
    """Whether the columns have names; without, they are called column_1, column_2, …"""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.frame.columns]

    def place(self, row: int) -> str:
        """Returns how a row is called in messages."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def numeric(self, name: str) -> bool:
        """Says whether a column is meant to hold numbers: it does, or all but some of its cells do."""
        column = self.frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            return not pd.api.types.is_complex_dtype(column.dtype)
        if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
            return False
        stated = column[column.notna()]
        return len(stated) > 0 and float(pd.to_numeric(stated, errors="coerce").notna().mean()) > 0.5

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Returns columns as numbers: float32 (row, column), not-a-number where a cell is empty.

        Raises:
            SourceUnreadable: there is text among them.
        """
        frame = self.frame[list(names)]
        if all(isinstance(dtype, np.dtype) and dtype.kind in "iufb" for dtype in frame.dtypes):
            with np.errstate(over="ignore"):
                return frame.to_numpy(np.float32)
        found = np.empty((len(self.frame), len(names)), np.float32)
        for k, name in enumerate(names):
            column = self.frame[name]
            numeric = pd.to_numeric(column, errors="coerce")
            wrong = np.flatnonzero((numeric.isna() & column.notna()).to_numpy())
            texts = [row for row in wrong if str(column.iloc[row]).strip() not in _ABSENT]
            if texts:
                raise SourceUnreadable(
                    self.where,
                    f"{self.place(int(texts[0]))} has {str(column.iloc[texts[0]])[:40]!r} in column {name}, where a number "
                    "was expected",
                    advice="Leave what was not observed empty; or say which columns are bands (bands), or no values "
                    "(columns).",
                )
            with np.errstate(over="ignore"):
                found[:, k] = numeric.to_numpy(np.float64, na_value=np.nan)
        return found


def frame_sheet(frame: pd.DataFrame, where: str) -> Sheet:
    """Takes a data frame, whose index counts as a column where it has a name.

    Raises:
        SeriesUnusable: two columns have one name; it has no rows.
    """
    names = [str(name) for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=names) if names else frame
    frame = frame.set_axis([str(name).strip() for name in frame.columns], axis=1)
    twins = frame.columns[frame.columns.duplicated()]
    if len(twins):
        raise SeriesUnusable(where, f"several columns are called {twins[0]}", advice="Rename them.")
    if not len(frame):
        raise SeriesUnusable(where, "it has no rows", advice="Give a table with at least one series.")
    return Sheet(where, frame.reset_index(drop=True))


def read_sheet(path: str, *, texts: Sequence[str] = (), words: Sequence[str] = ()) -> Sheet:
    """Reads a text file: values separated by commas, semicolons or tabs, packed with gzip or not.

    The first line names the columns, unless it holds numbers alone, or numbers that do not rise: then the columns are
    called column_1, column_2, … Lines in front that begin with # are passed over. With semicolons, decimal commas are
    understood. Empty cells, NA, nan, null, - and ? are missing.

    Args:
        path: of the file, in UTF-8.
        texts: columns that are read as text whatever they hold, such as names of parcels that begin with 0.
        words: columns in which only an empty cell is missing, such as classes, one of which may be called None.

    Raises:
        SourceUnreadable: the file is missing, empty, damaged or no text; a row has too few or too many cells.
    """
    refuse_absent(path)
    opener = gzip.open if path.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            skipped, delimiter, names, headed, lines, commas = _scan(path, file)
        absent: Any = list(_ABSENT)
        if not set(names).isdisjoint(words):
            absent = {name: [""] if name in words else absent for name in names}
        frame = pd.read_csv(
            path, sep=delimiter, header=0 if headed else None, names=names, skiprows=skipped, encoding="utf-8-sig",
            dtype={name: str for name in names if headed and name in texts},
            na_values=absent, keep_default_na=False,
            skipinitialspace=True, low_memory=False, index_col=False, decimal="," if commas else ".",
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            path,
            f"it is no text in UTF-8 (byte 0x{error.object[error.start]:02x} is none of it)",
            advice="Save the table in UTF-8, or as Parquet.",
        ) from error
    except (csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SourceUnreadable(path, f"it is no table ({error})", advice="Expected a table as CSV.") from error
    except (EOFError, zlib.error, OSError) as error:
        cause = (getattr(error, "strerror", None) or str(error)).lower()
        raise SourceUnreadable(path, cause, advice="Copy or write the file again.") from error
    if len(frame) != len(lines):
        raise SourceUnreadable(
            path, f"of its {len(lines)} rows {len(frame)} can be read", advice="Look for quotes that are not closed."
        )
    if headed and names[0] == "column_1" and np.array_equal(frame["column_1"].to_numpy(), np.arange(len(frame))):
        frame = frame.drop(columns="column_1")  # The index that pandas wrote.
    return Sheet(path, frame, np.asarray(lines), headed)


def refuse_absent(path: str) -> None:
    """Refuses a file that is not there, or holds nothing.

    Raises:
        SourceUnreadable: of such a file.
    """
    if not os.path.isfile(path):
        raise SourceUnreadable(path, "it is a folder" if os.path.isdir(path) else "there is no such file")
    if not os.path.getsize(path):
        raise SourceUnreadable(path, "the file is empty", advice="Copy or write it again.")


def is_number(cell: str) -> bool:
    """Says whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip() not in _ABSENT


def _scan(path: str, file: TextIO) -> tuple[int, str, list[str], bool, list[int], bool]:
    """Passes over the whole file: pandas fills short rows in silence, and does not say where it fails."""
    skipped, first = 0, file.readline()
    while first and (not first.strip() or first.startswith("#")):
        skipped, first = skipped + 1, file.readline()
    if not first:
        raise SourceUnreadable(path, "it holds no rows", advice="Expected a line of names, then lines of values.")
    delimiter = max(_DELIMITERS, key=first.count)
    cells = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))]
    numbers = [float(cell) for cell in cells if is_number(cell)]
    rising = all(one < other for one, other in itertools.pairwise(numbers))
    headed = rising and any(cell and not is_number(cell) for cell in cells)
    names = [(cell if headed else "") or f"column_{k}" for k, cell in enumerate(cells, 1)]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SourceUnreadable(path, f"several columns are called {twins[0]}", advice="Rename them.")
    lines, commas = ([] if headed else [skipped + 1]), False
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if len(row) != len(cells):
            raise SourceUnreadable(
                path,
                f"line {skipped + 1 + reader.line_num} has {len(row)} cells, and the first row has {len(cells)}",
                advice="Give each row a cell for each column, empty where not observed; the file may be cut short.",
            )
        if delimiter == ";" and len(lines) < 100:
            commas = commas or any(map(_DECIMAL_COMMA.fullmatch, row))
        lines.append(skipped + 1 + reader.line_num)
    if not lines:
        raise SourceUnreadable(
            path, "it holds a line of names and no rows", advice="Expected a line of values for each series or date."
        )
    return skipped, delimiter, names, headed, lines, commas
