"""Figure of importance: what its axes hold."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.report.importance import importance_figure

DAYS = np.array([10.0, 26, 42, 58, 130, 146])


def test_all_bands_above_and_each_band_below():
    values = np.random.default_rng(0).random((6, 3))
    values[2, 1] = np.nan
    figure = importance_figure(DAYS, ("red", "NIR", "x_$1$"), values, name="gradient", title="Importance")
    figure.draw_without_rendering()
    upper, lower, bar = figure.axes
    assert [patch.get_height() for patch in upper.patches] == pytest.approx(np.nansum(values, axis=1))
    assert [text.get_text() for text in lower.get_yticklabels()] == ["red", "NIR", "x_$1$"]
    (mesh,) = lower.collections
    cells = mesh.get_array()
    # Between the cells of two dates lies what is between them: nothing, or a gap.
    np.testing.assert_array_equal(cells[:, ::2].filled(np.nan), values.T)
    assert cells[:, 1::2].mask.all()
    assert bar.get_ylabel() == "gradient"
    assert lower.get_ylim()[0] > lower.get_ylim()[1]


def test_dates_are_as_wide_as_the_time_around_them_and_far_ones_leave_a_gap():
    _, lower, _ = importance_figure(DAYS, ("a", "b"), np.ones((6, 2))).axes
    edges = lower.collections[0].get_coordinates()[0, :, 0]
    assert edges.tolist() == [2, 18, 18, 34, 34, 50, 50, 74, 114, 138, 138, 154]


def test_one_band_needs_no_rows():
    figure = importance_figure(DAYS, ("NDVI",), np.arange(6.0)[:, None], unit="")
    (axes,) = figure.axes
    assert [patch.get_height() for patch in axes.patches] == list(range(6))
    assert axes.get_ylabel() == "importance (no unit)" and axes.get_xlabel() == "date (position)"


def test_a_single_date():
    importance_figure([5], ("a", "b"), [[0.0, 0.0]]).draw_without_rendering()


def test_wrong_shapes_are_named():
    for shape in ((5, 2), (6, 3), (6,)):
        with pytest.raises(OptionError, match=r"expected shape \(6, 2\)"):
            importance_figure(DAYS, ("a", "b"), np.ones(shape))
    with pytest.raises(OptionError, match="values"):
        importance_figure([], ("a",), np.ones((0, 1)))
