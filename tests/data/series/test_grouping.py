"""What series have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from geodl.data.series.grouping import choose_by, parcel_column, same_place
from geodl.data.simulate.phenology import simulate_series

TABLE = simulate_series(24, seed=0, revisit=40, per_parcel=2)


def renamed(name: str) -> dict[str, np.ndarray]:
    return {"region": TABLE.columns["region"], name: TABLE.columns["parcel"]}


@pytest.mark.parametrize(
    "name", ["parcel", "parcel_id", "Polygon ID", "poly", "field", "fields", "Field-No", "PLOT_NUMBER"]
)
def test_columns_that_are_called_like_parcels(name: str) -> None:
    table = replace(TABLE, columns=renamed(name))
    assert parcel_column(table) == (None if name == "poly" else name)
    assert choose_by(table) == ("blocks" if name == "poly" else "column")


def test_what_auto_stands_for() -> None:
    assert choose_by(replace(TABLE, parts=np.full(24, "train"))) == "official"
    assert choose_by(TABLE, pattern="(.)") == "group"
    assert choose_by(TABLE.take(np.arange(0, 24, 2))) == "blocks"
    assert choose_by(TABLE.take(np.arange(0, 24, 2)), column="region") == "column"
    assert choose_by(replace(TABLE, columns={}, geometry=None)) == "random"
    assert choose_by(replace(TABLE, columns={}, geometry=np.array([shapely.Point(1, 1)] * 24))) == "random"


def test_series_of_the_very_same_place_are_known() -> None:
    square, other = shapely.box(0, 0, 1, 1), shapely.box(0, 0, 1, 2)
    table = replace(TABLE.take(np.arange(4)), geometry=np.array([square, other, shapely.box(0, 0, 1, 1), other]))
    of = same_place(table)
    assert of[0] == of[2] != of[1] == of[3]
    assert len(set(same_place(replace(table, geometry=None)))) == 4
    lost = replace(table, geometry=np.array([square, None, None, square]), columns={})
    assert same_place(lost).tolist() == [0, 1, 2, 0] and choose_by(lost) == "random"
