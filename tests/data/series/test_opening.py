"""What the front door of time series adds to its adapters."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geodl.data.series.naming import detect_label
from geodl.data.series.opening import open_series
from geodl.errors import BandMismatch, EmptyDataset, LabelsOutOfRange, OptionError, SeriesUnusable, SourceUnreadable
from tests.data.buckets import uploaded

ROWS = pd.DataFrame(
    {
        "id": ["a", "a", "b", "b", "c"],
        "date": ["2020-12-30", "2021-01-02", "2020-06-01", "2020-06-05", "2021-03-01"],
        "NDVI": [0.1, 0.2, 0.3, np.inf, np.nan],
        "SCL": [4, 9, 8, 4, 4],
        "crop": ["x", "x", "y", "y", "z"],
    }
)


def test_clouds_hide_observations() -> None:
    found = open_series(ROWS, cloud_band="SCL", cloud_values=[8, 9])
    assert [band.name for band in found.bands] == ["NDVI"]
    np.testing.assert_array_equal(found.values[0, :, 0], np.array([0.1, np.nan], np.float32))
    both = open_series(ROWS, bands=["SCL", "NDVI"], cloud_band="SCL", cloud_values=[8, 9])
    np.testing.assert_array_equal(both.values[0], np.array([[4, 0.1], [np.nan, np.nan]], np.float32))
    with pytest.raises(BandMismatch, match="QA"):
        open_series(ROWS, cloud_band="QA", cloud_values=[1])
    with pytest.raises(OptionError, match="cloud_band: expected a band and, in cloud_values"):
        open_series(ROWS, cloud_band="SCL")


def test_odd_values_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "geodl"):
        found = open_series(ROWS, bands=["NDVI"])
    assert np.isfinite(found.values).sum() == 3 and found.observed.tolist() == [True, True, False]
    assert caplog.messages[:2] == [
        "table: 1 infinite values are taken as not observed.",
        "table: 1 of 3 series have no observation at all.",
    ]
    assert len(caplog.messages) == 3 and found.days[0].tolist() == [365, 368]


def test_classes_and_labels() -> None:
    found = open_series(ROWS, classes=["z", "y", "x", "w"])
    assert found.labels is not None and found.labels.tolist() == [2, 1, 0] and len(found.classes) == 4
    with pytest.raises(LabelsOutOfRange, match="Expected x, y. Received: z"):
        open_series(ROWS, classes=["x", "y"])
    assert open_series(ROWS.drop(columns="crop")).labels is None
    assert open_series(ROWS, label="").labels is None
    other = open_series(ROWS.assign(farm=[7, 7, 7, 7, 2]), label="farm")
    assert [each.name for each in other.classes] == ["class_2", "class_7"] and other.counts.tolist() == [1, 2]
    assert other.columns["crop"].tolist() == ["x", "y", "z"]


def test_detect_label() -> None:
    assert detect_label(["id", "Crop", "x"], where="t") == "Crop"
    assert detect_label(["id", "y"], where="t") == "y"
    assert detect_label(["x", "y", "NDVI"], where="t") is None
    with pytest.raises(SeriesUnusable, match="columns label and class may hold the label"):
        detect_label(["class", "label"], where="t")


def test_a_table_comes_back_as_it_is() -> None:
    table = open_series(ROWS)
    again = open_series(table)
    np.testing.assert_array_equal(again.values, table.values)
    np.testing.assert_array_equal(again.days, table.days)
    assert again.classes == table.classes and again.labels is not None and again.years is not None
    assert (
        again.labels.tolist() == [0, 1, 2] and again.years.tolist() == [2020, 2020, 2021] and again.name == table.name
    )
    assert open_series(table, bands=["SCL"], label="").values.shape == (3, 2, 1)
    pair = open_series([table, ROWS.assign(id=ROWS["id"] + "2")])
    assert len(pair) == 6 and pair.labels is not None and pair.labels.tolist() == [0, 1, 2] * 2


def test_a_date_beside_dated_columns_is_one_more_column() -> None:
    wide = pd.DataFrame({"NDVI_20200101": [1.0], "NDVI_20200201": [2.0], "date": ["2019-10-01"]})
    assert open_series(wide).columns["date"].tolist() == ["2019-10-01"]


def test_nothing_and_unknown_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"x")
    for where, error in (([], EmptyDataset), ({}, EmptyDataset), (tmp_path, EmptyDataset), (5, SeriesUnusable)):
        with pytest.raises(error):
            open_series(where)
    with pytest.raises(SourceUnreadable, match="files that end so are no tables that are known"):
        open_series(tmp_path / "a.xlsx")
    with pytest.raises(SourceUnreadable, match="there is no such file"):
        open_series(tmp_path / "none.csv")
    with pytest.raises(OptionError, match="bands: expected names of bands, each once"):
        open_series(ROWS, bands=["NDVI", "NDVI"])


def test_the_same_file_for_each_way_to_name_it(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    ways = (
        tmp_path / "rows.csv",
        str(tmp_path / "rows.csv"),
        tmp_path,
        [tmp_path / "rows.csv"],
        str(tmp_path / "*.csv"),
    )
    both = open_series([ROWS.assign(id=ROWS["id"] + "2"), tmp_path / "rows.csv"])
    assert both.ids.tolist() == ["a2", "b2", "c2", "a", "b", "c"]
    for where in ways:
        found = open_series(where)
        assert found.name == "rows" and found.ids.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_tables_at_addresses_are_fetched(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if ending == "csv":
        ROWS.to_csv(tmp_path / "rows.csv", index=False)
    elif ending == "parquet":
        ROWS.to_parquet(tmp_path / "rows.parquet")
    else:
        np.savez(tmp_path / "rows.npz", X=np.ones((3, 2, 1)), y=[0, 1, 0])
    bucket = uploaded(tmp_path, monkeypatch)
    here = open_series(tmp_path / f"rows.{ending}")
    for where in (f"{bucket}rows.{ending}", bucket, f"{bucket}*.{ending}"):
        found = open_series(where)
        assert (found.name, found.ids.tolist()) == ("rows", here.ids.tolist())
        np.testing.assert_array_equal(found.values, here.values)
