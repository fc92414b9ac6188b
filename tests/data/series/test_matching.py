"""Dates of a calendar among those of a source."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series.matching import match_days

NAN = float("nan")


@pytest.mark.parametrize(
    ("days", "calendar", "expected"),
    [
        ([1, 17, 33], [1, 33], [0, 2]),
        ([3, 12, 26, 41], [1, 17, 33], [0, 1, 2]),
        ([1, 17, 33, NAN], [1, 17, 33], [0, 1, 2]),
        ([366, 382, 398], [1, 17, 33], [0, 1, 2]),
        ([1, 17, 33], [366, 382, 398], [0, 1, 2]),
        ([350, 366, 382, 398, 732], [2, 18], [1, 2]),
        ([1, 366, 731], [1], [0]),
        ([3, 5, 7], [2, 4, 6], [0, 1, 2]),
        ([1, 3, 5], [2, 4, 6], [0, 1, 2]),
        ([0, 1, 2, 3], [0, 1, 2], [0, 1, 2]),
        ([1, 17], [1, 17, 33], None),
        ([1, 28, 33], [1, 17, 33], None),
        ([1, 5, 9], [1, 3, 5, 7, 9], None),
        ([120, 140], [1, 17], None),
        ([0, 1], [0, 1, 2], None),
        ([], [1.0], None),
    ],
    ids=["some", "near", "shorter", "next_year", "year_before", "among_years", "fewest_years", "late", "early",
         "positions", "end_missing", "too_far", "no_date_twice", "another_season", "few_positions", "none"],
)  # fmt: skip
def test_positions(days: list[float], calendar: list[float], expected: list[int] | None) -> None:
    found = match_days(np.array(days), calendar)
    assert (None if found is None else found.tolist()) == expected


@settings(max_examples=40)
@given(st.integers(0, 500))
def test_a_match_is_that_of_least_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(np.arange(1, 90), 8, replace=False)).astype(float)
    calendar = np.sort(rng.choice(np.arange(1, 90), 3, replace=False)).astype(float)
    reach = min(8, np.diff(calendar).min() / 2)
    possible = [
        pick for pick in itertools.combinations(range(8), 3) if (np.abs(days[list(pick)] - calendar) <= reach).all()
    ]
    found = match_days(days, calendar)
    if not possible:
        assert found is None
        return
    least = min(np.abs(days[list(pick)] - calendar).sum() for pick in possible)
    # Where two dates compete for one, some complete match may be missed; none is ever wrong.
    if found is not None:
        assert np.abs(days[found] - calendar).sum() == pytest.approx(least, abs=1e-9)
        assert (np.diff(found) > 0).all()
    else:
        nearest = [int(np.abs(days - day).argmin()) for day in calendar]
        assert len(set(nearest)) < 3
