"""Figures of time series: how the classes run through the year, and how early in it they are told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, line_figure, name_axes, styles
from geodl.report.palette import OTHERS, readable
from geodl.report.season import draw_season

__all__ = ("early_season_figure", "profiles_figure")

_TOGETHER = 6
"""Classes whose profiles can be told apart in one panel."""

Profile = tuple[Any, Any, Any]


def profiles_figure(
    days: np.ndarray | Sequence[float],
    profiles: Mapping[str, Profile],
    *,
    band: str,
    unit: str = "day",
    spread: str = "most series",
    colours: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """Draws how a band runs through the year in each class: the median, and the range of most series.

    Up to six classes share a panel; more have one each, with the medians of the others in grey behind.

    Args:
        days: increasing, (time,).
        profiles: by class name, low, median and high values, each (time,), such as the quartiles; not-a-number where nothing
            was observed.
        band: its name, with a unit where it has one.
        unit: `day`: days of the year, and months are marked; "": positions.
        spread: what lies between low and high, in words.
        colours: by class name, of which pale ones are darkened; default: colours that the colour-blind tell apart.
        title: above all panels.

    Raises:
        OptionError: no class, or shapes that do not fit.

    Example:
        >>> days, ndvi = np.arange(1, 366, 16), np.linspace(0.2, 0.8, 23)
        >>> figure = profiles_figure(days, {"soya": (ndvi - 0.1, ndvi, ndvi + 0.1)}, band="NDVI")
    """
    when = np.asarray(days, float)
    found = {name: np.array([np.asarray(part, float) for part in parts]) for name, parts in profiles.items()}
    if not found:
        raise OptionError("profiles", expected="at least one class", received="none")
    for name, values in found.items():
        if values.shape != (3, len(when)):
            raise OptionError(name, expected=f"low, median and high of shape ({len(when)},)", received=values.shape)
    chosen = [{**style, "marker": ""} for style in styles(min(len(found), _TOGETHER))]
    looks = {
        name: {
            **chosen[k % len(chosen)],
            "color": readable((colours or {}).get(name, chosen[k % len(chosen)]["color"])),
        }
        for k, name in enumerate(found)
    }
    draw = _draw_together if len(found) <= _TOGETHER else _draw_apart
    figure = draw(when, found, looks, band=band, unit=unit, spread=spread)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def early_season_figure(
    days: np.ndarray | Sequence[float],
    scores: Mapping[str, np.ndarray | Sequence[float]],
    *,
    unit: str = "day",
    name: str = "score (no unit)",
    title: str = "",
) -> Figure:
    """Draws how well classes are told apart by what was observed until each day.

    Args:
        days: last day that was seen, increasing, (time,).
        scores: by method or by score, in 0–1, (time,); the network first. Not-a-number is not drawn.
        unit: `day`: days of the year, and months are marked; "": positions.
        name: of the vertical axis.
        title: above the panel.

    Raises:
        OptionError: nothing to draw, or shapes that do not fit.

    Example:
        >>> figure = early_season_figure([30, 60, 90], {"accuracy": [0.4, 0.7, 0.9]}, name="accuracy")
    """
    when = np.asarray(days, float)
    found = {label: np.asarray(values, float) for label, values in scores.items()}
    if not found or not len(when):
        raise OptionError("scores", expected="at least one score on at least one day", received="none")
    for label, values in found.items():
        if values.shape != when.shape:
            raise OptionError(label, expected=f"one score for each of {len(when)} days", received=values.shape)
    figure = line_figure(WIDTH, 3.6 + 0.3 * bool(title))
    axes = figure.subplots()
    for style, (label, values) in zip(styles(len(found)), found.items(), strict=True):
        axes.plot(when, values, label=label.replace("_", " "), **style)
        last = float(values[-1])
        if math.isfinite(last):
            axes.axhline(last, color=str(style["color"]), linewidth=0.7, alpha=0.45, zorder=1)
    name_axes(axes, "", name)
    axes.set_ylim(0, 1.02)
    draw_season(axes, *_limits(when), unit=unit, name="last date that is seen. Thin lines: with the whole season")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _draw_together(
    days: np.ndarray,
    profiles: Mapping[str, np.ndarray],
    looks: Mapping[str, dict[str, Any]],
    *,
    band: str,
    unit: str,
    spread: str,
) -> Figure:
    figure = line_figure(WIDTH, 4.0)
    axes = figure.subplots()
    for name, values in profiles.items():
        _draw_profile(axes, days, values, looks[name], label=name)
    name_axes(axes, "", band)
    draw_season(axes, *_limits(days), unit=unit)
    axes.set_xlabel(f"{axes.get_xlabel()}. Line: median; band: {spread}", fontsize=8)
    figure.legend(loc="outside lower center", ncols=min(len(profiles), 4), fontsize=8, frameon=False)
    return figure


def _draw_apart(
    days: np.ndarray,
    profiles: Mapping[str, np.ndarray],
    looks: Mapping[str, dict[str, Any]],
    *,
    band: str,
    unit: str,
    spread: str,
) -> Figure:
    columns = 4 if len(profiles) <= 16 else 5
    rows = math.ceil(len(profiles) / columns)
    figure = line_figure(1.15 * WIDTH, 1.45 * rows + 0.6)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, values) in zip(panels.flat, profiles.items(), strict=False):
        for other, (_, median, _) in profiles.items():
            if other != name:
                axes.plot(days, median, color=OTHERS, linewidth=0.5, zorder=1)
        _draw_profile(axes, days, values, {"color": looks[name]["color"], "linewidth": 1.6, "zorder": 4})
        name_axes(axes, "", "", name)
        draw_season(axes, *_limits(days), unit=unit, most=5)
        axes.tick_params(labelsize=7)
        named = axes.get_xlabel()
        axes.set_xlabel("")
    for axes in panels.flat[len(profiles) :]:
        axes.remove()
    for column in range(columns):
        # Panels in the last row of a column keep their ticks even where the row below is not full.
        panels[(len(profiles) - 1 - column) // columns, column].tick_params(labelbottom=True)
    figure.supxlabel(f"{named}. Line: median; band: {spread}; in grey the other classes", fontsize=8)
    figure.supylabel(band, fontsize=9, parse_math=False)
    return figure


def _draw_profile(axes: Axes, days: np.ndarray, values: np.ndarray, look: dict[str, Any], *, label: str = "") -> None:
    low, median, high = values
    axes.fill_between(days, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(days, median, label=label, **look)
    alone = np.isfinite(median) & ~_beside(np.isfinite(median))
    axes.plot(days[alone], median[alone], linestyle="none", marker="o", markersize=2.5, color=look["color"])


def _beside(known: np.ndarray) -> np.ndarray:
    """Marks what has a known neighbour, so that a line is seen."""
    padded = np.pad(known, 1)
    return np.asarray(padded[:-2] | padded[2:])


def _limits(days: np.ndarray) -> tuple[float, float]:
    margin = 0.02 * float(days[-1] - days[0]) or 1.0
    return float(days[0]) - margin, float(days[-1]) + margin
