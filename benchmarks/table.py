"""Makes the tables of docs/benchmarks.md of the results in benchmarks/results/.

    python benchmarks/table.py [--check]

Replaces what stands between the two markers of that page; `--check` only says whether it is up to date.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def tables(results: Iterable[Mapping[str, Any]]) -> str:
    """Returns all tables: the figures asked for first, then what was measured, benchmark by benchmark."""
    results = list(results)
    rows = [check_row(result, check) for result in results for check in result["checks"]]
    parts = ["\n".join(table(("", "benchmark", "found", "asked for"), rows))] if rows else []
    for result in results:
        timings = [timing_row(timing) for timing in result["timings"]]
        heading = ("", "median", "rounds", "rate")
        lines = [f"### {result['title']}", "", *prose(result), "", *table(heading, timings)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yields the lines of a Markdown table; all columns but the first are aligned to the right."""
    yield f"| {' | '.join(heading)} |"
    yield "|---|" + "---:|" * (len(heading) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def check_row(result: Mapping[str, Any], check: Mapping[str, Any]) -> tuple[str, ...]:
    unit = f" {check['unit']}" if check["unit"] else ""
    asked = [
        f"{sign} {check[limit]:g}{unit}"
        for limit, sign in (("at_least", "≥"), ("at_most", "≤"))
        if check[limit] is not None
    ]
    asked += [f"aim {check['aim']:g}{unit}"] if check["aim"] is not None else []
    found = f"{check['value']:.3g}{unit}"
    marked = found if not asked else f"**{found}**" if check["passes"] else f"{found} ✗"
    return check["name"], result["benchmark"], marked, ", ".join(asked)


def timing_row(timing: Mapping[str, Any]) -> tuple[str, ...]:
    rate = f"{timing['rate']:.3g} {timing['unit']}/s" if timing.get("rate") else ""
    rounds = " ".join(f"{seconds:.3g}" for seconds in timing["seconds"])
    return timing["name"], f"{timing['median']:.3g} s", rounds, rate


def prose(result: Mapping[str, Any]) -> Iterator[str]:
    """Yields how, on what and with what a result was measured."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield f"{result['protocol']}."
    yield ""
    yield (
        f"{result['date']}, commit {result['commit']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:g} GiB, {machine['system']}, load before {machine['load_before']:g}; {versions}."
    )


def stored() -> list[dict[str, Any]]:
    """Returns the results that the harness wrote, by name of their files."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return [result for result in found if {"checks", "timings", "machine"} <= result.keys()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the page does not show the stored results")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}\n\n{tables(stored()) or 'None yet.'}\n\n{END}{after}"
    if options.check:
        raise SystemExit(0 if made == page else f"{PAGE} is out of date: run python benchmarks/table.py.")
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
