"""Spans of time on rows: when the events, and the stretches of trajectories, of each part of a split are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geodl.data.places import Place
from geodl.report.comparison import shorten
from geodl.report.lines import WIDTH, line_figure, name_axes
from geodl.report.palette import CAPTION, PARTS

__all__ = ("draw_timelines", "spans")

_ROWS = 24
"""Events or trajectories that have a row each, at most."""
_UNITS = (("days", 86_400.0, 96 * 3600.0), ("h", 3600.0, 2 * 3600.0), ("min", 60.0, 0.0))
"""Name, seconds, and how many seconds the longest row has at least, for elapsed time."""

Span = tuple[float, float]


def spans(times: Sequence[tuple[Any, Any]], *, start: Any = None) -> list[Span]:
    """Joins spans that overlap or touch.

    Args:
        times: first and last of each, numbers or datetime64.
        start: what they are counted from, a number or datetime64 as they; None: 0, or 1970.

    Returns:
        First and last, increasing; seconds of datetime64.

    Example:
        >>> spans([(0.0, 2.0), (5.0, 6.0), (1.0, 3.0)])
        [(0.0, 3.0), (5.0, 6.0)]
    """
    pairs = sorted((_number(first, start), _number(last, start)) for first, last in times)
    found: list[Span] = []
    for first, last in pairs:
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def draw_timelines(places: Mapping[str, Sequence[Place]], *, unit: str = "") -> tuple[Figure, str]:
    """Draws a row per event or trajectory, with the spans of the parts.

    Args:
        places: part → places, all with a time.
        unit: of times that are numbers.

    Returns:
        The figure, and what is to be said below it.
    """
    rows: dict[str, dict[str, list[tuple[Any, Any]]]] = {}
    for part, found in places.items():
        for place in found:
            if place.time is not None:
                rows.setdefault(place.source, {}).setdefault(part, []).append(place.time)
    shown = _chosen(rows)
    dated = isinstance(next(iter(next(iter(rows.values())).values()))[0][0], np.datetime64)
    starts = {name: min(first for times in of.values() for first, _ in times) for name, of in rows.items()}
    names = {name: name for name in shown}
    figure = line_figure(WIDTH, 0.24 * max(len(shown), 2) + 1.25)
    axes = figure.subplots()
    note = "" if len(shown) == len(rows) else f"{len(shown)} of {len(rows)} rows are drawn, some of each part."
    if not dated:
        _draw_rows(axes, {name: {part: spans(t) for part, t in rows[name].items()} for name in shown}, 1.0, None)
        name_axes(axes, f"time ({unit or 'time units'})", "")
    elif _far_apart(rows):
        elapsed = {name: {part: spans(t, start=starts[name]) for part, t in rows[name].items()} for name in shown}
        longest = max(last for of in elapsed.values() for found in of.values() for _, last in found)
        called, seconds, _ = next(each for each in _UNITS if longest >= each[2])
        _draw_rows(axes, elapsed, seconds, None)
        name_axes(axes, f"time since the row's first frame ({called})", "")
        names = {name: f"{name}, {str(starts[name])[:16].replace('T', ' ')}" for name in shown}
        note = f"{note} Dates are UTC.".strip()
    else:
        whole = {name: {part: spans(t) for part, t in rows[name].items()} for name in shown}
        _draw_rows(axes, whole, 86_400.0, "date")
        name_axes(axes, "date (UTC)", "")
        axes.xaxis_date()
    axes.set_yticks(
        range(len(shown)), labels=[shorten(names[name], 2.6) for name in shown], parse_math=False, fontsize=8
    )
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    if not dated or _far_apart(rows):
        axes.xaxis.set_major_locator(MaxNLocator(8))
    return figure, f"Gaps are in no part. {note}".strip()


def _draw_rows(axes: Axes, rows: Mapping[str, Mapping[str, Sequence[Span]]], scale: float, kind: str | None) -> None:
    longest = max(last for of in rows.values() for found in of.values() for _, last in found) / scale
    for row, of in enumerate(rows.values()):
        for part, found in of.items():
            bars = [(first / scale, max((last - first) / scale, 1e-9)) for first, last in found]
            look = PARTS[part]
            axes.broken_barh(
                bars,
                (row - 0.36, 0.72),
                facecolors=look["colour"],
                hatch=look["hatch"],
                edgecolor=CAPTION,
                linewidth=0.6,
                label=part,
            )
    if kind is None:
        axes.set_xlim(min(0.0, *(found[0][0] / scale for of in rows.values() for found in of.values())), 1.01 * longest)


def _far_apart(rows: Mapping[str, Mapping[str, Sequence[tuple[Any, Any]]]]) -> bool:
    """Says whether several rows would be hairlines on a common axis."""
    ends = [
        (min(f for t in of.values() for f, _ in t), max(last for t in of.values() for _, last in t))
        for of in rows.values()
    ]
    whole = _number(max(last for _, last in ends), min(first for first, _ in ends))
    longest = max(_number(last, first) for first, last in ends)
    return len(rows) > 1 and whole > 6 * longest


def _chosen(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names the rows to draw: all, or as many of each part as there is room for."""
    if len(rows) <= _ROWS:
        return list(rows)
    by_part: dict[str, list[str]] = {}
    for name, of in rows.items():
        by_part.setdefault(list(of)[-1], []).append(name)
    share = _ROWS // len(by_part)
    kept = {name for names in by_part.values() for name in names[:share]}
    return [name for name in rows if name in kept]


def _number(time: Any, start: Any) -> float:
    """A time as a number: seconds from `start`, or from 1970, of datetime64."""
    if isinstance(time, np.datetime64):
        return float((time - (np.datetime64(0, "s") if start is None else start)) / np.timedelta64(1, "s"))
    return float(time - (0 if start is None else start))
