"""Figures of scores of a classification: of each class, and whether its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geodl.errors import OptionError
from geodl.report.lines import WIDTH, line_figure, name_axes
from geodl.report.palette import BACKDROP, INK, METHODS, NETWORK

__all__ = ("per_class_figure", "reliability_figure")


def reliability_figure(
    count: np.ndarray | Sequence[float],
    confidence: np.ndarray | Sequence[float | None],
    accuracy: np.ndarray | Sequence[float | None],
    *,
    title: str = "",
) -> Figure:
    """Draws how often answers are right that the network gives with such a confidence (Guo et al. 2017, figure 1).

    Args:
        count: answers in each bin of the confidence; bins are of one width, from 0 to 1.
        confidence: their mean confidence, in 0–1; None or not-a-number in empty bins.
        accuracy: share of them that is right, likewise.
        title: above all panels.

    Raises:
        OptionError: shapes that do not fit, or no answer.

    Example:
        >>> figure = reliability_figure([0, 20, 80], [None, 0.5, 0.9], [None, 0.4, 0.9])
    """
    number = np.asarray(count, float)
    said, right = np.array(confidence, float), np.array(accuracy, float)
    if not number.sum() > 0 or said.shape != number.shape or right.shape != number.shape:
        raise OptionError("count", expected="as many counts as confidences and accuracies, not all 0", received=count)
    edges = np.linspace(0, 1, len(number) + 1)
    filled = number > 0
    share = number / number.sum()
    error = float(np.sum(share[filled] * np.abs(said - right)[filled]))
    figure = line_figure(0.55 * WIDTH, 5.2 + 0.3 * bool(title))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--", label="as sure as right")
    upper.bar(edges[:-1][filled], right[filled], 0.96 / len(number), align="edge", color=NETWORK, alpha=0.45)
    upper.plot(said[filled], right[filled], color=NETWORK, marker="o", markersize=4, label="network")
    name_axes(upper, "", "share of right answers")
    upper.set_ylim(0, 1.02)
    upper.set_xlim(0, 1.01)
    upper.legend(loc="upper left", fontsize=8, frameon=False, title=f"calibration error {error:.3f}", title_fontsize=8)
    lower.bar(edges[:-1], 100 * share, 0.96 / len(number), align="edge", color=BACKDROP)
    name_axes(lower, "confidence (probability of the class chosen)", "answers (%)")
    lower.yaxis.set_major_locator(MaxNLocator(3))
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def per_class_figure(
    classes: Sequence[str],
    f1: np.ndarray | Sequence[float],
    *,
    precision: np.ndarray | Sequence[float],
    recall: np.ndarray | Sequence[float],
    support: np.ndarray | Sequence[int],
    title: str = "",
) -> Figure:
    """Draws F1, precision and recall of each class, the best one first.

    Args:
        classes: their names.
        f1: of each class, in 0–1; not-a-number where undefined, and then without a bar.
        precision: likewise.
        recall: likewise.
        support: how often each class is true.
        title: above the panel.

    Raises:
        OptionError: shapes that do not fit.

    Example:
        >>> figure = per_class_figure(("maize", "soya"), [0.8, 0.6], precision=[0.8, 0.5], recall=[0.8, 0.75], support=[9, 4])
    """
    found = {"f1": f1, "precision": precision, "recall": recall, "support": support}
    columns = {name: np.asarray(values, float) for name, values in found.items()}
    for name, values in columns.items():
        if values.shape != (len(classes),):
            raise OptionError(name, expected=f"one for each of {len(classes)} classes", received=values.shape)
    order = np.argsort(-np.nan_to_num(columns["f1"], nan=-1.0), kind="stable")
    rows = np.arange(len(order))
    figure = line_figure(0.75 * WIDTH, 0.235 * len(order) + 1.1 + 0.3 * bool(title))
    axes = figure.subplots()
    axes.barh(rows, columns["f1"][order], 0.72, color=NETWORK, alpha=0.45, label="F1")
    for name, mark, colour in (("precision", "|", METHODS[0]), ("recall", "o", INK)):
        style: dict[str, Any] = {
            "marker": mark,
            "markersize": 10 if mark == "|" else 4,
            "markeredgewidth": 2 if mark == "|" else 0,
        }
        axes.plot(columns[name][order], rows, linestyle="none", color=colour, label=name, **style)
    axes.set_yticks(rows, labels=[classes[k] for k in order], parse_math=False)
    name_axes(axes, "score", "")
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(len(order) - 0.4, -0.6)
    counts = axes.secondary_yaxis("right")
    counts.set_yticks(rows, labels=[f"{columns['support'][k]:,.0f}" for k in order], fontsize=8)
    counts.set_ylabel("samples", fontsize=8)
    counts.tick_params(length=0)
    counts.spines["right"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure
