from __future__ import annotations

import logging

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.warp import transform

from geodl.data.holdouts import SceneSplit
from geodl.data.source import Grid, Window
from geodl.data.splits import split_scenes
from geodl.data.windows import expand, intersects, open_fraction, rectangles
from geodl.errors import SplitError
from tests.data.fakes import pixel_grid, utm_grid


def held_out(split: SceneSplit) -> np.ndarray:
    return rectangles(window for windows in split.regions.values() for window in windows)


@settings(max_examples=25, deadline=None)
@given(st.integers(130, 300), st.integers(130, 300), st.integers(4, 16), st.integers(0, 20), st.integers(0, 3))
def test_blocks_leave_room_for_training_and_a_buffer(
    height: int, width: int, patch: int, buffer: int, seed: int
) -> None:
    grid = utm_grid(height, width)
    (split,) = split_scenes([("scene", grid)], patch=patch, buffer=buffer, test=0.1, seed=seed, by="blocks")
    held = held_out(split)
    counted = np.zeros(grid.shape, int)
    for top, left, bottom, right in held:
        counted[top:bottom, left:right] += 1
        assert min(bottom - top, right - left) >= patch
    assert counted.max() == 1
    assert set(split.regions) == {"validation", "test"}
    assert set(split.excluded) == {expand(w, buffer, grid.shape) for windows in split.regions.values() for w in windows}
    assert open_fraction(grid.shape, patch, rectangles(split.excluded)) > 0


def test_by_default_there_are_25_blocks_of_2_patches_and_the_buffer_is_a_patch() -> None:
    grid = utm_grid(2201, 2629)
    (split,) = split_scenes([("scene", grid)], patch=128)
    assert len(split.regions["validation"]) == 6  # of 5 x 6
    assert split.excluded == tuple(expand(window, 128, grid.shape) for window in split.regions["validation"])
    assert 0.15 < sum(w.height * w.width for w in split.regions["validation"]) / (2201 * 2629) < 0.25
    assert open_fraction(grid.shape, 128, rectangles(split.excluded)) > 0.4


def test_folds_of_blocks_validate_each_pixel_once() -> None:
    grid = pixel_grid(400, 300)
    counted = np.zeros(grid.shape, int)
    for fold in range(4):
        (split,) = split_scenes([("scene", grid)], patch=16, folds=4, fold=fold, block=50)
        for top, left, bottom, right in held_out(split):
            counted[top:bottom, left:right] += 1
    assert (counted == 1).all()


def test_blocks_are_chosen_so_that_classes_are_on_both_sides() -> None:
    labels = np.zeros((500, 500), int)
    labels[:100, :100] = labels[300:400, 400:] = 1

    def class_area(scene: int, window: Window) -> np.ndarray:
        return np.bincount(labels[window.toslices()].ravel(), minlength=2)

    for seed in range(5):
        (split,) = split_scenes([("scene", pixel_grid(500, 500))], patch=20, seed=seed, class_area=class_area)
        inside = sum(class_area(0, window) for window in split.regions["validation"])
        assert 0 < inside[1] < labels.sum()


def test_scenes_too_small_for_blocks_are_refused_with_advice() -> None:
    with pytest.raises(SplitError, match=r"at most 100 x 120 pixels: with a buffer of 64 .* smaller data.patch"):
        split_scenes([("scene", pixel_grid(100, 120))], patch=64, by="blocks")


def test_small_scenes_beside_a_large_one_are_trained_on() -> None:
    small, large = split_scenes([("small", pixel_grid(40, 40)), ("large", pixel_grid(400, 400))], patch=32, by="blocks")
    assert small == SceneSplit(by="blocks")
    assert large.regions


def test_dates_of_one_place_are_split_alike() -> None:
    splits = split_scenes([(f"date{k}", utm_grid(400, 400)) for k in range(3)], patch=32, by="blocks")
    assert splits[0].regions
    assert splits[0] == splits[1] == splits[2]


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_what_one_scene_holds_out_an_overlapping_one_excludes(crs: str) -> None:
    one = utm_grid(400, 400)
    if crs == "EPSG:4326":
        west, south, east, north = one.lonlat_footprint.bounds
        other = Grid(CRS(crs), Affine((east - west) / 500, 0, west, 0, (south - north) / 300, north), 300, 500)
    else:
        other = Grid(one.crs, one.transform @ Affine.translation(100.4, 50.3) @ Affine.scale(0.5), 600, 600)
    a, b = split_scenes([("a", one), ("b", other)], patch=32, buffer=8, by="blocks", seed=1)
    random = np.random.default_rng(0)
    for here, there, mine, yours in ((one, other, a, b), (other, one, b, a)):
        for window in mine.regions["validation"]:
            points = random.uniform(
                (window.col_off, window.row_off),
                (window.col_off + window.width, window.row_off + window.height),
                (200, 2),
            )
            lonlat = shapely.MultiPoint([here.transform @ tuple(p) for p in points])
            moved = to_pixels(lonlat, here, there)
            inside = [p for p in moved if 0 <= p[0] < there.width and 0 <= p[1] < there.height]
            cells = np.array([(int(r), int(c), int(r) + 1, int(c) + 1) for c, r in inside], int).reshape(-1, 4)
            assert intersects(cells, rectangles(yours.excluded)).all()


