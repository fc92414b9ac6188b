from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyogrio import raw
from pyproj import CRS, Transformer
from rasterio.features import geometry_mask
from rasterio.windows import Window

from geodl.contract import ClassInfo
from geodl.data.labels import IGNORE, RasterLabels, VectorLabels, infer_classes, open_labels
from geodl.data.source import Grid
from geodl.errors import GridMismatch, LabelsOutOfRange, LabelsUnreadable, PairingError

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
CLASSES = (ClassInfo(3, "water", "#0000ff"), ClassInfo(0, "soil", "#ff0000"), ClassInfo(7, "forest", "#00ff00"))


def grid(height: int, width: int, transform: Affine = TRANSFORM) -> Grid:
    return Grid(CRS.from_epsg(32633), transform, height, width)


def raster(path: Path, values: Any, *, dtype: str = "uint8", mask: Any = None, **profile: Any) -> Path:
    array = np.array(values, dtype)
    shape = {"driver": "GTiff", "width": array.shape[1], "height": array.shape[0], "count": 1, "dtype": dtype}
    with rasterio.open(path, "w", **shape | {"crs": "EPSG:32633", "transform": TRANSFORM} | profile) as dataset:
        dataset.write(array, 1)
        if mask is not None:
            dataset.write_mask(np.array(mask, bool))
    return path


def polygons(path: Path, shapes: list[Any], crs: str = "EPSG:32633", **columns: list[Any]) -> Path:
    fields = [np.array(values, object if isinstance(values[0], str) else None) for values in columns.values()]
    raw.write(path, shapely.to_wkb(shapes), fields, list(columns), geometry_type="Unknown", crs=crs)
    return path


def test_values_become_class_indices(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0, 7], [9, 255, 3]], nodata=255)
    labels = RasterLabels(path, grid(2, 3), classes=CLASSES, ignore_label=9)
    read = labels.read()
    assert (labels.name, read.dtype) == ("a", np.int32)
    np.testing.assert_array_equal(read, [[0, 1, 2], [-1, -1, 0]])
    np.testing.assert_array_equal(labels.read(Window(-1, 1, 3, 2)), [[-1, -1, -1], [-1, -1, -1]])
    np.testing.assert_array_equal(labels.read(Window(2, 0, 2, 2)), [[2, -1], [0, -1]])


def test_nodata_that_is_declared_a_class_is_one(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0]], nodata=0)
    assert RasterLabels(path, grid(1, 2), classes=CLASSES).read().tolist() == [[0, 1]]
    assert RasterLabels(path, grid(1, 2), classes=CLASSES[::2]).read().tolist() == [[0, -1]]
    assert RasterLabels(path, grid(1, 2), classes=CLASSES, ignore_label=0).read().tolist() == [[0, -1]]


def test_a_raster_on_another_grid_gives_each_pixel_the_class_where_it_lies(tmp_path: Path) -> None:
    values = np.array([[3, 0, 7, 255], [9, 7, 3, 0], [0, 0, 255, 3]])
    path = raster(tmp_path / "a.tif", values, nodata=255, transform=TRANSFORM @ Affine.scale(2))
    fine = grid(8, 6)
    with pytest.raises(GridMismatch, match=r"data\.resample \(--resample\)"):
        open_labels(path, fine, classes=CLASSES)
    labels = open_labels(path, fine, classes=CLASSES, ignore_label=9, resample=True)
    index = np.vectorize({3: 0, 0: 1, 7: 2, 255: -1, 9: -1}.get)(values)
    expected = np.full((8, 6), -1)
    expected[:6] = np.kron(index, np.ones((2, 2), int))[:, :6]
    np.testing.assert_array_equal(labels.read(), expected)
    np.testing.assert_array_equal(labels.read(Window(4, 1, 3, 3)), np.pad(expected, 1, constant_values=-1)[2:5, 5:8])


def test_resampled_nodata_that_is_declared_a_class_is_one(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0]], nodata=0, transform=TRANSFORM @ Affine.scale(2))
    labels = RasterLabels(path, grid(3, 4), classes=CLASSES, resample=True)
    assert labels.read().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [-1, -1, -1, -1]]
    with pytest.raises(LabelsOutOfRange, match="Received: 3"):
        RasterLabels(path, grid(3, 4), classes=CLASSES[1:], resample=True).read()


