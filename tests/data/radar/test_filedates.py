from __future__ import annotations

import numpy as np
import pytest

from geodl.data.radar.filedates import date_in


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20160101T0105.tif", "2016-01-01T01:05"),
        ("folder_20170101/rain_201601010105.tif", "2016-01-01T01:05"),
        ("2016-01-01_01-05.tif", "2016-01-01T01:05"),
        ("2016-01-01T01:05:30Z.nc", "2016-01-01T01:05:30"),
        ("66_20160101_010500.prcp-c10.nc", "2016-01-01T01:05"),
        ("S1_20160101T010530_x.tif", "2016-01-01T01:05:30"),
        ("radar_20160101.0105.tif", "2016-01-01T01:05"),
        ("a2016_01_01_01_05_30.tif", "2016-01-01T01:05:30"),
        ("20161301_0105_20160101_0105.tif", "2016-01-01T01:05"),
    ],
)
def test_dates_in_names(name: str, time: str) -> None:
    assert date_in(name) == np.datetime64(time, "ns")


@pytest.mark.parametrize(
    "name", ["rain.tif", "20160101.tif", "201601010.tif", "99999999_0105.tif", "20160101_2505.tif"]
)
def test_names_without_a_time(name: str) -> None:
    assert date_in(name) is None
