"""Figures of a run, drawn without any global state of matplotlib: safe in threads, servers and notebooks."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from geodl.contract import ClassInfo
from geodl.data.source import Grid
from geodl.report.axes import NODATA, draw_raster, draw_scale_bar
from geodl.report.picture import picture

__all__ = ("confusion_figure", "learning_curves", "map_figure", "picture", "samples_figure", "to_png")

_CONFIDENCE: dict[str, Any] = {"cmap": "cividis", "norm": Normalize(0, 1)}
_INK = "#333333"
_WRITTEN = 16
"""Most classes of a confusion matrix whose shares are written as numbers, too."""


def map_figure(
    image: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: Sequence[ClassInfo],
    grid: Grid,
    truth: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draws input | truth | map | confidence side by side, north up, with coordinates, scale bar and legend.

    Args:
        image: what `picture` gave, uint8 of shape (height, width, 4).
        predicted: class indices of shape (height, width); -1 where there is none.
        classes: names and colours, in the order of the indices.
        grid: where the scene lies.
        truth: as `predicted`; left out if None.
        confidence: probability of the class chosen, shape (height, width), not-a-number where there is none.
        title: above all panels.
    """
    panels: dict[str, np.ndarray] = {"input": image}
    if truth is not None:
        panels["truth"] = coloured(truth, classes)
    panels["map"] = coloured(predicted, classes)
    if confidence is not None:
        panels["confidence"] = np.ma.masked_invalid(confidence)

    tall = _height_to_width(grid)
    columns = len(panels) if tall > 1.2 or len(panels) < 4 else 2
    rows = math.ceil(len(panels) / columns)
    width = min(4.6, 13 / columns, 9 / tall)
    size = (columns * width + 1.2, rows * (width * tall + 0.35) + (1.0 if title else 0.7))
    figure = _figure(*size)
    grids = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for position, (axes, (name, panel)) in enumerate(zip(grids.flat, panels.items(), strict=False)):
        drawn = draw_raster(axes, panel, grid, **(_CONFIDENCE if name == "confidence" else {}))
        axes.set_title(name, fontsize=10)
        axes.label_outer()
        if name == "confidence":
            bar = figure.colorbar(drawn, ax=axes, shrink=0.7, pad=0.02)
            bar.set_label("probability of the class chosen", fontsize=8)
            bar.ax.tick_params(labelsize=7)
        if position == 0:
            draw_scale_bar(axes, grid)
    _legend(figure, classes)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def samples_figure(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    *,
    classes: Sequence[ClassInfo],
    names: Sequence[str] = (),
) -> Figure:
    """Draws samples in rows: input | truth | map.

    Args:
        images: what `picture` gave, uint8 of shape (height, width, 4) each.
        truths: class indices of shape (height, width) each; -1 where unlabelled.
        predictions: likewise.
        classes: names and colours, in the order of the indices.
        names: of the samples, beside them.
    """
    count = len(images)
    figure = _figure(8.4, 2.75 * count + 0.7)
    grids = figure.subplots(count, 3, squeeze=False)
    for row, (image, truth, predicted) in enumerate(zip(images, truths, predictions, strict=True)):
        for axes, panel in zip(
            grids[row], (image, coloured(truth, classes), coloured(predicted, classes)), strict=True
        ):
            draw_raster(axes, panel, None)
        if row < len(names):
            grids[row, 0].set_ylabel(names[row], fontsize=8)
    for axes, name in zip(grids[0] if count else (), ("input", "truth", "map"), strict=False):
        axes.set_title(name, fontsize=10)
    _legend(figure, classes)
    return figure


