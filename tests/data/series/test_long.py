"""Long tables against what pandas makes of them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.series.opening import open_series
from geodl.errors import BandMismatch, SeriesUnusable, SourceUnreadable


def frame(seed: int = 0, count: int = 5) -> pd.DataFrame:
    """Irregular series whose rows are in no order."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        days = np.sort(rng.choice(300, rng.integers(2, 8), replace=False))
        for n, day in enumerate(days):
            date = pd.Timestamp("2019-10-01") + pd.Timedelta(days=int(day))
            values = {"NDVI": np.nan if n == 1 else rng.normal(), "VV": rng.normal()}
            rows.append({"id": f"s{k}", "date": date, "crop": "abc"[k % 3], "region": k // 2, **values})
    return pd.DataFrame(rows).sample(frac=1, random_state=seed).reset_index(drop=True)


@settings(max_examples=12)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_every_observation_is_where_it_belongs(seed: int, count: int) -> None:
    table = frame(seed, count)
    found = open_series(table)
    assert found.ids.tolist() == list(dict.fromkeys(table["id"])) and [b.name for b in found.bands] == ["NDVI", "VV"]
    assert found.years is not None and found.labels is not None
    for k, name in enumerate(found.ids):
        rows = table[table["id"] == name].sort_values("date")
        first, length = rows["date"].iloc[0], len(rows)
        days = (rows["date"] - pd.Timestamp(first.year, 1, 1)).dt.days + 1
        assert found.days[k, :length].tolist() == days.tolist() and np.isnan(found.days[k, length:]).all()
        np.testing.assert_array_equal(found.values[k, :length], rows[["NDVI", "VV"]].to_numpy(np.float32))
        assert np.isnan(found.values[k, length:]).all()
        assert found.years[k] == first.year and found.classes[found.labels[k]].name == rows["crop"].iloc[0]
        assert found.columns["region"][k] == rows["region"].iloc[0]
    assert found.lengths.tolist() == [int((table["id"] == name).sum()) for name in found.ids]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_give_what_the_frame_gives(tmp_path: Path, ending: str) -> None:
    table = frame()
    path = tmp_path / f"t.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False, sep=";", decimal=",")
    else:
        table.to_parquet(path)
    one, other = open_series(path), open_series(table)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.days, other.days)
    assert one.classes == other.classes and one.ids.tolist() == other.ids.tolist()


def test_unsorted_dates_are_sorted_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    table = frame().sort_values(["id", "date"])
    with caplog.at_level(logging.WARNING, "geodl"):
        sorted_one = open_series(table)
        assert not [each for each in caplog.messages if "not in order" in each]
        reversed_one = open_series(table[::-1])
    assert [each for each in caplog.messages if "not in order" in each] == [
        "table: the dates of 5 series were not in order; they are sorted."
    ]
    assert reversed_one.ids.tolist() == sorted_one.ids.tolist()[::-1]
    np.testing.assert_array_equal(reversed_one.values[::-1], sorted_one.values)


def test_repeated_dates_are_refused_by_series_and_date() -> None:
    table = frame()
    rows = table[table["id"] == "s3"]
    date = rows["date"].min()
    with pytest.raises(SeriesUnusable, match=rf"series s3 .*{date:%Y-%m-%d} occurs twice\. Keep one"):
        open_series(pd.concat([table, rows[rows["date"] == date]]))


def test_what_changes_within_a_series_is_refused_or_left_out(caplog: pytest.LogCaptureFixture) -> None:
    table = frame().sort_values(["id", "date"]).reset_index(drop=True)
    with pytest.raises(SeriesUnusable, match=r"series s0 .*its crop changes \(a and b\)"):
        open_series(table.assign(crop=["b" if k == 1 else crop for k, crop in enumerate(table["crop"])]))
    with pytest.raises(SeriesUnusable, match=r"its region changes"):
        open_series(table.assign(region=range(len(table))))
    scenes = table.assign(scene=[f"S2A_{k}" for k in range(len(table))])
    with pytest.raises(SeriesUnusable, match=r"its scene changes"):
        open_series(scenes, columns=["scene"])
    with caplog.at_level(logging.WARNING, "geodl"):
        assert set(open_series(scenes).columns) == {"region"}
    assert any("left out, because it changes within a series: scene." in each for each in caplog.messages)
    assert open_series(table.assign(soil=table["region"] + 0.5)).values.shape[2] == 2


def test_series_may_be_told_apart_by_several_columns_or_by_places() -> None:
    table = frame().sort_values(["id", "date"])
    table["season"] = (table["date"].dt.year).astype(int)
    found = open_series(table, series=["id", "season"])
    assert set(found.ids) == {f"{a}_{b}" for a, b in zip(table["id"], table["season"])}
    assert set(found.columns) == {"id", "season", "region"}
    places = table.assign(lon=table["id"].str[1:].astype(float), lat=45.0).drop(columns=["id", "season"])
    located = open_series(places)
    assert len(located) == 5 and located.crs is not None and located.crs.to_epsg() == 4326
    np.testing.assert_allclose(located.lonlat(), [[k, 45] for k in range(5)])
    with pytest.raises(SeriesUnusable, match="none of its columns tells the series apart"):
        open_series(table.drop(columns=["id", "season"]))
    # A column that numbers the rows tells no series apart.
    numbered = table.rename(columns={"id": "parcel"}).assign(id=range(len(table))).drop(columns="season")
    assert len(open_series(numbered, bands=["NDVI"])) == 5


def test_bands_and_text_among_them(tmp_path: Path) -> None:
    table = frame()
    assert [band.name for band in open_series(table, bands=["VV"]).bands] == ["VV"]
    with pytest.raises(BandMismatch, match=r"Expected 1: VH.*Received .*NDVI, VV"):
        open_series(table, bands=["VH"])
    bad = table.astype({"VV": object})
    bad.loc[3, "VV"] = "n.d."
    bad.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(SourceUnreadable, match=r"line 5 has 'n\.d\.' in column VV"):
        open_series(tmp_path / "t.csv")
    with pytest.raises(SeriesUnusable, match="no column holds numbers that change"):
        open_series(table.drop(columns=["NDVI", "VV"]))


def test_parts_come_from_a_column() -> None:
    table = frame()
    words = {"s0": "train", "s1": "Val", "s2": "test", "s3": "train", "s4": "test"}
    found = open_series(table.assign(split=table["id"].map(words)))
    known = {"train": "train", "Val": "validation", "test": "test"}
    assert found.parts is not None and found.parts.tolist() == [known[words[name]] for name in found.ids]
    assert open_series(table.assign(split=table["region"])).parts is None
    with pytest.raises(SeriesUnusable, match="does not say of each series which part"):
        open_series(table.assign(split=table["id"].map({"s0": "train", "s1": "test"})))
