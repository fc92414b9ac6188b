from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod

from geodl.data.cube import open_array
from geodl.data.pixelsize import metres_per_pixel, size_ratio, to_pixel_size
from geodl.data.source import Grid
from geodl.errors import ResolutionMismatch
from tests.data.test_warp import COARSE, write

UTM = Grid(CRS.from_epsg(32633), Affine(20, 0, 500_000, 0, -10, 5_000_000), 4, 4)
FEET = Grid(CRS.from_epsg(2263), Affine.scale(10, -10), 4, 4)
DEGREES = Grid(CRS.from_epsg(4326), Affine(1e-4, 0, 15, 0, -1e-4, 45), 4, 4)


def test_metres_per_pixel() -> None:
    assert metres_per_pixel(UTM) == (10, 20)
    assert metres_per_pixel(FEET) == pytest.approx((3.048006, 3.048006), rel=1e-6)
    geod = Geod(ellps="WGS84")
    assert metres_per_pixel(DEGREES) == pytest.approx(
        (geod.inv(15, 45, 15, 45 + 1e-4)[2], geod.inv(15, 45, 15 + 1e-4, 45)[2]), rel=1e-4
    )
    assert metres_per_pixel(Grid(None, Affine.identity(), 3, 3)) is None


def test_pixel_sizes_are_compared_in_one_unit() -> None:
    assert size_ratio(UTM, (10, 10), "metre") == (1, 2)
    assert size_ratio(DEGREES, (1e-4, 2e-4), "degree") == (1, 0.5)
    assert size_ratio(DEGREES, (11.11, 7.88), "metre") == pytest.approx((1, 1), rel=2e-3)
    assert size_ratio(FEET, (3.048006, 3.048006), "metre") == pytest.approx((1, 1), rel=1e-6)
    assert size_ratio(UTM, (1e-4, 1e-4), "degree") is None
    assert size_ratio(UTM, (1, 1), "") is None
    assert size_ratio(Grid(None, Affine.identity(), 3, 3), (1, 1), "metre") is None


def test_a_scene_is_brought_to_another_pixel_size_or_refused(tmp_path) -> None:
    from geodl.data.raster import open_raster

    values = np.random.default_rng(0).uniform(1, 2, (1, 12, 10)).astype(np.float32)
    source = open_raster(write(tmp_path / "a.tif", values))
    assert to_pixel_size(source, (20, 21), "metre", method=None) is source
    with pytest.raises(ResolutionMismatch, match=r"a: .*Expected 10 x 10 metres .*Received: 20 x 20 metres. Do this"):
        to_pixel_size(source, (10, 10), "metre", method=None, advice="Do this.")
    with pytest.raises(ResolutionMismatch, match="any_resolution"):
        to_pixel_size(source, (10, 10), "metre", method=None)
    finer = to_pixel_size(source, (10, 10), "metre", method="nearest")
    assert finer.grid == Grid(source.grid.crs, COARSE @ Affine.scale(0.5), 24, 20)
    np.testing.assert_array_equal(finer.read()[0][..., 0], np.kron(values[0], np.ones((2, 2))))
    array = open_array(values[0], crs=32633, transform=COARSE)
    with pytest.raises(ResolutionMismatch, match="Only scenes in raster files can be resampled"):
        to_pixel_size(array, (10, 10), "metre", method="nearest")
