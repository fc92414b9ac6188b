"""A simulated cube: fields that do not touch, clouds that are flagged, and crops that grow as the series say."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import xarray
from rasterio.features import geometry_mask

from geodl.data.cube import open_cube
from geodl.data.simulate.cropcube import simulate_crop_cube
from geodl.data.simulate.phenology import cloud_share, overpasses, simulate_series
from geodl.data.simulate.seasons import CROPS
from geodl.errors import OptionError

Cube = tuple[xarray.Dataset, geopandas.GeoDataFrame]


@pytest.fixture(scope="module")
def made() -> Cube:
    return simulate_crop_cube(seed=0, size=96)


def test_the_cube_opens_with_its_dates_and_place(made: Cube) -> None:
    cube, fields = made
    source = open_cube(cube)
    assert [band.name for band in source.bands] == ["B04", "B08", "B11", "NDVI", "cloud"]
    assert source.grid.crs == fields.crs and source.grid.shape == (96, 96) and source.grid.resolution == (10, 10)
    days = (cube.time.values - np.datetime64("2021-01-01")).astype("timedelta64[D]").astype(int) + 1
    np.testing.assert_array_equal(days, overpasses(0, 2021, "west", revisit=8))
    left, bottom, right, top = fields.total_bounds
    west, south, east, north = source.grid.footprint().bounds
    assert west < left < west + 20 and north - 20 < top < north and south < bottom and right < east
    again, _ = simulate_crop_cube(seed=0, size=96)
    assert again.identical(cube)
    assert not simulate_crop_cube(seed=1, size=96)[0].equals(cube)


def test_fields_have_crops_and_do_not_touch(made: Cube) -> None:
    _, fields = made
    assert set(fields.crop) <= {each.name for each in CROPS} and fields.parcel.is_unique
    assert fields.geometry.is_valid.all() and (fields.geometry.geom_type == "Polygon").all()
    pairs = geopandas.sjoin(fields, fields, predicate="intersects")
    assert (pairs.index == pairs.index_right).all()
    assert 0.7 * 960**2 < fields.area.sum() < 960**2
    assert fields.area.median() == pytest.approx(38_000, rel=0.5)


def test_clouds_are_bright_their_shadows_dark_and_both_come_in_patches(made: Cube) -> None:
    cube, _ = made
    red, flag = cube.B04.values, cube.cloud.values
    clear = np.median(red[flag == 0])
    assert np.median(red[flag == 1]) > 3 * clear
    partly = [k for k in range(len(flag)) if (flag[k] == 2).sum() > 200 and (flag[k] == 0).sum() > 200]
    ratio = [np.median(cube.B08.values[k][flag[k] == 2]) / np.median(cube.B08.values[k][flag[k] == 0]) for k in partly]
    assert partly and 0.4 < np.median(ratio) < 0.85
    cloudy = flag == 1
    assert (cloudy[:, 1:] != cloudy[:, :-1]).mean() < 0.05
    cleared, _ = simulate_crop_cube(seed=0, size=32, cloudiness=0.0, revisit=30)
    assert not cleared.cloud.any()


def test_the_share_of_clouds_is_that_asked_for_over_many_years() -> None:
    shares, wanted = [], []
    for year in range(2010, 2022):
        cube, _ = simulate_crop_cube(seed=0, size=32, year=year, cloudiness=0.3, revisit=20)
        shares.append((cube.cloud == 1).mean(("y", "x")).values)
        days = (cube.time.values - np.datetime64(f"{year}-01-01")).astype("timedelta64[D]").astype(int) + 1
        wanted.append(cloud_share(days, 0.3))
    assert np.concatenate(shares).mean() == pytest.approx(np.concatenate(wanted).mean(), abs=0.08)


def test_fields_are_green_when_their_crop_is() -> None:
    cube, fields = simulate_crop_cube(seed=0, size=128, cloudiness=0.0, revisit=10, noise=0.0)
    table = simulate_series(
        400, seed=0, years=(2021,), regions=("west",), cloudiness=0.0, noise=0.0, irregular=False, revisit=10
    )
    days = (cube.time.values - np.datetime64("2021-01-01")).astype("timedelta64[D]").astype(int) + 1
    west, north = float(cube.x[0]) - 5, float(cube.y[0]) + 5
    for kind in ("winter wheat", "maize"):
        shapes = fields.geometry[fields.crop == kind]
        inside = geometry_mask(shapes, (128, 128), (10, 0, west, 0, -10, north), invert=True)
        of_cube = cube.NDVI.values[:, inside].mean(1)
        label = [each.name for each in CROPS].index(kind)
        expected = np.interp(days, table.days[0], table.values[table.labels == label, :, 3].mean(0))
        np.testing.assert_allclose(of_cube, expected, atol=0.15)


def test_what_cannot_be_simulated_is_refused() -> None:
    for wrong in ({"size": 8}, {"region": "moon"}, {"resolution": 0}, {"cloudiness": -0.1}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            simulate_crop_cube(seed=0, **wrong)  # type: ignore[arg-type]
