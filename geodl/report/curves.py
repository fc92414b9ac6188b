"""Learning curves: the loss and the validation metrics by epoch, each unit on an axis of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from geodl.report.lines import line_figure, name_axes, styles
from geodl.report.palette import INK, NETWORK

__all__ = ("learning_curves",)

_DECADES = 20.0
"""Greatest over least value from which on an axis is logarithmic."""
_COLUMNS = 3
_PANEL = (3.5, 2.75)
"""Inches of a panel, with its names."""
_TOGETHER = 7
"""Lines that can be told apart in one panel."""
_LOSS, _SCORES = "loss", "scores"

_PLAIN = (
    "accuracy",
    "balanced_accuracy",
    "boundary_f1",
    "correlation",
    "coverage_90",
    "csi",
    "ece",
    "failures",
    "kappa",
    "macro_f1",
    "miou",
    "outside",
    "ssim",
    "weighted_f1",
)
"""Metrics that are shares, or at most 1 like these."""
_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (_SCORES, "score (no unit)", _PLAIN),
    ("signal to noise", "dB", ("psnr", "psnr_input", "sre", "ssnr")),
    ("errors", "unit of the data", ("rmse", "mae", "crps", "consistency", "bias")),
    ("valid prediction time", "time", ("vpt",)),
    ("spectral angle", "°", ("sam",)),
)
"""Title, unit, and metrics of panels: these, and those whose names begin so (`rmse_8`). Any other metric has one of its own."""


def learning_curves(
    history: Sequence[Mapping[str, float]],
    *,
    monitor: str | None = None,
    mode: Literal["max", "min"] = "max",
    units: Mapping[str, str] | None = None,
) -> Figure:
    """Draws the training loss, and the validation metrics of the whole, by epoch.

    Metrics of one unit share a panel; where an axis spans more than a decade it is logarithmic. The epoch whose weights
    were kept is marked in every panel.

    Args:
        history: one row per epoch with `epoch`, `loss` and `val_<metric>`, as `geodl.training.History` keeps them; `step`,
            the steps done, is told where it is there.
        monitor: metric, with or without `val_`, whose best epoch is marked; without such a metric the last epoch is.
        mode: whether more of it is better, or less.
        units: of metrics, by name, where they have one that follows from the data.

    Example:
        >>> figure = learning_curves([{"epoch": 1, "step": 50, "loss": 0.7, "val_miou": 0.4}], monitor="miou")
    """
    monitor = None if monitor is None else monitor.removeprefix("val_")
    epochs = np.array([row["epoch"] for row in history], float)
    names = [name for name in dict.fromkeys(key for row in history for key in row) if name.startswith("val_")]
    found = {name.removeprefix("val_"): _column(history, name) for name in names if "/" not in name}
    panels = _panels(list(found), monitor, units or {})
    best, why = _chosen(epochs, found.get(monitor or ""), monitor, mode)

    count = len(panels) + 1
    columns = min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    figure = line_figure(max(columns * _PANEL[0], 5.0), rows * _PANEL[1] + 0.25)
    grid = figure.subplots(rows, columns, squeeze=False)
    losses = {_LOSS: _column(history, _LOSS)}
    _draw(grid[0, 0], epochs, losses, "loss (no unit)", "Training: loss", monitor=_LOSS)
    for axes, (title, unit, members) in zip(grid.flat[1:], panels):
        called = title if len(members) > 1 else _words(members[0])
        _draw(axes, epochs, {name: found[name] for name in members}, unit, f"Validation: {called}", monitor=monitor)
    named = f"epoch{_steps(history)}"
    for number, axes in enumerate(grid.flat):
        if number >= count:
            axes.remove()
            continue
        axes.set_xlabel(named, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if best is not None:
            axes.axvline(best, color=INK, linewidth=0.9, linestyle="--", zorder=1, label="_chosen")
    if best is not None:
        line = grid[0, 0].lines[-1]
        figure.legend([line], [why], loc="outside lower center", fontsize=8, frameon=False)
    return figure


def _column(history: Sequence[Mapping[str, float]], name: str) -> np.ndarray:
    return np.array([row.get(name, math.nan) for row in history], float)


def _panels(
    names: Sequence[str], monitor: str | None, units: Mapping[str, str]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Groups metrics by unit, that of the monitor first, in the order in which they come."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names, key=lambda name: name != monitor):
        kind = next((kind for kind in _KINDS if name in kind[2] or name.partition("_")[0] in kind[2]), None)
        title, unit = (_words(name), "no unit") if kind is None else kind[:2]
        groups.setdefault((title, units.get(name, units.get(name.partition("_")[0], unit))), []).append(name)
    shared = [(title, unit, tuple(members)) for (title, unit), members in groups.items()]
    first = [panel for panel in shared if monitor in panel[2]]
    return first + [panel for panel in shared if monitor not in panel[2]]


def _chosen(
    epochs: np.ndarray, values: np.ndarray | None, monitor: str | None, mode: Literal["max", "min"]
) -> tuple[float | None, str]:
    """Returns the epoch whose weights were kept, and why in words."""
    if values is None or not np.isfinite(values).any():
        return (float(epochs[-1]), f"epoch {epochs[-1]:g}, the last one, was kept") if len(epochs) else (None, "")
    best = int((np.nanargmax if mode == "max" else np.nanargmin)(values))
    which = "highest" if mode == "max" else "lowest"
    told = f"{values[best]:.4g}".replace("-", "−")
    return float(epochs[best]), f"epoch {epochs[best]:g} was kept: {which} {_words(monitor or '')}, {told}"


def _draw(
    axes: Axes, epochs: np.ndarray, lines: Mapping[str, np.ndarray], unit: str, title: str, *, monitor: str | None
) -> None:
    """Draws what has one unit, the monitored metric in the network's style."""
    looks = styles(_TOGETHER)
    others = iter(looks[1:] * (len(lines) // (_TOGETHER - 1) + 1))
    for name, values in lines.items():
        look = looks[0] if name == monitor or len(lines) == 1 else next(others)
        axes.plot(epochs, values, label=_words(name), **{**look, "color": look.get("color", NETWORK)})
    name_axes(axes, "", unit, title)
    _set_scale(axes, np.concatenate(list(lines.values())), bounded=title.endswith(_SCORES))
    if len(lines) > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=2, fontsize=7.5, frameon=False)


def _set_scale(axes: Axes, values: np.ndarray, *, bounded: bool) -> None:
    """Makes the axis logarithmic where values above zero span decades, and labels it with plain numbers."""
    known = values[np.isfinite(values)]
    if known.size and not bounded and known.min() > 0 and known.max() >= _DECADES * known.min():
        axes.set_yscale("log")
        few = known.max() < 1000 * known.min()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=9))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))
    if axes.get_yscale() == "log" or (known.size and np.abs(known).max() < 1e-3):
        # A power of ten above the axis would lie on the title.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}".replace("-", "−")))


def _steps(history: Sequence[Mapping[str, float]]) -> str:
    """Says how many steps an epoch has, where all have as many."""
    done = np.array([0.0, *(row["step"] for row in history if row["epoch"] > 0 and "step" in row)])
    sizes = np.unique(np.diff(done))
    return f" (of {sizes[0]:,.0f} steps)" if len(sizes) == 1 and len(done) > 1 else ""


def _words(name: str) -> str:
    """A metric's name as it is read: acronyms in capitals, no underscores."""
    acronyms = {"csi", "ece", "mae", "psnr", "rmse", "sam", "sre", "ssim", "vpt", "crps", "nrmse", "ergas", "f1"}
    words = [word.upper() if word in acronyms else word for word in name.split("_")]
    return {"miou": "mean IoU", "nrmse": "normalised RMSE"}.get(name, " ".join(words))
