"""Figure of single time series, as they were observed, with what they are and what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, line_figure, name_axes, styles
from geodl.report.season import draw_season

__all__ = ("told_figure",)

_BANDS = 7
"""Bands that can be told apart in one panel."""
_HEIGHT = 1.75
"""Inches of a series."""


def told_figure(
    days: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    *,
    bands: Sequence[str],
    names: Sequence[str],
    unit: str = "day",
) -> Figure:
    """Draws series below each other: each observed date is a mark, and lines join them.

    Args:
        days: increasing, (time,) each.
        values: (time, band) each, not-a-number where nothing was observed.
        bands: their names, with a unit where they have one; the first seven are drawn.
        names: of the series: what they are and were taken for, above them.
        unit: `day`: days of the year, and months are marked; "": positions.

    Raises:
        OptionError: shapes that do not fit each other, or no series.

    Example:
        >>> series = np.random.default_rng(0).random((23, 2))
        >>> figure = told_figure([np.arange(1, 366, 16)], [series], bands=("NIR", "red"), names=("maize, told soya",))
    """
    if not len(values) or not len(values) == len(days) == len(names):
        received = f"{len(days)}, {len(values)} and {len(names)}"
        raise OptionError("values", expected="as many days, values and names, one at least", received=received)
    for when, found in zip(days, values, strict=True):
        if found.shape != (len(when), len(bands)):
            raise OptionError("values", expected=f"shape ({len(when)}, {len(bands)})", received=found.shape)
    figure = line_figure(WIDTH, _HEIGHT * len(values) + 0.7)
    panels = figure.subplots(len(values), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    first = min(float(when[np.isfinite(found).any(-1)].min(initial=when[0])) for when, found in zip(days, values))
    last = max(float(when[np.isfinite(found).any(-1)].max(initial=when[0])) for when, found in zip(days, values))
    margin = 0.02 * (last - first) or 1.0
    # Units stand beside the names of the bands that have one.
    named = bands[0] if len(bands) == 1 else "value" if any("(" in band for band in bands) else "value (no unit)"
    for axes, when, found, name in zip(panels, days, values, names):
        for style, band, column in zip(styles(min(len(bands), _BANDS)), bands, found.T):
            seen = np.isfinite(column)
            axes.plot(when[seen], column[seen], label=band, **{**style, "linewidth": 1.1, "markersize": 3.2})
        name_axes(axes, "", named)
        axes.set_title(name, fontsize=9, loc="left", parse_math=False)
        draw_season(axes, first - margin, last + margin, unit=unit)
        axes.label_outer()
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, fontsize=8, frameon=False
    )
    return figure