def to_pixels(points: shapely.MultiPoint, here: Grid, there: Grid) -> list[tuple[float, float]]:
    xs, ys = transform(here.crs.to_wkt(), there.crs.to_wkt(), [p.x for p in points.geoms], [p.y for p in points.geoms])
    return [~there.transform @ (x, y) for x, y in zip(xs, ys)]


def squares(grid: Grid, corners: list[tuple[int, int, int]], size: int = 10) -> list[tuple[shapely.Geometry, int]]:
    """Polygons of (row, column, class), a little less than whole pixels, in the grid's CRS."""
    boxes = [(shapely.box(c + 0.1, r + 0.1, c + size - 0.1, r + size - 0.1), k) for r, c, k in corners]
    return [(shapely.transform(b, lambda xy: np.array([grid.transform @ tuple(p) for p in xy])), k) for b, k in boxes]


def test_polygons_of_each_class_are_held_out(caplog: pytest.LogCaptureFixture) -> None:
    grid = utm_grid(300, 300)
    corners = [(30 * k, 40 * (k % 7), k % 2) for k in range(9)] + [(5, 250, 2)]
    with caplog.at_level(logging.WARNING, "geodl"):
        (split,) = split_scenes(
            [("scene", grid)],
            patch=24,
            by="feature",
            features=[squares(grid, corners)],
            test=0.1,
            class_names=["water", "sand", "ice"],
        )
    assert caplog.messages == ["Trained on but not scored, having a single polygon: class ice."]
    classes = {part: sorted(corners[k][2] for k in found) for part, found in split.features.items()}
    assert classes == {"train": [0, 0, 0, 1, 1, 2], "validation": [0, 1], "test": [0, 1]}
    assert sorted(k for found in split.features.values() for k in found) == list(range(10))
    for part in ("validation", "test"):
        expected = [Window(corners[k][1], corners[k][0], 10, 10) for k in split.features[part]]
        assert set(split.regions[part]) == set(expected)
        assert set(expected) <= set(split.excluded)


def test_auto_splits_few_polygons_by_feature_and_many_by_block() -> None:
    grid = utm_grid(300, 300)
    few = squares(grid, [(20 * k, 20 * k, k % 2) for k in range(12)])
    many = squares(grid, [(10 * r, 10 * c, 0) for r in range(28) for c in range(28)], size=8)
    (first,) = split_scenes([("scene", grid)], patch=24, features=[few])
    (second,) = split_scenes([("scene", grid)], patch=24, features=[many])
    (third,) = split_scenes([("scene", grid)], patch=24, features=[few[:2]])
    assert (first.by, second.by, third.by) == ("feature", "blocks", "blocks")


def test_held_out_polygons_leave_windows_for_every_class() -> None:
    # In the middle of each row two polygons of different classes lie so close that a window can't hold just one.
    grid = pixel_grid(400, 400)
    corners = (
        [(100 * k, 100, 0) for k in range(4)] + [(100 * k, 112, 1) for k in range(4)] + [(50, 300, 0), (350, 300, 1)]
    )
    for seed in range(5):
        (split,) = split_scenes([("scene", grid)], patch=40, by="feature", features=[squares(grid, corners)], seed=seed)
        blocked = rectangles(split.excluded)
        lost = {
            k for k in range(8) if intersects(np.array([[100 * (k % 4), 100, 100 * (k % 4) + 10, 122]]), blocked)[0]
        }
        left = {corners[k][2] for k in split.features["train"] if k not in lost}
        assert left == {0, 1}


def test_polygons_beyond_the_scene_belong_to_no_part() -> None:
    grid = utm_grid(100, 100)
    features = squares(grid, [(0, 0, 0), (50, 50, 0), (500, 500, 0), (-300, 20, 0), (20, 80, 0)])
    (split,) = split_scenes([("scene", grid)], patch=8, by="feature", features=[features])
    assert sorted(k for found in split.features.values() for k in found) == [0, 1, 4]


def test_single_polygons_cannot_be_split() -> None:
    grid = utm_grid(100, 100)
    with pytest.raises(SplitError, match=r"cannot be made of 2 polygon\(s\) of 2 class\(es\)"):
        split_scenes([("scene", grid)], patch=8, by="feature", features=[squares(grid, [(0, 0, 0), (50, 50, 1)])])
    with pytest.raises(SplitError, match=r"cannot be made of 0 polygon"):
        split_scenes([("scene", grid)], patch=8, by="feature")
