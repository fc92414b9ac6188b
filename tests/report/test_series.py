"""Figures of time series: what their axes hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from geodl.errors import OptionError
from geodl.report.series import early_season_figure, profiles_figure

DAYS = np.arange(260, 620, 16.0)


def profiles(count: int, days: np.ndarray = DAYS) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    medians = np.random.default_rng(0).random((count, len(days)))
    return {f"crop {k}": (median - 0.1, median, median + 0.1) for k, median in enumerate(medians)}


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].texts]


def test_few_classes_share_a_panel():
    found = profiles(3)
    figure = profiles_figure(DAYS, found, band="NDVI", colours={"crop 1": "#123456"}, title="Profiles")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_ylabel() == "NDVI" and axes.get_xlabel().startswith("month (its first day). Line: median")
    assert legend(figure) == list(found)
    lines = {line.get_label(): line for line in axes.lines if line.get_label() in found}
    for name, (low, median, high) in found.items():
        np.testing.assert_array_equal(lines[name].get_ydata(), median)
        np.testing.assert_array_equal(lines[name].get_xdata(), DAYS)
        band = axes.collections[list(found).index(name)].get_paths()[0].vertices
        assert band[:, 1].min() == pytest.approx(low.min()) and band[:, 1].max() == pytest.approx(high.max())
    assert to_hex(lines["crop 1"].get_color()) == "#123456"
    assert len({to_hex(line.get_color()) for line in lines.values()}) == 3


@pytest.mark.parametrize("count", [7, 24])
def test_many_classes_have_a_panel_each_and_the_others_behind(count):
    found = profiles(count)
    figure = profiles_figure(DAYS, found, band="NDVI ($)")
    assert [axes.get_title() for axes in figure.axes] == list(found)
    for axes, (_, median, _) in zip(figure.axes, found.values(), strict=True):
        drawn = [line for line in axes.lines if len(line.get_xdata()) == len(DAYS)]
        assert len(drawn) == count
        np.testing.assert_array_equal(max(drawn, key=lambda line: line.get_zorder()).get_ydata(), median)
    if count == 7:
        figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.xaxis.get_tick_params()["labelbottom"]]
    assert len(shown) == (4 if count == 7 else 5)


def test_dates_without_observation_are_gaps_and_single_ones_are_seen():
    low, median, high = profiles(1)["crop 0"]
    for values in (low, median, high):
        values[[3, 4, 6]] = np.nan
    (axes,) = profiles_figure(DAYS, {"crop 0": (low, median, high)}, band="NDVI").axes
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"] == [[DAYS[5]]]


def test_scores_against_the_last_date_that_is_seen():
    scores = {"accuracy": np.linspace(0.2, 0.9, len(DAYS)), "macro_f1": np.linspace(0.1, 0.8, len(DAYS))}
    figure = early_season_figure(DAYS, scores, name="score", title="Early season")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert legend(figure) == ["accuracy", "macro f1"]
    for line, values in zip([each for each in axes.lines if len(each.get_xdata()) > 2], scores.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        np.testing.assert_array_equal(line.get_xdata(), DAYS)
    assert axes.get_xlabel() == "last date that is seen. Thin lines: with the whole season"
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] >= 1


def test_a_single_date_and_positions():
    early_season_figure([3], {"network": [np.nan]}, unit="").draw_without_rendering()
    profiles_figure([3], {"a": ([0], [1], [2])}, band="b", unit="").draw_without_rendering()


def test_wrong_shapes_are_named():
    with pytest.raises(OptionError, match=r"crop 0.*\(3,\)"):
        profiles_figure([1, 2, 3], profiles(1), band="NDVI")
    with pytest.raises(OptionError, match="profiles"):
        profiles_figure(DAYS, {}, band="NDVI")
    with pytest.raises(OptionError, match="accuracy"):
        early_season_figure(DAYS, {"accuracy": [0.1]})
    with pytest.raises(OptionError, match="scores"):
        early_season_figure([], {"accuracy": []})
