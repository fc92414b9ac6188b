"""Parcels in a cube: the mean of their pixels' series, and of what is said of their pixels."""

from __future__ import annotations

import logging
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.special import softmax

from geodl.errors import LabelsUnreadable, NoValidPixels, OptionError
from tests.inference.cropfakes import (
    CLASSES,
    DAYS,
    WeighingNetwork,
    logits_of,
    make_classifier,
    make_cube,
    make_parcels,
    series_of,
)

MEMBERS = (slice(1, 4), slice(1, 3)), (slice(2, 6), slice(4, 7))
"""Rows and columns of the pixels of the parcels of `make_parcels`."""


def expected(rule: str) -> np.ndarray:
    """Probabilities (parcel, class), parcel by parcel and pixel by pixel."""
    values, found = series_of(make_cube()), []
    for rows, columns in MEMBERS:
        pixels = values[rows, columns].reshape(-1, 4, 2)
        if rule == "mean":
            pixels = np.nanmean(pixels, axis=0, keepdims=True)
        found.append(softmax(logits_of(pixels, np.array(DAYS)).astype(np.float64), -1).mean(0))
    return np.array(found)


@pytest.mark.parametrize("rule", ["mean", "predictions"])
@pytest.mark.parametrize("crs", [32633, 4326])
def test_parcels_get_what_their_pixels_say(rule: str, crs: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "geodl")
    network = WeighingNetwork()
    found = make_classifier(network).predict(
        make_cube(), parcels=make_parcels(crs), members=rule, probabilities=True, entropy=True, batch_size=4
    )
    assert isinstance(found, geopandas.GeoDataFrame) and found.crs.to_epsg() == crs
    assert list(found.columns)[:4] == ["name", "size", "class", "confidence"]
    p = expected(rule)
    np.testing.assert_allclose(found.filter(like="probability_")[:2], p, atol=1e-6)
    assert found["class"][:2].tolist() == [CLASSES[k].name for k in p.argmax(-1)]
    assert found["pixels"].tolist() == [6, 12, 0] and found["class"].isna().tolist() == [False, False, True]
    assert "1 of 3 parcels have no observation" in caplog.text
    # Nothing but what lies in parcels goes through the network.
    assert sum(shape[0] for shape in network.shapes) <= 20


def test_overlapping_tiny_and_pointlike_ones_have_pixels_too() -> None:
    shapes = [shapely.box(500_000, 4_999_940, 500_070, 5_000_000), shapely.Point(500_035, 4_999_965).buffer(1)]
    frame = geopandas.GeoDataFrame(
        {"id": [1, 2]}, geometry=[*shapes, shapely.Point(500_035, 4_999_965)][:3][:2], crs=32633
    )
    points = geopandas.GeoDataFrame({"id": [3]}, geometry=[shapely.Point(500_035, 4_999_965)], crs=32633)
    cube, model = make_cube(), make_classifier()
    found = model.predict(cube, parcels=frame, members="predictions", probabilities=True)
    assert found["pixels"].tolist() == [int(np.isfinite(series_of(cube)).any((-1, -2)).sum()), 1]
    np.testing.assert_allclose(
        found.filter(like="probability_").iloc[1],
        model.predict(cube, parcels=points, probabilities=True).filter(like="probability_").iloc[0],
        rtol=1e-5,
    )


@pytest.mark.parametrize("rule", ["mean", "predictions"])
def test_tiles_change_nothing(rule: str) -> None:
    cube, parcels = make_cube(70, 80), make_parcels()
    parcels.geometry = shapely.box([500_005] * 3, [4_999_310] * 3, [500_795, 500_400, 500_200], [4_999_990] * 3)
    model = make_classifier()
    whole, cut = (
        model.predict(cube, parcels=parcels, members=rule, probabilities=True, batch_size=64, memory=memory)
        for memory in (1 << 30, 40 << 16)
    )
    np.testing.assert_allclose(
        cut.filter(like="probability_"), whole.filter(like="probability_"), rtol=1e-5
    )  # fmt: skip
    assert cut["pixels"].tolist() == whole["pixels"].tolist()


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".gpkg", ".geojson", ".fgb"])
def test_files_of_parcels(tmp_path: Path, ending: str) -> None:
    make_parcels().to_file(tmp_path / "parcels.gpkg")
    cube = make_cube()
    cube.to_netcdf(tmp_path / "cube.nc")
    target = tmp_path / "new" / f"out{ending}"
    options = {"parcels": tmp_path / "parcels.gpkg", "members": "predictions", "probabilities": True}
    assert make_classifier().predict_file(tmp_path / "cube.nc", target, **options) == [target]
    if ending == ".csv":
        found = pd.read_csv(target)
        shapes = shapely.from_wkt(found["WKT"])
    else:
        found = geopandas.read_parquet(target) if ending == ".parquet" else geopandas.read_file(target)
        assert found.crs.to_epsg() == 32633
        shapes = found.geometry.to_numpy()
    found = found.sort_values("name").reset_index(drop=True)
    assert found["size"].tolist() == [1, 2, 3] and found["pixels"].tolist() == [6, 12, 0]
    np.testing.assert_allclose(found["probability_bare soil"][:2], expected("predictions")[:, 2], atol=1e-5)
    assert {shape.area for shape in shapes} == {shape.area for shape in make_parcels().geometry}
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_mistakes_are_told(tmp_path: Path) -> None:
    cube, parcels, model = make_cube(), make_parcels(), make_classifier()
    with pytest.raises(OptionError, match="members"):
        model.predict(cube, parcels=parcels, members="median")
    with pytest.raises(OptionError, match="bbox"):
        model.predict(cube, parcels=parcels, bbox=(0, 0, 1, 1))
    with pytest.raises(OptionError, match="cube"):
        model.predict(pd.DataFrame({"red_2020-05-01": [0.1]}), parcels=parcels)
    with pytest.raises(NoValidPixels, match="None of them lies"):
        model.predict(cube, parcels=parcels[2:])
    with pytest.raises(LabelsUnreadable, match="CRS"):
        model.predict(cube, parcels=parcels.set_crs(None, allow_override=True))
    with pytest.raises(OptionError, match="ends in"):
        model.predict_file(cube, tmp_path / "out.tif", parcels=parcels)
    with pytest.raises(OptionError, match="vectorise"):
        model.predict_file(cube, tmp_path / "out.gpkg", parcels=parcels, vectorise=tmp_path / "a.gpkg")
    with pytest.raises(NoValidPixels):
        model.predict(cube * np.nan, parcels=parcels)
