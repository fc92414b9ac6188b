from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from geodl.data.lattice import bring_round, lattice_around, lattice_corner, off_lattice
from geodl.data.source import Grid
from tests.data.fakes import UTM, utm_grid

DEGREES = CRS.from_epsg(4326)
ROTATED = Grid(UTM, Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10), 40, 50)
SOUTH_UP = Grid(UTM, Affine(10, 0, 5e5, 0, 10, 5e6), 40, 50)


@pytest.mark.parametrize("lattice", [utm_grid(40, 50), ROTATED, SOUTH_UP])
@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 10_980))
def test_every_window_of_a_grid_lies_on_its_lattice(lattice: Grid, row: int, column: int, size: int) -> None:
    part = lattice.crop(Window(column, row, size, size))
    assert off_lattice(lattice, part) is None
    assert lattice_corner(lattice, part) == (row, column)


def test_a_hundredth_of_a_pixel_is_allowed() -> None:
    assert off_lattice(utm_grid(40, 50), utm_grid(40, 50, east=100.009)) is None
    assert lattice_corner(utm_grid(40, 50), utm_grid(40, 50, east=99.995)) == (0, 100)
    assert off_lattice(utm_grid(40, 50), utm_grid(40, 50, east=100.02)) is not None


@pytest.mark.parametrize(
    ("grid", "what", "received"),
    [
        (utm_grid(9, 9, east=0.5, south=2.25), "position of the pixels", "0.5 pixels more along x and 0.25 along y"),
        (Grid(UTM, Affine(20, 0, 5e5, 0, -20, 5.4e6), 9, 9), "pixel size or direction", (20, 0, 0, -20)),
        (Grid(UTM, Affine(10, 0, 5e5, 0, 10, 5.4e6), 9, 9), "pixel size or direction", (10, 0, 0, 10)),
        (Grid(CRS.from_epsg(32634), utm_grid(9, 9).transform, 9, 9), "CRS", "EPSG:32634"),
        # A thousandth of the pixel size adds up to more than is allowed.
        (Grid(UTM, Affine(10.01, 0, 5e5, 0, -10, 5.4e6), 9, 30), "pixel size or direction", (10.01, 0, 0, -10)),
    ],
)
def test_what_is_off_the_lattice_is_told(grid: Grid, what: str, received: object) -> None:
    difference = off_lattice(utm_grid(40, 50), grid)
    assert difference is not None
    assert (difference[0], difference[2]) == (what, received)


def test_the_part_around_a_grid_of_another_crs_holds_its_bounds() -> None:
    other = Grid(CRS.from_epsg(32634), Affine(10, 0, 300_000, 0, -10, 5_400_000), 3000, 2000)
    around = lattice_around(utm_grid(40, 50), other)
    assert around is not None
    assert off_lattice(utm_grid(40, 50), around) is None
    bounds = transform_bounds("EPSG:32634", "EPSG:32633", *other.footprint().bounds, densify_pts=101)
    # The outline is drawn with 64 points a side, the reference with 101.
    np.testing.assert_allclose(around.footprint().bounds, bounds, atol=10.5)
    assert around.footprint().buffer(1).covers(Grid(UTM, around.transform, *around.shape).footprint())


def test_a_grid_on_the_lattice_is_its_own_part() -> None:
    grid = utm_grid(7, 5, east=12, south=-30)
    around = lattice_around(utm_grid(40, 50), grid)
    assert around is not None
    assert around.differs(grid) is None


def test_nothing_lies_around_what_has_no_place() -> None:
    assert lattice_around(utm_grid(4, 4), Grid(None, Affine.identity(), 4, 4)) is None
    moon = CRS.from_user_input("IAU_2015:30100")
    assert lattice_around(utm_grid(4, 4), Grid(moon, Affine(1, 0, 0, 0, -1, 10), 4, 4)) is None


def test_a_grid_across_the_date_line_is_as_wide_there_as_elsewhere() -> None:
    lattice = Grid(DEGREES, Affine(0.001, 0, 179, 0, -0.001, -16), 100, 100)
    fiji = Grid(CRS.from_epsg(32760), Affine(10, 0, 790_000, 0, -10, 8_190_000), 1000, 4000)
    around = lattice_around(lattice, fiji)
    assert around is not None
    west, _, east, _ = around.footprint().bounds
    assert 179 < west < 180 < east < 181


TURN = 3600


def degrees(west: float = 0) -> Grid:
    return Grid(DEGREES, Affine(0.1, 0, west, 0, -0.1, 10), 10, 10)


def rows(*columns: tuple[int, int]) -> np.ndarray:
    return np.array([(0, left, 10, right) for left, right in columns], np.int64)


@pytest.mark.parametrize(
    ("given_columns", "expected"),
    [
        ([(0, 10), (-3590, -3580)], [(0, 10), (10, 20)]),
        ([(0, 10), (3590, 3600)], [(0, 10), (-10, 0)]),
        ([(0, 10), (-3580, -3570), (3580, 3590)], [(0, 10), (20, 30), (-20, -10)]),
        ([(0, 10), (100, 110)], [(0, 10), (100, 110)]),
        ([(0, 3600), (5, 10)], [(0, 3600), (5, 10)]),
        ([(0, 10)], [(0, 10)]),
    ],
)
def test_neighbours_across_the_date_line_are_brought_together(
    given_columns: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    np.testing.assert_array_equal(bring_round(degrees(), rows(*given_columns)), rows(*expected))


@given(
    st.lists(st.tuples(st.integers(0, TURN - 1), st.integers(1, 200)), min_size=1, max_size=6),
    st.lists(st.integers(-1, 1), min_size=6, max_size=6),
)
def test_no_other_choice_of_turns_is_narrower(scenes: list[tuple[int, int]], turns: list[int]) -> None:
    given_rows = rows(*((left, left + width) for left, width in scenes))
    moved = bring_round(degrees(), given_rows)
    shift = moved[:, 1] - given_rows[:, 1]
    assert shift[0] == 0
    assert not (shift % TURN).any()
    np.testing.assert_array_equal(moved[:, 3] - moved[:, 1], given_rows[:, 3] - given_rows[:, 1])
    other = given_rows[:, (1, 3)] + TURN * np.array(turns[: len(scenes)])[:, None]
    # Scenes that reach over one another round the whole Earth can be told apart in more ways; they are few.
    if given_rows[:, 3].max() <= TURN:
        assert np.ptp(moved[:, (1, 3)]) <= np.ptp(other)


def test_only_degrees_have_a_date_line() -> None:
    columns = rows((0, 10), (3590, 3600))
    assert bring_round(utm_grid(10, 10), columns) is columns
    uneven = Grid(DEGREES, Affine(0.0007, 0, 0, 0, -0.0007, 10), 10, 10)
    assert bring_round(uneven, columns) is columns
