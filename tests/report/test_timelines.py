"""Events and trajectories on rows of time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from geodl.data.places import Place
from geodl.report.palette import PARTS
from geodl.report.timelines import draw_timelines, spans

NOON = np.datetime64("2024-06-01T12:00")


def event(name: str, first: np.datetime64, last: np.datetime64) -> Place:
    return Place(None, name, time=(first, last), source=name)


def bars(axes) -> list[tuple[str, float, float]]:
    """Colour, begin and end of everything drawn."""
    return [
        (to_hex(drawn.get_facecolor()[0]), path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for drawn in axes.collections
        for path in drawn.get_paths()
    ]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1))
def test_joined_spans_hold_the_same_moments(pairs):
    times = [(float(first), float(first + long)) for first, long in pairs]
    found = spans(times)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))
    for moment in np.arange(0, 70, 0.5):
        assert any(a <= moment <= b for a, b in times) == any(a <= moment <= b for a, b in found)


def test_trajectories_are_drawn_in_their_own_time():
    places = {
        "training": [Place(None, "a", time=(float(k), k + 2.0), source="a") for k in range(8)],
        "test": [Place(None, "a", time=(12.0, 15.0), source="a"), Place(None, "b", time=(3.0, 5.0), source="b")],
    }
    figure, note = draw_timelines(places, unit="d")
    (axes,) = figure.axes
    training, test = (PARTS[part]["colour"] for part in ("training", "test"))
    assert bars(axes) == [(training, 0, 9), (test, 12, 15), (test, 3, 5)]
    assert axes.get_xlabel() == "time (d)" and note == "Gaps are in no part."
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert {drawn.get_hatch() for drawn in axes.collections if drawn.get_hatch()} == {PARTS["test"]["hatch"]}


def test_events_far_apart_begin_at_the_left():
    hours = np.timedelta64(1, "h")
    later = NOON + 40 * 24 * hours
    places = {
        "training": [event("storm 1", NOON, NOON + 5 * hours)],
        "validation": [
            event("storm 2", later, later + 3 * hours),
            event("storm 2", later + 2 * hours, later + 4 * hours),
        ],
    }
    figure, note = draw_timelines(places)
    (axes,) = figure.axes
    assert [(first, last) for _, first, last in bars(axes)] == [(0, 5), (0, 4)]
    assert axes.get_xlabel() == "time since the row's first frame (h)" and "UTC" in note
    assert axes.get_yticklabels()[1].get_text() == "storm 2, 2024-07-11 12:00"


def test_one_long_record_has_dates():
    day = np.timedelta64(1, "D")
    places = {
        "training": [event("radar", NOON, NOON + 6 * day)],
        "test": [event("radar", NOON + 7 * day, NOON + 9 * day)],
    }
    figure, _ = draw_timelines(places)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    since = float(NOON.astype("datetime64[s]").astype(float)) / 86_400
    found = [(first - since, last - since) for _, first, last in bars(axes)]
    assert found == [pytest.approx((0, 6)), pytest.approx((7, 9))]
    assert axes.get_xlabel() == "date (UTC)"


def test_of_many_rows_some_of_each_part_are_drawn():
    places = {
        part: [Place(None, f"{part} {k}", time=(0.0, 1.0), source=f"{part} {k}") for k in range(count)]
        for part, count in (("training", 2), ("validation", 50), ("test", 90))
    }
    figure, note = draw_timelines(places)
    assert len(figure.axes[0].get_yticklabels()) == 18
    assert "18 of 142 rows are drawn, some of each part." in note
