"""Figure of importance: which dates and bands a classification of time series rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, line_figure, name_axes
from geodl.report.palette import NETWORK, WORTH
from geodl.report.season import draw_season

__all__ = ("importance_figure",)

_GAP = 2.0
"""Median steps that the mark of a date is wide at most: a longer gap between dates stays empty."""


def importance_figure(
    days: np.ndarray | Sequence[float],
    bands: Sequence[str],
    values: np.ndarray | Sequence[Sequence[float]],
    *,
    unit: str = "day",
    name: str = "importance (no unit)",
    title: str = "",
) -> Figure:
    """Draws the importance of each date over all bands, and below it of each band at each date.

    Each date is as wide as the time around it, dates far apart leave a gap.

    Args:
        days: increasing, (time,).
        bands: their names.
        values: at least 0, shape (time, band); not-a-number is left blank.
        unit: `day`: days of the year, and months are marked; "": positions.
        name: of the values, with a unit where they have one.
        title: above all panels.

    Raises:
        OptionError: shapes that do not fit, or no date.

    Example:
        >>> figure = importance_figure([10, 40, 70], ("NIR", "red"), [[0.1, 0.0], [0.5, 0.2], [0.1, 0.1]])
    """
    when, found = np.asarray(days, float), np.asarray(values, float)
    if found.shape != (len(when), len(bands)) or not found.size:
        raise OptionError(
            "values", expected=f"shape ({len(when)}, {len(bands)}) of one date at least", received=found.shape
        )
    left, right = _extents(when)
    rows = 0 if len(bands) == 1 else len(bands)
    figure = line_figure(WIDTH, 2.2 + 0.25 * rows + 0.45 * bool(rows) + 0.3 * bool(title))
    margin = 0.01 * (right[-1] - left[0])
    limits = float(left[0] - margin), float(right[-1] + margin)
    if not rows:
        axes = figure.subplots()
        _draw_dates(axes, found, left, right, name=name)
        draw_season(axes, *limits, unit=unit)
    else:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 0.25 * rows + 0.3])
        _draw_dates(upper, found, left, right, name="sum of all bands")
        edges = np.stack([left, right], axis=1).ravel()
        cells = np.full((rows, len(edges) - 1), np.nan)
        cells[:, ::2] = found.T
        drawn = lower.pcolormesh(edges, np.arange(rows + 1) - 0.5, np.ma.masked_invalid(cells), cmap=WORTH, vmin=0)
        lower.set_ylim(rows - 0.5, -0.5)
        name_axes(lower, "", "band")
        lower.grid(visible=False)
        lower.set_yticks(range(rows), labels=list(bands), parse_math=False, fontsize=8)
        draw_season(lower, *limits, unit=unit)
        bar = figure.colorbar(drawn, ax=[upper, lower], shrink=0.8, pad=0.01)
        bar.set_label(name, fontsize=8, parse_math=False)
        bar.ax.tick_params(labelsize=7)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _draw_dates(axes: Axes, values: np.ndarray, left: np.ndarray, right: np.ndarray, *, name: str) -> None:
    total = np.nansum(values, axis=1)
    width = right - left
    axes.bar(left, total, 0.92 * width, align="edge", color=NETWORK)
    name_axes(axes, "", name)
    axes.grid(visible=False, axis="x")


def _extents(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the mark of each date begins and ends: half-way to its neighbours, but no more than that."""
    steps = np.diff(days)
    half = np.minimum(steps, _GAP * np.median(steps)) / 2 if len(steps) else np.array([0.5])
    before, after = (half[[0, *range(len(half))]], half[[*range(len(half)), -1]]) if len(steps) else (half, half)
    return days - before, days + after
