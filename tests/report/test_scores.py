"""Figures of scores of a classification: what their axes hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from geodl.errors import OptionError
from geodl.metrics.classification import ClassificationMetrics
from geodl.report.scores import per_class_figure, reliability_figure


def test_reliability_of_what_the_metrics_counted():
    rng = np.random.default_rng(0)
    metrics = ClassificationMetrics(("a", "b", "c"))
    metrics.update(rng.integers(0, 3, 500), softmax(rng.normal(0, 2, (500, 3)), axis=1))
    found = metrics.details()["reliability"]
    figure = reliability_figure(**found, title="Calibration")
    figure.draw_without_rendering()
    upper, lower = figure.axes
    filled = np.array(found["count"]) > 0
    line = next(line for line in upper.lines if line.get_label() == "network")
    np.testing.assert_allclose(line.get_xdata(), np.array(found["confidence"], float)[filled])
    np.testing.assert_allclose(line.get_ydata(), np.array(found["accuracy"], float)[filled])
    assert [bar.get_height() for bar in lower.patches] == pytest.approx(np.array(found["count"]) / 5)
    assert upper.get_legend().get_title().get_text() == f"calibration error {metrics.result()['ece']:.3f}"


def test_classes_stand_in_the_order_of_their_f1():
    figure = per_class_figure(
        ("maize", "soya_$1$", "fallow", "rice"),
        [0.4, 0.9, np.nan, 0.6],
        precision=[0.3, 0.85, np.nan, 0.5],
        recall=[0.6, 0.95, np.nan, 0.75],
        support=[10, 12000, 0, 7],
        title="Classes",
    )
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (right,) = axes.child_axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["soya_$1$", "rice", "maize", "fallow"]
    assert [text.get_text() for text in right.get_yticklabels()] == ["12,000", "7", "10", "0"]
    np.testing.assert_array_equal([bar.get_width() for bar in axes.patches], [0.9, 0.6, 0.4, np.nan])
    marks = {line.get_label(): line.get_xdata() for line in axes.lines}
    np.testing.assert_array_equal(marks["precision"], [0.85, 0.5, 0.3, np.nan])
    np.testing.assert_array_equal(marks["recall"], [0.95, 0.75, 0.6, np.nan])


def test_wrong_shapes_are_named():
    with pytest.raises(OptionError, match="recall"):
        per_class_figure(("a", "b"), [1, 1], precision=[1, 1], recall=[1], support=[1, 1])
    with pytest.raises(OptionError, match="count"):
        reliability_figure([1, 2], [0.5], [0.5])
    with pytest.raises(OptionError, match="count"):
        reliability_figure([0, 0], [None, None], [None, None])
