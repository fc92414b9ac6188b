"""Several files below one another, several sensors side by side, against pandas' merge."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series.opening import open_series
from geodl.errors import BandMismatch, SeriesUnusable


def rows(seed: int, ids: str, bands: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    found = []
    for name in ids:
        for day in np.sort(rng.choice(30, rng.integers(2, 6), replace=False)):
            date = pd.Timestamp("2020-12-15") + pd.Timedelta(days=int(day))
            found.append({"id": name, "date": date, **{band: rng.normal() for band in bands}})
    return pd.DataFrame(found)


@settings(max_examples=12)
@given(st.integers(0, 500), st.sampled_from([("abc", "abc"), ("abc", "dcb"), ("a", "xa")]))
def test_sensors_are_merged_by_series_and_date(seed: int, ids: tuple[str, str]) -> None:
    optical, radar = rows(seed, ids[0], ("NDVI", "q")), rows(seed + 1, ids[1], ("VV", "q"))
    found = open_series({"s2": optical, "s1": radar})
    assert [band.name for band in found.bands] == ["NDVI", "s2_q", "VV", "s1_q"]
    assert found.ids.tolist() == list(dict.fromkeys(ids[0] + ids[1])) and found.name == "s2_s1"
    both = optical.merge(radar, on=["id", "date"], how="outer", suffixes=("_2", "_1")).sort_values("date")
    for k, name in enumerate(found.ids):
        mine = both[both["id"] == name]
        np.testing.assert_array_equal(
            found.values[k, : len(mine)], mine[["NDVI", "q_2", "VV", "q_1"]].to_numpy(np.float32)
        )
        year = mine["date"].iloc[0].year
        assert found.days[k, : len(mine)].tolist() == ((mine["date"] - pd.Timestamp(year, 1, 1)).dt.days + 1).tolist()
        assert np.isnan(found.days[k, len(mine) :]).all()
    chosen = open_series({"s2": optical, "s1": radar}, bands=["s1_q", "NDVI"])
    np.testing.assert_array_equal(chosen.values, found.values[..., [3, 0]])


def test_labels_places_and_columns_come_from_those_that_have_them() -> None:
    optical, radar = rows(0, "abc", ("NDVI",)), rows(1, "bcd", ("VV",))
    optical["crop"] = optical["id"].map({"a": "x", "b": "y", "c": None})
    radar["crop"] = radar["id"].map({"b": "y", "c": "z", "d": "x"})
    radar["region"] = "north"
    shapes = geopandas.GeoDataFrame(radar, geometry=shapely.points(radar["id"].map(ord), 1), crs="EPSG:32633")
    found = open_series({"s2": optical, "s1": shapes})
    assert found.labels is not None and [found.classes[k].name for k in found.labels] == ["x", "y", "z", "x"]
    assert found.columns["region"].tolist()[1:] == ["north"] * 3 and pd.isna(found.columns["region"][0])
    assert found.geometry is not None and found.crs is not None and found.crs.to_epsg() == 32633
    assert found.geometry[0] is None and shapely.get_x(found.geometry[1]) == ord("b")
    radar["crop"] = "w"
    with pytest.raises(SeriesUnusable, match=r"series b .*its labels contradict one another \(y, and w for s1\)"):
        open_series({"s2": optical, "s1": radar})
    assert open_series({"s2": optical, "s1": radar}, label="").labels is None


def test_a_cloud_hides_its_own_sensor_alone() -> None:
    optical, radar = rows(0, "a", ("NDVI",)), rows(0, "a", ("VV",))
    optical["cloud"] = [1.0] + [0.0] * (len(optical) - 1)
    found = open_series({"s2": optical, "s1": radar}, cloud_band="cloud", cloud_values=[1])
    assert (
        np.isnan(found.values[0, 0, 0])
        and np.isfinite(found.values[0, 1:]).all()
        and np.isfinite(found.values[0, 0, 1])
    )
    assert [band.name for band in found.bands] == ["NDVI", "VV"]


def test_sensors_that_cannot_be_joined_are_refused() -> None:
    table = rows(0, "ab", ("NDVI",))
    with pytest.raises(SeriesUnusable, match="no series is in two of the tables"):
        open_series({"s2": table, "s1": rows(0, "cd", ("VV",))})
    wide = pd.DataFrame({"VV_2020-12-20": [1.0], "VV_2020-12-21": [2.0]})
    with pytest.raises(SeriesUnusable, match="the table of s1 does not say what its series are called"):
        open_series({"s2": table, "s1": wide})
    undated = pd.DataFrame({"id": ["a"], "VV_1": [1.0], "VV_2": [2.0]})
    with pytest.raises(SeriesUnusable, match="one states its dates and the other does not"):
        open_series({"s2": table, "s1": undated})
    dated = open_series({"s2": table, "s1": open_series(undated, dates=["2020-12-20", "2020-12-21"])})
    assert [band.name for band in dated.bands] == ["NDVI", "VV"]


def test_files_are_put_one_below_the_other(tmp_path: Path) -> None:
    one, other = rows(0, "ab", ("NDVI", "VV")), rows(1, "cd", ("VV", "NDVI"))
    one["region"], other["soil"] = 1, "clay"
    one.to_csv(tmp_path / "t_1.csv", index=False)
    other.to_parquet(tmp_path / "t_2.parquet")
    found = open_series(str(tmp_path / "t_*"))
    first, second = open_series(tmp_path / "t_1.csv"), open_series(tmp_path / "t_2.parquet", bands=["NDVI", "VV"])
    assert found.ids.tolist() == list("abcd") and found.name == "t"
    np.testing.assert_array_equal(found.values[:2, : first.length], first.values)
    np.testing.assert_array_equal(found.values[2:, : second.length], second.values)
    np.testing.assert_array_equal(found.days[2:, : second.length], second.days)
    assert found.columns["region"].tolist()[:2] == [1, 1] and found.columns["soil"].tolist()[2:] == ["clay", "clay"]
    with pytest.raises(BandMismatch, match=r"t_2.*Expected 2: NDVI, VV.*Received 1: VV"):
        other.drop(columns="NDVI").to_parquet(tmp_path / "t_2.parquet")
        open_series(tmp_path)


def test_equal_ids_of_two_files_get_their_names_in_front(tmp_path: Path) -> None:
    for year in (2020, 2021):
        rows(year, "ab", ("NDVI",)).to_csv(tmp_path / f"y{year}.csv", index=False)
    found = open_series(tmp_path)
    assert found.ids.tolist() == ["y2020_a", "y2020_b", "y2021_a", "y2021_b"]
    assert found.columns["series"].tolist() == list("abab")
