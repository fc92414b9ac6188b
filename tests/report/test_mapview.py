"""Maps beside their scenes: what the page tells against what the rasters hold."""

import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid
from geodl.errors import GridMismatch, NoValidPixels, OptionError
from geodl.report.mapreading import class_areas, read_decimated, screen_grid
from geodl.report.mapview import map_page

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def write(
    path: Path, values: np.ndarray, *, crs="EPSG:32633", transform=UTM, nodata=None, tags=None, colours=None
) -> Path:
    values = values if values.ndim == 3 else values[None]
    count, height, width = values.shape
    profile = {"driver": "GTiff", "dtype": values.dtype, "count": count, "height": height, "width": width}
    place = {} if crs is None else {"crs": crs, "transform": transform}
    with rasterio.open(path, "w", **profile, **place, nodata=nodata) as made:
        made.write(values)
        if tags:
            made.update_tags(1, **tags)
        if colours:
            made.write_colormap(1, colours)
    return path


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "scene.tif", np.random.default_rng(0).integers(1, 255, (3, 60, 80), np.uint8))


@pytest.fixture
def classes(tmp_path):
    values = np.ones((60, 80), np.uint8)
    values[:, 40:] = 2
    values[:10] = 255
    tags = {"class_1": "water", "class_2": '<b>forest</b> & "co"'}
    tints = {1: (0, 114, 178, 255), 2: (0, 158, 115, 255), 255: (0, 0, 0, 0)}
    return write(tmp_path / "map.tif", values, nodata=255, tags=tags, colours=tints)


def images(page: str) -> dict[str, np.ndarray]:
    found = re.findall(r'data-layer="\d+" alt="([^"]*)"[^>]*src="data:image/png;base64,([^"]+)"', page)
    return {name: np.asarray(Image.open(io.BytesIO(b64decode(data))).convert("RGBA")) for name, data in found}


def test_map_of_classes_has_its_colours_names_and_areas(scene, classes):
    page = map_page(classes, scene)
    layers = images(page)
    assert list(layers) == ["scene", "map"]
    assert tuple(layers["map"][30, 10]) == (0, 114, 178, 255) and tuple(layers["map"][30, 70]) == (0, 158, 115, 255)
    assert not layers["map"][:10, :, 3].any() and layers["scene"][..., 3].all()
    # 40 columns of 50 rows of 100 m².
    assert page.count('data-value="20.0">20.00</td>') == 2
    assert "&lt;b&gt;forest&lt;/b&gt;" in page and "<b>" not in page
    assert 'data-pixel-x="9.99' in page or 'data-pixel-x="10.0' in page


def test_truth_is_compared_pixel_by_pixel(scene, classes, tmp_path):
    truth = np.ones((60, 80), np.uint8)
    truth[50:] = 77
    layers = images(map_page(classes, scene, truth=write(tmp_path / "truth.tif", truth)))
    assert list(layers) == ["scene", "map", "truth", "map against truth"]
    judged = layers["map against truth"]
    assert len({tuple(judged[30, k]) for k in (10, 39)}) == 1 and tuple(judged[30, 10]) != tuple(judged[30, 70])
    assert not judged[:10, :, 3].any() and not judged[50:, :, 3].any()


def test_confidence_beside_the_map_is_a_layer(scene, classes):
    write(classes.with_name("map.confidence.tif"), np.full((60, 80), 0.5, np.float32))
    assert list(images(map_page(classes, scene))) == ["scene", "map", "confidence"]


def test_scene_of_another_grid_and_crs_is_brought_onto_the_map(classes, tmp_path):
    with rasterio.open(classes) as made:
        bounds = rasterio.warp.transform_bounds(made.crs, "EPSG:4326", *made.bounds)
    wide = rasterio.transform.from_bounds(bounds[0] - 0.01, *bounds[1:3], bounds[3], 50, 50)
    values = np.zeros((50, 50), np.uint8)
    values[:, :] = np.arange(1, 51)
    scene = write(tmp_path / "other.tif", values, crs="EPSG:4326", transform=wide)
    drawn = images(map_page(classes, scene))["scene"]
    assert drawn.shape[:2] == (60, 80) and drawn[30, 2:78, 3].all()
    assert (np.diff(drawn[30, 2:78, 0].astype(int)) >= 0).all()


