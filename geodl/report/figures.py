"""Figures of a run, drawn without any global state of matplotlib: safe in threads, servers and notebooks."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from geodl.contract import ClassInfo
from geodl.data.source import Grid
from geodl.report.axes import draw_raster, height_to_width
from geodl.report.comparison import shorten
from geodl.report.curves import learning_curves
from geodl.report.palette import CAPTION, INK, NODATA, PROBABILITY, RIGHT, SHARE, WRONG
from geodl.report.picture import picture
from geodl.report.scalebar import draw_north_arrow, draw_scale_bar

__all__ = ("confusion_figure", "learning_curves", "map_figure", "picture", "samples_figure", "to_png")

_CONFIDENCE: dict[str, Any] = {"cmap": PROBABILITY, "norm": Normalize(0, 1)}
_EDGE: dict[str, Any] = {"edgecolor": CAPTION, "linewidth": 0.5}
_PANEL = 2.5
"""Inches that a sample is wide."""
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

    tall = height_to_width(grid, grid.shape)
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
            draw_north_arrow(axes, grid)
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
    metres: Sequence[float | None] = (),
) -> Figure:
    """Draws samples in rows: input | truth | map | error, which is where the map is right and wrong.

    Args:
        images: what `picture` gave, uint8 of shape (height, width, 4) each.
        truths: class indices of shape (height, width) each; -1 where unlabelled.
        predictions: likewise.
        classes: names and colours, in the order of the indices.
        names: of the samples, beside them.
        metres: that a pixel of each is wide on the ground; None draws no scale bar.
    """
    tall = [height_to_width(None, image.shape, within=(0.3, 1.6)) for image in images]
    heights = [_PANEL * part for part in tall]
    figure = _figure(4 * (_PANEL + 0.1) + 0.4, sum(heights) + 0.32 * len(heights) + 0.75)
    grids = figure.subplots(len(images), 4, squeeze=False, height_ratios=heights or None)
    for row, (image, truth, predicted) in enumerate(zip(images, truths, predictions, strict=True)):
        error, right = _errors(truth, predicted)
        panels = (image, coloured(truth, classes), coloured(predicted, classes), error)
        for axes, panel in zip(grids[row], panels, strict=True):
            draw_raster(axes, panel, None)
        draw_scale_bar(grids[row, 0], metres[row] if row < len(metres) else None)
        heading = f"{100 * right:.1f} % right" if math.isfinite(right) else "no truth"
        grids[row, 3].set_title(heading if row else f"error\n{heading}", fontsize=9)
        if row < len(names):
            name = shorten(names[row], heights[row])
            grids[row, 0].set_ylabel(name, fontsize=8, parse_math=False)
    for axes, name in zip(grids[0] if len(images) else (), ("input", "truth", "map"), strict=False):
        axes.set_title(name, fontsize=9)
    wrong = [Patch(facecolor=RIGHT, label="right", **_EDGE), Patch(facecolor=WRONG, label="wrong", **_EDGE)]
    _legend(figure, classes, wrong)
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
    drawn = axes.imshow(share, cmap=SHARE, norm=Normalize(0, 1))
    axes.patch.set(**NODATA)
    axes.set_xticks(range(n), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(n), classes, fontsize=8)
    _name_axes(axes, told, "true class", "")
    axes.grid(visible=False)
    if n <= _WRITTEN:
        for (row, column), value in np.ndenumerate(share):
            if math.isfinite(value):
                colour = "white" if value > 0.55 else INK
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


def _errors(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, float]:
    """Colours right and wrong pixels, transparent where either is unknown, and returns the share of right ones."""
    known = (truth >= 0) & (predicted >= 0)
    right = truth == predicted
    shown = np.where(right[..., None], 255 * np.array(to_rgba(RIGHT)), 255 * np.array(to_rgba(WRONG)))
    shown[..., 3] = 255 * known
    return np.rint(shown).astype(np.uint8), float(right[known].mean()) if known.any() else math.nan


def _legend(figure: Figure, classes: Sequence[ClassInfo], more: Sequence[Patch] = ()) -> None:
    patches = [Patch(facecolor=info.colour, label=info.name, **_EDGE) for info in classes]
    patches += [*more, Patch(label="no data", linewidth=0.5, **NODATA)]
    columns = max(1, min(len(patches), int(figure.get_figwidth() // 1.15)))
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
