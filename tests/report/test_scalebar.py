"""Scale bars and north arrows, beside pyproj's own geodesics and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pyproj import CRS, Geod, Transformer

from geodl.data.source import Grid
from geodl.report.axes import draw_raster
from geodl.report.scalebar import (
    draw_north_arrow,
    draw_scale_bar,
    length_name,
    metres_per_unit,
    north_angle,
    round_length,
)

UTM = CRS.from_epsg(32633)
WGS84 = Geod(ellps="WGS84")


def grid(crs: CRS | None, x: float, y: float, step: float, *, turned: float = 0.0, south_up: bool = False) -> Grid:
    """A grid of 40 × 60 pixels about a point."""
    pixels = Affine.translation(x, y) @ Affine.rotation(turned) @ Affine.scale(step, step if south_up else -step)
    return Grid(crs, pixels @ Affine.translation(-30, -20), 40, 60)


def drawn(where: Grid):
    axes = Figure().subplots()
    draw_raster(axes, np.zeros(where.shape), where)
    return axes


@pytest.mark.parametrize(
    ("code", "x", "y", "expected"),
    [
        pytest.param(32633, 500_000, 5_000_000, 1 / 0.9996, id="central meridian of UTM"),
        pytest.param(3857, 0, 8_399_738, 0.5 / math.sqrt(1 - 0.00669438 * 0.75), id="Mercator at 60°"),
        pytest.param(4326, 10, 0, 111_319.5, id="degrees at the equator"),
        pytest.param(2263, 1_000_000, 200_000, 1200 / 3937, id="US survey feet"),
    ],
)
def test_a_unit_is_as_long_as_on_the_ground(code, x, y, expected):
    crs = CRS.from_epsg(code)
    assert metres_per_unit(grid(crs, x, y, 1e-4 if crs.is_geographic else 10)) == pytest.approx(expected, rel=2e-3)


@settings(deadline=None, max_examples=40)
@given(lat=st.floats(-85, 85), lon=st.floats(-170, 170))
def test_degrees_are_geodesics_along_the_middle_row(lat, lon):
    found = metres_per_unit(grid(CRS.from_epsg(4326), lon, lat, 1e-3))
    radians = math.radians(lat)
    # The radius of a parallel of the ellipsoid.
    radius = 6_378_137 * math.cos(radians) / math.sqrt(1 - 0.0066943799901413 * math.sin(radians) ** 2)
    assert found == pytest.approx(math.radians(1) * radius, rel=1e-5)


def test_a_site_on_no_place_of_earth_has_the_unit_of_its_own_and_pixels_have_none():
    site = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048],AXIS["x",EAST],AXIS["y",NORTH]]')
    assert metres_per_unit(grid(site, 0, 0, 1)) == pytest.approx(0.3048)
    assert north_angle(grid(site, 0, 0, 1)) == 0
    assert metres_per_unit(grid(None, 0, 0, 1)) is None and north_angle(grid(None, 0, 0, 1)) is None


@given(most=st.floats(1e-3, 1e8))
def test_lengths_are_round_and_the_longest_that_fit(most):
    length = round_length(most)
    exponent = math.floor(math.log10(length) + 1e-9)
    assert round(length / 10.0**exponent, 9) in (1, 2, 5)
    assert length <= most * (1 + 1e-9) < 2.5 * length * (1 + 1e-6)


def test_lengths_in_words():
    assert [length_name(round_length(x)) for x in (0.25, 1, 999, 1000, 7e6)] == [
        "0.2 m",
        "1 m",
        "500 m",
        "1 km",
        "5,000 km",
    ]


@settings(deadline=None, max_examples=25)
@given(step=st.floats(0.5, 5e3), turned=st.floats(-180, 180))
def test_the_bar_is_as_long_as_it_says(step, turned):
    where = grid(UTM, 500_000, 5_000_000, step, turned=turned)
    axes = drawn(where)
    draw_scale_bar(axes, where)
    (bar,), (text,) = axes.lines, axes.texts
    said = text.get_text().replace(",", "").split()
    metres = float(said[0]) * {"m": 1, "km": 1000}[said[1]]
    ends, (low, high) = bar.get_xdata(), axes.get_ylim()
    to_lonlat = Transformer.from_crs(UTM, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(ends, [(low + high) / 2] * 2)
    # The scale of UTM changes by less than this over the largest of these scenes.
    assert WGS84.line_length(lon, lat) == pytest.approx(metres, rel=1e-2)
    left, right = axes.get_xlim()
    assert left < ends[0] < ends[1] <= left + 0.36 * (right - left) and np.ptp(ends) > 0.1 * (right - left)


def test_the_bar_stays_true_when_limits_change_and_needs_a_scale():
    where = grid(UTM, 500_000, 5_000_000, 10)
    axes = drawn(where)
    draw_scale_bar(axes, where)
    before = np.ptp(axes.transData.transform([(x, 0) for x in axes.lines[0].get_xdata()])[:, 0])
    axes.set_xlim(499_000, 501_000)
    axes.set_aspect("auto")
    after = np.ptp(axes.lines[0].get_transform().transform(axes.lines[0].get_xydata())[:, 0])
    assert after == pytest.approx(np.ptp(axes.transData.transform([(x, 0) for x in axes.lines[0].get_xdata()])[:, 0]))
    assert after != pytest.approx(before)
    for nothing in (None, grid(None, 0, 0, 1)):
        axes = Figure().subplots()
        draw_scale_bar(axes, nothing)
        assert not axes.lines and not axes.texts


def test_words_never_leave_the_map():
    where = grid(UTM, 500_000, 5_000_000, 9)
    figure = Figure(figsize=(1.2, 1.2))
    axes = figure.subplots()
    draw_raster(axes, np.zeros(where.shape), where)
    draw_scale_bar(axes, where)
    figure.draw_without_rendering()
    assert axes.texts[0].get_window_extent().x0 >= axes.get_window_extent().x0


@settings(deadline=None, max_examples=40)
@given(turned=st.floats(-179, 179))
def test_north_of_a_turned_grid_leans_as_its_rows_do(turned):
    where = grid(UTM, 500_000, 5_000_000, 10, turned=turned)
    assert north_angle(where) == pytest.approx(0, abs=1e-3)
    # A picture turned to the left sees north lean to the right.
    assert north_angle(where, pixels=True) == pytest.approx(turned, abs=1e-2)


@pytest.mark.parametrize(
    ("code", "lon", "lat", "expected"),
    [
        pytest.param(3413, 0.0, 75.0, -45.0, id="polar stereographic, 45° east of its meridian"),
        pytest.param(3031, 90.0, -75.0, 90.0, id="southern polar stereographic"),
        pytest.param(4326, 10.0, 50.0, 0.0, id="degrees"),
        pytest.param(3857, 10.0, 50.0, 0.0, id="Mercator"),
    ],
)
def test_meridians_converge(code, lon, lat, expected):
    crs = CRS.from_epsg(code)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    assert north_angle(grid(crs, x, y, 1e-3 if crs.is_geographic else 100)) == pytest.approx(expected, abs=0.01)


def test_south_up_pixels_have_north_below():
    where = grid(UTM, 500_000, 5_000_000, 10, south_up=True)
    assert abs(north_angle(where, pixels=True)) == pytest.approx(180, abs=1e-3)
    assert north_angle(where) == pytest.approx(0, abs=1e-3)


def test_an_arrow_points_north_where_that_is_not_up():
    axes = drawn(grid(UTM, 500_000, 5_000_000, 10))
    draw_north_arrow(axes, grid(UTM, 500_000, 5_000_000, 10))
    assert not axes.texts
    polar = CRS.from_epsg(3413)
    x, y = Transformer.from_crs(4326, polar, always_xy=True).transform(0.0, 75.0)
    where = grid(polar, x, y, 100)
    axes = drawn(where)
    draw_north_arrow(axes, where)
    axes.figure.draw_without_rendering()
    arrow, letter = axes.texts
    assert letter.get_text() == "N"
    foot = arrow.get_transform().transform(arrow.get_position())
    tip = arrow.xycoords.transform(arrow.xy)
    pole = axes.transData.transform(Transformer.from_crs(4326, polar, always_xy=True).transform(0.0, 75.1))
    centre = axes.transData.transform((x, y))
    shown, true = tip - foot, pole - centre
    assert shown @ true / np.linalg.norm(shown) / np.linalg.norm(true) == pytest.approx(1, abs=1e-4)
    inside = axes.get_window_extent()
    assert all(inside.contains(*point) for point in (foot, tip))
