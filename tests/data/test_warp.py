from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_gcps
from rasterio.warp import reproject
from rasterio.windows import Window
from scipy.ndimage import map_coordinates

from geodl.data.asset import Asset
from geodl.data.raster import open_raster
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid
from geodl.data.warp import METHODS, Resample, WarpedFile, regular_grid, resized
from geodl.errors import GridMismatch, SourceUnreadable
from tests.data.servers import Fault, serve_files

UTM = CRS.from_epsg(32633)
COARSE = Affine(20, 0, 500_000, 0, -20, 5_000_000)
FINE = Affine(10, 0, 499_950, 0, -10, 5_000_030)


def write(path: Path, values: np.ndarray, *, mask: np.ndarray | None = None, **profile: Any) -> Path:
    count, height, width = values.shape
    colours = profile.pop("colours", None)
    usual = {"driver": "GTiff", "crs": "EPSG:32633", "transform": COARSE, "dtype": values.dtype.name}
    with rasterio.open(path, "w", count=count, height=height, width=width, **usual | profile) as dataset:
        if colours:
            dataset.colorinterp = colours
        dataset.write(values)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def warped(physical: np.ndarray, grid: Grid, method: str) -> np.ndarray:
    """Warps (height, width, band) of not-a-number where invalid, on `COARSE`, whole and in memory."""
    source = np.ascontiguousarray(np.moveaxis(physical, -1, 0))
    out = np.full((len(source), *grid.shape), np.nan, source.dtype)
    reproject(
        source, out, src_crs="EPSG:32633", src_transform=COARSE, dst_crs="EPSG:32633", dst_transform=grid.transform,
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling[method], UNIFIED_SRC_NODATA="NO",
    )  # fmt: skip
    return np.moveaxis(out, 0, -1)


