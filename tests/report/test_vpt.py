"""Figure of valid prediction times: what its axes hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from geodl.errors import OptionError
from geodl.report.vpt import vpt_figure

RNG = np.random.default_rng(0)
FOUND = {"network": RNG.normal(9, 1, 120), "persistence": RNG.gamma(2, 0.05, 120), "ngrc": RNG.normal(5, 1, 120)}


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].texts]


def test_the_histogram_is_that_of_the_network():
    figure = vpt_figure(FOUND, lyapunov_time=2.0, ceiling=14.3, unit="d", title="Forecasts")
    figure.draw_without_rendering()
    upper, lower = figure.axes
    bars = upper.patches
    counts = np.array([bar.get_height() for bar in bars])
    left = np.array([bar.get_x() for bar in bars])
    assert counts.sum() == 120
    centre = np.sum(counts * (left + bars[0].get_width() / 2)) / 120
    assert centre == pytest.approx(FOUND["network"].mean(), abs=bars[0].get_width())
    assert upper.get_ylabel() == "forecasts, of 120"
    (above,) = upper.child_axes
    np.testing.assert_allclose(above.get_xlim(), np.multiply(2, upper.get_xlim()))
    assert above.get_xlabel() == "time (d)"
    assert lower.get_xlabel() == "valid prediction time (Lyapunov times)"


def test_each_method_has_median_and_quartiles_in_a_colour_of_its_own():
    figure = vpt_figure(FOUND, lyapunov_time=None, unit="d")
    upper, lower = figure.axes
    assert [label.get_text() for label in lower.get_yticklabels()] == list(FOUND)
    for row, values in enumerate(FOUND.values()):
        deciles, quartiles, median = [line for line in lower.lines if line.get_ydata()[0] == row]
        np.testing.assert_allclose(deciles.get_xdata(), np.quantile(values, [0.1, 0.9]))
        np.testing.assert_allclose(quartiles.get_xdata(), np.quantile(values, [0.25, 0.75]))
        np.testing.assert_allclose(median.get_xdata(), [np.median(values)])
    assert len({to_hex(line.get_color()) for line in lower.lines}) == 3
    assert upper.lines[0].get_xdata()[0] == pytest.approx(np.median(FOUND["network"]))
    low, median, high = np.quantile(FOUND["ngrc"], [0.25, 0.5, 0.75])
    assert lower.texts[2].get_text() == f"{median:.2f} ({low:.2f}–{high:.2f})"
    assert lower.get_xlabel() == "valid prediction time (d)"
    assert not upper.child_axes
    assert legend(figure) == ["network", "its median"]


def test_the_ceiling_is_in_sight_even_far_above():
    figure = vpt_figure(FOUND, lyapunov_time=2.0, ceiling=33.0)
    for axes in figure.axes:
        assert any(np.allclose(line.get_xdata(), 33) for line in axes.lines)
        assert axes.get_xlim()[1] > 33
    assert legend(figure)[-1] == "ceiling of the precision, 33"


def test_failures_count_as_no_time_at_all():
    figure = vpt_figure({"network": [np.nan, 0.0, 4.0, 4.0]}, lyapunov_time=1.0)
    bars = [bar for bar in figure.axes[0].patches if bar.get_height()]
    assert [bar.get_height() for bar in bars] == [2, 2]
    assert bars[0].get_x() == 0


def test_forecasts_that_all_fail_are_drawn():
    vpt_figure({"network": [0.0, 0.0]}, lyapunov_time=1.0).draw_without_rendering()


@pytest.mark.parametrize(
    ("times", "options", "named"),
    [
        ({}, {"lyapunov_time": 1.0}, "times"),
        ({"network": []}, {"lyapunov_time": 1.0}, "network"),
        ({"network": [1.0]}, {"lyapunov_time": -1.0}, "lyapunov_time"),
    ],
    ids=["no method", "no forecast", "negative"],
)
def test_what_does_not_fit_is_refused(times: dict[str, Any], options: dict[str, Any], named: str):
    with pytest.raises(OptionError, match=named):
        vpt_figure(times, **options)
