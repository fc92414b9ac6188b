"""What commands print: tables within 80 columns, plain when piped."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.activity import console

if TYPE_CHECKING:
    from rich.console import Console

    from geodl.pipelines.evaluation import Evaluation

__all__ = ("Answer", "console", "number", "print_evaluation", "print_table", "write_json")


_ACROSS = 4
"""Methods whose names fit side by side."""


def number(value: object) -> str:
    """Returns about four digits of a float, a dash for not-a-number, and all else as it is."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
    if 0 < abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"


def print_table(
    to: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, heading: bool = True
) -> None:
    """Prints a table; numbers stand to the right.

    Args:
        to: where.
        title: line above it, never broken.
        columns: headings.
        rows: cells.
        heading: whether the headings are shown.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    to.print(Text(title, "bold"), soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_header=heading, pad_edge=False)
    for position, column in enumerate(columns):
        cells = [row[position] for row in rows if position < len(row)]
        numeric = bool(cells) and all(re.fullmatch(r"[-+]?[\d,.]+(?:e-\d+)?\*?|–", number(cell)) for cell in cells)
        table.add_column(Text(str(column)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(number(cell)) for cell in row))
    to.print(table)


class Answer:
    """What a command tells: tables, lines and files, printed as they come, and written as JSON in the end if asked for.

    Args:
        json: file for the JSON; `-` is stdout, and what is printed goes to stderr then; None: none is written.
        quiet: print nothing but the paths of files.
    """

    def __init__(self, json: Path | None = None, *, quiet: bool = False) -> None:
        self._json, self.quiet = json, quiet
        self._to = console(stderr=str(json) == "-")
        self._tables: list[dict[str, Any]] = []
        self._lines: list[str] = []
        self._files: list[dict[str, str]] = []

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, heading: bool = True
    ) -> None:
        """Tells a table; without a `heading` it is one of properties and their values. See `print_table`."""
        rows = [tuple(row) for row in rows]
        if heading:
            content: dict[str, Any] = {"rows": [dict(zip(columns, row)) for row in rows]}
        else:
            content = {"properties": {str(name): value for name, value in rows}}
        self._tables.append({"title": title, **content})
        if not self.quiet:
            print_table(self._to, title, columns, rows, heading=heading)

    def line(self, text: str) -> None:
        """Tells a sentence."""
        self._lines.append(text)
        if not self.quiet:
            self._to.print(text, markup=False, soft_wrap=not self._to.is_terminal)

    def file(self, what: str, path: object, remark: str = "") -> None:
        """Tells a file, or folder, that was made: with what it is, or by its path alone."""
        self._files.append({"what": what, "path": str(path)})
        text = str(path) if self.quiet else f"{what}: {path}{remark and f' ({remark})'}"
        self._to.print(text, markup=False, soft_wrap=True)

    def close(self, **facts: Any) -> None:
        """Writes the JSON: `facts`, then what there was of `tables`, `lines` and `files`.

        Raises:
            OutputUnwritable: no permission, disk full.
        """
        if self._json is not None:
            told = {"tables": self._tables, "lines": self._lines, "files": self._files}
            write_json(self._json, facts | {name: content for name, content in told.items() if content})


def print_evaluation(to: Console, evaluation: Evaluation) -> None:
    """Prints scores beside those of the baselines: one table of the whole, others by class, threshold or band."""
    baselines = {name: baseline.metrics for name, baseline in evaluation.baselines.items()}
    scores = {evaluation.pipeline: evaluation.metrics, **baselines}
    part = evaluation.protocol.get("part")
    whole = [name for name in evaluation.metrics if "/" not in name]
    columns: tuple[str, ...] = ("metric", *scores)
    rows = [(name, *(score.get(name, math.nan) for score in scores.values())) for name in whole]
    if len(scores) > max(_ACROSS, len(whole) // 2):
        # A row per method: headings of so many would be broken.
        columns = ("method", *whole)
        rows = [(owner, *(score.get(name, math.nan) for name in whole)) for owner, score in scores.items()]
    print_table(to, f"Scores ({part})" if part else "Scores", columns, rows)
    for table in evaluation.tables:
        print_table(to, table.title, table.columns, table.rows)
    split = [name.partition("/")[::2] for name in evaluation.metrics if "/" in name]
    if split and not evaluation.tables:
        kinds, members = (list(dict.fromkeys(names)) for names in zip(*split, strict=True))
        if "bands" in evaluation.details:
            _print_bands(to, scores, kinds, members)
        else:
            _print_classes(to, scores, kinds, members)


def _print_classes(
    to: Console, scores: Mapping[str, Mapping[str, float]], kinds: Sequence[str], members: Sequence[str]
) -> None:
    """Prints a row per class: all kinds of scores of the network, and the first kind of the baselines."""
    own, *baselines = scores
    cells = [(own, kind) for kind in kinds] + [(owner, kind) for owner in baselines for kind in kinds[:1]]
    columns = [kind if owner == own else f"{kind} ({owner})" for owner, kind in cells]
    rows = [(member, *(scores[owner].get(f"{kind}/{member}", math.nan) for owner, kind in cells)) for member in members]
    print_table(to, "By class", ("class", *columns), rows)


def _print_bands(
    to: Console, scores: Mapping[str, Mapping[str, float]], kinds: Sequence[str], bands: Sequence[str]
) -> None:
    """Prints a column per band, as kinds of scores and baselines are many: as many tables as 80 columns take."""
    own, *baselines = scores
    cells = [(own, kind) for kind in kinds]
    cells[1:1] = [(owner, kind) for owner in baselines for kind in kinds[:1]]
    names = [kind if owner == own else f"{kind} ({owner})" for owner, kind in cells]
    values = {band: [number(scores[owner].get(f"{kind}/{band}", math.nan)) for owner, kind in cells] for band in bands}
    widths = {band: 2 + max(map(len, (band, *column))) for band, column in values.items()}
    room = 80 - 4 - max(map(len, ("metric", *names)))
    tables: list[list[str]] = [[]]
    for band in bands:
        if tables[-1] and sum(widths[other] for other in tables[-1]) + widths[band] > room:
            tables.append([])
        tables[-1].append(band)
    for shown in tables:
        rows = [(name, *(values[band][row] for band in shown)) for row, name in enumerate(names)]
        print_table(to, "By band" if shown is tables[0] else "By band, continued", ("metric", *shown), rows)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON to a file, whole or not at all, or to stdout for `-`.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        from geodl.bundle import replace_text

        replace_text(path, text)


def _plain(value: object) -> object:
    """What JSON has no word for: numbers of numpy, paths, dates."""
    return value.item() if hasattr(value, "item") else str(value)
