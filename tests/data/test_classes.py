from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from pyogrio import raw

from geodl.contract import ClassInfo
from geodl.data import classes
from geodl.data.classes import infer_classes
from geodl.data.legend import PALETTE
from geodl.errors import LabelsUnreadable, NoValidPixels


def raster(path: Path, values: Any, *, dtype: str = "uint8", **profile: Any) -> Path:
    array = np.array(values, dtype)
    shape = {"driver": "GTiff", "width": array.shape[1], "height": array.shape[0], "count": 1, "dtype": dtype}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    with rasterio.open(path, "w", **shape | place | profile) as dataset:
        dataset.write(array, 1)
    return path


def polygons(path: Path, **columns: list[Any]) -> Path:
    count = len(next(iter(columns.values())))
    shapes = shapely.to_wkb([shapely.box(k, 0, k + 1, 1) for k in range(count)])
    fields = [np.array(values, object if isinstance(values[0], str) else None) for values in columns.values()]
    raw.write(path, shapes, fields, list(columns), geometry_type="Polygon", crs="EPSG:32633")
    return path


def test_all_values_of_all_rasters_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "_BLOCK_PIXELS", 64)
    values = np.random.default_rng(0).integers(0, 7, (2, 90, 11))
    paths = [raster(tmp_path / f"{k}.tif", values[k], nodata=6) for k in range(2)]
    found, counts = infer_classes([*paths, paths[0]], ignore_label=2)
    expected = Counter(values[(values != 6) & (values != 2)].tolist())
    assert counts == dict(sorted(expected.items()))
    assert found == tuple(ClassInfo(value, f"class_{value}", PALETTE[k]) for k, value in enumerate((0, 1, 3, 4, 5)))


def test_names_and_colours_are_those_of_the_file(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 9]])
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {9: (255, 0, 0)})
        dataset.update_tags(1, class_3="water")
    assert infer_classes([path])[0] == (ClassInfo(3, "water", "#000000"), ClassInfo(9, "class_9", "#ff0000"))


def test_entries_of_a_colour_table_that_were_never_set_are_no_colours(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 4, 9]])
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {9: (255, 0, 0)})
    assert [info.colour for info in infer_classes([path])[0]] == [PALETTE[0], PALETTE[1], "#ff0000"]


def test_floating_rasters_of_whole_numbers_are_labels(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[0, 1, np.nan, -1]], dtype="float32")
    assert infer_classes([path])[1] == {0: 1, 1: 1}


@pytest.mark.parametrize(("values", "dtype"), [([[0, 300]], "int16"), ([[0.5, 1]], "float32")])
def test_values_that_no_map_can_hold_are_refused(tmp_path: Path, values: Any, dtype: str) -> None:
    with pytest.raises(LabelsUnreadable, match=r"no whole numbers from 0 to 255 \((300|0\.5)\)"):
        infer_classes([raster(tmp_path / "a.tif", values, dtype=dtype)])


def test_rasters_without_any_label_or_with_several_bands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoValidPixels, match="No pixel is labelled"):
        infer_classes([raster(tmp_path / "a.tif", [[7, 7]], nodata=7)])
    with pytest.raises(LabelsUnreadable, match="it has 3 bands"):
        infer_classes([raster(tmp_path / "b.tif", [[7, 7]], count=3)])


def test_polygons_with_names_only_are_numbered_from_one(tmp_path: Path) -> None:
    path = polygons(tmp_path / "a.gpkg", cover=["water", "forest", "water"])
    found, counts = infer_classes([path])
    assert found == (ClassInfo(1, "forest", PALETTE[0]), ClassInfo(2, "water", PALETTE[1]))
    assert counts == {1: 1, 2: 2}


def test_names_take_the_numbers_that_go_with_them(tmp_path: Path) -> None:
    path = polygons(tmp_path / "a.gpkg", cover=["water", "forest", "water", "void"], code=[7, 0, 7, 99])
    found, counts = infer_classes([path], ignore_label=99)
    assert [(info.value, info.name) for info in found] == [(0, "forest"), (7, "water")]
    assert counts == {0: 1, 7: 2}
    assert [info.name for info in infer_classes([path], column="code", ignore_label=99)[0]] == ["class_0", "class_7"]


def test_numbers_beyond_255_become_names(tmp_path: Path) -> None:
    path = polygons(tmp_path / "a.gpkg", code=[2253, 22531, 2253])
    assert [(info.value, info.name) for info in infer_classes([path])[0]] == [(1, "2253"), (2, "22531")]


def test_classes_of_several_layers_are_joined(tmp_path: Path) -> None:
    one = polygons(tmp_path / "a.gpkg", cover=["water", "forest", "water"])
    other = polygons(tmp_path / "b.gpkg", cover=["soil", "forest", "soil"])
    assert [info.name for info in infer_classes([one, other])[0]] == ["forest", "soil", "water"]
    with pytest.raises(LabelsUnreadable, match="the other labels are rasters"):
        infer_classes([one, raster(tmp_path / "c.tif", [[1]])])


def test_blocks_of_absurd_size_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).integers(0, 5, (30, 40))
    whole = infer_classes([raster(tmp_path / "a.tif", values)])
    monkeypatch.setattr(classes, "_MOST_PIXELS", 7)
    assert infer_classes([tmp_path / "a.tif"]) == whole
