"""What figures of lines share: a style for the truth, the network and each other method, and axes with names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from geodl.errors import OptionError
from geodl.report.palette import METHODS, NETWORK, RULE

__all__ = (
    "WIDTH",
    "add_own_time",
    "axis_unit",
    "line_figure",
    "name_axes",
    "styles",
    "unit_name",
)

WIDTH = 9.2
"""Inches of a figure as wide as a page of the report."""

_MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "s", "linestyle": "--"},
    {"marker": "^", "linestyle": "-."},
    {"marker": "D", "linestyle": (0, (5, 1))},
    {"marker": "v", "linestyle": (0, (3, 1, 1, 1))},
    {"marker": "P", "linestyle": ":"},
    {"marker": "X", "linestyle": (0, (1, 1))},
)
"""Markers and dashes tell methods apart in grey print."""


def line_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of so many inches, with narrow margins."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))


def styles(count: int) -> list[dict[str, Any]]:
    """Returns the styles of so many methods, as `Axes.plot` takes them: the network's, then those of the others.

    Example:
        >>> [style["marker"] for style in styles(3)]
        ['o', 's', '^']
    """
    network = {"color": NETWORK, "marker": "o", "linewidth": 2.2, "markersize": 4.5, "zorder": 4}
    thin = {"linewidth": 1.4, "markersize": 3.5, "zorder": 3}
    return [
        network,
        *({"color": METHODS[k % len(METHODS)], **_MARKS[k % len(_MARKS)], **thin} for k in range(count - 1)),
    ]


def name_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Names both axes, and the panel where it has a title, with a light grid and without a frame."""
    axes.set_xlabel(x, fontsize=8, parse_math=False)
    axes.set_ylabel(y, fontsize=8, parse_math=False)
    if title:
        axes.set_title(title, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def unit_name(lyapunov_time: float | None, unit: str = "") -> str:
    """Returns what an axis of time is measured in: Lyapunov times where they are known, else the trajectory's own unit.

    Example:
        >>> unit_name(1.104), unit_name(None, "d"), unit_name(None)
        ('Lyapunov times', 'd', 'time units')
    """
    return "Lyapunov times" if lyapunov_time is not None else unit or "time units"


def axis_unit(lyapunov_time: float | None) -> float:
    """Returns how long that is, in the trajectory's own unit.

    Raises:
        OptionError: the Lyapunov time is not positive.
    """
    if lyapunov_time is None:
        return 1.0
    if not 0 < lyapunov_time < math.inf:
        raise OptionError("lyapunov_time", expected="a number above 0, or None", received=lyapunov_time)
    return lyapunov_time


def add_own_time(axes: Axes, lyapunov_time: float, unit: str = "") -> None:
    """Adds an axis in the trajectory's own unit above one in Lyapunov times."""
    above = axes.secondary_xaxis("top", functions=_scaling(lyapunov_time))
    above.set_xlabel(f"time ({unit_name(None, unit)})", fontsize=8, parse_math=False)
    above.tick_params(labelsize=8)
    above.spines["top"].set_color(RULE)


def _scaling(factor: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Times a factor, and back."""
    return lambda values: values * factor, lambda values: values / factor
