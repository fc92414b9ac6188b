"""Cubes, tables and arrays through a network for series, in memory and in files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from scipy.special import softmax

from geodl.contract import Band
from geodl.data.series.table import SeriesTable
from geodl.errors import (
    BandMismatch,
    DatesMismatch,
    GeodlError,
    NoValidPixels,
    OptionError,
    OutputExists,
    UnitMismatch,
)
from geodl.inference.series import SeriesClassifier
from tests.inference.cropfakes import (
    CLASSES,
    DATES,
    DAYS,
    WeighingNetwork,
    logits_of,
    make_classifier,
    make_contract,
    make_cube,
    make_parcels,
    series_of,
    with_clouds,
)

VALUES = np.array([c.value for c in CLASSES])
NAMES = np.array([c.name for c in CLASSES], object)


def expected_map(values: np.ndarray, days: tuple[float, ...] = DAYS) -> np.ndarray:
    """Class values, 255 where nothing was observed."""
    found = VALUES[logits_of(values, np.array(days, np.float32)).argmax(-1)]
    return np.where(np.isfinite(values).any((-1, -2)), found, 255)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    columns = {
        f"{band}_{date}": rng.uniform(0, 1, 5) for date in DATES.astype("datetime64[D]") for band in ("nir", "red")
    }
    return pd.DataFrame({"id": [f"f{k}" for k in range(5)], "crop": list("abcde"), "area": range(5), **columns})


def of_frame(frame: pd.DataFrame) -> np.ndarray:
    dates = DATES.astype("datetime64[D]")
    return np.stack([frame[[f"{band}_{date}" for date in dates]].to_numpy() for band in ("red", "nir")], -1)


def test_a_cube_becomes_a_map_on_its_grid() -> None:
    cube = make_cube()
    found = make_classifier().predict(cube)
    assert found.dims == ("y", "x") and found.dtype == np.uint8 and found.rio.nodata == 255
    assert found.rio.crs == cube.rio.crs and found.rio.transform() == cube.rio.transform()
    xr.testing.assert_equal(found.y.drop_vars("spatial_ref"), cube.y.drop_vars("spatial_ref"))
    np.testing.assert_array_equal(found.values, expected_map(series_of(cube)))
    assert found.attrs["flag_meanings"] == "soy maize bare_soil"


def test_layers_are_those_of_the_probabilities() -> None:
    cube = make_cube()
    found = make_classifier().predict(cube, probabilities=True, confidence=True, entropy=True)
    p = softmax(logits_of(series_of(cube), np.array(DAYS)).astype(np.float64), -1)
    observed = np.isfinite(series_of(cube)).any((-1, -2))
    assert found.probabilities.band.values.tolist() == ["soy", "maize", "bare soil"]
    np.testing.assert_allclose(found.probabilities.values[:, observed], p[observed].T, atol=1e-6)
    np.testing.assert_allclose(found.confidence.values[observed], p.max(-1)[observed], atol=1e-6)
    assert np.isnan(found.confidence.values[~observed]).all() and np.isnan(found.entropy.values[~observed]).all()


def test_bands_in_another_order_and_case_more_of_them_and_dates_in_disorder() -> None:
    cube = make_cube()
    other = xr.Dataset({"NIR": cube.nir, "extra": cube.red * 7, "Red": cube.red}).isel(time=[2, 0, 3, 1])
    np.testing.assert_array_equal(make_classifier().predict(other).values, expected_map(series_of(cube)))


def test_a_dask_cube_stays_lazy_and_gives_the_same(tmp_path: Path) -> None:
    cube = with_clouds(make_cube(40, 30)).isel(time=[1, 0, 2, 3])
    contract = make_contract(cloud_band="scl", cloud_values=(8, 9))
    network = WeighingNetwork()
    model = make_classifier(network, contract)
    options = {"confidence": True, "bbox": (500_020, 4_999_700, 500_270, 4_999_990), "scale": {"red": 0.5, "nir": 1.0}}
    eager = model.predict(cube, **options)
    seen = len(network.shapes)
    make_parcels().to_file(tmp_path / "mask.gpkg")
    lazy = model.predict(cube.chunk({"time": 1, "y": 16, "x": 16}), **options)
    assert lazy.classes.chunks is not None and len(network.shapes) == seen
    xr.testing.assert_allclose(lazy.compute(scheduler="sync"), eager)
    masked = model.predict(cube.chunk({"y": 16}), mask=tmp_path / "mask.gpkg")
    assert (masked.compute(scheduler="sync").values != 255).sum() <= 18
    np.testing.assert_array_equal(masked.values, model.predict(cube, mask=tmp_path / "mask.gpkg").values)


def test_clouds_are_no_observations(caplog: pytest.LogCaptureFixture) -> None:
    cube = with_clouds(make_cube())
    model = make_classifier(contract=make_contract(cloud_band="scl", cloud_values=(8, 9)))
    values = series_of(cube)
    values[np.isin(cube.scl.values.transpose(1, 2, 0), (8, 9))] = np.nan
    np.testing.assert_array_equal(model.predict(cube).values, expected_map(values))
    assert not caplog.messages
    np.testing.assert_array_equal(model.predict(cube.drop_vars("scl")).values, expected_map(series_of(cube)))
    assert len(caplog.messages) == 1 and "has no band scl" in caplog.messages[0]


def test_dates_are_those_of_the_calendar_where_the_cube_has_them() -> None:
    cube = make_cube()
    days = (122.0, 172.0, 214.0)
    found = make_classifier(contract=make_contract(days=days)).predict(cube)
    np.testing.assert_array_equal(found.values, expected_map(series_of(cube)[:, :, [0, 2, 3]], days))
    fixed = make_contract(days=(*days, 230.0), size=4)
    lacking = np.concatenate([series_of(cube)[:, :, [0, 2, 3]], np.full((6, 7, 1, 2), np.nan)], axis=2)
    found = make_classifier(contract=fixed).predict(cube)
    np.testing.assert_array_equal(found.values, expected_map(lacking, (*days, 230.0)))
    with pytest.raises(DatesMismatch):
        make_classifier(contract=make_contract(days=tuple(range(5, 100, 12)), size=8)).predict(cube)


def test_positions_where_the_network_knows_no_dates() -> None:
    cube = make_cube()
    found = make_classifier(contract=make_contract(unit="")).predict(cube)
    np.testing.assert_array_equal(found.values, expected_map(series_of(cube), (0.0, 1.0, 2.0, 3.0)))
    with pytest.raises(DatesMismatch, match="without"):
        make_classifier().predict(cube.drop_vars("time"))


def test_whole_numbers_need_a_scale(caplog: pytest.LogCaptureFixture) -> None:
    cube = make_cube(holes=False)
    stored = (cube * 10000).round().astype(np.int16)
    model = make_classifier()
    values = (series_of(stored) * np.float64(1e-4)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(stored, scale=1e-4).values, expected_map(values))
    assert not caplog.messages
    model.predict(stored)
    assert len(caplog.messages) == 1 and "--scale" in caplog.messages[0]
    # A network that learnt from such a cube knows how.
    contract = make_contract()
    known = tuple(Band(band.name, "", "int16", 1e-4) for band in contract.input.bands)
    model = make_classifier(contract=make_contract())
    object.__setattr__(model.contract.input, "bands", known)
    np.testing.assert_array_equal(model.predict(stored).values, expected_map(values))


def test_a_table_keeps_its_columns_and_gets_answers(frame: pd.DataFrame) -> None:
    found = make_classifier().predict(frame, probabilities=True, entropy=True)
    p = softmax(logits_of(of_frame(frame), np.array(DAYS)).astype(np.float64), -1)
    assert found["id"].tolist() == frame["id"].tolist() and found["crop"].tolist() == frame["crop"].tolist()
    assert found["class"].tolist() == NAMES[p.argmax(-1)].tolist()
    np.testing.assert_allclose(found[[f"probability_{name}" for name in NAMES]], p, atol=1e-6)
    np.testing.assert_allclose(found["confidence"], p.max(-1), atol=1e-6)
    np.testing.assert_allclose(found["entropy"], -(p * np.log(p)).sum(-1) / np.log(3), atol=1e-5)


def test_rows_without_observations_get_no_class(frame: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    frame.iloc[2, 3:] = np.nan
    found = make_classifier().predict(frame)
    assert found["class"].isna().tolist() == [False, False, True, False, False] and np.isnan(found["confidence"][2])
    assert "1 of 5 series have no observation" in caplog.text


def test_a_table_of_series_keeps_labels_and_places() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 1, (3, 4, 2)).astype(np.float32)
    days = np.tile(np.array(DAYS, np.float32), (3, 1))
    values[1, 2:], days[1, 2:] = np.nan, np.nan
    table = SeriesTable(
        "fields", values[..., ::-1], days, (Band("nir"), Band("red")), np.array(["a", "b", "c"]),
        years=np.full(3, 2020), labels=np.array([1, -1, 0]), classes=CLASSES, columns={"farm": np.arange(3)},
        geometry=shapely.points([0, 1, 2], [0, 1, 2]), crs=make_parcels().crs,
    )  # fmt: skip
    found = make_classifier().predict(table)
    assert isinstance(found, geopandas.GeoDataFrame) and found.crs == table.crs
    assert list(found.columns) == ["id", "farm", "year", "label", "class", "confidence", "geometry"]
    assert found["label"].fillna("none").tolist() == ["maize", "none", "soy"]
    expected = [logits_of(v[:n], np.array(DAYS)[:n]) for v, n in zip(values, (4, 2, 4), strict=True)]
    assert found["class"].tolist() == NAMES[np.argmax(expected, -1)].tolist()


def test_arrays_become_labels() -> None:
    values = np.random.default_rng(2).uniform(0, 1, (9, 4, 2)).astype(np.float32)
    values[4] = np.nan
    model = make_classifier()
    labels = model.predict(values, days=DAYS)
    expected = logits_of(values, np.array(DAYS)).argmax(-1)
    expected[4] = -1
    np.testing.assert_array_equal(labels, expected)
    assert list(model.predict(values, days=DAYS, confidence=True).columns) == ["id", "class", "confidence"]
    array = xr.DataArray(
        values[..., ::-1], {"time": DATES, "band": ["nir", "red"]}, ("series", "time", "band"), name="fields"
    )
    found = model.predict(array)["class"].fillna("none")
    assert found.tolist() == ["none" if k < 0 else NAMES[k] for k in expected]


def test_many_series_are_two_shapes_and_no_batch_changes_the_answer() -> None:
    values = np.random.default_rng(4).uniform(0, 1, (100, 4, 2)).astype(np.float32)
    values[::7] = np.nan
    network, told = WeighingNetwork(), []
    labels = make_classifier(network).predict(values, days=DAYS, batch_size=32, progress=lambda *p: told.append(p))
    assert {shape[0] for shape in network.shapes} == {32, 4}
    np.testing.assert_array_equal(labels, make_classifier().predict(values, days=DAYS))
    assert told[-1] == (85, 85) and told == sorted(told)


def test_a_part_of_a_map_is_that_part_and_costs_no_more() -> None:
    cube, network = make_cube(40, 30, holes=False), WeighingNetwork()
    model = make_classifier(network)
    part = model.predict(cube, bbox=(500_050, 4_999_700, 500_149, 4_999_899), batch_size=8)
    assert part.shape == (20, 10) and sum(shape[0] for shape in network.shapes) == 200
    xr.testing.assert_equal(part, model.predict(cube)[10:30, 5:15])


def test_a_cube_goes_to_a_geotiff_with_colours(tmp_path: Path) -> None:
    cube = make_cube(300, 270)
    cube.to_netcdf(tmp_path / "cube.nc")
    model, told = make_classifier(), []
    paths = model.predict_file(
        tmp_path / "cube.nc", tmp_path / "map.tif", confidence=True, vectorise=tmp_path / "map.gpkg",
        progress=lambda *p: told.append(p),
    )  # fmt: skip
    assert paths == [tmp_path / "map.tif"] and (300 * 270,) * 2 in told and len(told) >= 4
    with rasterio.open(paths[0]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), expected_map(series_of(cube)))
        assert dataset.colormap(1)[4] == (0, 158, 115, 255) and dataset.nodata == 255 and dataset.crs == cube.rio.crs
        assert dataset.tags(1)["class_7"] == "bare soil"
    with rasterio.open(tmp_path / "map.confidence.tif") as dataset:
        assert np.nanmax(dataset.read(1)) <= 1
    shapes = geopandas.read_file(tmp_path / "map.gpkg")
    assert shapes.pixels.sum() == np.isfinite(series_of(cube)).any((-1, -2)).sum()
    with pytest.raises(OutputExists):
        model.predict_file(tmp_path / "cube.nc", tmp_path / "map.tif")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_goes_to_a_table(tmp_path: Path, frame: pd.DataFrame, ending: str) -> None:
    frame.to_csv(tmp_path / "in.csv", index=False)
    target = tmp_path / f"out{ending}"
    model = make_classifier()
    assert model.predict_file(tmp_path / "in.csv", target, probabilities=True) == [target]
    found = pd.read_csv(target) if ending == ".csv" else pd.read_parquet(target)
    expected = logits_of(of_frame(frame), np.array(DAYS)).argmax(-1)
    assert found["class"].tolist() == NAMES[expected].tolist() and found["area"].tolist() == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.csv", target.name])
    with pytest.raises(OutputExists):
        model.predict_file(tmp_path / "in.csv", target)
    with pytest.raises(OptionError, match="what is read"):
        model.predict_file(tmp_path / "in.csv", tmp_path / "in.csv", overwrite=True)


WRONG: dict[str, tuple[type[GeodlError], Callable[[Path], object]]] = {
    "table to map": (OptionError, lambda p: make_classifier().predict_file(p / "in.csv", p / "out.tif")),
    "cube to table": (OptionError, lambda p: make_classifier().predict_file(make_cube(), p / "out.csv")),
    "table without places to shapes": (
        OptionError,
        lambda p: make_classifier().predict_file(p / "in.csv", p / "o.gpkg"),
    ),
    "unknown ending": (OptionError, lambda p: make_classifier().predict_file(p / "in.csv", p / "out.xlsx")),
    "bbox of a table": (OptionError, lambda p: make_classifier().predict(p / "in.csv", bbox=(0, 0, 1, 1))),
    "scale of a table": (OptionError, lambda p: make_classifier().predict(p / "in.csv", scale=0.1)),
    "days of a cube": (OptionError, lambda p: make_classifier().predict(make_cube(), days=DAYS)),
    "wrong shape": (OptionError, lambda p: make_classifier().predict(np.zeros((3, 4, 5)), days=DAYS)),
    "wrong days": (OptionError, lambda p: make_classifier().predict(np.zeros((3, 4, 2)), days=DAYS[:2])),
    "no days": (DatesMismatch, lambda p: make_classifier().predict(np.zeros((3, 4, 2)))),
    "no batch": (OptionError, lambda p: make_classifier().predict(make_cube(), batch_size=0)),
    "little memory": (OptionError, lambda p: make_classifier().predict(make_cube(300, 300), memory=1 << 16)),
    "lacking band": (BandMismatch, lambda p: make_classifier().predict(make_cube().drop_vars("nir"))),
    "lacking column": (
        BandMismatch,
        lambda p: make_classifier(contract=make_contract(bands=("red", "swir"))).predict(p / "in.csv"),
    ),
    "all missing": (NoValidPixels, lambda p: make_classifier().predict(make_cube() * np.nan)),
    "all missing in arrays": (
        NoValidPixels,
        lambda p: make_classifier().predict(np.full((3, 4, 2), np.nan), days=DAYS),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told(tmp_path: Path, frame: pd.DataFrame, case: str) -> None:
    frame.to_csv(tmp_path / "in.csv", index=False)
    kind, call = WRONG[case]
    with pytest.raises(kind) as caught:
        call(tmp_path)
    assert str(caught.value).endswith((".", "?"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_another_unit_is_refused() -> None:
    cube = make_cube()
    cube.red.attrs["units"] = "percent"
    model = make_classifier()
    object.__setattr__(model.contract.input, "bands", (Band("red", "reflectance"), Band("nir", "reflectance")))
    with pytest.raises(UnitMismatch):
        model.predict(cube)


@pytest.fixture(autouse=True)
def warnings_of_geodl(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "geodl")


def test_a_network_of_keras_gives_what_it_gives_alone() -> None:
    import keras

    values, days = keras.Input((None, 2), name="values"), keras.Input((None,), name="days")
    known = keras.layers.Concatenate()([keras.layers.Lambda(_zeroed)(values), keras.layers.Reshape((-1, 1))(days)])
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(known))
    network = keras.Model([values, days], logits)
    cube = make_cube(5, 4)
    found = SeriesClassifier(network, make_contract()).predict(cube, probabilities=True, batch_size=8)
    series = series_of(cube).reshape(-1, 4, 2)
    alone = network({"values": series, "days": np.tile(np.array(DAYS, np.float32), (20, 1))})
    expected = softmax(keras.ops.convert_to_numpy(alone), -1).T.reshape(3, 5, 4)
    seen = np.isfinite(series_of(cube)).any((-1, -2))
    np.testing.assert_allclose(found.probabilities.values[:, seen], expected[:, seen], rtol=1e-5)


def _zeroed(values: Any) -> Any:
    from keras import ops

    return ops.where(ops.isnan(values), 0.0, values)
