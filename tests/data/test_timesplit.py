"""Splits of sequences: nothing is in two parts, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.timesplit import split_sequences
from geodl.errors import SplitError

DAY = (np.datetime64("2020-10-31T00:00:00"), np.datetime64("2020-11-01T00:00:00"))


def test_half_of_a_day_is_held_out_last() -> None:
    (split,) = split_sequences([("storm", DAY)], by="time", validation=0, test=0.5)
    noon = np.datetime64("2020-10-31T12:00:00")
    assert split.intervals == {"train": ((DAY[0], noon),), "test": ((noon, DAY[1]),)}


@given(
    st.integers(1, 3000),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.one_of(st.none(), st.integers(2, 6)),
    st.integers(0, 5),
)
def test_parts_in_time_are_disjoint_and_whole(
    minutes: int, validation: float, test: float, folds: int | None, fold: int
) -> None:
    end = DAY[0] + np.timedelta64(minutes, "m")
    chosen = None if folds is None else fold % folds
    (split,) = split_sequences(
        [("storm", (DAY[0], end))], by="time", validation=validation, test=test, folds=folds, fold=chosen
    )
    stretches = sorted(stretch for part in split.intervals.values() for stretch in part)
    assert stretches[0][0] == DAY[0]
    assert stretches[-1][1] == end
    assert all(one[1] == other[0] for one, other in pairwise(stretches))


def test_every_fold_validates_another_block_and_all_of_it() -> None:
    held = []
    for fold in range(4):
        (split,) = split_sequences([("storm", DAY)], by="time", folds=4, fold=fold)
        held += split.intervals["validation"]
    assert [str(first)[11:13] for first, _ in held] == ["00", "06", "12", "18"]


def test_many_sequences_are_split_as_wholes_few_in_time() -> None:
    assert split_sequences([(f"storm{k}", DAY) for k in range(4)])[0].by == "time"
    whole = split_sequences([(f"storm{k}", DAY) for k in range(5)], test=0.2)
    assert [split.by for split in whole] == ["file"] * 5
    assert sorted(next(iter(split.intervals)) for split in whole) == ["test", "train", "train", "train", "validation"]


def test_groups_stay_together() -> None:
    names = ["bom_1", "bom_2", "knmi_1", "knmi_2"]
    splits = split_sequences([(name, DAY) for name in names], pattern="(.*)_", validation=0.5)
    parts = [next(iter(split.intervals)) for split in splits]
    assert parts[0] == parts[1] != parts[2] == parts[3]
    assert [split.group for split in splits] == ["bom", "bom", "knmi", "knmi"]


def test_what_sequences_cannot_be_split_by_is_refused() -> None:
    with pytest.raises(SplitError, match="not split by blocks"):
        split_sequences([("storm", DAY)], by="blocks")
    with pytest.raises(SplitError, match=r"cannot be made of 1 sequence\(s\)"):
        split_sequences([("storm", DAY)], by="file")
