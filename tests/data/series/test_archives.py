"""numpy archives in both layouts, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geodl.data.series.opening import open_series
from geodl.errors import BandMismatch, SeriesUnusable, SourceUnreadable

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4, 2)).astype(np.float32)
DAYS = np.array([17900, 17916, 17932, 17948]) + 365 * np.arange(6)[:, None]
WHOLE = {
    "X": X,
    "label": np.array(["soy", "", "corn", "soy", "corn", "soy"]),
    "days_since_1970": DAYS.astype(np.float32),
    "bands": np.array(["NDVI", "EVI"]),
    "lon": np.linspace(-55, -54, 6),
    "lat": np.linspace(-10, -9, 6),
    "region": np.arange(6) // 2,
}


def write(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "t.npz", **arrays)
    return folder / "t.npz"


def test_named_arrays(tmp_path: Path) -> None:
    found = open_series(write(tmp_path, **WHOLE))
    np.testing.assert_array_equal(found.values, X)
    dates = DAYS.astype("datetime64[D]")
    start = dates[:, :1].astype("datetime64[Y]")
    np.testing.assert_array_equal(found.days, (dates - start.astype("datetime64[D]")).astype(int) + 1)
    assert found.years is not None and found.years.tolist() == (start[:, 0].astype(int) + 1970).tolist()
    assert found.labels is not None and found.labels.tolist() == [1, -1, 0, 1, 0, 1]
    assert [each.name for each in found.classes] == ["corn", "soy"] and found.counts.tolist() == [2, 3]
    np.testing.assert_allclose(found.lonlat(), np.column_stack([WHOLE["lon"], WHOLE["lat"]]))
    assert found.columns["region"].tolist() == [0, 0, 1, 1, 2, 2] and set(found.columns) == {"region"}
    assert found.name == "t" and found.ids.tolist() == list("012345")


def test_bands_and_labels_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, **WHOLE)
    found = open_series(path, bands=["EVI"], label="region", series="lon")
    np.testing.assert_array_equal(found.values[..., 0], X[..., 1])
    assert found.labels is not None and found.labels.tolist() == [0, 0, 1, 1, 2, 2] and found.ids[0] == "-55.0"
    assert open_series(path, label="").labels is None
    with pytest.raises(BandMismatch, match="Expected 1: RED"):
        open_series(path, bands=["RED"])
    with pytest.raises(SeriesUnusable, match="no array crop of 6 values"):
        open_series(path, label="crop")


def test_dates_of_all_as_text_and_padding(tmp_path: Path) -> None:
    dates = ["2020-01-01", "2020-01-17", "2020-02-02", "2020-02-18"]
    assert open_series(write(tmp_path, X=X, dates=np.array(dates))).days.tolist() == [[1, 17, 33, 49]] * 6
    days = WHOLE["days_since_1970"].copy()
    days[2, 3] = np.nan
    values = X.copy()
    with pytest.raises(SeriesUnusable, match=r"series 2 .*the 4\. of its observations has no date"):
        open_series(write(tmp_path, X=values, days_since_1970=days))
    values[2, 3] = np.nan
    assert open_series(write(tmp_path, X=values, days_since_1970=days)).lengths.tolist() == [4, 4, 3, 4, 4, 4]


def test_official_parts(tmp_path: Path) -> None:
    arrays = {
        "x_train": X[:3, :, 0],
        "y_train": np.array([1, 2, 24]),
        "x_test": X[3:5, :, 0],
        "y_test": np.array([2, 1]),
    }
    path = write(tmp_path, **arrays, x_val=X[5:, :, 0], y_val=np.array([24], np.int16))
    found = open_series(path)
    assert found.parts is not None and not found.dated and found.days[0].tolist() == [0, 1, 2, 3]
    for part, rows, labels in (("train", X[:3], [0, 1, 2]), ("validation", X[5:], [2]), ("test", X[3:5], [1, 0])):
        mine = found.take(found.parts == part)
        np.testing.assert_array_equal(mine.values[..., 0], rows[..., 0])
        assert mine.labels is not None and mine.labels.tolist() == labels
    assert [each.value for each in found.classes] == [1, 2, 24] and [each.name for each in found.bands] == ["band_1"]
    dated = open_series(path, bands=["NDVI"], dates={"start": "2006-03-01", "step": 8})
    assert dated.days[0].tolist() == [60, 68, 76, 84] and dated.bands[0].name == "NDVI"


FAULTS = {
    "nothing": ({"a": X}, "it holds a"),
    "one_dim": ({"X": X[0, 0]}, r"X has shape \(2,\)"),
    "text": ({"X": np.array([["a"]])}, "type <U1"),
    "dates": ({"X": X, "days_since_1970": DAYS[:, :3]}, r"days_since_1970 has shape \(6, 3\)"),
    "numbers_as_dates": ({"X": X, "dates": DAYS}, "days since 1970 must be called so"),
    "labels": ({"x_train": X, "y_train": np.arange(5)}, r"y_train has shape \(5,\)"),
    "lengths": ({"x_train": X, "x_test": X[:, :3]}, "series of the shapes"),
    "places": ({"X": X, "lon": np.zeros(6), "lat": np.full(6, 91.0)}, "latitude 91 are out of range"),
    "ids": ({"X": X, "ids": np.array(list("abcdea"))}, "series a occurs twice"),
}


@pytest.mark.parametrize(("arrays", "message"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(SeriesUnusable, match=message):
        open_series(write(tmp_path, **arrays))


def test_damaged_files_and_objects_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, X=np.array([[{}]], object))
    with pytest.raises(SourceUnreadable, match="pickled objects"):
        open_series(path)
    path = write(tmp_path, X=X)
    for length in (10, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(SourceUnreadable):
            open_series(path)
    with pytest.raises(BandMismatch, match="2 names, each once"):
        open_series(write(tmp_path, X=X, bands=np.array(["a", "a"])))
