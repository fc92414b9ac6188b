from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.radar.timing import Timing
from tests.data.radar.rainfiles import times

MINUTE = np.timedelta64(60, "s")


def test_an_even_sequence_is_one_run() -> None:
    timing = Timing(times(0, 5, 10, 15))
    assert timing.step == 5 * MINUTE
    assert timing.step.dtype == np.dtype("timedelta64[s]")
    assert timing.runs == (slice(0, 4),)
    assert not timing.missing
    assert not timing.irregular
    assert not timing.breaks


def test_missing_frames_are_named_and_part_runs() -> None:
    timing = Timing(times(0, 5, 20, 25, 35))
    assert timing.runs == (slice(0, 2), slice(2, 4), slice(4, 5))
    assert list(timing.missing) == list(times(10, 15, 30))
    np.testing.assert_array_equal(timing.positions, [0, 1, 4, 5, 7])


def test_a_jump_parts_runs_though_nothing_is_missing() -> None:
    timing = Timing(times(0, 5, 10, 17, 22))
    assert timing.runs == (slice(0, 3), slice(3, 5))
    assert not timing.missing
    assert list(timing.irregular) == list(times(17))


def test_a_gap_of_more_than_a_day_is_a_break_whose_times_are_not_listed() -> None:
    timing = Timing(times(0, 5, 10, 3000, 3005))
    assert timing.runs == (slice(0, 3), slice(3, 5))
    assert not timing.missing
    assert list(timing.breaks) == list(times(3000))
    daily = Timing(times(0, 1440, 2880))
    assert daily.runs == (slice(0, 3),)
    assert not daily.breaks


@given(st.lists(st.integers(-7, 7), min_size=6, max_size=30))
def test_jitter_of_a_tenth_of_the_step_is_tolerated(seconds: list[int]) -> None:
    # Each time is at most 7 s off its 5 minutes, so that neighbours are at most 14 s, of 30, from them.
    when = times(*(5 * k + off / 60 for k, off in enumerate(seconds)))
    timing = Timing(when)
    assert timing.runs == (slice(0, len(when)),)
    assert not timing.missing
    assert abs(timing.step - 5 * MINUTE) <= 4 * np.timedelta64(1, "s")
    np.testing.assert_array_equal(timing.positions, np.arange(len(when)))


@pytest.mark.parametrize("count", [1, 2])
def test_few_frames(count: int) -> None:
    timing = Timing(times(0, 6)[:count])
    assert timing.runs == (slice(0, count),)
    assert np.isnat(timing.step) if count == 1 else timing.step == 6 * MINUTE
    np.testing.assert_array_equal(timing.positions, np.arange(count))


@given(st.lists(st.booleans(), min_size=4, max_size=40))
def test_frames_and_missing_ones_are_together_the_whole_lattice(there: list[bool]) -> None:
    there = [True, True, True, *there, True]
    lattice = times(*(5 * k for k in range(len(there))))
    timing = Timing(lattice[there], np.timedelta64(300, "s"))
    together = np.sort(np.concatenate([lattice[there], np.array(timing.missing, "datetime64[ns]")]))
    np.testing.assert_array_equal(together, lattice)
    assert [k for run in timing.runs for k in range(run.start, run.stop)] == list(range(sum(there)))
    np.testing.assert_array_equal(timing.positions, np.flatnonzero(there))
