"""Dates and bands in the names of files."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.datednames import band_words, dated_label, name_date

DATED = {
    "CB4_64_16D_STK_022024_2018-08-29_2018-09-13_NDVI.tif": "2018-08-29",
    "S2A_MSIL2A_20200101T100031_N0213_R122_T33UUB_20200103T113333.SAFE": "2020-01-01",
    "LC08_L2SP_044034_20200101_20200113_02_T1_SR_B4.TIF": "2020-01-01",
    "MOD13Q1.A2018241.h13v10.006.2018258034235.hdf": "2018-08-29",
    "ndvi_2020366.tif": "2020-12-31",
    "2018_08_29.tif": "2018-08-29",
    "20180829101021_a.tif": "2018-08-29",
    "ndvi_2018-08-29T10-20-11.tif": "2018-08-29",
    "ndvi_2018-08.tif": "2018-08-01",
    "2019-03-04/B04.tif": "2019-03-04",
    "https://example.org/ndvi_20190304.tif?token=20200101": "2019-03-04",
}
UNDATED = ("STK_022024_NDVI.tif", "ndvi_2018366.tif", "20181345.tif", "1201808299.tif", "B04.tif", "ndvi_2018-13.tif")


@pytest.mark.parametrize("name", DATED)
def test_the_first_date_of_a_name(name: str) -> None:
    assert name_date(name) == np.datetime64(DATED[name])


@pytest.mark.parametrize("name", UNDATED)
def test_names_without_a_date(name: str) -> None:
    assert name_date(name) is None


@given(st.dates(date(1970, 1, 1), date(2080, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y_%m_%d", "%Y%j"]))
def test_any_day_in_any_way_of_writing_it(day: date, way: str) -> None:
    assert name_date(f"tile_{day.strftime(way)}_B04.tif") == np.datetime64(day)


@pytest.mark.parametrize(
    ("label", "rest"), [("2018-08-29", ""), ("20180829_B04", "B04"), ("NDVI_2018241", "NDVI"), ("B04", None)]
)
def test_bands_called_by_dates(label: str, rest: str | None) -> None:
    assert dated_label(label) == (None if rest is None else (np.datetime64("2018-08-29"), rest))


def words(*names: str) -> list[str]:
    dates = [name_date(name) for name in names]
    return band_words(names, [day for day in dates if day is not None])


def test_what_differs_within_a_date_is_the_band() -> None:
    orbits = ["T33_20180829_R022_B04_10m", "T33_20180829_R022_B8A_20m", "T33_20180930_R122_B04_10m"]
    assert words(*orbits) == ["B04_10m", "B8A_20m", "B04_10m"]
    assert words("20180829_a_B04", "20180829_SCL", "20180830_SCL") == ["a_B04", "SCL", "SCL"]


def test_one_file_for_each_date_is_one_band() -> None:
    assert words("0001_2018-08-29_NDVI", "0002_2018-09-29_NDVI") == ["NDVI", "NDVI"]
    assert words("ndvi-20180829", "ndvi-20180929") == ["ndvi", "ndvi"]
    assert words("a_b_20180829", "a_b_20180929") == ["", ""]
    assert words("T33UUB_20180829_0012.tif", "T33UUB_20180929_0013.tif") == ["", ""]


def test_bands_on_different_dates_stay_apart() -> None:
    assert words("x_20180829_NDVI", "x_20180929_EVI", "x_20181029_NDVI") == ["NDVI", "EVI", "NDVI"]
