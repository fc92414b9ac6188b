from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rasterio.features import shapes

from geodl.inference.components import OUTSIDE, label
from geodl.inference.outlines import rings, sides, simplified_sides

RASTERS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2))


def framed(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A raster and its components with a row of nothing above and below."""
    around = ((1, 1), (0, 0))
    return np.pad(classes, around, constant_values=OUTSIDE), np.pad(label(classes), around, constant_values=-1)


def polygonised(classes: np.ndarray, transform: Affine = Affine.identity()) -> np.ndarray:  # noqa: B008
    """What GDAL makes of the whole raster."""
    return np.array([shapely.geometry.shape(shape) for shape, _ in shapes(classes, transform=transform)], object)


def comparable(polygons: np.ndarray) -> list[bytes]:
    return sorted(shapely.to_wkb(shapely.normalize(polygons)))


@given(RASTERS)
def test_polygons_are_those_of_gdal(classes: np.ndarray) -> None:
    found = rings(sides(*framed(classes), row=0))
    assert comparable(found) == comparable(polygonised(classes))
    assert shapely.is_valid(found).all()
    np.testing.assert_array_equal(shapely.area(found), np.bincount(label(classes).ravel()))


def test_checkerboards_and_rings_that_touch_themselves() -> None:
    board = np.indices((6, 7)).sum(axis=0).astype(np.int32) % 2
    diagonal_holes = np.ones((4, 4), np.int32)
    diagonal_holes[[1, 2], [1, 2]] = 0
    bent = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], np.int32)
    for classes in (board, diagonal_holes, bent):
        found = rings(sides(*framed(classes), row=0))
        assert comparable(found) == comparable(polygonised(classes)) and shapely.is_valid(found).all()


def test_rotated_and_geographic_transforms() -> None:
    classes = np.random.default_rng(1).integers(0, 2, (12, 13), np.int32)
    for transform in (
        Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10),
        Affine(1 / 3600, 0, 13.1, 0, -1 / 3600, 52.7),
    ):
        found = rings(sides(*framed(classes), row=0), transform=transform)
        expected = polygonised(classes, transform)
        assert shapely.is_ccw(shapely.get_exterior_ring(found)).all()
        tolerance = 1e-9 * max(map(abs, transform[:6]))
        order = [np.lexsort(np.round(shapely.bounds(p) / tolerance / 100).T) for p in (found, expected)]
        areas = [shapely.area(p)[o] for p, o in zip((found, expected), order)]
        np.testing.assert_allclose(areas[0], areas[1], rtol=1e-6)
        assert shapely.is_valid(found).all()


def simplified(classes: np.ndarray, tolerance: float, cut: int) -> np.ndarray:
    """The polygons of a raster that is simplified in two strips."""
    whole, ids = framed(classes)
    parts = [simplified_sides(whole[: cut + 1], ids[: cut + 1], row=0, tolerance=tolerance)]
    if cut < len(classes):
        parts.append(simplified_sides(whole[cut:-1], ids[cut:-1], row=cut, tolerance=tolerance))
    parts.append(sides(whole[-2:], ids[-2:], row=len(classes)))
    return rings(np.concatenate(parts, axis=1), keep_straight=True)


@given(RASTERS, st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.data())
def test_simplified_polygons_tile_the_raster_without_gap_or_overlap(
    classes: np.ndarray, tolerance: float, data: st.DataObject
) -> None:
    found = simplified(classes, tolerance, data.draw(st.integers(1, len(classes))))
    height, width = classes.shape
    assert len(found) == label(classes).max() + 1
    assert shapely.is_valid(found).all() and shapely.coverage_is_valid(found)
    assert shapely.area(found).sum() == height * width
    assert shapely.union_all(found).equals(shapely.box(0, 0, width, height))


def test_simplified_borders_have_fewer_vertices_and_stay_near() -> None:
    y, x = np.indices((60, 60))
    classes = (y > 0.6 * x + 9).astype(np.int32)
    plain, smooth = rings(sides(*framed(classes), row=0)), simplified(classes, 2.0, 25)
    assert shapely.get_num_coordinates(smooth).sum() < 0.3 * shapely.get_num_coordinates(plain).sum()
    moved = shapely.area(shapely.symmetric_difference(smooth, plain))
    assert (moved < 60).all()  # Half a pixel along a border of some 60.
