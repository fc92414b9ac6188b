"""Figure of one forecast beside the truth: what its axes hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.report.dynamics import divergence_figure

TIMES = np.linspace(0, 20, 401)
TRUTH = np.stack([np.cos(TIMES), np.sin(TIMES), np.cos(2 * TIMES), np.sin(2 * TIMES)], axis=-1)
LYAPUNOV = 2.0
# Grows by e in a Lyapunov time, all in the first variable.
FORECAST = TRUTH + np.array([1e-3, 0, 0, 0]) * np.exp(TIMES / LYAPUNOV)[:, None]
VARIABLES = ("x", "y (m)", "z", "w")
OPTIONS: dict[str, Any] = {"variables": VARIABLES, "spread": 2.0, "lyapunov_time": LYAPUNOV}


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_first_variables_are_drawn_against_lyapunov_times():
    figure = divergence_figure(TIMES + 5, TRUTH, FORECAST, unit="d", title="A forecast", **OPTIONS)
    figure.draw_without_rendering()
    *panels, error = figure.axes
    assert [axes.get_ylabel() for axes in panels] == ["x", "y (m)", "z"]
    for number, axes in enumerate(panels):
        np.testing.assert_allclose(lines(axes)["truth"].get_xydata(), np.stack([TIMES / 2, TRUTH[:, number]], -1))
        np.testing.assert_allclose(lines(axes)["forecast"].get_ydata(), FORECAST[:, number])
    assert error.get_xlabel() == "time (Lyapunov times)"
    (above,) = panels[0].child_axes
    assert above.get_xlabel() == "time (d)"
    np.testing.assert_allclose(above.get_xlim(), [0, 20])
    np.testing.assert_allclose(panels[0].get_xlim(), [0, 10])


def test_the_error_is_in_units_of_the_spread_and_grows_as_the_dotted_line():
    error = divergence_figure(TIMES, TRUTH, FORECAST, **OPTIONS).axes[-1]
    assert error.get_yscale() == "log"
    expected = 1e-3 * np.exp(TIMES / LYAPUNOV) / 2
    np.testing.assert_allclose(error.lines[0].get_ydata(), expected, rtol=1e-9)
    (growth,) = [line for label, line in lines(error).items() if label.startswith("growth")]
    drawn = growth.get_xydata()
    np.testing.assert_allclose(drawn[:, 1], 1e-3 * np.exp(drawn[:, 0]) / 2, rtol=1e-9)


def test_a_line_stands_where_the_forecast_is_last_valid():
    figure = divergence_figure(TIMES, TRUTH, FORECAST, **OPTIONS)
    # 0.4 of the spread is reached after ln 800 Lyapunov times; the last time before that is on the grid of 0.05.
    end = np.floor(np.log(800) / (0.05 / LYAPUNOV)) * 0.05 / LYAPUNOV
    for axes in figure.axes:
        (line,) = [
            line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]
        ]
        assert line.get_xdata()[0] == pytest.approx(end)
    assert figure.axes[-1].get_title() == f"valid for {end:.3g} Lyapunov times"
    assert lines(figure.axes[-1])["threshold, 0.4"].get_ydata()[0] == 0.4


@pytest.mark.parametrize(("forecast", "said"), [(TRUTH + 0.1, "valid to the end"), (TRUTH, "valid to the end")])
def test_a_forecast_that_stays_valid_has_no_line(forecast: np.ndarray, said: str):
    figure = divergence_figure(TIMES, TRUTH, forecast, **OPTIONS)
    figure.draw_without_rendering()
    assert figure.axes[-1].get_title() == said
    assert len(figure.axes[0].lines) == 2


def test_a_forecast_that_is_not_finite_ends_there():
    broken = TRUTH + 1e-3
    broken[205:, 3] = np.nan
    figure = divergence_figure(TIMES, TRUTH, broken, **OPTIONS)
    figure.draw_without_rendering()
    assert figure.axes[-1].get_title() == "valid for 5.1 Lyapunov times"


def test_members_are_a_band_of_most_of_them():
    members = FORECAST + np.linspace(-1, 1, 101)[:, None, None]
    figure = divergence_figure(TIMES, TRUTH, FORECAST, ensemble=members, **OPTIONS)
    (band,) = figure.axes[1].collections
    corners = band.get_paths()[0].vertices
    at = corners[np.isclose(corners[:, 0], 5.0), 1]
    middle = FORECAST[200, 1]
    assert (at.min(), at.max()) == pytest.approx((middle - 0.9, middle + 0.9))
    (legend,) = figure.legends
    assert "90 % of the members" in [text.get_text() for text in legend.texts]


def test_without_a_lyapunov_time_axes_are_in_the_own_unit():
    figure = divergence_figure(TIMES, TRUTH, FORECAST, **{**OPTIONS, "lyapunov_time": None}, unit="d")
    error = figure.axes[-1]
    assert error.get_xlabel() == "time (d)"
    assert error.get_title().endswith(" d")
    assert not figure.axes[0].child_axes
    assert not any(label.startswith("growth") for label in lines(error))


def test_a_variable_never_observed_shows_the_forecast_alone():
    truth = TRUTH.copy()
    truth[:, 0] = np.nan
    figure = divergence_figure(TIMES, truth, TRUTH + 0.01, **OPTIONS)
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    assert low < -0.9
    assert high > 0.9


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"truth": TRUTH[:-1]}, "truth"),
        ({"forecast": FORECAST[None]}, "forecast"),
        ({"ensemble": FORECAST}, "ensemble"),
        ({"lyapunov_time": 0.0}, "lyapunov_time"),
        ({"spread": 0.0}, "spread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], named: str):
    given = {"truth": TRUTH, "forecast": FORECAST, **OPTIONS, **changes}
    with pytest.raises(OptionError, match=named):
        divergence_figure(TIMES, given.pop("truth"), given.pop("forecast"), **given)