def invalid_kinds(folder: Path, kind: str) -> Path | Asset:
    """Files with two bands of which some pixels are invalid, for one reason or several."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 9000, (2, 60, 52)).astype(np.uint16)
    holes = values.copy()
    holes[:, 8:16, 6:18] = 0
    holes[1, 30:34] = 0
    mask = np.full((60, 52), 255, np.uint8)
    mask[40:44, 2:40] = 0
    alpha = np.where(mask, rng.integers(1, 65535, mask.shape), 0).astype(np.uint16)[None]
    colours = (ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha)
    floats = holes.astype(np.float32)
    floats[0, 50, 20:30] = np.nan
    path = folder / "a & b.tif"
    match kind:
        case "none":
            return write(path, values)
        case "nodata":
            return write(path, holes, nodata=0)
        case "nodata of the asset":
            return Asset(write(path, holes), nodata=0, scale=1e-4, offset=-0.1)
        case "mask":
            return write(path, values, mask=mask)
        case "mask and nodata":
            return write(path, holes, mask=mask, nodata=0)
        case "alpha":
            return write(path, np.concatenate([values, alpha]), colours=colours)
        case "alpha and nodata":
            return write(path, np.concatenate([holes, alpha]), colours=colours, nodata=0)
        case "NaN and nodata":
            return write(path, floats, nodata=0)
        case "wide":
            return write(path, holes.astype(np.int32) * 100_003, nodata=0)
    raise AssertionError(kind)


KINDS = (
    "none", "nodata", "nodata of the asset", "mask", "mask and nodata", "alpha", "alpha and nodata", "NaN and nodata",
    "wide",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
def test_a_warped_scene_is_what_the_whole_warped_in_memory_is(tmp_path: Path, kind: str, method: str) -> None:
    source = open_raster(invalid_kinds(tmp_path, kind))
    physical, _ = source.read()
    if kind == "wide":
        # float64, as the values are resampled; float32 would round them before.
        physical = physical.astype(np.float64)
        with rasterio.open(source.paths[0]) as dataset:
            stored = np.moveaxis(dataset.read(), 0, -1).astype(np.float64)
        physical = np.where(np.isfinite(physical), stored, np.nan)
    grid = Grid(UTM, FINE, 130, 120)
    for where in (grid, resized(Grid(UTM, COARSE, 60, 52), 50)):
        values, valid = source.onto(where, method).read()
        expected = warped(physical, where, method)
        np.testing.assert_array_equal(valid, np.isfinite(expected))
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_invalid_pixels_never_mix_into_values(tmp_path: Path) -> None:
    values = np.full((1, 30, 30), 7, np.int16)
    values[0, 10:20, 10:20] = -9999
    grid = Grid(UTM, FINE, 66, 70)
    for method in set(METHODS) - {"mode"}:
        source = open_raster(write(tmp_path / f"{method}.tif", values, nodata=-9999)).onto(grid, method)
        read, valid = source.read()
        np.testing.assert_allclose(read[valid], 7, rtol=1e-5)
        assert not valid[30:40, 40:45].any()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(-10, 120),
    col=st.integers(-10, 120),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    crs=st.sampled_from([32633, 3857, 4326]),
)
def test_the_same_values_come_back_whatever_the_window(
    tmp_path: Path, row: int, col: int, height: int, width: int, crs: int
) -> None:
    path = tmp_path / "mask and nodata"
    if not path.exists():
        path.mkdir()
        invalid_kinds(path, "mask and nodata")
    file = path / "a & b.tif"
    grid = resized(regular_grid(RasterFile(file), CRS.from_epsg(crs)), 9 if crs != 4326 else 1e-4)
    source = open_raster(file).onto(grid, "cubic")
    window = Window(col, row, width, height)
    part, valid = source.read(window)
    padded = np.pad(source.read()[0], ((200, 200), (200, 200), (0, 0)), constant_values=np.nan)
    np.testing.assert_array_equal(part, padded[row + 200 : row + 200 + height, col + 200 : col + 200 + width])
    np.testing.assert_array_equal(valid, np.isfinite(part))


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326", "EPSG:3035"])
def test_another_crs_is_resampled_where_pixels_lie(tmp_path: Path, crs: str) -> None:
    y, x = np.mgrid[:60, :52]
    smooth = (100 + 10 * np.sin(x / 7) + 5 * np.cos(y / 5)).astype(np.float32)
    path = write(tmp_path / "a.tif", smooth[None])
    suggested = regular_grid(RasterFile(path), CRS.from_user_input(crs))
    assert suggested.crs == CRS.from_user_input(crs)
    # With pixels larger than the file's, GDAL would average over some.
    grid = resized(suggested, (0.7 * suggested.resolution[0], 0.8 * suggested.resolution[1]))
    values, valid = open_raster(path).onto(grid, "bilinear").read()
    columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    there = Transformer.from_crs(grid.crs, UTM, always_xy=True).transform(*(grid.transform @ (columns, rows)))
    at_x, at_y = ~COARSE @ there
    inside = (at_x > 1) & (at_x < 51) & (at_y > 1) & (at_y < 59)
    expected = map_coordinates(smooth, [at_y - 0.5, at_x - 0.5], order=1)
    assert valid[..., 0][inside].all()
    np.testing.assert_allclose(values[..., 0][inside], expected[inside], atol=1e-3)
    assert not valid[..., 0][(at_x < -0.01) | (at_y < -0.01) | (at_x > 52.01) | (at_y > 60.01)].any()


def test_an_exact_half_of_the_pixel_size_repeats_pixels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 99, (1, 6, 5)).astype(np.uint8)
    source = open_raster(write(tmp_path / "a.tif", values), resample=Resample("nearest", resolution=10))
    assert source.grid == Grid(UTM, COARSE @ Affine.scale(0.5), 12, 10)
    np.testing.assert_array_equal(source.read()[0][..., 0], np.kron(values[0], np.ones((2, 2))))


def test_twice_the_pixel_size_averages_the_valid_ones(tmp_path: Path) -> None:
    values = np.arange(1, 25, dtype=np.float32).reshape(1, 4, 6)
    values[0, 0, 0] = values[0, 2, 2] = np.nan
    values[0, 2:, 4:] = np.nan
    source = open_raster(write(tmp_path / "a.tif", values), resample=Resample("average", resolution=40))
    with np.errstate(invalid="ignore"):
        blocks = values[0].reshape(2, 2, 3, 2)
        counts = np.isfinite(blocks).sum((1, 3))
        expected = np.nansum(blocks, (1, 3)) / counts
    np.testing.assert_allclose(source.read()[0][..., 0], expected, rtol=1e-6)


def test_bands_of_one_scene_come_onto_the_finest_grid(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fine = rng.integers(1, 9000, (1, 60, 80)).astype(np.uint16)
    coarse = rng.integers(1, 9000, (1, 30, 40)).astype(np.uint16)
    swir = write(tmp_path / "B11.tif", coarse, nodata=0)
    red = write(tmp_path / "B04.tif", fine, transform=COARSE @ Affine.scale(0.5), nodata=0)
    with pytest.raises(GridMismatch, match=r"data\.resample \(--resample\)"):
        open_raster({"B11": swir, "B04": red})
    scene = open_raster({"B11": swir, "B04": red}, resample=Resample("bilinear"))
    assert scene.grid == Grid(UTM, COARSE @ Affine.scale(0.5), 60, 80)
    assert [(band.name, band.dtype) for band in scene.bands] == [("B11", "float32"), ("B04", "uint16")]
    values = scene.read()[0]
    np.testing.assert_array_equal(values[..., 1], fine[0])
    expected = warped(np.moveaxis(coarse.astype(np.float32), 0, -1), scene.grid, "bilinear")
    np.testing.assert_allclose(values[..., :1], expected, rtol=1e-6)
    one = scene.select(("B11",)).read(Window(3, 5, 20, 10))[0]
    np.testing.assert_array_equal(one, values[5:15, 3:23, :1])


def test_a_scene_that_needs_nothing_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 99, (2, 6, 5)).astype(np.uint16)
    source = open_raster(write(tmp_path / "a.tif", values), resample=Resample("cubic", resolution=20.001))
    assert [band.dtype for band in source.bands] == ["uint16"] * 2
    np.testing.assert_array_equal(source.read()[0], np.moveaxis(values, 0, -1))


def test_resampling_twice_starts_from_the_file(tmp_path: Path) -> None:
    source = open_raster(invalid_kinds(tmp_path, "nodata"))
    grid = Grid(UTM, FINE, 130, 120)
    twice = source.onto(resized(grid, 70), "bilinear").onto(grid, "bilinear")
    np.testing.assert_array_equal(twice.read()[0], source.onto(grid, "bilinear").read()[0])
    back = twice.onto(source.grid, "bilinear")
    np.testing.assert_array_equal(back.read()[0], source.read()[0])
    assert back.bands == source.bands


def test_rotated_and_south_up_files(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(1, 2, (1, 20, 30)).astype(np.float32)
    for transform in (COARSE @ Affine.rotation(20), Affine(20, 0, 500_000, 0, 20, 4_999_000)):
        path = write(tmp_path / "a.tif", values, transform=transform)
        same = open_raster(path, resample=Resample("nearest", resolution=5))
        assert same.grid.differs(Grid(UTM, transform @ Affine.scale(0.25), 80, 120)) is None
        np.testing.assert_array_equal(same.read()[0][..., 0], np.kron(values[0], np.ones((4, 4))))
        north_up = Grid(UTM, Affine(5, 0, 499_700, 0, -5, 5_000_300), 260, 260)
        read, valid = open_raster(path).onto(north_up, "nearest").read()
        columns, rows = np.meshgrid(np.arange(260) + 0.5, np.arange(260) + 0.5)
        x, y = ~transform @ (north_up.transform @ (columns, rows))
        # A pixel whose centre lies on an edge between two may be either.
        clear = (np.abs(x - np.round(x)) > 1e-3) & (np.abs(y - np.round(y)) > 1e-3)
        inside = (x > 0) & (x < 30) & (y > 0) & (y < 20)
        np.testing.assert_array_equal(valid[..., 0][clear], inside[clear])
        both = clear & inside
        np.testing.assert_array_equal(read[..., 0][both], values[0][y[both].astype(int), x[both].astype(int)])


def test_ground_control_points_are_warped_onto_a_regular_grid(tmp_path: Path) -> None:
    # An affine placement, so that what GDAL fits to the points is known in closed form.
    placed = Affine(20, 4, 500_000, 3, -20, 5_000_000)
    corners = [(r, c) for r in (0, 20, 40) for c in (0, 25, 50)]
    points = [GroundControlPoint(r, c, *(placed @ (c, r)), 0) for r, c in corners]
    assert from_gcps(points).almost_equals(placed, precision=1e-6)
    y, x = np.mgrid[:40, :50].astype(np.float32) + 0.5
    path = write(tmp_path / "a.tif", np.stack([x, y]), transform=None, gcps=points, nodata=-1)
    with pytest.raises(SourceUnreadable, match=r"ground control points only.*data\.resample \(--resample\)"):
        open_raster(path)
    source = open_raster(path, resample=Resample("bilinear", resolution=10))
    assert source.grid.crs == UTM
    assert source.grid.resolution == pytest.approx((10, 10))
    values, valid = source.read()
    columns, rows = np.meshgrid(np.arange(source.grid.width) + 0.5, np.arange(source.grid.height) + 0.5)
    at_x, at_y = ~placed @ (source.grid.transform @ (columns, rows))
    inside = (at_x > 0.5) & (at_x < 49.5) & (at_y > 0.5) & (at_y < 39.5)
    assert valid[inside].all()
    np.testing.assert_allclose(values[inside], np.stack([at_x, at_y], axis=-1)[inside], atol=5e-3)
    assert not valid[(at_x < -0.1) | (at_y < -0.1) | (at_x > 50.1) | (at_y > 40.1)].any()
    elsewhere = open_raster(path, resample=Resample("nearest", crs=CRS.from_epsg(3035)))
    assert elsewhere.grid.crs == CRS.from_epsg(3035)
    assert elsewhere.read()[1].mean() > 0.4


def test_palette_colours_are_looked_up_before_they_are_mixed(tmp_path: Path) -> None:
    indices = np.random.default_rng(0).integers(0, 4, (1, 12, 10)).astype(np.uint8)
    path = write(tmp_path / "a.tif", indices, photometric="palette", nodata=3)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (255, 0, 9, 255), 1: (0, 200, 0, 255), 2: (10, 10, 10, 255), 3: (1, 2, 3, 255)})
    source = open_raster(path)
    grid = Grid(UTM, FINE, 30, 30)
    for method in ("nearest", "bilinear"):
        np.testing.assert_allclose(
            source.onto(grid, method).read()[0], warped(source.read()[0], grid, method), rtol=1e-5
        )
    blue_red = source.select(("blue", "red")).onto(grid, "bilinear").read()[0]
    np.testing.assert_array_equal(blue_red, source.onto(grid, "bilinear").read()[0][..., [2, 0]])


def test_the_second_image_of_a_file_stays_the_second(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    for number, append in ((1, "NO"), (2, "YES")):
        with rasterio.open(
            tmp_path / "two.tif", "w", transform=Affine(10, 0, 0, 0, -10, 0), APPEND_SUBDATASET=append, **profile
        ) as file:
            file.write(np.full((1, 8, 8), number, np.uint8))
    source = open_raster(f"GTIFF_DIR:2:{tmp_path}/two.tif", resample=Resample("nearest", resolution=5))
    assert source.grid.shape == (16, 16)
    assert (source.read()[0] == 2).all()


def test_what_has_no_crs_cannot_be_resampled(tmp_path: Path) -> None:
    values = np.ones((1, 4, 4), np.uint8)
    placeless = open_raster(write(tmp_path / "a.tif", values, crs=None))
    placed = open_raster(write(tmp_path / "b.tif", values))
    with pytest.raises(SourceUnreadable, match="without a CRS"):
        placeless.onto(Grid(UTM, FINE, 4, 4), "nearest")
    with pytest.raises(SourceUnreadable, match="without a CRS"):
        placed.onto(Grid(None, FINE, 4, 4), "nearest")


def test_a_file_cut_short_after_opening_is_refused_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write(tmp_path / "a.tif", np.random.default_rng(0).uniform(0, 1, (1, 300, 300)).astype(np.float32))
    source = open_raster(whole).onto(Grid(UTM, FINE, 600, 600), "bilinear")
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(SourceUnreadable, match="cut short"):
        source.read()
    assert capfd.readouterr().err == ""


def test_a_remote_file_is_warped_through_a_cut_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    values = np.random.default_rng(0).integers(1, 9000, (1, 300, 300)).astype(np.uint16)
    path = write(tmp_path / "a.tif", values, nodata=5, tiled=True, blockxsize=64, blockysize=64)
    grid = Grid(UTM, FINE, 100, 120)
    expected = open_raster(path).onto(grid, "bilinear").read()[0]
    with serve_files(tmp_path, [Fault(share=0.3, then="reset", skip=2, times=2)]) as server:
        read = open_raster(server.url("a.tif")).onto(grid, "bilinear").read()[0]
    np.testing.assert_array_equal(read, expected)


def test_several_threads_read_the_same(tmp_path: Path) -> None:
    source = open_raster(invalid_kinds(tmp_path, "mask and nodata")).onto(Grid(UTM, FINE, 130, 120), "cubic")
    whole = source.read()[0]
    windows = [Window(col, row, 50, 40) for row in range(0, 90, 15) for col in range(0, 70, 15)]
    with ThreadPoolExecutor(6) as pool:
        for window, (values, _) in zip(windows, pool.map(source.read, windows)):
            np.testing.assert_array_equal(values, whole[window.toslices()])


def test_a_warped_file_is_closed_and_opens_again(tmp_path: Path) -> None:
    file = WarpedFile(RasterFile(invalid_kinds(tmp_path, "nodata")), Grid(UTM, FINE, 20, 20), method="nearest")
    before = file.read(Window(0, 0, 9, 9), [1])[0]
    file.close()
    np.testing.assert_array_equal(file.read(Window(0, 0, 9, 9), [1])[0], before)
    assert file.bands[0].nodata is None
