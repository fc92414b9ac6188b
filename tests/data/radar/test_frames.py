from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Transformer

from geodl.data.radar.frames import StoredFrame, in_metres
from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.physics.rain import ZR
from tests.data.radar.rainfiles import GRID, times

KNMI = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.14 +b=6356.75 +x_0=0 +y_0=0"
KILOMETRES = "+proj=lcc +lat_0=50 +lon_0=10 +lat_1=45 +lat_2=55 +x_0=20000 +y_0=-5000 +ellps=bessel +units=km"
LAEA = "+proj=laea +lat_0=52 +lon_0=10 +R=6371 +x_0=4321 +y_0=3210"


@pytest.mark.parametrize("text", [KNMI, KILOMETRES, LAEA], ids=["ellipsoid", "unit", "sphere"])
def test_a_grid_in_kilometres_becomes_the_same_place_in_metres(text: str) -> None:
    crs = CRS(text)
    grid = Grid(crs, Affine(1.5, 0, 3, 0, -1.5, -3650), 4, 5)
    metric = in_metres(grid)
    assert metric.unit == "metre"
    assert metric.resolution == (1500, 1500)
    assert metric.crs is not None
    assert metric.crs.ellipsoid is not None
    assert metric.crs.ellipsoid.semi_major_metre > 6e6
    corners = np.array([grid.transform @ corner for corner in ((0, 0), (5, 4))])
    moved = np.array([metric.transform @ corner for corner in ((0, 0), (5, 4))])
    # An ellipsoid in kilometres is a thousandth of the Earth in metres: its angles are those of the Earth.
    old = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*corners.T)
    new = Transformer.from_crs(metric.crs, metric.crs.geodetic_crs, always_xy=True).transform(*moved.T)
    np.testing.assert_allclose(new, old, atol=1e-9)


@pytest.mark.parametrize("crs", [None, "EPSG:4326", "EPSG:3035"])
def test_other_grids_stay_as_they_are(crs: str | None) -> None:
    grid = Grid(crs and CRS(crs), Affine(0.01, 0, 2, 0, -0.01, 46), 4, 5)
    assert in_metres(grid) is grid


def test_a_stored_frame_becomes_rates() -> None:
    stored = np.array([[0, 2, np.nan]], np.float32)

    def frame(unit: str, minutes: float | None = None) -> StoredFrame:
        return StoredFrame("a.nc", times(0)[0], GRID, unit, minutes, lambda: stored)

    np.testing.assert_array_equal(frame("kg m-2", 10.0).as_rate().load(), [[0, 12, np.nan]])
    np.testing.assert_array_equal(frame("mm").as_rate(minutes=5).load(), [[0, 24, np.nan]])
    np.testing.assert_array_equal(frame("mm", 10.0).as_rate(minutes=5).load(), [[0, 12, np.nan]])
    rate = frame("dBZ").as_rate(zr=ZR(100, 2)).load()
    np.testing.assert_allclose(rate, [[0.1, (10**0.2 / 100) ** 0.5, np.nan]], rtol=1e-6)


def test_what_a_stored_frame_lacks_is_said() -> None:
    def frame(unit: str) -> StoredFrame:
        return StoredFrame("a.nc", times(0)[0], GRID, unit, None, lambda: np.zeros((1, 1)))

    with pytest.raises(OptionError, match=r"minutes, for a\.nc in mm: .* \(minutes=\)"):
        frame("mm").as_rate()
    with pytest.raises(OptionError, match=r"the unit of a\.nc: expected mm/h.*Received: 'K'"):
        frame("K").as_rate()
