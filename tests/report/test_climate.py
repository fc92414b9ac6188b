"""Figure of the statistics of a long run: what its axes hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from geodl.errors import OptionError
from geodl.report.climate import climate_figure

STEP = 0.01


def oscillation(seed: int, frequency: float = 2.0, count: int = 6000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * frequency * STEP * np.arange(count)
    noise = rng.normal(size=(count, 2))
    return np.column_stack([noise, np.sin(phase) + 1e-3 * noise[:, 0]])


def panel(figure: Any, title: str) -> Any:
    (found,) = [axes for axes in figure.axes if axes.get_title().startswith(title)]
    return found


def test_densities_are_those_of_the_distribution():
    figure = climate_figure(oscillation(0), oscillation(1, count=20_000), variables=("a", "b (m)", "c"), step=STEP)
    figure.draw_without_rendering()
    first = figure.axes[0]
    assert [axes.get_xlabel() for axes in figure.axes[:3]] == ["a", "b (m)", "c"]
    for patch in first.patches:
        heights, edges, _ = patch.get_data()
        middle = (edges[1:] + edges[:-1]) / 2
        assert np.sum(heights * np.diff(edges)) == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(heights, stats.norm.pdf(middle), atol=0.1)
    assert not figure.axes[2].texts


def test_what_the_density_does_not_show_is_told():
    learned = oscillation(1)
    learned[:1500, 1] = 40.0
    figure = climate_figure(oscillation(0), learned, variables=("a", "b", "c"), step=STEP)
    assert [text.get_text() for text in figure.axes[1].texts] == ["25 % beyond"]
    heights, edges, _ = figure.axes[1].patches[1].get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(0.75, abs=0.01)


def test_the_spectrum_peaks_where_the_last_variable_swings():
    figure = climate_figure(
        oscillation(0), oscillation(1, 3.0), variables=("a", "b", "c"), step=STEP, unit="d", title="A swing"
    )
    spectrum = panel(figure, "Spectrum of c")
    peaks = [line.get_xdata()[np.nanargmax(line.get_ydata())] for line in spectrum.lines]
    assert peaks == pytest.approx([2.0, 3.0], abs=0.15)
    assert spectrum.get_xlabel() == "frequency (1/d)"
    assert spectrum.get_yscale() == "log"


def test_exponents_stand_with_their_errors_beside_the_true_ones():
    figure = climate_figure(
        oscillation(0),
        oscillation(1),
        variables=("a", "b", "c"),
        step=STEP,
        exponents=[0.9, -0.001, -14.6],
        true_exponents=[0.9056, 0, -14.572],
        errors=[0.01, 0.002, 0.03],
    )
    figure.draw_without_rendering()
    axes = panel(figure, "Lyapunov exponents")
    (container,) = axes.containers
    data, _, (bars,) = container.lines
    np.testing.assert_allclose(data.get_ydata(), [0.9, -0.001, -14.6])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], [0.02, 0.004, 0.06])
    true = [line for line in axes.lines if line is not data and len(line.get_ydata()) == 3]
    assert any(np.allclose(line.get_ydata(), [0.9056, 0, -14.572]) for line in true)
    assert [text.get_text() for text in axes.texts] == ["0.900\n(0.906)", "−0.001\n(0.000)", "−14.60\n(−14.57)"]
    assert axes.get_yscale() == "symlog"


def test_many_exponents_are_not_written_down():
    figure = climate_figure(
        oscillation(0), oscillation(1), variables=("a", "b", "c"), step=STEP, exponents=np.linspace(2, -5, 40)
    )
    axes = panel(figure, "Lyapunov exponents")
    assert not axes.texts
    assert axes.get_yscale() == "linear"


def test_a_run_is_taken_up_to_where_it_diverged():
    learned = oscillation(1)
    learned[3000:, 0] = np.inf
    whole = climate_figure(oscillation(0), learned[:3000], variables=("a", "b", "c"), step=STEP)
    cut = climate_figure(oscillation(0), learned, variables=("a", "b", "c"), step=STEP)
    for one, other in zip(whole.axes[:3], cut.axes[:3], strict=True):
        np.testing.assert_array_equal(one.patches[1].get_data()[0], other.patches[1].get_data()[0])
    learned[2] = np.nan
    with pytest.raises(OptionError, match="learned"):
        climate_figure(oscillation(0), learned, variables=("a", "b", "c"), step=STEP)


def test_one_variable_that_stands_still_is_drawn():
    still = np.full((40, 1), 3.0)
    climate_figure(still, still, variables=("x",), step=STEP).draw_without_rendering()


def test_another_number_of_variables_is_refused():
    with pytest.raises(OptionError, match="true"):
        climate_figure(oscillation(0), oscillation(1), variables=("a", "b"), step=STEP)
