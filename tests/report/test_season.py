"""The axis of days, against the calendar of the standard library."""

from __future__ import annotations

import calendar
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.report.lines import line_figure
from geodl.report.season import draw_season, month_starts


@given(st.integers(-400, 1100), st.integers(0, 800))
def test_months_start_where_the_calendar_says(first, length):
    # Each year is as long as 2021.
    new_year = datetime.date(2021, 1, 1)
    expected = []
    for day in range(first, first + length + 1):
        date = new_year + datetime.timedelta((day - 1) % 365)
        if date.day == 1:
            expected.append((day, calendar.month_abbr[date.month]))
    assert month_starts(first, first + length) == expected


def labels(first: float, last: float, *, unit: str = "day", most: int = 12) -> tuple[list[str], str]:
    figure = line_figure(6, 2)
    axes = figure.subplots()
    draw_season(axes, first, last, unit=unit, most=most)
    figure.draw_without_rendering()
    shown = [(x, text.get_text()) for x, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)]
    assert axes.get_xlim() == (first, last)
    return [text for x, text in shown if first <= x <= last], axes.get_xlabel()


def test_as_many_months_as_there_is_room_for():
    assert labels(240, 620) == (["Sep", "Nov", "Jan", "Mar", "May", "Jul", "Sep"], "month (its first day)")
    assert labels(1, 365, most=12)[0] == list(calendar.month_abbr)[1:]
    assert labels(1, 365, most=5)[0] == ["Jan", "Apr", "Jul", "Oct"]
    assert labels(1, 3650, most=5)[0] == ["Jan"] * 10


@pytest.mark.parametrize(
    ("first", "last", "unit", "name"), [(10, 40, "day", "day of the year"), (0, 45, "", "date (position)")]
)
def test_numbers_where_there_are_no_months(first, last, unit, name):
    shown, axis = labels(first, last, unit=unit)
    assert axis == name
    assert shown and all(first <= int(text) <= last for text in shown)