def test_a_raster_in_another_crs_is_resampled_and_one_elsewhere_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([0, 3, 7], (30, 30)).astype(np.uint8)
    path = raster(tmp_path / "a.tif", values, crs="EPSG:4326", transform=Affine(1e-4, 0, 15, 0, -1e-4, 45.155))
    image = grid(20, 20)
    read = RasterLabels(path, image, classes=CLASSES, resample=True).read()
    columns, rows = np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5)
    to_lonlat = Transformer.from_crs(image.crs, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(*(image.transform @ (columns, rows)))
    x, y = (lon - 15) / 1e-4, (45.155 - lat) / 1e-4
    inside = (x > 0) & (x < 30) & (y > 0) & (y < 30)
    assert inside.mean() > 0.5
    index = np.vectorize({3: 0, 0: 1, 7: 2}.get)(values)
    np.testing.assert_array_equal(read[inside], index[y[inside].astype(int), x[inside].astype(int)])
    assert (read[~inside] == -1).all()
    far = raster(tmp_path / "b.tif", values, transform=TRANSFORM @ Affine.translation(5000, 0))
    with pytest.raises(GridMismatch, match="the place differs. Expected longitude 15 to"):
        RasterLabels(far, image, classes=CLASSES, resample=True)


def test_masked_pixels_are_unlabelled(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0]], mask=[[True, False]])
    assert RasterLabels(path, grid(1, 2), classes=CLASSES).read().tolist() == [[0, -1]]


def test_values_below_zero_are_unlabelled_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = raster(tmp_path / "a.tif", [[-1, 0, 3]], dtype="int16")
    with caplog.at_level(logging.WARNING, "geodl"):
        for _ in range(2):
            assert RasterLabels(path, grid(1, 3), classes=CLASSES).read().tolist() == [[-1, 1, 0]]
        assert [info.value for info in infer_classes([path])[0]] == [0, 3]
    assert len(caplog.records) == 1
    assert "labels below zero (-1) are taken as unlabelled" in caplog.text
    caplog.clear()
    RasterLabels(
        raster(tmp_path / "b.tif", [[-2, 0]], dtype="int16"), grid(1, 2), classes=CLASSES, ignore_label=-2
    ).read()
    assert not caplog.records


@pytest.mark.parametrize(
    ("values", "dtype", "named"),
    [([[3, 4, 200]], "uint8", "4, 200"), ([[3, 300]], "int16", "300"), ([[3, 2.5]], "float32", "2.5")],
)
def test_values_that_are_no_class_are_named(tmp_path: Path, values: Any, dtype: str, named: str) -> None:
    labels = RasterLabels(raster(tmp_path / "a.tif", values, dtype=dtype), grid(1, len(values[0])), classes=CLASSES)
    with pytest.raises(
        LabelsOutOfRange, match=rf"Expected 3 \(water\), 0 \(soil\), 7 \(forest\)\. Received: {named}\."
    ):
        labels.read()


def test_labels_must_lie_on_the_grid_of_their_image(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0]])
    for other, what in ((grid(2, 1), "size"), (grid(1, 2, TRANSFORM @ Affine.translation(0.5, 0)), "transform")):
        with pytest.raises(GridMismatch, match=f"a.tif is not on the grid of its image: the {what}"):
            open_labels(path, other, classes=CLASSES)
    with pytest.raises(GridMismatch, match="the CRS differs"):
        open_labels(path, Grid(CRS.from_epsg(32634), TRANSFORM, 1, 2), classes=CLASSES)
    bare = raster(tmp_path / "b.png", [[3, 0]], driver="PNG", crs=None, transform=None)
    assert open_labels(bare, grid(1, 2), classes=CLASSES).read().tolist() == [[0, 1]]
    with pytest.raises(GridMismatch):
        open_labels(bare, grid(2, 2), classes=CLASSES)


def test_a_palette_raster_holds_classes_and_a_picture_does_not(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", [[3, 0]])
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {3: (0, 0, 255)})
    assert open_labels(path, grid(1, 2), classes=CLASSES).read().tolist() == [[0, 1]]
    with pytest.raises(LabelsUnreadable, match="it has 3 bands"):
        open_labels(raster(tmp_path / "b.tif", [[3, 0]], count=3), grid(1, 2), classes=CLASSES)


def blobs(seed: int) -> list[shapely.Polygon]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 600, (8, 2)) * (1, -1) + (500_000, 5_000_000)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    return [
        shapely.Polygon(c + np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(20, 150, (8, 1)))
        for c in centres
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), rotation=st.sampled_from([0, 30]), south_up=st.booleans())
def test_polygons_are_burnt_by_pixel_centre_window_by_window(
    tmp_path: Path, seed: int, rotation: float, south_up: bool
) -> None:
    flip = Affine.translation(0, -600) @ Affine.scale(1, -1) if south_up else Affine.identity()
    image = grid(
        60,
        60,
        flip @ TRANSFORM @ Affine.rotation(rotation) if not south_up else Affine(10, 0, 500_000, 0, 10, 4_999_400),
    )
    shapes = blobs(seed)
    path = polygons(tmp_path / f"{seed}.gpkg", shapes, code=[0, 3, 7, 0, 3, 7, 0, 3])
    try:
        labels = VectorLabels(path, image, classes=CLASSES, column="code")
    except PairingError:
        assert not shapely.intersects(shapes, image.footprint()).any()
        return
    expected = np.full(image.shape, IGNORE)
    for shape, index in zip(shapes, [1, 0, 2, 1, 0, 2, 1, 0]):
        if shapely.intersects(shape, image.footprint()):
            expected[geometry_mask([shape], image.shape, image.transform, invert=True)] = index
    whole = labels.read()
    np.testing.assert_array_equal(whole, expected)
    pieces = [np.hstack([labels.read(Window(col, row, 25, 25)) for col in (0, 25, 50)]) for row in (0, 25, 50)]
    np.testing.assert_array_equal(np.vstack(pieces)[:60, :60], whole)
    np.testing.assert_array_equal(np.vstack(pieces)[60:], IGNORE)


