from __future__ import annotations

import os
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Geod
from rasterio.features import shapes, sieve
from scipy import ndimage

from geodl.contract import ClassInfo
from geodl.errors import GridMismatch, OptionError, OutputExists, OutputUnwritable, SourceUnreadable
from geodl.inference import polygonfile
from geodl.inference.vectorise import vectorise
from tests.inference.fakes import TRANSFORM
from tests.inference.test_components import reference

CLASSES = (ClassInfo(1, "water", "#0000ff"), ClassInfo(2, "bare soil", "#888888"), ClassInfo(4, "forest", "#00ff00"))
NODATA = 255
MIB = 1 << 20


def make_map(height: int, width: int, *, seed: int = 0, smooth: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Classes in patches, some nodata among them, and their confidence."""
    rng = np.random.default_rng(seed)
    noise = [ndimage.gaussian_filter(rng.normal(size=(height, width)), smooth) for _ in range(4)]
    classes = np.array([1, 2, 4, NODATA], np.uint8)[np.argmax(noise, axis=0)]
    confidence = np.where(classes == NODATA, np.nan, rng.random((height, width))).astype(np.float32)
    return classes, confidence


def save(
    path: Path,
    values: np.ndarray,
    *,
    crs: str | None = "EPSG:32633",
    transform: Affine = TRANSFORM,
    nodata: float = NODATA,
) -> Path:
    height, width = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": nodata}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as dataset:
        dataset.write(values, 1)
    return path


@dataclass
class Found:
    polygons: np.ndarray
    columns: dict[str, np.ndarray]
    crs: str | None


def read(path: Path) -> Found:
    meta, _, geometry, fields = pyogrio.raw.read(path)
    return Found(shapely.from_wkb(geometry), dict(zip(meta["fields"], fields)), meta["crs"])


def comparable(polygons: np.ndarray) -> list[bytes]:
    return sorted(shapely.to_wkb(shapely.normalize(polygons)))


def polygonised(classes: np.ndarray, transform: Affine = TRANSFORM) -> np.ndarray:
    """What GDAL makes of the whole map."""
    found = shapes(classes, mask=classes != NODATA, transform=transform)
    return np.array([shapely.geometry.shape(shape) for shape, _ in found], object)


@pytest.mark.parametrize("memory", [2048 * MIB, 2 * MIB, 1])
@pytest.mark.parametrize("smooth", [0, 1.5, 4])
def test_polygons_and_columns_are_those_of_the_whole_map(memory: int, smooth: float, tmp_path: Path) -> None:
    classes, confidence = make_map(90, 70, smooth=smooth)
    count = vectorise(
        save(tmp_path / "map.tif", classes),
        tmp_path / "out" / "map.gpkg",
        classes=CLASSES,
        confidence=save(tmp_path / "map.confidence.tif", confidence, nodata=np.nan),
        memory=memory,
    )
    found = read(tmp_path / "out" / "map.gpkg")
    assert count == len(found.polygons) and CRS(found.crs).to_epsg() == 32633
    assert os.listdir(tmp_path / "out") == ["map.gpkg"]
    assert comparable(found.polygons) == comparable(polygonised(classes)) and shapely.is_valid(found.polygons).all()

    ids = reference(np.where(classes == NODATA, -1, classes.astype(int)))
    inside = shapely.get_coordinates(shapely.point_on_surface(found.polygons))
    column, row = np.array([~TRANSFORM @ tuple(point) for point in inside]).astype(int).T
    numbers = ids[row, column]
    assert len(np.unique(numbers)) == count == ids.max()
    names = {c.value: c.name for c in CLASSES}
    values = ndimage.minimum(classes, ids, numbers)
    np.testing.assert_array_equal(found.columns["value"], values)
    assert found.columns["class"].tolist() == [names[value] for value in values]
    np.testing.assert_array_equal(found.columns["pixels"], np.bincount(ids.ravel())[numbers])
    np.testing.assert_allclose(found.columns["area"], shapely.area(found.polygons))
    expected = ndimage.mean(np.nan_to_num(confidence).astype(float), ids, numbers)
    np.testing.assert_allclose(found.columns["confidence"], expected, rtol=1e-9)


@pytest.mark.parametrize("memory", [2048 * MIB, 1 * MIB])
@pytest.mark.parametrize("tolerance", [10, 30, 100])
def test_simplified_neighbours_share_their_borders(memory: int, tolerance: float, tmp_path: Path) -> None:
    classes, _ = make_map(120, 90)
    path = save(tmp_path / "map.tif", classes)
    vectorise(path, tmp_path / "plain.gpkg", classes=CLASSES)
    vectorise(path, tmp_path / "smooth.gpkg", classes=CLASSES, simplify=tolerance, memory=memory)
    plain, smooth = read(tmp_path / "plain.gpkg"), read(tmp_path / "smooth.gpkg")
    assert len(smooth.polygons) == len(plain.polygons)
    assert shapely.is_valid(smooth.polygons).all() and shapely.coverage_is_valid(smooth.polygons)
    # Were there an overlap, the whole would be smaller than the sum of its parts.
    union = shapely.union_all(smooth.polygons)
    assert shapely.area(union) == pytest.approx(shapely.area(smooth.polygons).sum(), rel=1e-12)
    kept = shapely.get_num_coordinates(smooth.polygons).sum() / shapely.get_num_coordinates(plain.polygons).sum()
    assert kept < 0.85
    assert sorted(smooth.columns["area"]) == sorted(plain.columns["area"])

    full = save(tmp_path / "full.tif", np.where(classes == NODATA, np.uint8(3), classes))
    vectorise(full, tmp_path / "full.gpkg", classes=CLASSES, simplify=tolerance, memory=memory)
    tiles = read(tmp_path / "full.gpkg").polygons
    assert shapely.area(tiles).sum() == pytest.approx(classes.size * 100, rel=1e-12)
    assert shapely.union_all(tiles).equals(shapely.box(*shapely.total_bounds(tiles)))


def test_a_region_larger_than_any_strip_is_one_polygon(tmp_path: Path) -> None:
    classes = np.full((90, 40), 2, np.uint8)
    classes[10:80, 10:12] = 1
    assert vectorise(save(tmp_path / "map.tif", classes), tmp_path / "map.gpkg", classes=CLASSES, memory=1) == 2
    found = read(tmp_path / "map.gpkg")
    assert sorted(shapely.get_num_coordinates(found.polygons)) == [5, 10]
    assert sorted(shapely.get_num_interior_rings(found.polygons)) == [0, 1]
    simple = vectorise(tmp_path / "map.tif", tmp_path / "s.gpkg", classes=CLASSES, memory=1, simplify=0.1)
    assert simple == 2 and shapely.union_all(read(tmp_path / "s.gpkg").polygons).area == 90 * 40 * 100


@pytest.mark.parametrize("memory", [2048 * MIB, 1])
def test_small_regions_are_merged_as_by_gdal(memory: int, tmp_path: Path) -> None:
    classes, _ = make_map(90, 70, smooth=1.0)
    vectorise(save(tmp_path / "map.tif", classes), tmp_path / "map.gpkg", classes=CLASSES, minimum=9, memory=memory)
    expected = sieve(classes, 9, mask=classes != NODATA, connectivity=4)
    assert (expected != classes).any()
    assert comparable(read(tmp_path / "map.gpkg").polygons) == comparable(polygonised(expected))
    assert sorted(os.listdir(tmp_path)) == ["map.gpkg", "map.tif"]


def test_areas_in_longitude_and_latitude_are_geodesic(tmp_path: Path) -> None:
    classes, _ = make_map(40, 30, smooth=3)
    transform = Affine(0.001, 0, 13, 0, -0.001, 52)
    save(tmp_path / "map.tif", classes, crs="EPSG:4326", transform=transform)
    vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=CLASSES, memory=1)
    found = read(tmp_path / "map.gpkg")
    geod = Geod(ellps="WGS84")
    expected = [abs(geod.geometry_area_perimeter(polygon)[0]) for polygon in found.polygons]
    np.testing.assert_allclose(found.columns["area"], expected, rtol=1e-4)  # Geodesics are no parallels.


def test_without_crs_on_a_turned_grid_and_without_confidence(tmp_path: Path) -> None:
    classes, _ = make_map(30, 40)
    turned = Affine.translation(7, 9) @ Affine.rotation(30) @ Affine.scale(2, -2)
    save(tmp_path / "map.tif", classes, crs=None, transform=turned)
    vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=CLASSES[:1])
    found = read(tmp_path / "map.gpkg")
    assert np.isnan(found.columns["area"]).all() and np.isnan(found.columns["confidence"]).all()
    assert {name for name, value in zip(found.columns["class"], found.columns["value"]) if value != 1} == {None}
    expected = polygonised(classes, turned)
    assert len(expected) == len(found.polygons)
    assert shapely.union_all(expected).symmetric_difference(shapely.union_all(found.polygons)).area < 1e-6


@pytest.mark.parametrize("ending", [".fgb", ".geojson"])
def test_other_formats(ending: str, tmp_path: Path) -> None:
    classes, _ = make_map(30, 40)
    vectorise(save(tmp_path / "map.tif", classes), tmp_path / f"map{ending}", classes=CLASSES)
    assert comparable(read(tmp_path / f"map{ending}").polygons) == comparable(polygonised(classes))


def test_a_map_of_nodata_has_no_polygons(tmp_path: Path) -> None:
    save(tmp_path / "map.tif", np.full((9, 9), NODATA, np.uint8))
    for simplify in (None, 5.0):
        assert (
            vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=(), simplify=simplify, overwrite=True) == 0
        )
    assert len(read(tmp_path / "map.gpkg").polygons) == 0


def test_progress_ends_with_the_whole(tmp_path: Path) -> None:
    save(tmp_path / "map.tif", make_map(50, 20)[0])
    seen: list[tuple[int, int]] = []
    vectorise(
        tmp_path / "map.tif",
        tmp_path / "a.gpkg",
        classes=(),
        memory=1,
        progress=lambda done, all: seen.append((done, all)),
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1] == (1000, 1000)


def test_existing_files_are_replaced_only_on_demand(tmp_path: Path) -> None:
    save(tmp_path / "map.tif", make_map(9, 9)[0])
    (tmp_path / "map.gpkg").write_text("mine")
    with pytest.raises(OutputExists, match=r"map\.gpkg already holds polygons"):
        vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=())
    vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=(), overwrite=True)
    assert len(read(tmp_path / "map.gpkg").polygons) > 0
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(OutputUnwritable, match="it is a folder"):
        vectorise(tmp_path / "map.tif", tmp_path / "folder.gpkg", classes=(), overwrite=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"simplify": 0.0}, "simplify: expected a distance above 0"),
        ({"simplify": float("nan")}, "simplify: expected a distance above 0"),
        ({"minimum": 0}, r"minimum \(--min-pixels\): expected 1 pixel or more"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    save(tmp_path / "map.tif", make_map(9, 9)[0])
    with pytest.raises(OptionError, match=sentence):
        vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=(), **options)


def test_what_is_no_class_map_or_of_another_grid_is_refused(tmp_path: Path) -> None:
    classes, confidence = make_map(20, 30)
    save(tmp_path / "map.tif", classes)
    save(tmp_path / "float.tif", confidence, nodata=np.nan)
    save(tmp_path / "smaller.tif", confidence[1:], nodata=np.nan)
    with pytest.raises(SourceUnreadable, match=r"it is no class map \(bands: 1, type: float32\)"):
        vectorise(tmp_path / "float.tif", tmp_path / "map.gpkg", classes=())
    with pytest.raises(GridMismatch, match=r"smaller\.tif is not on the grid of .*map\.tif: the size"):
        vectorise(tmp_path / "map.tif", tmp_path / "map.gpkg", classes=(), confidence=tmp_path / "smaller.tif")
    with pytest.raises(SourceUnreadable, match="there is no such file"):
        vectorise(tmp_path / "absent.tif", tmp_path / "map.gpkg", classes=())
    whole = (tmp_path / "map.tif").read_bytes()
    (tmp_path / "map.tif").write_bytes(whole[: len(whole) - 200])
    for minimum in (1, 5):
        with pytest.raises(SourceUnreadable, match="damaged or cut short"):
            vectorise(tmp_path / "map.tif", tmp_path / "new" / "map.gpkg", classes=(), minimum=minimum)
    assert sorted(os.listdir(tmp_path)) == ["float.tif", "map.tif", "smaller.tif"]


def test_memory_does_not_grow_with_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygonfile, "_BATCH", 5_000)
    peaks = []
    for height in (200, 1000):
        path = save(tmp_path / f"{height}.tif", make_map(height, 150, smooth=1.5)[0])
        tracemalloc.start()
        vectorise(path, tmp_path / f"{height}.gpkg", classes=CLASSES, memory=2 * MIB)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
