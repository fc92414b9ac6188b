"""What figures of lines share."""

from __future__ import annotations

import pytest

from geodl.errors import OptionError
from geodl.report.lines import add_own_time, axis_unit, line_figure, name_axes, styles, unit_name


def test_methods_differ_in_colour_marker_and_dashes():
    found = styles(7)
    assert len({style["color"] for style in found}) == 7
    assert len({style["marker"] for style in found}) == 7
    assert len({str(style.get("linestyle")) for style in found}) == 7
    assert len(styles(12)) == 12


def test_names_are_taken_as_they_are():
    axes = line_figure(3, 2).subplots()
    name_axes(axes, "x_$1$", "a$b", "c^2")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("x_$1$", "a$b", "c^2")
    axes.figure.draw_without_rendering()


def test_the_axis_above_is_in_the_own_unit():
    figure = line_figure(3, 2)
    axes = figure.subplots()
    axes.set_xlim(0, 4)
    add_own_time(axes, 2.5)
    figure.draw_without_rendering()
    (above,) = axes.child_axes
    assert above.get_xlim() == (0, 10)
    assert above.get_xlabel() == "time (time units)"


def test_units_are_lyapunov_times_where_they_are_known():
    assert (axis_unit(2.5), unit_name(2.5, "d")) == (2.5, "Lyapunov times")
    assert (axis_unit(None), unit_name(None, "d")) == (1.0, "d")
    with pytest.raises(OptionError, match="lyapunov_time"):
        axis_unit(float("nan"))
