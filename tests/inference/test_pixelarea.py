from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod

from geodl.data.source import Grid
from geodl.inference.pixelarea import pixel_areas


def test_projected_pixels_have_the_area_of_the_plane() -> None:
    turned = Affine.rotation(30) @ Affine.scale(10, -20)
    assert pixel_areas(Grid(CRS("EPSG:32633"), turned, 5, 5), start=1, stop=3) == pytest.approx(200)
    feet = pixel_areas(Grid(CRS("EPSG:2263"), Affine.scale(10, -10), 5, 5), start=0, stop=5)
    assert feet == pytest.approx(100 * 0.3048006096**2, rel=1e-9)


def test_without_crs_there_is_no_area() -> None:
    assert pixel_areas(Grid(None, Affine.identity(), 5, 5), start=0, stop=5) is None


@pytest.mark.parametrize("step", [1 / 3600, 0.01])
def test_pixels_in_degrees_have_their_area_on_the_ellipsoid(step: float) -> None:
    crs = CRS("EPSG:4326")
    for south_up in (False, True):
        transform = Affine(step, 0, 13, 0, step if south_up else -step, 60)
        found = pixel_areas(Grid(crs, transform, 4, 3), start=1, stop=4)
        assert found is not None and found.shape == (3, 1)
        for row, area in zip(range(1, 4), found[:, 0]):
            corners = [transform @ corner for corner in ((0, row), (1, row), (1, row + 1), (0, row + 1))]
            geodesic, _ = Geod(ellps="WGS84").polygon_area_perimeter(*zip(*corners))
            assert area == pytest.approx(abs(geodesic), rel=1e-6)


def test_the_whole_earth_has_its_area() -> None:
    whole = pixel_areas(Grid(CRS("EPSG:4326"), Affine(1, 0, -180, 0, -1, 90), 180, 360), start=0, stop=180)
    assert whole is not None
    assert whole.sum() * 360 == pytest.approx(510_065_621_724_000, rel=1e-9)  # WGS 84
    moon = CRS("+proj=longlat +R=1737400 +no_defs")
    sphere = pixel_areas(Grid(moon, Affine(1, 0, -180, 0, -1, 90), 180, 360), start=0, stop=180)
    assert sphere is not None
    assert sphere.sum() * 360 == pytest.approx(4 * np.pi * 1737400**2, rel=1e-9)


def test_turned_grids_in_degrees() -> None:
    transform = Affine.translation(13, 50) @ Affine.rotation(25) @ Affine.scale(0.001, -0.001)
    found = pixel_areas(Grid(CRS("EPSG:4326"), transform, 6, 7), start=2, stop=4)
    assert found is not None and found.shape == (2, 7)
    corners = [transform @ corner for corner in ((5, 3), (6, 3), (6, 4), (5, 4))]
    geodesic, _ = Geod(ellps="WGS84").polygon_area_perimeter(*zip(*corners))
    assert found[1, 5] == pytest.approx(abs(geodesic), rel=1e-6)
