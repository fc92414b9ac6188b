"""Tables of series: what fits together, what is taken of them, and where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from geodl.contract import Band, ClassInfo
from geodl.data.series import SeriesTable
from geodl.errors import BandMismatch, SeriesUnusable


def table(**changes: Any) -> SeriesTable:
    values = np.arange(24, dtype="f4").reshape(3, 4, 2)
    days = np.tile(np.array([10, 20, 30, 40], "f4"), (3, 1))
    values[2, 2:], days[2, 2:] = np.nan, np.nan
    given: dict[str, Any] = {
        "name": "fields",
        "values": values,
        "days": days,
        "bands": (Band("red"), Band("nir")),
        "ids": np.array(["a", "b", "c"]),
        "labels": np.array([0, 1, -1]),
        "classes": (ClassInfo(0, "maize", "#ff0000"), ClassInfo(1, "wheat", "#00ff00")),
        "columns": {"parcel": np.array(["p", "p", "q"])},
    }
    return SeriesTable(**{**given, **changes})


def test_what_it_knows_of_its_series() -> None:
    found = table()
    assert (len(found), found.length) == (3, 4)
    assert found.lengths.tolist() == [4, 4, 2]
    assert found.counts.tolist() == [1, 1]
    assert found.observed.tolist() == [True] * 3
    assert table(values=np.full((3, 4, 2), np.nan, "f4")).observed.tolist() == [False] * 3


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True])], ids=["positions", "mask"])
def test_some_of_the_series_keep_all_that_is_known_of_them(rows: np.ndarray) -> None:
    found, whole = table().take(rows), table()
    order = [2, 0] if rows.dtype != bool else [0, 2]
    assert found.ids.tolist() == whole.ids[order].tolist()
    np.testing.assert_array_equal(found.values, whole.values[order])
    assert found.columns["parcel"].tolist() == whole.columns["parcel"][order].tolist()
    assert found.labels is not None and found.labels.tolist() == [[-1, 0], [0, -1]][order == [0, 2]]


def test_bands_are_taken_by_name_in_the_order_asked_for() -> None:
    found = table().select(("nir",))
    np.testing.assert_array_equal(found.values[..., 0], table().values[..., 1])
    assert [band.name for band in table().select(("nir", "red")).bands] == ["nir", "red"]
    with pytest.raises(BandMismatch, match="swir"):
        table().select(("red", "swir"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"values": np.zeros((0, 4, 2), "f4")}, "there is none"),
        ({"days": np.zeros((3, 3), "f4")}, "do not fit one another"),
        ({"labels": np.array([0, 1])}, r"labels has shape \(2,\)"),
        ({"columns": {"region": np.array(["x"])}}, "region has shape"),
        ({"days": np.tile(np.array([10, 20, 20, 40], "f4"), (3, 1))}, "day 20 follows day 20, and 2 other series"),
        ({"days": np.tile(np.array([10, 30, 20, 40], "f4"), (3, 1))}, "series a.*day 20 follows day 30"),
    ],
    ids=["no series", "days", "labels", "column", "repeated day", "days out of order"],
)
def test_what_does_not_fit_is_refused_by_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SeriesUnusable, match=sentence):
        table(**changes)


def test_places_are_centroids_in_degrees() -> None:
    crs = CRS.from_epsg(32633)
    shapes = np.array([shapely.box(5e5, 5.5e6, 5e5 + 20, 5.5e6 + 40), shapely.Point(5e5, 5e6), shapely.Point()])
    found = table(geometry=shapes, crs=crs).lonlat()
    assert found is not None
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    np.testing.assert_allclose(found[0], to_degrees.transform(5e5 + 10, 5.5e6 + 20))
    np.testing.assert_allclose(found[1], to_degrees.transform(5e5, 5e6))
    assert np.isnan(found[2]).all()
    assert table().lonlat() is None
