"""Figures of attractors: what their axes hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from geodl.errors import OptionError
from geodl.report.attractor import attractor_figure

TIMES = np.linspace(0, 40, 800)
SPIRAL = np.stack([np.cos(TIMES), np.sin(TIMES), np.sin(TIMES / 7)], axis=-1)
VARIABLES = ("x", "y (m)", "z")


def waves(phase: float = 0.0) -> np.ndarray:
    return np.sin(TIMES[:, None] + np.arange(12) + phase)


def drawn(axes: object) -> np.ndarray:
    """The points of the one line of axes."""
    (line,) = axes.lines  # type: ignore[attr-defined]
    data = line.get_data_3d() if hasattr(line, "get_data_3d") else line.get_data()
    return np.stack([np.ma.filled(np.asarray(values, float), np.nan) for values in data], axis=-1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_both_are_drawn_whole_on_the_same_axes(size: int):
    truth, learned = SPIRAL[:, :size], 0.9 * SPIRAL[:500, :size]
    figure = attractor_figure(truth, learned, variables=VARIABLES[:size], step=0.05, unit="d", title="A spiral")
    figure.draw_without_rendering()
    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["true", "learned"]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim()
    for axes, states in ((left, truth), (right, learned)):
        points = drawn(axes)
        if size == 1:
            np.testing.assert_allclose(points[:, 0], 0.05 * np.arange(len(states)))
            points = points[:, 1:]
        np.testing.assert_allclose(points, states)
    names = ["time (d)", "x"] if size == 1 else list(VARIABLES[:2])
    assert [left.get_xlabel(), left.get_ylabel()] == names
    if size == 3:
        assert left.get_zlabel() == "z"
        assert left.get_zlim() == right.get_zlim()


def test_what_leaves_the_axes_is_not_drawn_but_told():
    learned = SPIRAL.copy()
    learned[600:700, 0] = 5.0
    learned[700:] = np.nan
    figure = attractor_figure(SPIRAL, learned, variables=VARIABLES)
    left, right = figure.axes
    assert right.get_title() == "learned; 25 % beyond these axes"
    assert left.get_title() == "true"
    assert np.isnan(drawn(right)[600:]).all()
    np.testing.assert_allclose(drawn(right)[:600], SPIRAL[:600])
    low, high = right.get_xlim()
    assert -1.4 < low < -1
    assert 1 < high < 1.4


def test_gaps_in_the_truth_are_no_departure():
    truth = SPIRAL.copy()
    truth[100:200, 1] = np.nan
    figure = attractor_figure(truth, SPIRAL, variables=VARIABLES)
    assert [axes.get_title() for axes in figure.axes] == ["true", "learned"]


def test_many_variables_are_drawn_against_time_with_their_difference():
    truth, learned = 3 * waves() + 5, 3 * waves(0.1) + 5
    learned[-20:] = np.nan
    variables = [f"x{k}" for k in range(12)]
    figure = attractor_figure(truth, learned, variables=variables, step=0.05, unit="d")
    figure.draw_without_rendering()
    *panels, bar = figure.axes
    assert [axes.get_title() for axes in panels] == ["true", "learned", "learned − true"]
    images = [axes.get_images()[0] for axes in panels]
    mean, std = truth.mean(axis=0), truth.std(axis=0)
    expected = [(truth - mean) / std, (learned - mean) / std, (learned - truth) / std]
    for image, values in zip(images, expected, strict=True):
        np.testing.assert_allclose(image.get_array().filled(np.nan), values.T)
    assert len({image.get_clim() for image in images}) == 1
    low, high = images[0].get_clim()
    assert low == -high
    assert bar.get_ylabel() == "standard deviations"
    assert panels[-1].get_xlabel() == "time (d)"
    # The first pixel is about time 0, the last about the last state.
    assert images[0].get_extent()[:2] == pytest.approx([-0.025, 0.05 * 799.5])


def test_few_rows_are_named_many_are_numbered():
    def ticks(size: int) -> list[str]:
        states = waves()[:, :size]
        panel = attractor_figure(states, states, variables=[f"depth_{k}" for k in range(size)]).axes[0]
        return [label.get_text() for label in panel.get_yticklabels()]

    assert ticks(4) == ["depth_0", "depth_1", "depth_2", "depth_3"]
    assert ticks(12) == ["1", "3", "6", "9", "12"]


@pytest.mark.parametrize("size", [2, 5])
def test_a_variable_that_never_changes_is_drawn(size: int):
    states = np.full((30, size), 4.0)
    figure = attractor_figure(states, states, variables=[f"x{k}" for k in range(size)])
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match="learned"):
        attractor_figure(SPIRAL, SPIRAL[:, :2], variables=VARIABLES)
    with pytest.raises(OptionError, match="true"):
        attractor_figure(SPIRAL[:0], SPIRAL, variables=VARIABLES)
    with pytest.raises(OptionError, match="learned"):
        attractor_figure(waves(), waves()[:50], variables=[f"x{k}" for k in range(12)])
