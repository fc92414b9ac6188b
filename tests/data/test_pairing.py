from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyogrio import raw
from rasterio.control import GroundControlPoint

from geodl.data.opening import find_scenes
from geodl.data.pairing import find_labels, pair
from geodl.data.resample import Resample
from geodl.errors import EmptyDataset, OptionError, PairingError, SourceUnreadable


def raster(path: Path, *, east: float = 0, size: int = 4, step: float = 10, crs: str | None = "EPSG:32633") -> str:
    path.parent.mkdir(exist_ok=True)
    place = {"crs": crs, "transform": rasterio.Affine(step, 0, 500_000 + east, 0, -step, 5_000_000) if crs else None}
    with rasterio.open(path, "w", driver="GTiff", width=size, height=size, count=1, dtype="uint8", **place) as dataset:
        dataset.write(np.ones((1, size, size), np.uint8))
    return str(path)


def polygons(path: Path, *easts: float) -> str:
    path.parent.mkdir(exist_ok=True)
    shapes = [shapely.box(500_005 + east, 4_999_985, 500_015 + east, 4_999_995) for east in easts]
    raw.write(path, shapely.to_wkb(shapes), [], [], geometry_type="Polygon", crs="EPSG:32633")
    return str(path)


def labels_of(tmp_path: Path, match: str = "auto") -> list[tuple[str, str]]:
    pairs = pair(find_scenes(tmp_path / "images"), tmp_path / "labels", match=match)
    return [(name, Path(label).name) for name, _, label in pairs]


def test_by_stem_whatever_the_ending(tmp_path: Path) -> None:
    for name in "ab":
        raster(tmp_path / "images" / f"{name}.tif")
    raster(tmp_path / "labels" / "b.tiff")
    polygons(tmp_path / "labels" / "a.gpkg", 0)
    raster(tmp_path / "labels" / "c.tif")
    assert labels_of(tmp_path) == labels_of(tmp_path, "stem") == [("a", "a.gpkg"), ("b", "b.tiff")]
    assert [Path(path).name for path in find_labels(tmp_path / "labels")] == ["a.gpkg", "b.tiff", "c.tif"]


def test_by_the_group_of_a_regular_expression(tmp_path: Path) -> None:
    for k, name in enumerate(("India_1", "Spain_2")):
        raster(tmp_path / "images" / f"{name}_S1Hand.tif", east=1000 * k)
        raster(tmp_path / "labels" / f"{name}_LabelHand.tif", east=1000 * k)
    expected = [("India_1_S1Hand", "India_1_LabelHand.tif"), ("Spain_2_S1Hand", "Spain_2_LabelHand.tif")]
    assert labels_of(tmp_path, r"^(.+_\d+)_") == expected
    assert labels_of(tmp_path, "auto") == expected
    with pytest.raises(PairingError, match="is found in no label's name"):
        labels_of(tmp_path, "(xyz)")
    with pytest.raises(PairingError, match=r"India_1_S1Hand has 2 label files"):
        labels_of(tmp_path, "()_")
    raster(tmp_path / "images" / "Ghana_3_S1Hand.tif")
    with pytest.raises(PairingError, match=r"1 of 3 images have no label file.*Ghana_3_S1Hand \(group: Ghana_3\)"):
        labels_of(tmp_path, r"^(.+_\d+)_")
    for wrong in ("(", "abc"):
        with pytest.raises(OptionError, match=r"data\.match"):
            labels_of(tmp_path, wrong)


def test_by_place(tmp_path: Path) -> None:
    for k in range(3):
        raster(tmp_path / "images" / f"i{k}.tif", east=1000 * k)
        raster(tmp_path / "labels" / f"l{2 - k}.tif", east=1000 * k)
    raster(tmp_path / "labels" / "big.tif", size=400)
    assert labels_of(tmp_path) == labels_of(tmp_path, "place") == [("i0", "l2.tif"), ("i1", "l1.tif"), ("i2", "l0.tif")]


def test_polygons_serve_all_images_that_they_touch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for k in range(3):
        raster(tmp_path / "images" / f"i{k}.tif", east=1000 * k)
    polygons(tmp_path / "labels" / "fields.gpkg", 0, 2000)
    with caplog.at_level(logging.WARNING, "geodl"):
        assert labels_of(tmp_path) == [("i0", "fields.gpkg"), ("i2", "fields.gpkg")]
    assert "1 of 3 images lie where no labels are and are left out: i1" in caplog.text


def test_one_image_and_one_raster_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    raster(tmp_path / "images" / "scene.tif", crs=None)
    raster(tmp_path / "labels" / "truth.tif", crs=None)
    assert labels_of(tmp_path) == [("scene", "truth.tif")]
    with pytest.raises(PairingError, match="1 of 1 images have no label file of the same name"):
        labels_of(tmp_path, "stem")


def test_bands_of_one_scene_and_one_label_file(tmp_path: Path) -> None:
    bands = {name: raster(tmp_path / "images" / f"{name}.tif") for name in ("B1", "B2")}
    label = polygons(tmp_path / "labels" / "fields.gpkg", 0)
    assert pair(find_scenes(bands), label) == [("images", bands, label)]


def test_what_cannot_be_paired_says_what_to_do(tmp_path: Path) -> None:
    for k in range(2):
        raster(tmp_path / "images" / f"i{k}.tif", crs=None)
        raster(tmp_path / "labels" / f"l{k}.tif", crs=None)
    with pytest.raises(
        PairingError,
        match=r"2 of 2 images have no label file of the same name; matched by place, no label.*i0, i1.*\.match",
    ):
        labels_of(tmp_path)
    (tmp_path / "labels2").mkdir()
    with pytest.raises(EmptyDataset, match="labels"):
        pair(find_scenes(tmp_path / "images"), tmp_path / "labels2")


def test_an_image_under_two_layers_is_ambiguous(tmp_path: Path) -> None:
    raster(tmp_path / "images" / "i.tif")
    polygons(tmp_path / "labels" / "a.gpkg", 0)
    polygons(tmp_path / "labels" / "b.gpkg", 0)
    with pytest.raises(PairingError, match="i has 2 label files"):
        labels_of(tmp_path)


def test_label_rasters_on_other_grids_are_paired_by_place(tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        raster(tmp_path / "images" / f"{name}.tif", east=1000 * k)
        raster(tmp_path / "labels" / f"{k}.tif", east=1000 * k, size=2, step=20)
    assert labels_of(tmp_path) == [("a", "0.tif"), ("b", "1.tif")]


def test_images_placed_by_control_points_are_paired_by_place_when_resampled(tmp_path: Path) -> None:
    raster(tmp_path / "labels" / "somewhere.tif")
    raster(tmp_path / "labels" / "elsewhere.tif", east=5000)
    image = tmp_path / "images" / "a.tif"
    image.parent.mkdir()
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    points = [GroundControlPoint(r, c, *(place @ (c, r))) for r, c in ((0, 0), (0, 4), (4, 0), (4, 4))]
    with rasterio.open(
        image, "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8", crs="EPSG:32633", gcps=points
    ) as dataset:
        dataset.write(np.ones((1, 4, 4), np.uint8))
    with pytest.raises(SourceUnreadable, match="ground control points only"):
        labels_of(tmp_path)
    found = pair(find_scenes(tmp_path / "images"), tmp_path / "labels", resample=Resample("nearest"))
    assert [(name, Path(label).name) for name, _, label in found] == [("a", "somewhere.tif")]