def test_polygons_in_another_crs_cover_the_same_pixels(tmp_path: Path) -> None:
    shapes = [shapely.box(500_102, 4_999_702, 500_298, 4_999_898), shapely.box(500_401, 4_999_501, 500_499, 4_999_599)]
    to_lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    lonlat = [shapely.transform(shape, lambda xy: np.column_stack(to_lonlat.transform(*xy.T))) for shape in shapes]
    one = open_labels(polygons(tmp_path / "a.gpkg", shapes, name=["water", "soil"]), grid(60, 60), classes=CLASSES)
    other = open_labels(
        polygons(tmp_path / "b.geojson", lonlat, "EPSG:4326", name=["water", "soil"]), grid(60, 60), classes=CLASSES
    )
    np.testing.assert_array_equal(one.read(), other.read())
    counts = {index: int((one.read() == index).sum()) for index in range(3)}
    assert counts == {0: 20 * 20, 1: 10 * 10, 2: 0}


def test_multipolygons_with_holes(tmp_path: Path) -> None:
    ring = shapely.difference(
        shapely.box(500_000, 4_999_900, 500_100, 5_000_000), shapely.box(500_040, 4_999_940, 500_060, 4_999_960)
    )
    both = shapely.union(ring, shapely.box(500_200, 4_999_990, 500_300, 5_000_000))
    labels = open_labels(polygons(tmp_path / "a.gpkg", [both], name=["water"]), grid(60, 60), classes=CLASSES)
    assert (labels.read() == 0).sum() == 100 - 4 + 10


def test_features_can_be_held_out(tmp_path: Path) -> None:
    shapes = [shapely.box(500_000 + 100 * k, 4_999_900, 500_100 + 100 * k, 5_000_000) for k in (0, 2, 90, 4)]
    path = polygons(tmp_path / "a.gpkg", shapes, code=[3, 0, 3, 7])
    labels = VectorLabels(path, grid(60, 60), classes=CLASSES)
    assert [index for _, index in labels.features] == [0, 1, 2]
    assert shapely.equals(labels.polygons, [shapes[k] for k in (0, 1, 3)]).all()
    some = labels.only([0, 2])
    assert np.unique(some.read()).tolist() == [-1, 0, 2]
    assert np.unique(labels.read()).tolist() == [-1, 0, 1, 2]
    np.testing.assert_array_equal(VectorLabels(path, grid(60, 60), classes=CLASSES, subset=[0, 2]).read(), some.read())
    np.testing.assert_array_equal(labels.only([]).read(), IGNORE)


def test_polygon_values_are_matched_by_name_by_number_or_by_the_number_of_the_name(tmp_path: Path) -> None:
    shapes = [shapely.box(500_000 + 100 * k, 4_999_900, 500_100 + 100 * k, 5_000_000) for k in range(3)]
    path = polygons(tmp_path / "a.gpkg", shapes, name=["eau", "foret", "eau"], code=[3, 7, 3])
    for column in (None, "name", "code"):
        labels = VectorLabels(path, grid(60, 60), classes=CLASSES, column=column)
        assert [index for _, index in labels.features] == [0, 2, 0]
    assert [index for _, index in VectorLabels(path, grid(60, 60), classes=CLASSES, ignore_label=3).features] == [2]
    wide = polygons(tmp_path / "b.gpkg", shapes, code=[2253, 22531, 2253])
    found, _ = infer_classes([wide])
    assert [index for _, index in VectorLabels(wide, grid(60, 60), classes=found).features] == [0, 1, 0]
    with pytest.raises(LabelsOutOfRange, match=r"column code: .*Received: 2253, 22531"):
        VectorLabels(wide, grid(60, 60), classes=CLASSES)


def test_polygons_elsewhere_are_refused(tmp_path: Path) -> None:
    path = polygons(tmp_path / "a.gpkg", [shapely.box(0, 0, 10, 10)], name=["water"])
    with pytest.raises(PairingError, match=r"no polygon touches the image.*bounds 500000, 4999400, 500600, 5000000"):
        open_labels(path, grid(60, 60), classes=CLASSES)
