"""Figure of valid prediction times: for how long the forecasts of a network and of its baselines are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, add_own_time, axis_unit, line_figure, name_axes, styles, unit_name
from geodl.report.palette import INK, NETWORK

__all__ = ("vpt_figure",)

_BINS = 36


def vpt_figure(
    times: Mapping[str, np.ndarray | Sequence[float]],
    *,
    lyapunov_time: float | None,
    ceiling: float | None = None,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Draws how long forecasts stayed valid: a histogram of the network's, and median and quartiles of each method.

    Args:
        times: valid prediction times, one for each forecast; the network first, then its baselines. Not-a-number, a
            forecast that failed, counts as 0.
        lyapunov_time: 1/λ₁ in the unit of time: `times` are in Lyapunov times; None: not known, `times` are in `unit`.
        ceiling: longest that the precision of the computation allows, as `times`.
        unit: of time; "" if it has none.
        title: above all panels.

    Raises:
        OptionError: no forecasts of a method, or a Lyapunov time that is not positive.

    Example:
        >>> figure = vpt_figure({"network": [9.1, 10.4, 12.2], "persistence": [0.2, 0.3, 0.3]}, lyapunov_time=1.104)
    """
    axis_unit(lyapunov_time)
    found = {name: np.nan_to_num(np.asarray(values, float)) for name, values in times.items()}
    for name, values in found.items():
        if values.ndim != 1 or not values.size:
            raise OptionError(name, expected="one valid prediction time per forecast", received=f"shape {values.shape}")
    if not found:
        raise OptionError("times", expected="the valid prediction times of at least one method", received="none")

    network, own = next(iter(found.items()))
    longest = max(*(float(values.max()) for values in found.values()), ceiling or 0, 1e-6)
    figure = line_figure(WIDTH, 3.4 + 0.27 * len(found) + 0.3 * bool(title))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 0.35 + 0.27 * len(found)])
    upper.hist(own, bins=np.linspace(0, longest, _BINS + 1), color=NETWORK, alpha=0.55, label=network)
    upper.axvline(float(np.median(own)), color=NETWORK, linewidth=2, label="its median")
    name_axes(upper, "", f"forecasts, of {own.size}")
    upper.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    for row, (style, values) in enumerate(zip(styles(len(found)), found.values())):
        _draw_quartiles(lower, row, values, str(style["color"]))
    lower.set_yticks(range(len(found)), labels=list(found), parse_math=False)
    lower.set_ylim(len(found) - 0.4, -0.6)
    name_axes(
        lower,
        f"valid prediction time ({unit_name(lyapunov_time, unit)})",
        "",
        "median (quartiles); the thin line: from the first to the ninth decile",
    )
    lower.set_xlim(0, 1.16 * longest)
    if ceiling is not None:
        for axes in (upper, lower):
            axes.axvline(
                ceiling,
                color=INK,
                linewidth=1,
                linestyle="--",
                zorder=1,
                label=f"ceiling of the precision, {ceiling:g}",
            )
    if lyapunov_time is not None:
        add_own_time(upper, lyapunov_time, unit)
    figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _draw_quartiles(axes: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """Draws a line from the first to the ninth decile, a bar between the quartiles and a point at the median."""
    first, low, median, high, last = np.quantile(values, (0.1, 0.25, 0.5, 0.75, 0.9))
    axes.plot([first, last], [row, row], color=colour, linewidth=1)
    axes.plot([low, high], [row, row], color=colour, linewidth=6, alpha=0.55, solid_capstyle="butt")
    axes.plot([median], [row], color=colour, marker="o", markersize=5, markeredgecolor="white", markeredgewidth=0.6)
    said = [f"{value:.1f}" if value >= 10 else f"{value:.2f}" for value in (median, low, high)]
    axes.annotate(
        f"{said[0]} ({said[1]}–{said[2]})",
        (last, row),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )
