"""Figures of verified nowcasts, drawn from what the metrics give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.metrics import jaccard_score

from geodl.errors import OptionError
from geodl.metrics.bootstrap import intervals
from geodl.metrics.nowcast import NowcastMetrics
from geodl.report.nowcast import csi_figure, reliability_figure, spectrum_figure

THRESHOLDS, LEADS = (0.5, 2.0), (10, 20, 30)


def rain(seed: int, count: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(0.4, 4, (count, len(LEADS), 16, 24, 1)).astype(np.float32)


def scored(truth: np.ndarray, forecast: np.ndarray, **options: Any) -> dict[str, Any]:
    metrics = NowcastMetrics(THRESHOLDS, lead_minutes=LEADS, scales=(1,), block=2, **options)
    metrics.update(truth, forecast, scenes=["event"] * len(truth))
    return metrics.details()


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_lines_are_the_critical_success_index_of_each_method():
    truth, network, other = rain(0), rain(1), rain(2)
    figure = csi_figure(scored(truth, network), {"persistence": scored(truth, other)})
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_title()]
    for axes, threshold in zip(panels, THRESHOLDS, strict=True):
        assert axes.get_title().startswith(f"> {threshold:g} mm/h")
        for label, forecast in (("network", network), ("persistence", other)):
            expected = [
                jaccard_score((truth[:, lead] > threshold).ravel(), (forecast[:, lead] > threshold).ravel())
                for lead in range(len(LEADS))
            ]
            np.testing.assert_allclose(lines(axes)[label].get_xydata(), np.column_stack([LEADS, expected]))
    share = (truth > THRESHOLDS[1]).mean()
    assert f"in {100 * share:.2g} % of the pixels" in panels[1].get_title()
    assert panels[0].get_ylim() == panels[1].get_ylim()


def test_the_band_is_the_interval_of_the_network():
    details = scored(rain(0), rain(1))
    ends = intervals(details, repeats=50)
    figure = csi_figure(details, intervals=ends)
    (band,) = figure.axes[1].collections
    low, high = np.array(ends["leads"])[1, :, 1:].T
    corners = band.get_paths()[0].vertices
    for k, minutes in enumerate(LEADS):
        drawn = corners[corners[:, 0] == minutes, 1]
        assert (drawn.min(), drawn.max()) == pytest.approx((low[k], high[k]))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["network", "90 % interval"]


@pytest.mark.parametrize(("count", "panels"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3))])
def test_every_column_ends_in_a_named_axis(count: int, panels: tuple[int, int]):
    tables = np.full((count, 2, 4), 5)
    details = {"thresholds": [1.0 + k for k in range(count)], "lead_minutes": [5, 10], "tables": tables.tolist()}
    figure = csi_figure(details)
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert len(drawn) == count and len(figure.axes) == panels[0] * panels[1]
    assert sum(axes.get_xlabel() == "lead time (min)" for axes in drawn) == panels[1]


def test_methods_differ_in_colour_marker_and_dashes():
    truth = rain(0)
    details = scored(truth, rain(1))
    names = ("persistence", "advection", "extrapolation", "sprog", "anvil")
    figure = csi_figure(details, dict.fromkeys(names, details))
    found = list(lines(figure.axes[0]).values())
    assert len({to_rgb(line.get_color()) for line in found}) == 6
    assert len({line.get_marker() for line in found}) == 6
    assert max(found, key=lambda line: line.get_linewidth()).get_label() == "network"


def test_without_rain_there_is_a_figure_without_lines():
    dry = np.zeros_like(rain(0))
    details = scored(dry, dry)
    figure = csi_figure(details, {"persistence": details}, intervals=intervals(details, repeats=10))
    figure.draw_without_rendering()
    assert np.isnan(lines(figure.axes[0])["network"].get_ydata()).all()
    spectrum_figure(details).draw_without_rendering()


def test_other_thresholds_are_not_drawn_beside_these():
    details = scored(rain(0), rain(1))
    with pytest.raises(OptionError, match="advection: thresholds"):
        csi_figure(details, {"advection": {**details, "thresholds": [0.5, 3.0]}})


def test_spectra_are_those_of_one_lead_time_and_their_ratio():
    truth = rain(0)
    forecast = truth.copy()
    forecast[:, 1] *= 2
    details = scored(truth, forecast, pixel_km=2.0)
    figure = spectrum_figure(details, {"persistence": scored(truth, truth, pixel_km=2.0)}, lead=1)
    figure.draw_without_rendering()
    power, ratio = figure.axes[:2]
    drawn = lines(power)
    np.testing.assert_allclose(drawn["observed"].get_xdata(), details["spectra"]["wavelength_km"])
    np.testing.assert_allclose(10 ** (drawn["observed"].get_ydata() / 10), details["spectra"]["observed"][1])
    # Twice the rain is four times its power.
    level = 10 * np.log10(4)
    np.testing.assert_allclose(drawn["network"].get_ydata() - drawn["observed"].get_ydata(), level, rtol=1e-5)
    np.testing.assert_allclose(ratio.lines[1].get_ydata(), level, rtol=1e-5)
    np.testing.assert_allclose(ratio.lines[2].get_ydata(), 0, atol=1e-6)
    assert "+20 min" in power.get_title()
    longest, shortest = power.get_xlim()
    assert longest > shortest


def test_wavelengths_in_pixels_are_called_so():
    figure = spectrum_figure(scored(rain(0), rain(1)))
    assert figure.axes[0].get_xlabel() == "wavelength (pixels)"


def test_reliability_is_drawn_by_threshold():
    truth = rain(0)
    forecast = np.concatenate([rain(1), np.full_like(truth, 0.5)], axis=-1)
    details = scored(truth, forecast, spread="log", bins=5)
    figure = reliability_figure(details, title="An event")
    figure.draw_without_rendering()
    upper = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in upper] == ["≥ 0.5 mm/h", "≥ 2 mm/h"]
    for axes, bins in zip(upper, details["reliability"].values(), strict=True):
        drawn = axes.lines[1].get_xydata()
        expected = np.column_stack([bins["probability"], bins["frequency"]]).astype(float)
        np.testing.assert_allclose(drawn, expected)
    lower = [axes for axes in figure.axes if axes.patches]
    counts = [bar.get_height() for bar in lower[0].patches]
    assert counts == details["reliability"]["0.5"]["count"]
    assert sum(counts) == truth.size
