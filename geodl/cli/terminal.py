"""What commands print: tables within 80 columns, plain when piped."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from geodl.pipelines.evaluation import Evaluation

__all__ = ("console", "number", "print_evaluation", "print_table", "write_json")


def console(*, stderr: bool = False) -> Console:
    """Returns a console on today's stdout or stderr; colours only on a terminal."""
    from rich.console import Console

    return Console(file=sys.stderr if stderr else sys.stdout, highlight=False, soft_wrap=False)


def number(value: object) -> str:
    """Returns four significant digits of a float, a dash for not-a-number, and all else as it is."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "–"
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
        numeric = bool(cells) and all(re.fullmatch(r"[-+]?[\d,.]+|–", number(cell)) for cell in cells)
        table.add_column(Text(str(column)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(number(cell)) for cell in row))
    to.print(table)


def print_evaluation(to: Console, evaluation: Evaluation) -> None:
    """Prints scores beside those of the baselines: one table of the whole, one by class (or threshold)."""
    baselines = {name: baseline.metrics for name, baseline in evaluation.baselines.items()}
    scores = {evaluation.pipeline: evaluation.metrics, **baselines}
    part = evaluation.protocol.get("part")
    whole = [name for name in evaluation.metrics if "/" not in name]
    rows = [(name, *(score.get(name, math.nan) for score in scores.values())) for name in whole]
    print_table(to, f"Scores ({part})" if part else "Scores", ("metric", *scores), rows)
    split = [name.partition("/")[::2] for name in evaluation.metrics if "/" in name]
    if split:
        kinds, members = (list(dict.fromkeys(names)) for names in zip(*split, strict=True))
        columns = [(owner, kind) for kind in kinds[:1] for owner in baselines]
        print_table(
            to,
            "By class",
            ("class", *kinds, *(f"{kind} ({owner})" for owner, kind in columns)),
            [
                (
                    member,
                    *(evaluation.metrics.get(f"{kind}/{member}", math.nan) for kind in kinds),
                    *(baselines[owner].get(f"{kind}/{member}", math.nan) for owner, kind in columns),
                )
                for member in members
            ],
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON to a file, whole or not at all, or to stdout for `-`.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        from geodl.bundle import replace_text

        replace_text(path, text)
