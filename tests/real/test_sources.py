"""Real files: read as rasterio reads them, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from pyproj import CRS, Transformer
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
from rasterio.windows import Window

from geodl.data.cube import open_cube
from geodl.data.labels import VectorLabels, infer_classes, open_labels
from geodl.data.opening import find_scenes
from geodl.data.pairing import pair
from geodl.data.raster import open_raster
from geodl.data.rasterfile import RasterFile
from geodl.data.resample import Resample
from geodl.data.source import Grid
from geodl.data.vectors import read_layer
from geodl.errors import SourceUnreadable

READ = (
    "scenes/cog_cases/cog_dateline.tif",
    "scenes/cog_cases/cog_int16.tif",
    "scenes/cog_cases/cog_nodata.tif",
    "scenes/cog_cases/cog_nodata_nan.tif",
    "scenes/cog_cases/cog_nonearth.tif",
    "scenes/cog_cases/cog_rgb_mask.tif",
    "scenes/cog_cases/cog_rgba.tif",
    "scenes/cog_cases/cog_scale.tif",
    "scenes/cog_cases/cog_scale_epsg4326.tif",
    "scenes/cog_cases/inverted_lat.tif",
    "scenes/cog_cases/nocog.tif",
    "scenes/naip/m_4709963_se_14_1_20090818.tif",
    "scenes/naip/m_4709963_se_14_1_20140720.tif",
    "scenes/naip/m_4709963_se_14_1_20200831.tif",
    "scenes/landsat7/L7_ETMs.tif",
    "scenes/olinda_dem_utm25s.tif",
    "segmentation/sen1floods11/S1/India_900498_S1Hand.tif",
    "segmentation/sen1floods11/S2/Spain_7370579_S2Hand.tif",
    "timeseries/cbers_ndvi_cube/CB4_64_16D_STK_022024_2018-08-29_2018-09-13_NDVI.tif",
    "superres/set5/img_005_SRF_2_HR.png",
)


def real(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        pytest.skip(f"real data absent: {folder / name}")
    return folder / name


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", READ)
def test_values_and_validity_are_those_of_rasterios_masked_read(real_data: Path, name: str) -> None:
    path = real(real_data, name)
    source = open_raster(path)
    values, valid = source.read()
    with rasterio.open(path) as dataset:
        stored = dataset.read(range(1, len(source.bands) + 1), masked=True)
        assert (source.grid.transform, source.grid.shape) == (dataset.transform, dataset.shape)
        assert (source.grid.crs is None) == (dataset.crs is None)
        if dataset.crs and dataset.crs.to_epsg() not in (None, 32000):
            assert source.grid.crs is not None
            assert source.grid.crs.to_epsg() == dataset.crs.to_epsg()
        scale, offset = np.array([dataset.scales, dataset.offsets])[:, : len(source.bands), None, None]
    expected = np.ma.filled(stored.astype(np.float64) * scale + offset, np.nan)
    np.testing.assert_allclose(values, np.moveaxis(expected, 0, -1), rtol=1e-6)
    np.testing.assert_array_equal(np.broadcast_to(valid, values.shape), np.isfinite(values))


def test_every_cog_case_is_read_or_refused(real_data: Path) -> None:
    cases = {path.name for path in real(real_data, "scenes/cog_cases").glob("*.tif")}
    assert cases == {Path(name).name for name in READ if "cog_cases" in name} | {"cog_gcps.tif", "cog_cmap.tif"}


@pytest.mark.parametrize(
    "window", [Window(3000, 3000, 500, 400), Window(-20, -10, 300, 200), Window(7000, 8500, 300, 300)]
)
def test_a_palette_image_is_read_in_its_colours(real_data: Path, window: Window) -> None:
    path = real(real_data, "scenes/cog_cases/cog_cmap.tif")
    source = open_raster(path)
    assert [band.name for band in source.bands] == ["red", "green", "blue"]
    values, valid = source.read(window)
    with rasterio.open(path) as dataset:
        stored = dataset.read(1, window=window, boundless=True, masked=True, fill_value=0)
        table = dataset.colormap(1)
    colours = np.array([table[k] for k in range(256)], np.float32)[stored.filled(0)]
    colours[np.ma.getmaskarray(stored) | (colours[..., 3] == 0)] = np.nan
    np.testing.assert_array_equal(values, colours[..., :3])
    np.testing.assert_array_equal(valid, np.isfinite(values))


def test_control_points_alone_are_refused_or_warped_onto_a_regular_grid(real_data: Path) -> None:
    path = real(real_data, "scenes/cog_cases/cog_gcps.tif")
    with pytest.raises(SourceUnreadable, match=r"cog_gcps.tif.*ground control points only.*data\.resample"):
        open_raster(path)
    source = open_raster(path, resample=Resample("nearest"))
    with rasterio.open(path) as dataset:
        points, crs = dataset.gcps
        stored = dataset.read(1).astype(np.float32)
        with WarpedVRT(dataset, src_crs=crs, crs=crs) as warped:
            assert source.grid == Grid(CRS.from_epsg(4326), warped.transform, *warped.shape)
    assert source.grid.crs == CRS.from_user_input(crs)
    values, valid = source.read()
    expected = np.full(source.grid.shape, np.nan, np.float32)
    reproject(
        stored, expected, gcps=points, src_crs=crs, dst_crs=crs, dst_transform=source.grid.transform,
        dst_nodata=np.nan, src_nodata=np.nan,
    )  # fmt: skip
    # Up to an eighth of a pixel is allowed to the reference, so pixels on an edge may fall on its other side.
    same = (values[..., 0] == expected) | (np.isnan(values[..., 0]) & np.isnan(expected))
    assert same.mean() > 0.9
    assert (valid[..., 0] == np.isfinite(expected)).mean() > 0.999
    rotated = open_raster(path, resample=Resample("bilinear", resolution=0.002))
    assert rotated.grid.resolution == pytest.approx((0.002, 0.002))
    assert np.nanmean(rotated.read()[0]) == pytest.approx(stored.mean(), rel=0.02)


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("scenes/") and "nonearth" not in name])
def test_every_scene_comes_onto_another_grid(real_data: Path, name: str) -> None:
    source = open_raster(real(real_data, name))
    window = Window(source.grid.width // 3, source.grid.height // 3, 60, 50)
    fine = source.grid.crop(window).finer(2)
    values, valid = source.onto(fine, "nearest").read()
    expected, expected_valid = source.read(window)
    np.testing.assert_allclose(values, np.kron(expected, np.ones((2, 2, 1))), rtol=1e-6)
    np.testing.assert_array_equal(valid, np.kron(expected_valid, np.ones((2, 2, 1), bool)))


def test_a_palette_raster_serves_as_labels(real_data: Path) -> None:
    path = real(real_data, "scenes/cog_cases/cog_cmap.tif")
    found, counts = infer_classes([path])
    with rasterio.open(path) as dataset:
        stored, colours = dataset.read(1, window=Window(3000, 3000, 500, 400)), dataset.colormap(1)
    assert 0 not in counts
    assert [info.colour for info in found] == [
        f"#{colours[i.value][0]:02x}{colours[i.value][1]:02x}{colours[i.value][2]:02x}" for i in found
    ]
    read = open_labels(path, RasterFile(path).grid, classes=found).read(Window(3000, 3000, 500, 400))
    values = np.array([info.value for info in found])
    np.testing.assert_array_equal(np.where(read < 0, 0, values[read]), stored)


def test_kampala_is_paired_by_name(real_data: Path) -> None:
    images = find_scenes(real(real_data, "segmentation/kampala_buildings/images"))
    pairs = pair(images, real_data / "segmentation/kampala_buildings/labels")
    assert len(pairs) == 80
    assert all(Path(str(spec)).name == Path(label).name for _, spec, label in pairs)
    assert [band.name for band in open_raster(pairs[0][1]).bands] == ["red", "green", "blue"]
    found, counts = infer_classes([label for *_, label in pairs])
    assert [(info.value, info.name) for info in found] == [(0, "class_0"), (1, "class_1")]
    assert counts[1] / sum(counts.values()) == pytest.approx(0.31, abs=0.02)


@pytest.mark.parametrize("match", ["auto", r"^(.+_\d+)_"])
def test_sen1floods11_needs_no_overrides(real_data: Path, match: str) -> None:
    images = find_scenes(real(real_data, "segmentation/sen1floods11/S1"))
    pairs = pair(images, real_data / "segmentation/sen1floods11/labels", match=match)
    assert [(name.rsplit("_", 1)[0], Path(label).stem.rsplit("_", 1)[0]) for name, _, label in pairs] == [
        (name.rsplit("_", 1)[0],) * 2 for name, _ in images
    ]
    found, _ = infer_classes([label for *_, label in pairs])
    assert [info.value for info in found] == [0, 1]
    water = {}
    for name, spec, label in pairs:
        read = open_labels(label, open_raster(spec).grid, classes=found).read()
        water[name] = float((read == 1).sum() / (read >= 0).sum())
    assert water["Sri-Lanka_534068_S1Hand"] == pytest.approx(0.98, abs=0.005)
    assert water["India_900498_S1Hand"] == pytest.approx(0.47, abs=0.005)


def test_carolina_is_one_scene_with_polygons_in_another_crs(real_data: Path) -> None:
    folder = real(real_data, "scenes/carolina_sentinel2")
    scenes = find_scenes(folder, stack=True)
    pairs = pair(scenes, folder / "landcover")
    source = open_raster(pairs[0][1])
    assert (pairs[0][0], source.grid.shape) == ("carolina_sentinel2", (2201, 2629))
    assert [band.name for band in source.bands] == [f"B0{k}" for k in range(1, 9)]
    found, counts = infer_classes([pairs[0][2]])
    assert sum(counts.values()) == 23
    names = ["Emergent Wetland", "Forested Wetland", "Herbaceous", "Sand", "Subtidal Haline", "WetSand"]
    assert [(info.value, info.name) for info in found] == list(enumerate(names, 1))
    labels = open_labels(pairs[0][2], source.grid, classes=found)
    assert isinstance(labels, VectorLabels)
    read = labels.read()
    # Areas in metres, in the polygons' own CRS.
    layer = read_layer(pairs[0][2])
    to_metres = Transformer.from_crs(source.grid.crs, layer.crs, always_xy=True)
    scene = shapely.transform(source.grid.footprint(), lambda xy: np.column_stack(to_metres.transform(*xy.T)))
    pixel = shapely.area(scene) / read.size
    assert (read >= 0).sum() * pixel == pytest.approx(shapely.area(layer.shapes).sum(), rel=0.02)
    assert len(labels.features) == 23
    assert set(np.unique(read)) == {-1, 0, 1, 2, 3, 4, 5}
    with rasterio.open(folder / "B08.tif") as dataset:
        infrared = dataset.read(1, window=Window(900, 1200, 64, 48))
    np.testing.assert_array_equal(source.read(Window(900, 1200, 64, 48))[0][..., 7], infrared)


def test_a_netcdf_of_one_month_is_a_scene(real_data: Path) -> None:
    path = real(real_data, "weather/bcsd_obs_1999.nc")
    try:
        dataset = xr.open_dataset(path, engine="scipy")
    except (ValueError, TypeError, OSError):
        pytest.skip("no reader for this NetCDF file is installed")
    month = dataset.isel(time=0)
    source = open_cube(month)
    values, _ = source.read()
    for band, name in enumerate(source.bands):
        np.testing.assert_allclose(values[..., band], month[name.name].values, rtol=1e-6)
    assert open_cube(dataset).times is not None
