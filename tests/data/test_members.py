"""Pixels of points and parcels, against shapely's own test of every pixel's centre."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from geodl.data.members import Members, parcel_pixels
from geodl.data.source import Grid, Window
from geodl.data.windows import grid_windows
from geodl.errors import LabelsUnreadable

UTM = CRS(32633)
GRIDS = {
    "north_up": Grid(UTM, Affine(10, 0, 500000, 0, -10, 5000000), 23, 31),
    "south_up": Grid(UTM, Affine(10, 0, 500000, 0, 10, 5000000), 23, 31),
    "rotated": Grid(UTM, Affine(8, 6, 500000, 6, -8, 5000000), 23, 31),
}


def centres(grid: Grid) -> np.ndarray:
    rows, columns = np.mgrid[: grid.height, : grid.width]
    return np.asarray(shapely.points(np.stack(grid.transform @ (columns + 0.5, rows + 0.5), -1)))


def shape(grid: Grid, numbers: list[float]) -> shapely.Geometry:
    """A circle, perhaps with a hole, anywhere on the grid or around it."""
    x, y, radius, hole = numbers
    circle = shapely.Point(grid.transform @ (x, y)).buffer(10 * radius)
    return circle.difference(shapely.Point(grid.transform @ (x, y)).buffer(10 * hole)) if hole < radius else circle


@pytest.mark.parametrize("kind", GRIDS)
@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(st.floats(-4, 35), st.floats(-4, 27), st.floats(0.8, 12), st.floats(0.8, 12)), min_size=1, max_size=6
    )
)
def test_pixels_are_those_whose_centres_lie_in_a_parcel(kind: str, numbers: list[tuple[float, ...]]) -> None:
    grid = GRIDS[kind]
    shapes = np.array([shape(grid, list(each)) for each in numbers], object)
    points = centres(grid)
    members = Members(shapes, UTM, grid)
    every = [members.within(window) for window in grid_windows(grid.shape, 9)]
    for k, (rows, columns) in enumerate(members):
        burnt = np.zeros(grid.shape, int)
        np.add.at(burnt, (rows, columns), 1)
        inside = shapely.contains(shapes[k], points)
        near = shapely.distance(shapely.boundary(shapes[k]), points) < 1e-6
        if inside.any():
            assert (burnt == inside)[~near].all()
        assert burnt.max(initial=0) <= 1 and burnt.sum() == members.counts[k]
        # Window by window it is the same, however the parcels overlap.
        piecewise = np.zeros(grid.shape, int)
        for pixels in every:
            own = pixels.place == k
            np.add.at(piecewise, (pixels.rows[own], pixels.columns[own]), 1)
        np.testing.assert_array_equal(piecewise, burnt)


def test_points_have_the_pixel_that_they_lie_in_and_small_parcels_the_one_under_them() -> None:
    grid = GRIDS["north_up"]
    places = [(3.0, 4.0), (3.99, 4.99), (30.9, 22.9), (31.0, 3.0), (-0.01, 3.0)]
    points = [shapely.Point(grid.transform @ place) for place in places]
    small = shapely.Point(grid.transform @ (7.1, 8.9)).buffer(0.5)
    thin = shapely.LineString([grid.transform @ (1.2, 2.2), grid.transform @ (6.2, 2.2)]).buffer(0.5)
    beyond = shapely.Point(grid.transform @ (40, 2)).buffer(20)
    members = Members(np.array([*points, small, thin, beyond, None, shapely.Point()], object), UTM, grid)
    assert members.counts.tolist() == [1, 1, 1, 0, 0, 1, 1, 0, 0, 0]
    found = [list(zip(rows.tolist(), columns.tolist(), strict=True)) for rows, columns in members]
    assert found[:6] == [[(4, 3)], [(4, 3)], [(22, 30)], [], [], [(8, 7)]]
    assert found[6][0][0] == 2 and found[7:] == [[], [], []]
    here = members.within(Window(3, 4, 1, 1))
    assert here.place.tolist() == [0, 1] and here.starts.tolist() == [0, 1]
    assert members.points.tolist() == [[4, 3], [4, 3], [22, 30]]
    assert [(k, len(rows)) for k, rows, _ in parcel_pixels(np.array([small, beyond]), UTM, grid)] == [(0, 1), (1, 0)]


def test_places_of_another_crs_and_broken_shapes() -> None:
    grid = GRIDS["north_up"]
    to_lonlat = Transformer.from_crs(UTM, 4326, always_xy=True)
    square = shapely.box(500052, 4999852, 500098, 4999898)
    bow = shapely.Polygon([(500101, 4999902), (500142, 4999861), (500143, 4999901), (500102, 4999864)])
    inside = shapely.contains(shapely.make_valid(bow), centres(grid))
    lonlat = shapely.transform(np.array([square, bow]), lambda xy: np.column_stack(to_lonlat.transform(*xy.T)))
    ours, theirs = Members(np.array([square, bow]), UTM, grid), Members(lonlat, CRS(4326), grid)
    assert ours.counts.tolist() == theirs.counts.tolist() == [25, inside.sum()]
    np.testing.assert_array_equal(ours.within(grid.window).rows, theirs.within(grid.window).rows)
    with pytest.raises(LabelsUnreadable, match="fields.gpkg.*the CRS of the places is not stated"):
        Members(np.array([square]), None, grid, where="fields.gpkg")
    with pytest.raises(LabelsUnreadable, match="features of type linestring"):
        Members(np.array([shapely.LineString([(0, 0), (1, 1)]), square]), UTM, grid)