def test_values_get_a_ramp_with_their_unit_and_signed_ones_white_in_the_middle(scene, tmp_path):
    values = np.tile(np.linspace(-1, 1, 81, dtype=np.float32)[:80], (60, 1))
    path = write(tmp_path / "change.tif", values)
    with rasterio.open(path, "r+") as made:
        made.set_band_description(1, "change")
        made.units = ("dB",)
    page = map_page(path, scene)
    drawn = images(page)["change"][30]
    assert drawn[40, :3].min() > 235 and drawn[2, 2] > drawn[2, 0] and drawn[-2, 0] > drawn[-2, 2]
    assert "change (dB)" in page


def test_values_of_the_scenes_bands_share_its_stretch(scene, tmp_path):
    with rasterio.open(scene) as given:
        half = (given.read() // 2).astype(np.float32)
    path = write(tmp_path / "restored.tif", half)
    with rasterio.open(path, "r+") as made:
        made.descriptions = ("red", "green", "blue")
    layers = images(map_page(path, scene))
    assert layers["scene"][..., :3].mean() > layers["map"][..., :3].mean() + 40


def test_a_map_without_crs_has_pixels_but_no_areas(tmp_path):
    values = np.ones((20, 20), np.uint8)
    pair = [write(tmp_path / f"{k}.tif", values, crs=None, tags={"class_1": "a"}) for k in (1, 2)]
    page = map_page(*pair)
    assert "no CRS" in page and "(ha)" not in page and "data-pixel" not in page.split("<script>")[0]


def test_mistakes_are_named(scene, classes, tmp_path):
    plain = write(tmp_path / "plain.tif", np.ones((60, 80), np.uint8), crs=None)
    with pytest.raises(GridMismatch, match=r"CRS.*EPSG:32633"):
        map_page(classes, plain)
    with pytest.raises(OptionError, match="a map of classes"):
        map_page(scene, scene, truth=classes)
    with pytest.raises(NoValidPixels):
        map_page(write(tmp_path / "no.tif", np.zeros((9, 9), np.uint8), nodata=0, tags={"class_1": "a"}), scene)


def test_areas_in_degrees_are_those_on_the_ellipsoid(tmp_path):
    from pyproj import Geod

    values = np.ones((10, 10), np.uint8)
    values[5:] = 2
    place = Affine(0.1, 0, 10, 0, -0.1, 61)
    areas = class_areas(RasterFile(write(tmp_path / "m.tif", values, crs="EPSG:4326", transform=place)))
    for area, (low, high) in zip(areas, ((60.5, 61), (60, 60.5)), strict=True):
        edge = [10 + k / 1000 for k in range(1001)]
        ring = [*((x, low) for x in edge), *((x, high) for x in reversed(edge))]
        true = abs(Geod(ellps="WGS84").polygon_area_perimeter(*zip(*ring, strict=True))[0])
        assert area.square_metres == pytest.approx(true, rel=1e-6) and area.pixels == 50


def test_large_maps_are_read_decimated_and_counted_whole(tmp_path):
    values = np.zeros((700, 900), np.uint8)
    values[0, 0] = 3
    values[:, 450:] = 1
    file = RasterFile(write(tmp_path / "m.tif", values))
    grid = screen_grid(file.grid, 90)
    assert grid.shape == (70, 90) and grid.footprint().equals(file.grid.footprint())
    shown = read_decimated(file, grid, [0], categorical=True)[..., 0]
    assert set(np.unique(shown)) <= {0, 1, 3} and (shown[:, 46:] == 1).all()
    assert {area.value: area.pixels for area in class_areas(file)} == {0: 700 * 450 - 1, 1: 700 * 450, 3: 1}
    assert read_decimated(file, Grid(file.grid.crs, file.grid.transform, 700, 900), [0]).shape == (700, 900, 1)
