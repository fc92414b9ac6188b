"""Places of series."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from geodl.data.series.opening import open_series
from geodl.errors import EmptyDataset, SeriesUnusable, SourceUnreadable

SHAPES = shapely.box(np.arange(3.0) * 10, 0, np.arange(3.0) * 10 + 5, 5)


def parcels() -> geopandas.GeoDataFrame:
    columns = {
        "parcel": [11, 12, 13],
        "crop": ["a", "b", "a"],
        "NDVI_20200401": [0.1, 0.2, 0.3],
        "NDVI_20200411": [0.4, np.nan, 0.6],
    }
    return geopandas.GeoDataFrame(columns, geometry=SHAPES, crs="EPSG:32633")


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "parquet", "geojson", "memory"])
def test_parcels_keep_their_shapes(tmp_path: Path, ending: str) -> None:
    table = parcels().to_crs(4326) if ending == "geojson" else parcels()
    path = tmp_path / f"parcels.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    elif ending != "memory":
        table.to_file(path)
    found = open_series(table if ending == "memory" else path)
    order = np.argsort(found.ids)  # FlatGeobuf sorts features by place.
    assert found.ids[order].tolist() == ["11", "12", "13"] and found.geometry is not None and found.crs is not None
    assert found.crs.to_epsg() == (4326 if ending == "geojson" else 32633)
    assert shapely.equals_exact(found.geometry[order], np.array(table.geometry), 1e-6).all()
    np.testing.assert_array_equal(
        found.values[order, :, 0], table[["NDVI_20200401", "NDVI_20200411"]].to_numpy(np.float32)
    )
    assert found.days.tolist() == [[92, 102]] * 3 and set(found.columns) == {"parcel"}


def test_long_parcels_have_one_shape_each(tmp_path: Path) -> None:
    table = parcels()
    long = pd.concat([table.assign(date=date, NDVI=k / 10) for k, date in enumerate(["2020-04-01", "2020-04-11"])])
    long = long.drop(columns=[name for name in long if "_2" in name])
    long.to_parquet(tmp_path / "long.parquet")
    found = open_series(tmp_path / "long.parquet")
    assert found.geometry is not None and shapely.equals(found.geometry, SHAPES).all()
    assert found.values[..., 0].tolist() == [[0, np.float32(0.1)]] * 3


@pytest.mark.parametrize("names", [("lon", "lat"), ("Longitude", "Latitude"), ("x", "y")])
def test_columns_of_coordinates_become_points(names: tuple[str, str]) -> None:
    places = np.array([[10.5, 45.25], [11.5, np.nan], [12.5, 46.0]])
    table = pd.DataFrame({"NDVI_t1": [1, 2, 3], "NDVI_t2": [3, 4, 5], names[0]: places[:, 0], names[1]: places[:, 1]})
    found = open_series(table)
    assert found.geometry is not None and found.geometry[1] is None and set(found.columns) == set()
    np.testing.assert_array_equal(shapely.get_coordinates(found.geometry), places[[0, 2]])
    assert (found.crs is None) == (names[0] == "x")


def test_coordinates_out_of_range_or_as_text_are_refused() -> None:
    table = pd.DataFrame({"NDVI_t1": [1.0, 2], "NDVI_t2": [3.0, 4], "lon": [5e5, 1], "lat": [4e6, 2]})
    with pytest.raises(SeriesUnusable, match=r"longitude 500000 and latitude 4e\+06 are out of range"):
        open_series(table)
    with pytest.raises(SourceUnreadable, match="row 1 has '5E' in column lon"):
        open_series(table.assign(lon=["5E", "6E"]))


def test_files_without_series_are_refused(tmp_path: Path) -> None:
    parcels()[["crop", "geometry"]].to_file(tmp_path / "a.gpkg")
    with pytest.raises(SeriesUnusable, match="neither a column of dates nor columns such as .* crop, geometry"):
        open_series(tmp_path / "a.gpkg")
    parcels()[:0].to_file(tmp_path / "b.gpkg")
    with pytest.raises(EmptyDataset, match="an empty layer"):
        open_series(tmp_path / "b.gpkg")
    parcels().to_file(tmp_path / "c.gpkg", layer="one")
    parcels().to_file(tmp_path / "c.gpkg", layer="two")
    with pytest.raises(SourceUnreadable, match=r"several layers \(one, two\)"):
        open_series(tmp_path / "c.gpkg")
    for name in ("d.parquet", "d.gpkg"):
        (tmp_path / name).write_bytes(b"PAR1 nothing of the kind PAR1")
        with pytest.raises(SourceUnreadable):
            open_series(tmp_path / name)