def learning_curves(history: Sequence[Mapping[str, float]], *, monitor: str | None = None) -> Figure:
    """Draws the training loss, and the validation metrics of the whole, by epoch.

    Args:
        history: one row per epoch with `epoch`, `loss` and `val_<metric>`, as `geodl.training.History` keeps them.
        monitor: metric whose best epoch is marked.
    """
    epochs = [row["epoch"] for row in history]
    scores = [name for name in dict.fromkeys(key for row in history for key in row) if name.startswith("val_")]
    scores = [name for name in scores if "/" not in name]
    figure = _figure(9.5 if scores else 5.5, 3.4)
    panels = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    panels[0].plot(epochs, [row["loss"] for row in history], color="#0072b2", marker="o", markersize=3)
    _name_axes(panels[0], "epoch", "training loss", "Loss")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if scores:
        colours = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#333333")
        for number, name in enumerate(scores):
            values = np.array([row.get(name, math.nan) for row in history], float)
            style = {"color": colours[number % len(colours)], "linestyle": ("-", "--", ":")[number // len(colours) % 3]}
            panels[1].plot(epochs, values, marker="o", markersize=3, label=name.removeprefix("val_"), **style)
            if name == f"val_{monitor}" and np.isfinite(values).any():
                panels[1].axvline(epochs[int(np.nanargmax(values))], color=_INK, linewidth=0.8, linestyle="--")
        panels[1].legend(fontsize=8, frameon=False)
        _name_axes(panels[1], "epoch", "score (no unit)", "Validation")
    return figure


def confusion_figure(confusion: np.ndarray, classes: Sequence[str], *, told: str = "class in the map") -> Figure:
    """Draws a confusion matrix: what became of the pixels, or series, of each true class.

    Args:
        confusion: counts by true class (rows) and class told (columns), shape (classes, classes).
        classes: their names.
        told: name of the horizontal axis.
    """
    confusion = np.asarray(confusion, float)
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.full(confusion.shape, np.nan), where=total > 0)
    n = len(classes)
    # Shares are written where there is room for them.
    side = max(3.6, (0.62 if n <= _WRITTEN else 0.34) * n + 1.8)
    figure = _figure(side + 0.9, side)
    axes = figure.subplots()
    drawn = axes.imshow(share, cmap="Blues", norm=Normalize(0, 1))
    axes.patch.set(**NODATA)
    axes.set_xticks(range(n), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(n), classes, fontsize=8)
    _name_axes(axes, told, "true class", "")
    axes.grid(visible=False)
    if n <= _WRITTEN:
        for (row, column), value in np.ndenumerate(share):
            if math.isfinite(value):
                colour = "white" if value > 0.55 else _INK
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(ScalarMappable(drawn.norm, drawn.cmap), ax=axes, shrink=0.8)
    bar.set_label("share of the true class (%)", fontsize=8)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"], fontsize=7)
    return figure


def to_png(figure: Figure, *, dpi: int = 120) -> bytes:
    """Returns the figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white")
    return stream.getvalue()


def coloured(indices: np.ndarray, classes: Sequence[ClassInfo]) -> np.ndarray:
    """Gives class indices their colours: uint8 of shape (height, width, 4), transparent where -1."""
    table = np.zeros((len(classes) + 1, 4), np.uint8)
    for number, info in enumerate(classes):
        table[number] = (*bytes.fromhex(info.colour.removeprefix("#")), 255)
    return table[np.where((indices >= 0) & (indices < len(classes)), indices, len(classes))]


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))


def _height_to_width(grid: Grid) -> float:
    """Height to width of the scene on paper, within what a page can show."""
    left, low, right, high = grid.footprint().bounds
    degrees = grid.crs is not None and grid.crs.is_geographic
    shrunk = math.cos(math.radians((low + high) / 2)) if degrees else 1.0
    return min(max((high - low) / ((right - left) * max(shrunk, 0.05)), 0.1), 6.0)


def _legend(figure: Figure, classes: Sequence[ClassInfo]) -> None:
    patches = [Patch(facecolor=info.colour, edgecolor="#666666", linewidth=0.5, label=info.name) for info in classes]
    patches.append(Patch(label="no data", linewidth=0.5, **NODATA))
    columns = max(1, min(len(patches), int(figure.get_figwidth() // 1.15)))
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
