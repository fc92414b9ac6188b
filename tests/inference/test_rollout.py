"""Free runs: the same states however they are cut, bounded memory, and what becomes of those that diverge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.inference.rollout import FreeRun, between
from tests.inference.dynamicsfakes import PULSE, STEP, SpiralNetwork, spiral

ROW = 6 * 2 * 8
"""Bytes that a state of two variables takes in float64."""


def starts(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 2))


def collected(run: FreeRun, count: int, steps: int) -> np.ndarray:
    """All pieces, each of them there once."""
    states, times = np.full((count, steps + 1, 2), np.nan), np.zeros((count, steps + 1), int)
    for piece in run.pieces():
        states[piece.trajectories, piece.times] = piece.states
        times[piece.trajectories, piece.times] += 1
    assert (times == 1).all()
    return states


@given(
    count=st.integers(1, 12),
    steps=st.integers(1, 90),
    rows=st.integers(8, 400),
    groups=st.integers(1, 4),
    parts=st.sampled_from([0.5, 1.0, 1.3, 4.0]),
)
def test_runs_are_the_flow_however_they_are_cut(count: int, steps: int, rows: int, groups: int, parts: float) -> None:
    network, first = SpiralNetwork(), starts(count * groups)
    run = FreeRun(network, first, steps=steps, step=STEP * parts, longest=STEP, group=count, memory=rows * ROW)
    states = collected(run, len(first), steps)
    np.testing.assert_allclose(states, spiral(first, np.arange(steps + 1) * STEP * parts), atol=1e-10)
    assert len(set(network.shapes)) == 1, "the network would be compiled more than once"
    assert network.shapes[0][0] * network.shapes[0][1] <= rows
    assert (run.diverged == -1).all()


def test_groups_are_cut_whole_or_alone() -> None:
    run = FreeRun(SpiralNetwork(), starts(20), steps=3, step=STEP, longest=STEP, group=5, memory=9 * 12 * ROW)
    for piece in run.pieces():
        first, last = piece.trajectories.start, piece.trajectories.stop
        whole = first % 5 == 0 and last % 5 == 0
        assert whole or first // 5 == (last - 1) // 5


def test_short_runs_share_what_was_compiled() -> None:
    shapes = set()
    for steps in range(33, 65):
        network = SpiralNetwork()
        collected(FreeRun(network, starts(2), steps=steps, step=STEP, longest=STEP, memory=1 << 20), 2, steps)
        shapes |= set(network.shapes)
    assert shapes == {(2, 65)}


def test_long_runs_keep_their_time_steps() -> None:
    """In float32, times since the very beginning would be off by up to half a hundredth of a step in the end."""
    first = np.array([[1.0, 0.0]], np.float32)
    network = SpiralNetwork()
    run = FreeRun(network, first, steps=50_000, step=STEP, longest=STEP, memory=1 << 26)
    pieces = list(run.pieces())
    assert {piece.states.shape[1] for piece in pieces[1:-1]} == {1024}
    whole = np.concatenate([piece.states for piece in pieces], axis=1)[0].astype(np.float64)
    speed = np.diff(np.unwrap(np.arctan2(whole[:200, 1], whole[:200, 0])))
    np.testing.assert_allclose(speed, PULSE * STEP, rtol=1e-4)
    assert whole.shape == (50_001, 2)


def test_what_diverges_is_nodata_since_and_the_others_go_on() -> None:
    first = np.array([[0.1, 0.0], [0.0, -2.0], [0.0, -0.5]])
    network = SpiralNetwork(blow_up=1.0)
    run = FreeRun(network, first, steps=70, step=STEP, longest=STEP, memory=60 * ROW)
    states = collected(run, 3, 70)
    exact = spiral(first, np.arange(71) * STEP)
    lost = int(np.argmax(exact[1, :, 0] > 1.0))
    assert run.diverged.tolist() == [-1, lost, -1] and lost > 0
    assert np.isnan(states[1, lost:]).all()
    np.testing.assert_allclose(states[1, :lost], exact[1, :lost], atol=1e-12)
    np.testing.assert_allclose(states[[0, 2]], exact[[0, 2]], atol=1e-12)


def test_nothing_is_run_once_all_have_diverged() -> None:
    network = SpiralNetwork(blow_up=0.5)
    run = FreeRun(network, np.array([[1.0, 0.0]]), steps=5000, step=STEP, longest=STEP, memory=1 << 20)
    states = collected(run, 1, 5000)
    assert np.isnan(states[0, 1:]).all() and run.diverged.tolist() == [1] and len(network.shapes) == 1


def test_a_memory_that_holds_no_step_is_refused() -> None:
    with pytest.raises(OptionError, match=r"memory \(--memory\): expected at least 1 MiB for the states of one step"):
        FreeRun(SpiralNetwork(), starts(1), steps=2, step=STEP, longest=STEP, memory=ROW)


@pytest.mark.parametrize(("interval", "parts"), [(0.3, 3), (0.1 + 0.2, 3), (0.31, 4), (0.05, 1)], ids=str)
def test_intervals_are_divided_into_no_more_than_is_needed(interval: float, parts: int) -> None:
    assert between(interval, 0.1) == parts


def test_progress_counts_states() -> None:
    told: list[tuple[int, int]] = []
    run = FreeRun(SpiralNetwork(), starts(3), steps=40, step=STEP, longest=STEP, memory=40 * ROW)
    for _ in run.pieces(lambda done, total: told.append((done, total))):
        pass
    assert told[-1] == (120, 120) and sorted(told) == told
