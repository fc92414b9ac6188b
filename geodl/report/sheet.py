"""Tables of a report, as its page shows them: cells that know what they are sorted by."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Protocol

__all__ = ("Cell", "Sheet", "TableLike", "cell", "plain", "sheet")

_NUMBER = re.compile(r"([-+−]?\d[\d,]*(?:\.\d+)?)\*?")
_LISTED = 8
"""Most members of a list that are written out."""


class TableLike(Protocol):
    """A titled table, for example `geodl.pipelines.task.Table`."""

    @property
    def title(self) -> str:
        """What it shows."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Their headings."""
        ...

    @property
    def rows(self) -> Iterable[Sequence[object]]:
        """As many cells each as there are columns."""
        ...


@dataclass(frozen=True)
class Cell:
    """One cell, as plain text."""

    text: str
    value: float | None = None
    """What it is sorted by, where that is a number: with all its digits."""
    numeric: bool = False
    """Whether it is a number, or stands for one that is undefined."""
    best: bool = False
    """Whether it is the best of its row."""
    shade: int | None = None
    """Depth of its ground, 0 to 10."""
    soft: str = ""
    """Second line, in small letters."""


@dataclass(frozen=True)
class Sheet:
    """A table of cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""
    """How to read it, in a sentence."""

    @property
    def sortable(self) -> bool:
        """Whether rows may change places: not where several have one name, and so belong to those above them."""
        names = [row[0].text for row in self.rows]
        return len(set(names)) == len(names) > 1

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether all cells of a column are numbers, by column."""
        return tuple(bool(self.rows) and all(row[k].numeric for row in self.rows) for k in range(len(self.columns)))


def sheet(table: TableLike) -> Sheet:
    """Returns a table's cells; short rows are filled up.

    Example:
        >>> from types import SimpleNamespace
        >>> sheet(SimpleNamespace(title="Pixels", columns=("part", "pixels"), rows=(("train", "1,200"),))).numeric
        (False, True)
    """
    width = len(table.columns)
    rows = tuple(tuple(cell(value) for value in [*row, *[""] * width][:width]) for row in table.rows)
    return Sheet(tuple(map(str, table.columns)), rows, str(table.title))


def cell(value: object, *, best: bool = False) -> Cell:
    """Returns the cell of a value; texts that are numbers, such as `1,200` or `0.5*`, are sorted as such."""
    if isinstance(value, Real) and not isinstance(value, bool):
        finite = math.isfinite(value)
        return Cell(plain(value), float(value) if finite else None, numeric=True, best=best)
    text = plain(value)
    number = _NUMBER.fullmatch(text)
    if number:
        return Cell(text, float(number[1].replace(",", "").replace("−", "-")), numeric=True, best=best)
    return Cell(text, numeric=text == "–", best=best)


def plain(value: object) -> str:
    """Returns a value in words: scores with three decimals, undefined ones as a dash, lists shortened.

    Example:
        >>> plain(0.12345), plain(float("nan")), plain(["a", "b"]), plain(None)
        ('0.123', '–', 'a, b', '')
    """
    if isinstance(value, Real) and not isinstance(value, (bool, int)):
        return f"{float(value):.3f}" if math.isfinite(value) else "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        more = f", … ({len(value)} in all)" if len(value) > _LISTED else ""
        return ", ".join(map(str, value[:_LISTED])) + more
    return "" if value is None else str(value)
