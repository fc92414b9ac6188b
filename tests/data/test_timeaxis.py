from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

from geodl.data.timeaxis import find_time, read_times, time_labels
from geodl.errors import SourceUnreadable


def cube(times: object) -> xr.DataArray:
    values = np.asarray(times)
    return xr.DataArray(np.zeros(len(values)), dims="time", coords={"time": values})


MONTHS = cube(np.array(["1999-01-31", "1999-02-28", "1999-03-31"], "datetime64[ns]"))


def test_common_dates() -> None:
    assert read_times(MONTHS, "time").dtype == "datetime64[ns]"
    np.testing.assert_array_equal(read_times(MONTHS, "time"), MONTHS.time.values)
    old = cube(np.array(["0850-07-01"], "datetime64[s]"))
    np.testing.assert_array_equal(read_times(old, "time"), old.time.values)
    assert np.isnat(read_times(xr.DataArray(np.zeros(3), dims="time"), "time")).all()
    assert np.isnat(read_times(cube([1.5, 2.5]), "time")).all()


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "julian"])
def test_dates_of_other_calendars_that_exist_are_kept(calendar: str) -> None:
    dates = [cftime.datetime(2001, month, 16, 12, calendar=calendar) for month in (1, 2, 12)]
    found = read_times(cube(dates), "time")
    assert found.astype("datetime64[h]").astype(str).tolist() == ["2001-01-16T12", "2001-02-16T12", "2001-12-16T12"]


def test_dates_that_do_not_exist_are_put_at_their_share_of_the_year() -> None:
    dates = [cftime.datetime(2001, 1, 1, calendar="360_day"), cftime.datetime(2001, 2, 30, calendar="360_day")]
    found = read_times(cube(dates), "time")
    assert found[0] == np.datetime64("2001-01-01")
    # The 60th of 360 days.
    assert found[1] - found[0] == np.timedelta64(round(59 / 360 * 365 * 86400), "s")


def test_labels_leave_out_what_is_zero_for_all() -> None:
    assert time_labels(MONTHS, "time") == ["1999-01-31", "1999-02-28", "1999-03-31"]
    hours = cube(np.array(["2001-12-31T23", "2002-01-01T00"], "datetime64[ns]"))
    assert time_labels(hours, "time") == ["2001-12-31T23:00", "2002-01-01T00:00"]
    assert time_labels(cube([cftime.datetime(2001, 2, 30, calendar="360_day")]), "time") == ["2001-02-30"]
    assert time_labels(xr.DataArray(np.zeros(2), dims="time"), "time") == ["0", "1"]


@pytest.mark.parametrize(
    ("wanted", "position"),
    [("1999-02", 1), ("1999-03-31", 2), ("1999-03-31T00:00", 2), ("1999-03-31 00:00Z", 2), ("0", 0), ("-1", 2)],
)
def test_a_time_is_found(wanted: str, position: int) -> None:
    assert find_time(MONTHS, "time", wanted, where="a.nc") == position


@pytest.mark.parametrize(
    ("wanted", "cause"),
    [
        ("1999", r"3 of its 3 times are 1999\. Choose one of 1999-01-31, 1999-02-28, 1999-03-31\."),
        ("2000", r"none of its 3 times is 2000\. Choose one of 1999-01-31"),
        ("3", r"it has 3 times\. Expected 0 to 2, or -1 to -3"),
    ],
)
def test_no_time_or_several(wanted: str, cause: str) -> None:
    with pytest.raises(SourceUnreadable, match=f"Cannot read a.nc: {cause}"):
        find_time(MONTHS, "time", wanted, where="a.nc")
