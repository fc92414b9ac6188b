"""Figures of attractors: where a system goes in the long run, the true one beside the learned one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, line_figure, name_axes, unit_name
from geodl.report.palette import INK, NETWORK, NODATA_COLOUR, SIGNED, TRUTH

__all__ = ("attractor_figure",)

_MARGIN = 0.08
"""How far beyond the true attractor the axes reach, in parts of its width."""
_NAMED = 10
"""Rows of a diagram that there is room to name."""
_VIEW = {"elev": 18, "azim": -58}
_NAMES = ("true", "learned")


def attractor_figure(
    truth: np.ndarray,
    learned: np.ndarray,
    *,
    variables: Sequence[str],
    step: float = 1.0,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Draws the attractor of a system beside that of the network that learned it, on the same axes.

    Three variables are drawn as a line in space, two in the plane, one against time. More than three are drawn as
    diagrams after Hovmöller (1949), variable against time: true, learned, and their difference, in standard deviations
    of each variable. The difference tells something where both runs start from the same state.

    The axes are those of the true attractor and a little beyond. Where a learned trajectory leaves them, or is no longer
    finite, it is not drawn, and its title says how much of it that is.

    Args:
        truth: states, shape (time, state); not-a-number is not drawn.
        learned: likewise, of a free run of the network. Line figures allow another number of times.
        variables: their names, with a unit where they have one.
        step: time between two states, for figures against time.
        unit: of time; "" if it has none.
        title: above all panels.

    Raises:
        OptionError: the shapes do not fit each other or the variables.

    Example:
        >>> angle = np.linspace(0, 60, 3000)
        >>> states = np.stack([np.cos(angle), np.sin(angle), np.sin(angle / 9)], axis=-1)
        >>> figure = attractor_figure(states, states, variables=("x", "y", "z"))
    """
    truth, learned = np.asarray(truth, float), np.asarray(learned, float)
    size = len(variables)
    for name, states in zip(_NAMES, (truth, learned)):
        if states.ndim != 2 or states.shape[1] != size or not len(states):
            raise OptionError(name, expected=f"states of shape (time, {size})", received=states.shape)
    if size > 3:
        if truth.shape != learned.shape:
            raise OptionError("learned", expected=f"states of shape {truth.shape}", received=learned.shape)
        figure = _hovmoeller(truth, learned, variables=variables, step=step, unit=unit)
    else:
        figure = _lines(truth, learned, variables=variables, step=step, unit=unit)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _lines(truth: np.ndarray, learned: np.ndarray, *, variables: Sequence[str], step: float, unit: str) -> Figure:
    """Trajectories of up to three variables, true | learned."""
    size = len(variables)
    low, high = _ends(truth)
    figure = line_figure(WIDTH, 4.2 if size > 1 else 2.6)
    if size == 3:
        # Axes in space have wide margins of their own, to which a layout engine would add others.
        figure = Figure(figsize=(WIDTH, 4.3), layout="none")  # type: ignore[arg-type]
        figure.subplots_adjust(left=0, right=0.96, bottom=0.07, top=0.92, wspace=0.04)
    space: dict[str, Any] = {"projection": "3d", "computed_zorder": False} if size == 3 else {}
    panels = figure.subplots(1, 2, sharex=size < 3, sharey=size < 3, subplot_kw=space)
    # What is not known of the truth is a gap; a learned state that is not finite is far away.
    runs = ((truth, 0.0), _within(learned, low, high))
    for axes, name, colour, (shown, left) in zip(panels, _NAMES, (TRUTH, NETWORK), runs):
        columns = [step * np.arange(len(shown)), shown[:, 0]] if size == 1 else list(shown.T)
        axes.plot(*columns, color=colour, linewidth=0.45, alpha=0.75, rasterized=True)
        names = (f"time ({unit_name(None, unit)})", *variables) if size == 1 else variables
        heading = f"{name}; {100 * left:.2g} % beyond these axes" if left else name
        name_axes(axes, names[0], names[1], heading)
        axes.set_ylim(low[-2 if size == 3 else -1], high[-2 if size == 3 else -1])
        if size > 1:
            axes.set_xlim(low[0], high[0])
        if size == 3:
            _set_space(axes, variables[2], (low[2], high[2]))
    return figure


def _set_space(axes: Any, name: str, ends: tuple[float, float]) -> None:
    """Names and lights the third axis, and looks at the box from where both wings of a butterfly are seen."""
    axes.set_zlim(*ends)
    axes.set_zlabel(name, fontsize=8, parse_math=False)
    axes.view_init(**_VIEW)
    axes.set_box_aspect((1, 1, 0.85), zoom=1.2)
    axes.tick_params(labelsize=7, pad=-1)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color("#fafafa")
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.labelpad = -4


def _hovmoeller(truth: np.ndarray, learned: np.ndarray, *, variables: Sequence[str], step: float, unit: str) -> Figure:
    """Variable against time: true, learned, difference, in one scale of colours."""
    mean, std = np.nanmean(truth, axis=0), np.nanstd(truth, axis=0)
    scaled = [(states - mean) / np.where(std > 0, std, 1) for states in (truth, learned)]
    rows = dict(zip((*_NAMES, "learned − true"), (*scaled, scaled[1] - scaled[0])))
    figure = line_figure(WIDTH, 5.4)
    panels = figure.subplots(3, 1, sharex=True, sharey=True)
    limit = float(np.ceil(np.nanpercentile(np.abs(scaled[0]), 99.5) * 2) / 2)
    end = step * (len(truth) - 0.5)
    for axes, (name, values) in zip(panels, rows.items()):
        image = axes.imshow(
            np.ma.masked_invalid(values.T),
            aspect="auto",
            origin="lower",
            cmap=SIGNED,
            norm=Normalize(-limit, limit),
            extent=(-step / 2, end, 0.5, len(variables) + 0.5),
            interpolation="nearest",
        )
        axes.set_facecolor(NODATA_COLOUR)
        name_axes(axes, f"time ({unit_name(None, unit)})", "variable" if len(variables) > _NAMED else "", name)
        axes.grid(visible=False)
        axes.label_outer()
    _variable_ticks(panels[0], variables)
    bar = figure.colorbar(image, ax=list(panels), extend="both", aspect=38, pad=0.015)
    bar.set_label("standard deviations", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7)
    return figure


def _variable_ticks(axes: Axes, variables: Sequence[str]) -> None:
    """Names the variables where there is room, else numbers them."""
    count = len(variables)
    if count <= _NAMED:
        axes.set_yticks(range(1, count + 1), labels=list(variables), parse_math=False)
    else:
        every = max(count // 4, 1)
        axes.set_yticks([1, *range(every, count + 1, every)])


def _ends(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the axes: those of the truth, and a margin."""
    low, high = np.nanmin(truth, axis=0), np.nanmax(truth, axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 1.0)
    return low - margin, high + margin


def _within(states: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the states that the axes hold, not-a-number for others, and the share of these others."""
    inside = np.all((states >= low) & (states <= high), axis=-1)
    return np.where(inside[:, None], states, np.nan), float(1 - inside.mean())
