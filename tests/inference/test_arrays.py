from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from affine import Affine

from geodl.data.cube import open_cube
from geodl.data.source import Grid, Window
from geodl.inference.arrays import to_xarray
from geodl.inference.products import make_products
from tests.inference.fakes import TRANSFORM, UTM, RecordingSource, make_contract, make_scene

LAYERS = make_products(make_contract().output, probabilities=True, confidence=True).layers


def layer_arrays(height: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    classes = rng.choice(np.array([1, 2, 4, 255], np.uint8), (1, height, width))
    return [classes, rng.random((3, height, width), np.float32), rng.random((1, height, width), np.float32)]


def test_axes_and_crs_of_a_data_array_are_kept() -> None:
    scene = xr.DataArray(
        np.zeros((2, 3, 5)),
        dims=("band", "lat", "lon"),
        coords={
            "lat": ("lat", [50.2, 50.1, 50.0], {"units": "degrees_north"}),
            "lon": np.linspace(10, 10.4, 5),
            "time": np.datetime64("2024-05-01", "ns"),
        },
    ).rio.write_crs("EPSG:4326")
    mapped = to_xarray(LAYERS[:1], [layer_arrays(2, 3)[0]], open_cube(scene), Window(1, 1, 3, 2))
    assert mapped.dims == ("lat", "lon") and mapped.name == "classes"
    xr.testing.assert_equal(mapped.lat, scene.lat[1:3])
    assert mapped.lat.attrs == {"units": "degrees_north"} and mapped.time == scene.time
    np.testing.assert_array_equal(mapped.lon, scene.lon[1:4])
    assert mapped.rio.crs == "EPSG:4326" and mapped.rio.nodata == 255


def test_classes_carry_cf_flags() -> None:
    mapped = to_xarray(LAYERS[:1], [layer_arrays(4, 4)[0]], make_scene(4, 4), Window(0, 0, 4, 4))
    np.testing.assert_array_equal(mapped.attrs["flag_values"], [1, 4, 2])
    assert mapped.attrs["flag_meanings"] == "water bare_soil forest"
    assert mapped.dtype == np.uint8


def test_several_layers_are_a_dataset_that_rioxarray_can_write(tmp_path: Path) -> None:
    source = RecordingSource(make_scene(4, 6))
    arrays = layer_arrays(4, 6)
    mapped = to_xarray(LAYERS, arrays, source, Window(0, 0, 6, 4))
    assert isinstance(mapped, xr.Dataset)
    assert mapped.probabilities.dims == ("band", "y", "x") and mapped.confidence.dims == ("y", "x")
    assert list(mapped.band.values) == ["water", "bare soil", "forest"]
    np.testing.assert_array_equal(mapped.probabilities.sel(band="forest"), arrays[1][2])
    mapped.classes.rio.to_raster(tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as written:
        assert written.transform == TRANSFORM and written.crs.to_epsg() == 32633 and written.nodata == 255
        np.testing.assert_array_equal(written.read(), arrays[0])


def test_pixel_centres_of_files_and_finer_grids() -> None:
    source = RecordingSource(make_scene(4, 6))
    products = make_products(make_contract(kind="bands", scale=2).output)
    mapped = to_xarray(products.layers, [np.zeros((2, 4, 6), np.float32)], source, Window(1, 2, 3, 2), scale=2)
    np.testing.assert_allclose(mapped.x, 500_010 + 2.5 + 5 * np.arange(6))
    np.testing.assert_allclose(mapped.y, 4_999_980 - 2.5 - 5 * np.arange(4))
    assert mapped.rio.transform() == Affine(5, 0, 500_010, 0, -5, 4_999_980)
    assert mapped.attrs["units"] == "reflectance"


def test_plain_arrays_get_no_coordinates() -> None:
    source = open_cube(np.zeros((4, 6, 2), np.float32))
    mapped = to_xarray(LAYERS[:1], [layer_arrays(4, 6)[0]], source, Window(0, 0, 6, 4))
    assert mapped.dims == ("y", "x") and not mapped.coords


def test_rotated_grids_have_a_transform_and_no_coordinates() -> None:
    source = RecordingSource(make_scene(4, 6))
    source.grid = Grid(UTM, Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10), 4, 6)
    mapped = to_xarray(LAYERS[:1], [layer_arrays(4, 6)[0]], source, Window(0, 0, 6, 4))
    assert set(mapped.coords) == {"spatial_ref"}
    assert mapped.rio.transform(recalc=False).almost_equals(source.grid.transform)


def test_a_finer_grid_divides_pixels() -> None:
    grid = make_scene(4, 6).grid.crop(Window(1, 1, 2, 3)).finer(2)
    assert grid.shape == (6, 4) and grid.transform == Affine(5, 0, 500_010, 0, -5, 4_999_990)
