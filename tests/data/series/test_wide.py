"""Wide tables against what pandas melts out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geodl.data.series.opening import open_series
from geodl.errors import BandMismatch, SeriesUnusable, SourceUnreadable

DATES = pd.date_range("2019-11-20", periods=6, freq="16D")
BANDS = ("NDVI", "B11")


def frame(count: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    names = [f"{band}_{date:%Y%m%d}" for date in DATES for band in BANDS]
    table = pd.DataFrame(rng.normal(size=(count, len(names))).astype(np.float32), columns=names)
    table[table > 1.5] = np.nan
    table.insert(0, "parcel", [f"p{k}" for k in range(count)])
    table["crop"] = (["maize", "wheat"] * count)[:count]
    table["region"] = 3
    return table


def cube(table: pd.DataFrame) -> np.ndarray:
    """Values (series, time, band), by another way."""
    long = table.melt(id_vars="parcel", value_vars=[name for name in table if "_2" in name])
    long[["band", "date"]] = long["variable"].str.split("_", expand=True)
    long["date"] = pd.to_datetime(long["date"])
    array = long.set_index(["parcel", "date", "band"])["value"].to_xarray()
    return array.sel(band=list(BANDS), parcel=table["parcel"].tolist()).values


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "tsv"])
def test_values_days_labels_and_columns(tmp_path: Path, ending: str) -> None:
    table, path = frame(), tmp_path / f"fields.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    found = open_series(path)
    np.testing.assert_array_equal(found.values, cube(table).astype(np.float32))
    assert [band.name for band in found.bands] == list(BANDS)
    assert found.days.tolist() == [[324, 340, 356, 372, 388, 404]] * 7 and found.dated
    assert found.years is not None and set(found.years) == {2019}
    assert found.ids.tolist() == table["parcel"].tolist()
    assert found.labels is not None and [found.classes[k].name for k in found.labels] == table["crop"].tolist()
    assert set(found.columns) == {"parcel", "region"} and (found.columns["region"] == 3).all()
    assert found.name.startswith("fields")


def test_bands_are_chosen_and_ordered() -> None:
    table = frame()
    found = open_series(table, bands=["B11", "NDVI"])
    np.testing.assert_array_equal(found.values[..., ::-1], cube(table).astype(np.float32))
    assert open_series(table, bands=["NDVI"]).values.shape == (7, 6, 1)
    with pytest.raises(BandMismatch, match=r"Expected 2: NDVI, B12"):
        open_series(table, bands=["NDVI", "B12"])


def test_bands_may_lack_dates() -> None:
    table = frame().drop(columns=f"B11_{DATES[2]:%Y%m%d}")
    found = open_series(table)
    assert np.isnan(found.values[:, 2, 1]).all() and found.length == 6
    np.testing.assert_array_equal(found.values[:, [0, 1, 3, 4, 5]], cube(frame())[:, [0, 1, 3, 4, 5]])


def test_tables_without_names(tmp_path: Path) -> None:
    rows = np.arange(4 * 8, dtype=float).reshape(4, 8)
    rows[:, 0] = [2, 0, 2, 1]
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    found = open_series(tmp_path / "rows.csv", label="column_1", columns=["column_2"], bands=["g", "r", "n"])
    np.testing.assert_array_equal(found.values, rows[:, 2:].reshape(4, 2, 3))
    assert found.labels is not None and [found.classes[k].value for k in found.labels] == [2, 0, 2, 1]
    assert found.columns["column_2"].tolist() == [1, 9, 17, 25] and not found.dated
    assert found.days.tolist() == [[0, 1]] * 4
    dated = open_series(
        tmp_path / "rows.csv",
        label="column_1",
        series="column_2",
        bands=["g", "r"],
        dates={"start": "2006-02-10", "step": 9},
    )
    assert dated.ids.tolist() == ["1", "9", "17", "25"] and dated.days[0].tolist() == [41, 50, 59]
    with pytest.raises(SeriesUnusable, match="the 7 that are no label.* are no multiple of 3 bands"):
        open_series(tmp_path / "rows.csv", label="column_1", bands=["g", "r", "n"])
    assert open_series(tmp_path / "rows.csv", label="column_1").values.shape == (4, 7, 1)


def test_faults_are_named(tmp_path: Path) -> None:
    table = frame()
    with pytest.raises(SeriesUnusable, match="series maize occurs twice, the second time in row 3"):
        open_series(table, series="crop", label="")
    with pytest.raises(SeriesUnusable, match="there is no column crops.*Did you mean 'crop'"):
        open_series(table, label="crops")
    with pytest.raises(SeriesUnusable, match="row 2 does not say which series"):
        open_series(table.assign(name=["a", None, *"cdefg"]), series="name")
    text = table.astype(object)
    text.iloc[4, 3] = "cloud"
    text.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(SourceUnreadable, match="line 6 has 'cloud' in column NDVI_20191206"):
        open_series(tmp_path / "t.csv")
    with pytest.raises(SeriesUnusable, match="neither a column of dates nor columns such as"):
        open_series(table[["parcel", "crop"]])
    with pytest.raises(SeriesUnusable, match="columns crop and label may hold|columns label and crop may hold"):
        open_series(table.assign(label=1))


def test_labels_are_plain() -> None:
    table = frame(4)
    floats = open_series(table.assign(crop=[1.0, np.nan, 3.0, 300.0]))
    assert floats.labels is not None and floats.labels.tolist() == [0, -1, 1, 2]
    assert [(each.value, each.name) for each in floats.classes] == [(0, "1"), (1, "3"), (2, "300")]
    with pytest.raises(SeriesUnusable, match="the label 0.5 in column crop is no whole number"):
        open_series(table.assign(crop=[1.0, 0.5, 3.0, 1.0]))
    with pytest.raises(SeriesUnusable, match="column crop holds datetime.*no labels"):
        open_series(table.assign(crop=pd.Timestamp("2020-01-01")))
