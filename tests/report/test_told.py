"""Single series with what they are and what they were taken for."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.report.told import told_figure

DAYS = np.arange(5.0, 360, 20)


def test_observed_dates_are_marked_and_gaps_are_not():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, len(DAYS), 3))
    first[4:7, 1] = np.nan
    figure = told_figure([DAYS, DAYS[:9]], [first, second[:9]], bands=("B04", "B08", "x ($)"), names=("a_$b", "c"))
    upper, lower = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a_$b", "c"]
    seen = np.isfinite(first[:, 1])
    np.testing.assert_array_equal(upper.lines[1].get_xdata(), DAYS[seen])
    np.testing.assert_array_equal(upper.lines[1].get_ydata(), first[seen, 1])
    assert len(lower.lines[0].get_xdata()) == 9
    assert len({line.get_marker() for line in upper.lines}) == 3
    assert upper.get_xlim() == lower.get_xlim() and lower.get_xlabel() == "month (its first day)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["B04", "B08", "x ($)"]


def test_positions_and_one_band():
    (axes,) = told_figure([np.arange(6)], [np.ones((6, 1))], bands=("NDVI",), names=("a",), unit="").axes
    assert axes.get_ylabel() == "NDVI" and axes.get_xlabel() == "date (position)"


@pytest.mark.parametrize(
    "values", [[], [np.ones((5, 2))], [np.ones((6, 1)), np.ones((6, 1))]], ids=["none", "shape", "count"]
)
def test_shapes_must_fit(values):
    with pytest.raises(OptionError, match="values"):
        told_figure([np.arange(6)], values, bands=("NDVI",), names=("a",))
