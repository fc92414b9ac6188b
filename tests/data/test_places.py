from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod

from geodl.data.places import Place, boxes, check_leakage, locate, overlap
from geodl.data.source import Grid
from geodl.errors import SplitLeakage
from tests.data.fakes import pixel_grid, utm_grid


def leaks(train: list[Place], held_out: list[Place]) -> bool:
    try:
        check_leakage(train, held_out)
    except SplitLeakage:
        return True
    return False


def area(left: float, top: float, right: float, bottom: float, **more: Any) -> Place:
    return Place(shapely.box(left, top, right, bottom), **{"space": "lonlat", **more})


def test_touching_borders_are_no_leak_but_a_common_sliver_is() -> None:
    assert not leaks([area(0, 0, 1, 1)], [area(1, 0, 2, 1), area(1, 1, 2, 2)])
    assert not leaks([area(0, 0, 1, 1)], [area(1 - 1e-12, 0, 2, 1)])
    assert leaks([area(0, 0, 1, 1)], [area(0.999, 0, 2, 1)])


def test_places_of_different_spaces_never_meet() -> None:
    assert not leaks([area(0, 0, 1, 1, space="a")], [area(0, 0, 1, 1, space="b")])


def test_the_message_names_both_samples_and_what_is_wrong() -> None:
    with pytest.raises(SplitLeakage, match=r"sample here and held-out sample there overlap"):
        check_leakage([area(5, 5, 6, 6, name="far"), area(0, 0, 2, 2, name="here")], [area(1, 1, 3, 3, name="there")])
    with pytest.raises(SplitLeakage, match=r"one and held-out sample two are both of group 'Ghana'"):
        check_leakage([Place(None, "a", group="Ghana", name="one")], [Place(None, "b", group="Ghana", name="two")])


def test_points_leak_where_they_are_the_same_or_inside() -> None:
    point = Place(shapely.Point(0.5, 0.5), "lonlat")
    assert leaks([point], [point])
    assert not leaks([point], [Place(shapely.Point(0.5, 0.6), "lonlat")])
    assert leaks([point], [area(0, 0, 1, 1)])
    assert not leaks([Place(shapely.Point(1, 0.5), "lonlat")], [area(0, 0, 1, 1)])


def test_what_lies_nowhere_and_at_no_time_is_compared_by_group_only() -> None:
    nothing = Place(None, "table")
    assert not leaks([nothing], [nothing])
    assert not leaks([Place(None, "table", group="a")], [Place(None, "table", group="b")])


def test_a_missing_footprint_is_everywhere_and_a_missing_time_always() -> None:
    assert leaks([Place(None, "radar", (0, 5))], [Place(None, "radar", (5, 9))])
    assert not leaks([Place(None, "radar", (0, 4))], [Place(None, "radar", (5, 9))])
    assert leaks([Place(None, "radar", (0, 5))], [area(0, 0, 1, 1, space="radar", time=(2, 3))])
    assert leaks([area(0, 0, 1, 1)], [area(0, 0, 1, 1, time=(2, 3))])


def test_times_may_be_dates() -> None:
    def day(first: str, last: str) -> Place:
        return area(0, 0, 1, 1, time=(np.datetime64(first), np.datetime64(last)))

    assert not leaks([day("2020-01-01", "2020-01-31")], [day("2020-02-01", "2020-02-02")])
    assert leaks([day("2020-01-01", "2020-01-31")], [day("2020-01-31", "2020-02-02")])


intervals = st.tuples(st.integers(0, 12), st.integers(0, 4)).map(lambda t: (t[0], t[0] + t[1]))
places = st.builds(
    lambda x, y, w, h, time, space: Place(shapely.box(x, y, x + w, y + h), space, time),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(1, 3),
    st.integers(1, 3),
    st.none() | intervals,
    st.sampled_from("ab"),
)


@settings(deadline=None)
@given(st.lists(places, max_size=6), st.lists(places, max_size=6))
def test_agrees_with_comparing_every_pair(train: list[Place], held_out: list[Place]) -> None:
    def meet(one: Place, other: Place) -> bool:
        apart = one.time and other.time and (one.time[1] < other.time[0] or other.time[1] < one.time[0])
        common = shapely.intersection(one.footprint, other.footprint).area
        return one.space == other.space and not apart and common > 0

    assert leaks(train, held_out) == any(meet(one, other) for one in train for other in held_out)


def test_a_hundred_thousand_samples() -> None:
    corners = np.stack(np.meshgrid(np.arange(400), np.arange(250)), -1).reshape(-1, 2)
    shapes = shapely.box(corners[:, 0], corners[:, 1], corners[:, 0] + 1, corners[:, 1] + 1)
    train = [Place(shape, "lonlat") for shape in shapes]
    held_out = [
        Place(shape, "lonlat", (0, 1))
        for shape in shapely.transform(shapes[:10_000], lambda xy: xy + np.array((400, 0)))
    ]
    check_leakage(train, held_out)
    assert leaks(train, [*held_out, Place(train[-1].footprint, "lonlat")])


