"""Dates in cells and in names of columns."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from geodl.data.series.dating import cell_times, dated_columns, with_dates
from geodl.data.series.records import Records
from geodl.data.series.sheets import frame_sheet
from geodl.errors import DatesMismatch, OptionError, SeriesUnusable

DATES = pd.to_datetime(["2020-02-10", "2020-03-05", "2021-01-01"])


@pytest.mark.parametrize("order", ["{band}{sep}{date}", "{date}{sep}{band}"], ids=["behind", "before"])
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d", "%Y_%m_%d", "%Y%j"])
@pytest.mark.parametrize("sep", ["_", "-", "."])
def test_columns_carry_dates(order: str, form: str, sep: str) -> None:
    names = [order.format(band=band, sep=sep, date=date) for band in ("B8A", "NDVI") for date in DATES.strftime(form)]
    found = dated_columns([*names, "area", "B02"], "t")
    assert found is not None and found.bands == ["B8A", "NDVI"] and found.dated
    np.testing.assert_array_equal(found.times, DATES.to_numpy().astype("datetime64[D]"))
    assert [found.places[name][1] for name in names] == [0, 1, 2] * 2
    chosen = dated_columns(names, "t", bands=["NDVI"])
    assert chosen is not None and set(chosen.places) == set(names[3:])


NUMBERS = {
    "positions": (["b1_t0", "b1_t1", "b1_t2", "b2_t0"], ["b1"], [0, 1, 2], False),
    "positions_of_two": (["b1_t0", "b1_t5", "b2_t0", "b2_t5"], ["b1", "b2"], [0, 5], False),
    "in_front": (["t0_b1", "t1_b1", "t2_b1"], ["b1"], [0, 1, 2], False),
    "consecutive": (["NDVI_1", "NDVI_2", "NDVI_3", "area"], ["NDVI"], [1, 2, 3], False),
    "days": (["NDVI_120", "NDVI_136", "NDVI_152"], ["NDVI"], [120, 136, 152], True),
    "said_to_be_days": (["NDVI_d1", "NDVI_d2", "NDVI_d3"], ["NDVI"], [1, 2, 3], True),
    "no_name": (["0", "1", "2"], [""], [0, 1, 2], False),
    "months": (["EVI_202011", "EVI_202012", "EVI_202101"], ["EVI"], None, True),
}


@pytest.mark.parametrize(("names", "bands", "times", "dated"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_days_or_positions(names: list[str], bands: list[str], times: list[int], dated: bool) -> None:
    found = dated_columns(names, "t")
    assert found is not None and found.bands == bands and found.dated is dated
    months = np.array(["2020-11-01", "2020-12-01", "2021-01-01"], "datetime64[D]")
    np.testing.assert_array_equal(found.times, months if times is None else times)


def test_names_without_dates_or_with_two_meanings() -> None:
    assert dated_columns(["B02", "B03", "B04", "label", "2020-01-01"], "t") is None
    with pytest.raises(SeriesUnusable, match="can be read as numbers behind names and as numbers before names"):
        dated_columns(["1_1", "1_2", "2_1", "2_2"], "t")
    with pytest.raises(SeriesUnusable, match=r"NDVI_2020-01-01 and NDVI_20200101 are of the same band and date"):
        dated_columns(["NDVI_2020-01-01", "NDVI_20200101", "NDVI_2020-02-01"], "t")


CELLS = {
    "text": DATES.strftime("%Y-%m-%d"),
    "compact": DATES.strftime("%Y%m%d"),
    "number": DATES.strftime("%Y%m%d").astype(int),
    "clock": DATES.strftime("%Y-%m-%dT13:45:00Z"),
    "pandas": DATES,
    "zoned": DATES.tz_localize("UTC"),
    "python": [date.date() for date in DATES],
}


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_cells_hold_dates(cells: object) -> None:
    times, dated = cell_times(frame_sheet(pd.DataFrame({"date": cells}), "t"), "date")
    np.testing.assert_array_equal(times, DATES.to_numpy().astype("datetime64[D]"))
    assert dated


def test_cells_hold_numbers() -> None:
    frame = pd.DataFrame({"doy": [32, 366], "days_since_1970": [18293.0, 18294.5], "t": [0, 7], "year": [2020, 2020]})
    dates = np.array(["2020-02-01", "2020-12-31"], "datetime64[D]")
    times, dated = cell_times(frame_sheet(frame, "t"), "doy")
    assert dated and times.tolist() == dates.tolist()
    times, dated = cell_times(frame_sheet(frame.drop(columns="year"), "t"), "doy")
    assert dated and times.tolist() == [32, 366]
    assert cell_times(frame_sheet(frame, "t"), "days_since_1970")[0].tolist() == [
        datetime.date(2020, 2, 1),
        datetime.date(2020, 2, 2),
    ]
    times, dated = cell_times(frame_sheet(frame, "t"), "t")
    assert not dated and times.tolist() == [0, 7]


@pytest.mark.parametrize("cell", ["31.12.2020", "soon", None, "2020-13-01"])
def test_a_cell_without_a_date_is_refused(cell: str | None) -> None:
    sheet = frame_sheet(pd.DataFrame({"date": ["2020-01-01", cell]}), "t")
    with pytest.raises(SeriesUnusable, match=r"row 2 has .*no date.* in column date"):
        cell_times(sheet, "date")


def test_the_user_states_dates() -> None:
    values = np.ones((2, 3, 1), np.float32)
    times = np.array([[0, 1, 2], [0, 1, np.nan]])
    records = Records("t", values, times, ("a",), np.array(["p", "q"]), dated=False)
    listed = with_dates(records, ["2020-01-30", datetime.date(2020, 2, 9), "2020-02-19"])
    stepped = with_dates(records, {"start": "2020-01-30", "step": 10})
    expected = np.array([["2020-01-30", "2020-02-09", "2020-02-19"], ["2020-01-30", "2020-02-09", "NaT"]], "M8[D]")
    for found in (listed, stepped):
        assert found.dated
        np.testing.assert_array_equal(found.times, expected)
    with pytest.raises(DatesMismatch, match="Expected 3 dates.*Received: 2"):
        with_dates(records, ["2020-01-30", "2020-02-09"])
    for wrong in ({"start": "2020-01-30"}, {"start": "x", "step": 1}, {"start": "2020-01-01", "step": 0}, [1, 2, 3]):
        with pytest.raises(OptionError, match="dates: expected"):
            with_dates(records, wrong)
    with pytest.raises(OptionError, match="the table states its own"):
        with_dates(listed, ["2020-01-30"])
