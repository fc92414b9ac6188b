"""Splits of trajectories: nothing is in two parts, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.trajectories import Trajectory, split_trajectories
from geodl.errors import SplitError


def make(name: str, rows: int) -> Trajectory:
    return Trajectory(name, np.arange(rows) * 0.1 + 5, np.arange(rows)[:, None], ("x",))


@given(st.integers(20, 300), st.floats(0, 0.4), st.floats(0, 0.4))
def test_in_time_parts_follow_one_another(rows: int, validation: float, test: float) -> None:
    try:
        parts = split_trajectories([make("one", rows)], validation=validation, test=test)
    except SplitError as error:
        assert min(share for share in (validation, test) if share) * rows < 2.6, error
        return
    found = np.concatenate([piece.states[:, 0] for pieces in parts.values() for piece in pieces])
    np.testing.assert_array_equal(found, np.arange(rows))
    assert len(parts["train"][0]) == pytest.approx((1 - validation - test) * rows, abs=1)
    assert {piece.name for pieces in parts.values() for piece in pieces} == {"one"}


def test_each_fold_holds_out_another_block() -> None:
    held, rows = [], 40
    for fold in range(4):
        parts = split_trajectories([make("one", rows)], by="time", folds=4, fold=fold)
        held.append(parts["validation"][0].states[:, 0])
        assert sum(map(len, parts["train"])) == 30
    np.testing.assert_array_equal(np.concatenate(held), np.arange(rows))


def test_many_are_split_as_wholes_and_groups_stay_together() -> None:
    many = [make(f"run_{k}", 10) for k in range(5)]
    parts = split_trajectories(many, test=0.2, seed=3)
    assert [len(parts[part]) for part in ("train", "validation", "test")] == [3, 1, 1]
    assert sorted(piece.name for pieces in parts.values() for piece in pieces) == [each.name for each in many]
    sites = [make(name, 10) for name in ("a_1", "a_2", "b_1", "b_2")]
    grouped = split_trajectories(sites, pattern="(.)_", validation=0.5)
    assert [len({piece.group for piece in pieces}) for pieces in grouped.values()] == [1, 1]


def test_nothing_is_held_out_where_nothing_shall_be() -> None:
    (whole,) = split_trajectories([make("one", 10)], by="none").values()
    assert len(whole[0]) == 10


def test_too_short_a_trajectory_is_refused() -> None:
    with pytest.raises(SplitError, match="one has 5 times, of which 1 would be for validation"):
        split_trajectories([make("one", 5)], validation=0.2)
    with pytest.raises(SplitError, match="cannot be made of 1"):
        split_trajectories([make("one", 50)], by="file")