def test_many_clips_of_one_radar() -> None:
    whole = shapely.box(0, 0, 1, 1)
    train = [Place(whole, "lonlat", (k, k + 3)) for k in range(0, 40_000)]
    held_out = [Place(whole, "lonlat", (k, k + 3)) for k in range(40_003, 60_000)]
    check_leakage(train, held_out)
    assert leaks(train, [*held_out, Place(whole, "lonlat", (40_002, 40_002))])


def test_without_crs_places_are_pixels_of_the_scene() -> None:
    shapes, space = locate(boxes(np.array([[1, 2, 5, 9]])), pixel_grid(10, 10), "chip")
    assert space == "chip"
    assert shapes[0].equals(shapely.box(2, 1, 9, 5))


def test_georeferenced_places_are_in_longitude_and_latitude() -> None:
    grid = utm_grid(200, 300)
    shapes, space = locate(boxes(np.array([[0, 0, 200, 300]])), grid, "scene")
    assert space == "lonlat"
    drawn_in = (200 * 10 - 5) * (300 * 10 - 5)
    found, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapes[0])
    assert abs(found) == pytest.approx(drawn_in / 0.9996**2, rel=1e-3)


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "EPSG:4326", "EPSG:3035"])
def test_neighbours_stay_neighbours_and_a_common_pixel_stays_common(crs: str) -> None:
    step = 1e-4 if crs == "EPSG:4326" else 10
    start = (
        (15.0, 48.0) if crs == "EPSG:4326" else (1_700_000, 6_100_000) if crs == "EPSG:3857" else (4_600_000, 2_800_000)
    )
    if crs == "EPSG:32633":
        start = (300_000, 5_400_000)
    grid = Grid(CRS(crs), Affine(step, 0, start[0], 0, -step, start[1]), 10_000, 10_000)
    rectangles = np.array(
        [[0, 0, 5000, 5000], [0, 5000, 700, 5700], [5000, 1234, 10_000, 5678], [4999, 1234, 5064, 1298]]
    )
    shapes, _ = locate(boxes(rectangles), grid, "scene")
    assert overlap(shapes[[0, 0, 1, 0]], shapes[[1, 2, 2, 3]]).tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.01, 0, 179.5, 0, -0.01, 10)),
        ("EPSG:4326", Affine(0.01, 0, -180.5, 0, -0.01, 10)),
        ("EPSG:32701", Affine(1000, 0, 115_000, 0, -1000, 8_000_000)),
    ],
)
def test_scenes_across_the_date_line_are_cut_there(crs: str, transform: Affine) -> None:
    grid = Grid(CRS(crs), transform, 100, 100)
    shapes, _ = locate(boxes(np.array([[0, 0, 100, 100]])), grid, "scene")
    west, _, east, _ = shapes[0].bounds
    assert (west, east) == (-180, 180)
    assert 0.5 < shapes[0].area < 1.2


def test_a_map_of_the_whole_world_is_not_cut() -> None:
    grid = Grid(CRS("EPSG:4326"), Affine(1, 0, -180, 0, -1, 90), 180, 360)
    shapes, _ = locate(boxes(np.array([[0, 0, 180, 360]])), grid, "world")
    assert shapes[0].area == pytest.approx(360 * 180, rel=1e-2)


def test_longitudes_from_0_to_360_meet_those_from_minus_180() -> None:
    one = Grid(CRS("EPSG:4326"), Affine(0.1, 0, 200, 0, -0.1, 10), 100, 100)
    other = Grid(CRS("EPSG:4326"), Affine(0.1, 0, -160, 0, -0.1, 10), 100, 100)
    (a,), _ = locate(boxes(np.array([[0, 0, 100, 100]])), one, "a")
    (b,), _ = locate(boxes(np.array([[0, 0, 100, 100]])), other, "b")
    assert shapely.intersection(a, b).area == pytest.approx(a.area)


def test_places_on_other_planets_keep_their_own_coordinates() -> None:
    mars = CRS("+proj=longlat +R=3396190 +no_defs")
    shapes, space = locate(
        boxes(np.array([[0, 0, 10, 10]])), Grid(mars, Affine(0.1, 0, 0, 0, -0.1, 1), 10, 10), "crater"
    )
    assert space == "lonlat" or space == mars.to_string()
    mars = CRS("IAU_2015:49900")
    shapes, space = locate(
        boxes(np.array([[0, 0, 10, 10]])), Grid(mars, Affine(0.1, 0, 0, 0, -0.1, 1), 10, 10), "crater"
    )
    assert space == mars.to_string()
    assert shapes[0].area == pytest.approx(0.95**2)
