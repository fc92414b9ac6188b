import numpy as np
import pytest
from affine import Affine
from matplotlib.figure import Figure
from pyproj import CRS

from geodl.data.source import Grid
from geodl.report.axes import draw_raster, height_to_width

UTM = CRS.from_epsg(32633)


def grid(transform: Affine, crs: CRS | None = UTM, height: int = 40, width: int = 60) -> Grid:
    return Grid(crs, transform, height, width)


def drawn(where: Grid, values: np.ndarray | None = None):
    axes = Figure().subplots()
    image = draw_raster(axes, np.zeros(where.shape) if values is None else values, where)
    return axes, image


NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_000_000)
SOUTH_UP = Affine(10, 0, 500_000, 0, 10, 4_999_600)
ROTATED = Affine(8, 6, 500_000, 6, -8, 5_000_000)


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_pixels_lie_where_the_grid_says_and_north_is_up(transform):
    where = grid(transform)
    axes, image = drawn(where)
    for pixel in ((0.5, 0.5), (59.5, 39.5), (10, 30)):
        assert image.get_transform().transform(pixel) == pytest.approx(axes.transData.transform(transform @ pixel))
    south, north = axes.transData.transform([(500_000, 4_999_700), (500_000, 4_999_900)])
    assert north[1] > south[1]
    left, low, right, high = where.footprint().bounds
    assert axes.get_xlim() == pytest.approx((left, right)) and axes.get_ylim() == pytest.approx((low, high))
    assert axes.get_xlabel() == "easting (km)" and axes.get_ylabel() == "northing (km)"


def test_degrees_and_pixels_are_named_as_such():
    axes, _ = drawn(grid(Affine(0.001, 0, 10, 0, -0.001, 60.02), CRS.from_epsg(4326)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("longitude (°)", "latitude (°)")
    assert axes.get_aspect() == pytest.approx(2, rel=0.01)
    axes, _ = drawn(grid(Affine.identity(), None))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column (pixels)", "row (pixels)")
    assert axes.get_ylim() == (40, 0)


def test_large_scenes_are_decimated_in_place():
    where = grid(NORTH_UP, height=2500, width=5000)
    values = np.arange(2500)[:, None] + np.zeros(5000)
    _, image = drawn(where, values)
    shown = image.get_array()
    step = 5000 // shown.shape[1]
    assert max(shown.shape) <= 1200
    assert np.array_equal(shown[:, 0], np.arange(0, 2500, step))
    assert image.get_extent() == [0, shown.shape[1] * step, shown.shape[0] * step, 0]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        pytest.param(None, 0.5, id="pixels"),
        pytest.param(grid(NORTH_UP, height=30), 0.5, id="metres"),
        pytest.param(grid(Affine(0.1, 0, 10, 0, -0.1, 62), CRS.from_epsg(4326), 40), 40 / 30, id="degrees"),
        pytest.param(grid(ROTATED, height=30), (36 + 24) / (48 + 18), id="rotated"),
    ],
)
def test_a_raster_is_as_high_as_on_the_ground(where, expected):
    # At 60° a degree of longitude is half as long as one of latitude.
    assert height_to_width(where, (30, 60)) == pytest.approx(expected)
    assert height_to_width(where, (30, 60), within=(2.0, 3.0)) == 2.0


def test_ticks_are_round_and_two_at_least():
    for width in (7, 60, 997):
        axes, _ = drawn(grid(NORTH_UP, width=width))
        left, right = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
        steps = np.diff(ticks)
        assert len(ticks) >= 2
        mantissa = steps[0] / 10.0 ** np.floor(np.log10(steps[0]) + 1e-9)
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 2.5, 5)) < 1e-6
