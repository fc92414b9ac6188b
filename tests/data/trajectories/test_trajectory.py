"""Trajectories: steps, gaps and parts; and what is none is refused with its sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.trajectories import Trajectory
from geodl.errors import TrajectoryUnusable


def make(times: object = (0.0, 0.1, 0.2), states: object = None, variables: tuple[str, ...] = ("x", "y")) -> Trajectory:
    states = np.zeros((len(times), len(variables))) if states is None else states
    return Trajectory("swing", times, states, variables)


def test_steps_and_gaps() -> None:
    even = make(np.arange(1000) * 0.01)
    assert even.step == pytest.approx(0.01) and even.regular and not len(even.gaps)
    broken = make([0, 1, 2, 5, 6.4, 7])
    assert broken.step == 1 and not broken.regular
    np.testing.assert_array_equal(broken.gaps, [[2, 5]])
    assert make(1.7e9 + np.arange(100) * 0.25).regular


def test_arrays_are_copies_of_their_own() -> None:
    states = np.ones((3, 2))
    found = make(states=states)
    states[0] = 7
    assert found.states[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        found.states[0] = 2


def test_even_times_in_single_precision_are_even() -> None:
    single = (np.arange(20001) * 0.01).astype(np.float32)
    assert not make(single.astype(float)).regular
    np.testing.assert_allclose(make(single).times, np.arange(20001) * 0.01, rtol=1e-7)
    assert make(single).regular
    rough = np.array([0, 1, 2.5, 3], np.float32)
    np.testing.assert_array_equal(make(rough).times, rough)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40, unique=True), st.data())
def test_parts_are_disjoint_and_whole(ticks: list[int], data: st.DataObject) -> None:
    times = np.sort(np.array(ticks, float))
    whole = make(times, np.stack([times, -times], -1))
    turn = data.draw(st.floats(-1, 1001))
    before = int((times < turn).sum())
    if min(before, len(times) - before) < 2:
        with pytest.raises(TrajectoryUnusable, match="swing .*between"):
            [whole.between(-np.inf, turn), whole.between(turn, np.inf)]
        return
    parts = [whole.between(-np.inf, turn), whole.between(turn, np.inf)]
    np.testing.assert_array_equal(np.concatenate([part.times for part in parts]), times)
    np.testing.assert_array_equal(np.concatenate([part.states for part in parts]), whole.states)
    assert [part.name for part in parts] == ["swing", "swing"]


def test_variables_are_chosen_with_their_units() -> None:
    whole = Trajectory("swing", [0, 1], [[1, 2], [3, np.nan]], ("x", "y"), units=("m", "s"))
    found = whole.select(["y"])
    assert found.variables == ("y",) and found.units == ("s",)
    np.testing.assert_array_equal(found.observed, [[True], [False]])


NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"times": [0.0]}, "one time only. Expected at least two"),
        ({"times": []}, "no time at all"),
        ({"times": [0, 0.1, 0.1, 0.1, 0.2]}, r"time 0.1 occurs twice, in rows 2 and 3 \(and 1 more"),
        ({"times": [0, 0.2, 0.1]}, "not sorted: 0.2 in row 2 is followed by 0.1. Sort it"),
        ({"times": [0, 1, 2, 0, 1, 2]}, "column named trajectory"),
        ({"times": [0, NAN, 1]}, "the time in row 2 is nan"),
        ({"times": ["a", "b"]}, "times are of type"),
        ({"states": [[1, 2], [np.inf, 1], [0, 0]]}, "x is infinite in row 2, at time 0.1"),
        ({"states": np.full((3, 2), NAN)}, "no state is observed"),
        ({"states": np.zeros((3, 0)), "variables": ()}, "no variables"),
        ({"states": np.zeros((3, 3))}, "3 columns of states, 2 names"),
        ({"states": np.zeros((4, 2))}, "times are of shape"),
        ({"variables": ("x", "x")}, "two variables called x"),
    ],
    ids=[
        "one",
        "none",
        "twice",
        "unsorted",
        "restart",
        "nan",
        "text",
        "inf",
        "unseen",
        "empty",
        "names",
        "rows",
        "twin",
    ],
)
def test_what_is_no_trajectory_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(TrajectoryUnusable, match=rf"^swing cannot be used as a trajectory: .*{sentence}"):
        make(**arguments)
