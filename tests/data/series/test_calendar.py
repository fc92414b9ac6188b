"""Calendars that series share, and sources brought to them."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.contract import Band
from geodl.data.series import SeriesTable
from geodl.data.series.calendar import common_days, fit_days, pad_days, take_days
from geodl.errors import DatesMismatch, OptionError

NAN = float("nan")
CALENDAR = (1.0, 17.0, 33.0, 49.0, 65.0, 81.0)


def make(days: list[list[float]], **options: object) -> SeriesTable:
    when = np.array(days, np.float32)
    values = np.arange(when.size * 2, dtype=np.float32).reshape(*when.shape, 2)
    values[np.isnan(when)] = NAN
    ids = np.array([f"s{k}" for k in range(len(when))])
    return SeriesTable("fields", values, when, (Band("red"), Band("nir")), ids, **options)  # type: ignore[arg-type]


def test_series_of_one_calendar_may_differ_by_the_leap_day() -> None:
    # MODIS composites of two seasons from September on, one with a leap year's end in it.
    common, leap = [257.0, 353, 366, 382, 398], [257.0, 353, 367, 383, 399]
    assert common_days(make([common, leap, common])) == (257, 353, 366, 382, 398)
    assert common_days(make([common, [257, 353, 368, 384, 400], common])) == ()
    assert common_days(make([[365, 379], [1, 14], [365, 379]])) == (365, 379)


def test_positions_are_a_calendar_where_all_series_have_the_same() -> None:
    assert common_days(make([[0, 1, 2], [0, 1, 2]], dated=False)) == (0, 1, 2)
    assert common_days(make([[0, 1, 2], [0, 1, NAN]], dated=False)) == ()
    assert common_days(make([[1, 11, 21], [1, 12, 22], [1, 14, 21]])) == ()


def test_a_source_that_has_all_dates_gives_these_alone() -> None:
    days = np.array([1, 9, 18, 33, 41, 50, 64, 80, 97], np.float32)
    values = np.random.default_rng(0).normal(size=(3, 4, 9, 2)).astype(np.float32)
    for fixed in (None, 6):
        fitted, shown = fit_days(values, days, CALENDAR, fixed=fixed)
        np.testing.assert_array_equal(fitted, values[:, :, [0, 2, 3, 5, 6, 7]])
        np.testing.assert_array_equal(shown, CALENDAR)
        assert shown.dtype == np.float32


def test_a_source_that_lacks_some_gives_what_it_has_or_the_calendar_with_gaps() -> None:
    days = np.array([17.0, 33.0, 49.0], np.float32)
    values = np.ones((2, 3, 1), np.float32)
    as_is, own = fit_days(values, days, CALENDAR)
    assert as_is is values
    np.testing.assert_array_equal(own, days)
    fitted, shown = fit_days(values, days, CALENDAR, fixed=6)
    np.testing.assert_array_equal(np.isfinite(fitted[0, :, 0]), [False, True, True, True, False, False])
    np.testing.assert_array_equal(shown, CALENDAR)
    with pytest.raises(DatesMismatch, match=r"at least half of 6 dates, days 1 to 81.*2 of them near these"):
        fit_days(values[:, :2], days[:2], CALENDAR, fixed=6)


def test_without_dates_only_the_number_of_observations_counts() -> None:
    positions = tuple(np.arange(4.0))
    values = np.ones((2, 6, 1), np.float32)
    as_is, own = fit_days(values, np.arange(6.0), positions)
    assert as_is is values and len(own) == 6
    with pytest.raises(DatesMismatch, match="Expected 4 observations. Received: 6"):
        fit_days(values, np.arange(6.0), positions, fixed=4)
    fitted, shown = fit_days(values[:, :3], np.arange(3.0), positions, fixed=4)
    np.testing.assert_array_equal(np.isfinite(fitted[0, :, 0]), [True, True, True, False])
    np.testing.assert_array_equal(shown, positions)


def test_a_network_of_fixed_length_without_a_calendar_gets_padded_series() -> None:
    values = np.ones((2, 3, 1), np.float32)
    fitted, shown = fit_days(values, np.array([5.0, 9, 30]), (), fixed=5)
    np.testing.assert_array_equal(shown, [5, 9, 30, 31, 32])
    assert np.isnan(fitted[:, 3:]).all() and np.isfinite(fitted[:, :3]).all()
    with pytest.raises(DatesMismatch, match="Expected 2 observations. Received: 3"):
        fit_days(values, np.array([5.0, 9, 30]), (), fixed=2)


@settings(max_examples=40)
@given(st.integers(0, 200), st.sampled_from([None, 6]))
def test_each_series_of_a_table_is_fitted_as_it_would_be_alone(seed: int, fixed: int | None) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, 4)
    days, values = np.full((4, 8), NAN, np.float32), np.full((4, 8, 2), NAN, np.float32)
    for row, length in enumerate(lengths):
        days[row, :length] = np.sort(rng.choice([*CALENDAR, 8, 25, 40], length, replace=False))
        values[row, :length] = rng.normal(size=(length, 2))
    fitted, shown = fit_days(values, days, CALENDAR, fixed=fixed) if _all_fit(days, fixed) else (None, None)
    if fitted is None or shown is None:
        return
    assert np.isfinite(shown).all() and (np.diff(shown, axis=1) > 0).all()
    for row, length in enumerate(lengths):
        alone, own = fit_days(values[row, :length], days[row, :length], CALENDAR, fixed=fixed)
        np.testing.assert_array_equal(fitted[row, : len(own)], alone)
        np.testing.assert_array_equal(shown[row, : len(own)], own)
        assert np.isnan(fitted[row, len(own) :]).all()


def _all_fit(days: np.ndarray, fixed: int | None) -> bool:
    return fixed is None or bool((np.isin(days, CALENDAR).sum(1) >= 3).all())


def test_padding_goes_on_by_one_day() -> None:
    padded = pad_days(np.array([[3.0, 8.0, NAN], [4, 5, 6], [NAN, NAN, NAN]]), 4)
    np.testing.assert_array_equal(padded, [[3, 8, 9, 10], [4, 5, 6, 7], [1, 2, 3, 4]])


def test_dates_are_taken_by_day_or_by_date_of_any_year() -> None:
    table = make([[1, 17, 33, 49], [2, 18, 34, 50]], years=np.array([2018, 2020]))
    by_day = take_days(table, [17, 49])
    np.testing.assert_array_equal(by_day.values, table.values[:, [1, 3]])
    np.testing.assert_array_equal(by_day.days, table.days[:, [1, 3]])
    for dates in (["2018-01-17", "2018-02-18"], [datetime.date(2016, 1, 17), datetime.date(2016, 2, 18)]):
        np.testing.assert_array_equal(take_days(table, dates).days, by_day.days)


def test_of_many_years_the_one_that_was_asked_for_is_taken() -> None:
    # Once a month for three years from 2019 on; 2020 is a leap year.
    months = np.arange("2019-01", "2022-01", dtype="datetime64[M]").astype("datetime64[D]")
    days = (months - np.datetime64("2019-01-01")).astype(float) + 1
    table = make([days.tolist()], years=np.array([2019]))
    taken = take_days(table, ["2020-03-01", "2020-04-01"])
    np.testing.assert_array_equal(taken.values, table.values[:, 14:16])
    # 31 + 29 + 1, counted from the year in which what is left begins.
    assert taken.days.tolist() == [[61, 92]] and taken.years is not None and taken.years.tolist() == [2020]
    unknown = take_days(replace(table, years=None), [426, 457])
    np.testing.assert_array_equal(unknown.values, table.values[:, 14:16])
    assert unknown.days.tolist() == [[61, 92]]


def test_a_date_that_a_series_lacks_is_a_gap() -> None:
    taken = take_days(make([[1, 17, 33], [1, 9, 33]]), [1, 17, 33])
    assert taken.days.tolist() == [[1, 17, 33], [1, 9, 33]]
    gappy = take_days(make([[1, 17, 33], [1, 33, NAN]]), [1, 17, 33])
    np.testing.assert_array_equal(np.isfinite(gappy.values[1, :, 0]), [True, False, True])
    assert gappy.days[1].tolist() == [1, 17, 33]


def test_dates_that_cannot_be_taken_are_refused() -> None:
    table = make([[1, 17, 33]])
    with pytest.raises(DatesMismatch, match="dates near 200.*Received: days 1 to 33"):
        take_days(table, [200, 216])
    with pytest.raises(DatesMismatch, match="series of up to 3 observations without dates"):
        take_days(make([[0, 1, 2]], dated=False), ["2018-05-01"])
    np.testing.assert_array_equal(take_days(make([[0, 1, 2]], dated=False), [0, 2]).days, [[0, 2]])
    for wrong in ([], [17, 1], ["May"], ["2018-05-01", 4]):
        with pytest.raises(OptionError, match=r"data\.dates: expected"):
            take_days(table, wrong)  # type: ignore[arg-type]
