from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.io import MemoryFile
from rasterio.merge import merge
from rasterio.warp import reproject

from geodl.contract import Band
from geodl.data.mosaic import MosaicSource, mosaic
from geodl.data.raster import open_raster
from geodl.data.source import Grid, Source, Window
from geodl.errors import (
    BandMismatch,
    EmptyDataset,
    GridMismatch,
    OptionError,
    SourceUnreadable,
    UnitMismatch,
)
from geodl.inference.arrays import MemorySink
from geodl.inference.blocks import Tiling, axis_spans
from geodl.inference.engine import map_scene
from geodl.inference.products import make_products
from tests.data.fakes import UTM, FakeSource, pixel_grid, utm_grid
from tests.inference.fakes import BlurNetwork, make_contract

NODATA = -1
DEGREES = CRS.from_epsg(4326)

Layout = tuple[int, int, int, int]
"""South, east, height, width, in pixels."""


def layouts(most: int = 4) -> st.SearchStrategy[list[Layout]]:
    offset, size = st.integers(-12, 12), st.integers(1, 15)
    return st.lists(st.tuples(offset, offset, size, size), min_size=1, max_size=most)


def scene(layout: Layout, seed: int, *, per_band: bool = False) -> FakeSource:
    """A scene of which a third of the pixels (or of the values) is invalid."""
    south, east, height, width = layout
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1000, (height, width, 2)).astype(np.float32)
    values[rng.random((height, width, 2 if per_band else 1))[..., : 2 if per_band else 1].repeat(
        1 if per_band else 2, axis=-1) < 0.33] = np.nan  # fmt: skip
    return FakeSource(values, name=f"scene_{seed}", grid=utm_grid(height, width, east=east, south=south))


def write(path: str | Path, source: Source, **options: object) -> None:
    values, _ = source.read()
    stored = np.nan_to_num(values, nan=NODATA).astype(np.int16)
    profile = {"driver": "GTiff", "dtype": "int16", "nodata": NODATA, "count": 2, **options}
    grid = source.grid
    with rasterio.open(
        path, "w", crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width, **profile
    ) as file:
        file.write(np.moveaxis(stored, -1, 0))


@settings(max_examples=40)
@given(layouts())
def test_it_reads_what_rasterio_merges(layout: list[Layout]) -> None:
    with ExitStack() as stack:
        files = [stack.enter_context(MemoryFile(ext=".tif")) for _ in layout]
        for seed, (place, file) in enumerate(zip(layout, files, strict=True)):
            write(file.name, scene(place, seed))
        opened = [stack.enter_context(rasterio.open(file.name)) for file in files]
        merged, transform = merge(opened, method="first", nodata=NODATA)
        source = mosaic([open_raster(file.name) for file in files], name="all")
        values, valid = source.read()
        source.close()
    assert source.grid.shape == merged.shape[1:]
    assert source.grid.transform.almost_equals(transform, precision=1e-6)
    np.testing.assert_array_equal(np.where(valid, values, NODATA), np.moveaxis(merged, 0, -1))


@settings(max_examples=60)
@given(layouts(), st.booleans(), st.data())
def test_a_pixel_is_of_the_first_scene_that_knows_most_of_it(
    layout: list[Layout], per_band: bool, data: st.DataObject
) -> None:
    scenes = [scene(place, seed, per_band=per_band) for seed, place in enumerate(layout)]
    source = mosaic(scenes, name="all")
    top, left = min(place[0] for place in layout), min(place[1] for place in layout)
    expected = np.full((*source.grid.shape, 2), np.nan, np.float32)
    for y, x in np.ndindex(source.grid.shape):
        here = []
        for place, one in zip(layout, scenes, strict=True):
            row, column = y + top - place[0], x + left - place[1]
            if 0 <= row < place[2] and 0 <= column < place[3]:
                here.append(one.values[row, column])
        complete = [pixel for pixel in here if np.isfinite(pixel).all()]
        partial = [pixel for pixel in here if np.isfinite(pixel).any()]
        expected[y, x] = (*complete, *partial, expected[y, x])[0]
    values, valid = source.read()
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(valid, np.isfinite(expected))
    row, column = data.draw(st.integers(-5, 30)), data.draw(st.integers(-5, 30))
    window = Window(column, row, data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)))
    padded = np.pad(expected, ((5, 50), (5, 50), (0, 0)), constant_values=np.nan)
    wanted = padded[row + 5 : row + 5 + window.height, column + 5 : column + 5 + window.width]
    np.testing.assert_array_equal(source.read(window)[0], wanted)


def test_a_mosaic_of_one_scene_is_that_scene() -> None:
    values = np.random.default_rng(0).normal(size=(6, 7, 3))
    values[2, 3, 1] = np.nan
    one = FakeSource(values, grid=pixel_grid(6, 7))
    source = mosaic([one], name="one")
    assert source.grid == one.grid
    assert source.bands == one.bands
    for own, expected in zip(source.read(), one.read(), strict=True):
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("transform", [Affine.rotation(30) @ Affine.scale(10, -10), Affine.scale(10, 10)])
def test_rotated_and_south_up_scenes_are_laid_on_their_own_lattice(transform: Affine) -> None:
    whole = Grid(UTM, Affine.translation(5e5, 5e6) @ transform, 20, 30)
    values = np.random.default_rng(0).normal(size=(20, 30, 1)).astype(np.float32)
    windows = [Window(10, 0, 20, 20), Window(0, 0, 15, 9), Window(0, 5, 12, 15)]
    parts = [FakeSource(values[w.toslices()], grid=whole.crop(w)) for w in windows]
    source = mosaic(parts, name="parts")
    assert source.grid.differs(whole) is None
    np.testing.assert_array_equal(source.read()[0], values)


def tiles(count: int, size: int = 10, *, step: int = 8) -> list[FakeSource]:
    """A row of scenes that overlap."""
    return [
        FakeSource(np.full((size, size, 1), k), name=f"tile_{k}", grid=utm_grid(size, size, east=step * k))
        for k in range(count)
    ]


def test_only_scenes_under_the_window_are_read_and_only_where_needed() -> None:
    row = tiles(1000)
    source = mosaic(row, name="row")
    assert source.grid.shape == (10, 999 * 8 + 10)
    values, _ = source.read(Window(8 * 500 + 2, 3, 6, 4))
    np.testing.assert_array_equal(values, 500)
    assert [k for k, tile in enumerate(row) if tile.reads] == [500]
    assert row[500].reads == [Window(2, 3, 6, 4)]
    # Pixels 0 and 1 of a scene are the one's before it, which is valid there.
    values, _ = source.read(Window(8 * 600, 0, 2, 10))
    np.testing.assert_array_equal(values, 599)
    assert not row[600].reads


def test_gaps_between_scenes_are_invalid_and_cost_no_reading() -> None:
    two = [tiles(1)[0], FakeSource(np.ones((10, 10, 1)), name="far", grid=utm_grid(10, 10, east=50, south=40))]
    source = mosaic(two, name="two")
    values, valid = source.read(Window(15, 15, 20, 20))
    assert np.isnan(values).all()
    assert not valid.any()
    assert not any(one.reads for one in two)


def test_bands_are_brought_into_the_order_of_the_first_scene() -> None:
    one = FakeSource(np.stack([np.zeros((4, 4)), np.ones((4, 4))], -1), grid=utm_grid(4, 4)).rename(["red", "nir"])
    other = FakeSource(np.stack([np.ones((4, 4)), np.zeros((4, 4))], -1), grid=utm_grid(4, 4, east=4))
    source = mosaic([one, other.rename(["nir", "red"])], name="both")
    np.testing.assert_array_equal(source.read()[0], np.broadcast_to([0, 1], (4, 8, 2)))
    assert [band.name for band in source.bands] == ["red", "nir"]
    nir = source.rename(["a", "b"]).select(("b",))
    assert [band.name for band in nir.bands] == ["b"]
    np.testing.assert_array_equal(nir.read()[0], 1)
    with pytest.raises(BandMismatch, match="both"):
        source.select(("blue",))


def with_band(source: FakeSource, band: Band) -> FakeSource:
    source.bands = (band,)
    return source


def test_scenes_may_be_scaled_in_their_own_ways_but_not_have_other_units() -> None:
    one, other, third = tiles(3)
    scaled = Band("band_1", "reflectance", "uint16", 1e-4, -0.1, 0)
    source = mosaic([with_band(one, replace(scaled, offset=0.0)), with_band(other, scaled)], name="both")
    assert source.bands == (Band("band_1", "reflectance"),)
    assert mosaic([other, with_band(third, scaled)], name="both").bands == (scaled,)
    unstated = with_band(one, Band("band_1"))
    assert mosaic([unstated, other], name="both").bands == (Band("band_1", "reflectance"),)
    with pytest.raises(UnitMismatch, match="tile_2: band band_1 has another unit. Expected 'reflectance'"):
        mosaic([unstated, other, with_band(third, Band("band_1", "dB"))], name="all")


def test_what_makes_no_mosaic_is_refused() -> None:
    one, other = tiles(2)
    with pytest.raises(EmptyDataset, match="at least one scene"):
        mosaic([], name="none")
    with pytest.raises(BandMismatch, match="tile_1"):
        mosaic([one, with_band(other, Band("nir"))], name="both")
    with pytest.raises(SourceUnreadable, match="several times"):
        mosaic([one, FakeSource(np.zeros((2, 10, 10, 1)), grid=utm_grid(10, 10))], name="cube")
    placeless = FakeSource(np.zeros((4, 4, 1)), grid=pixel_grid(4, 4))
    with pytest.raises(SourceUnreadable, match="nothing says where in the mosaic it lies"):
        mosaic([placeless, placeless], name="both")
    flat = FakeSource(np.zeros((4, 4, 1)), name="flat", grid=Grid(UTM, Affine(0, 0, 5e5, 0, -10, 5e6), 4, 4))
    with pytest.raises(SourceUnreadable, match="flat"):
        mosaic([flat, one], name="both")


def test_a_scene_off_the_lattice_is_refused_by_name() -> None:
    half = FakeSource(np.zeros((10, 10, 1)), name="half", grid=utm_grid(10, 10, east=8.5))
    with pytest.raises(GridMismatch, match=r"half is not on the grid of tile_0: the position of the pixels differs"):
        mosaic([tiles(1)[0], half], name="both")
    zone = Grid(CRS.from_epsg(32634), utm_grid(10, 10).transform, 10, 10)
    with pytest.raises(GridMismatch, match="the CRS differs. Expected EPSG:32633. Received: EPSG:32634"):
        mosaic([tiles(1)[0], FakeSource(np.zeros((10, 10, 1)), name="zone", grid=zone)], name="both")


def test_distant_scenes_are_warned_of_and_impossible_ones_refused(caplog: pytest.LogCaptureFixture) -> None:
    near, far = tiles(1)[0], FakeSource(np.zeros((10, 10, 1)), name="far", grid=utm_grid(10, 10, east=10_000))
    with caplog.at_level(logging.WARNING, "geodl"):
        source = mosaic([near, far], name="both")
    assert source.grid.shape == (10, 10_010)
    assert "10 x 10010 pixels (height x width), of which they cover 0.2 %" in caplog.text
    fine = [Grid(UTM, Affine(0.001, 0, x, 0, -0.001, 5e6), 10, 10) for x in (0, 5e6)]
    with pytest.raises(OptionError, match="near to one another. Received: 'an extent of 10 x 5000000010 pixels"):
        mosaic([FakeSource(np.zeros((10, 10, 1)), grid=grid) for grid in fine], name="both")


def test_scenes_on_both_sides_of_the_date_line_are_neighbours() -> None:
    west = FakeSource(
        np.full((10, 10, 1), 1), name="west", grid=Grid(DEGREES, Affine(0.1, 0, 179, 0, -0.1, -16), 10, 10)
    )
    east = FakeSource(
        np.full((10, 10, 1), 2), name="east", grid=Grid(DEGREES, Affine(0.1, 0, -180, 0, -0.1, -16), 10, 10)
    )
    for order, left in (((west, east), 179), ((east, west), -181)):
        source = mosaic(order, name="fiji")
        assert source.grid.shape == (10, 20)
        assert source.grid.transform.almost_equals(Affine(0.1, 0, left, 0, -0.1, -16), precision=1e-9)
        np.testing.assert_array_equal(source.read()[0], np.repeat([1, 2], 10)[None, :, None].repeat(10, 0))
        assert source.grid.lonlat_footprint.area == pytest.approx(2)


def test_threads_read_the_same(tmp_path: Path) -> None:
    paths = []
    for seed, place in enumerate((south, east, 40, 40) for south in (0, 30, 60) for east in (0, 35, 70)):
        paths.append(tmp_path / f"{seed}.tif")
        write(paths[-1], scene(place, seed))
    source = mosaic([open_raster(path) for path in paths], name="nine")
    whole = source.read()[0]
    windows = [Window(x, y, 25, 25) for y in range(0, 90, 9) for x in range(0, 90, 9)]
    with ThreadPoolExecutor(8) as executor:
        for window, (values, _) in zip(windows, executor.map(source.read, windows), strict=True):
            rows, columns = window.toslices()
            np.testing.assert_array_equal(values[: 100 - rows.start, : 110 - columns.start],
                                          whole[rows, columns])  # fmt: skip
    assert source.paths == tuple(str(path) for path in paths)
    source.close()
    np.testing.assert_array_equal(source.read()[0], whole)


def cuts(values: np.ndarray, windows: Sequence[Window]) -> list[FakeSource]:
    grid = utm_grid(*values.shape[:2])
    return [FakeSource(values[w.toslices()], name=f"cut_{k}", grid=grid.crop(w)) for k, w in enumerate(windows)]


def test_the_map_of_a_mosaic_has_no_seams() -> None:
    values = np.random.default_rng(0).normal(size=(70, 90, 2)).astype(np.float32)
    values[30:40, 40:60] = np.nan
    parts = cuts(values, [Window(0, 0, 50, 40), Window(45, 0, 45, 35), Window(0, 33, 60, 37), Window(50, 30, 40, 40)])
    contract, network = make_contract(margin=None, lattice=4), BlurNetwork()
    products = make_products(contract.output, probabilities=True)
    tiling = Tiling(*(axis_spans(n, tile=32, overlap=12, hold=3) for n in (70, 90)), panel=10**6)
    maps = []
    for source in (FakeSource(values, grid=utm_grid(70, 90)), mosaic(parts, name="parts")):
        sink = MemorySink(products.layers, 70, 90)
        map_scene(network, source, sink, contract=contract, products=products, tiling=tiling)
        maps.append(sink.arrays)
    for one, other in zip(*maps, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two smooth scenes of one field, in neighbouring zones, the second of twice the pixel size."""
    grids = (
        Grid(CRS.from_epsg(32633), Affine(100, 0, 700_000, 0, -100, 5_400_000), 120, 120),
        Grid(CRS.from_epsg(32634), Affine(200, 0, 262_000, 0, -200, 5_402_000), 70, 80),
    )
    paths = tmp_path / "z33.tif", tmp_path / "z34.tif"
    for grid, path in zip(grids, paths, strict=True):
        y, x = np.mgrid[: grid.height, : grid.width] + 0.5
        east, north = grid.transform @ (x, y)
        lon, lat = rasterio.warp.transform(grid.crs.to_wkt(), "EPSG:4326", east.ravel(), north.ravel())
        field = 1000 + 300 * np.sin(80 * np.array(lon)) * np.cos(90 * np.array(lat))
        values = np.stack([field, 2 * field], -1).reshape(*grid.shape, 2).astype(np.float32)
        write(path, FakeSource(values, grid=grid))
    yield paths


def test_resampled_scenes_agree_with_gdal_and_with_the_field(zones: tuple[Path, Path]) -> None:
    first, second = open_raster(zones[0]), open_raster(zones[1])
    with pytest.raises(GridMismatch, match="z34"):
        mosaic([first, second], name="both")
    source = mosaic([first, second], name="both", resample="bilinear")
    assert source.grid.crs == first.grid.crs
    values, valid = source.read()
    top, left = (int(v) for v in source.places[0, :2])
    own = values[top : top + 120, left : left + 120]
    np.testing.assert_array_equal(own, first.read()[0])
    warped = np.full(source.grid.shape, NODATA, np.float32)
    with rasterio.open(zones[1]) as file:
        reproject(
            rasterio.band(file, 1), warped, dst_crs=source.grid.crs.to_wkt(), dst_transform=source.grid.transform,
            dst_nodata=NODATA, resampling=rasterio.enums.Resampling.bilinear,
        )  # fmt: skip
    theirs = np.ones(source.grid.shape, bool)
    theirs[top : top + 120, left : left + 120] = False
    both = theirs & valid.all(-1) & (warped != NODATA)
    assert both.sum() > 5000
    np.testing.assert_allclose(values[both, 0], warped[both], atol=1.0)
    assert (valid.all(-1) == (warped != NODATA))[theirs].mean() > 0.99


def test_scenes_of_other_zones_are_laid_across_the_date_line(tmp_path: Path) -> None:
    grids = {
        "degrees": Grid(DEGREES, Affine(0.01, 0, -180, 0, -0.01, -16), 100, 60),
        "zone_60": Grid(CRS.from_epsg(32760), Affine(1000, 0, 760_000, 0, -1000, 8_200_000), 60, 100),
        "zone_1": Grid(CRS.from_epsg(32701), Affine(1000, 0, 200_000, 0, -1000, 8_200_000), 60, 100),
    }
    for name, grid in grids.items():
        write(tmp_path / f"{name}.tif", FakeSource(np.ones((*grid.shape, 2)), grid=grid))
    scenes = [open_raster(tmp_path / f"{name}.tif") for name in grids]
    source = mosaic(scenes, name="fiji", resample="nearest")
    west, _, east, _ = source.grid.footprint().bounds
    assert -181 < west < -180 < -179 < east < -178
    valid = source.read()[1].all(-1)
    # Each scene, turned a little against the lattice, nearly fills the rectangle around it.
    for top, left, bottom, right in source.places:
        assert valid[top:bottom, left:right].mean() > 0.95


def test_arrays_off_the_lattice_cannot_be_resampled() -> None:
    half = FakeSource(np.zeros((10, 10, 1)), name="half", grid=utm_grid(10, 10, east=8.5))
    with pytest.raises(GridMismatch, match="half"):
        mosaic([tiles(1)[0], half], name="both", resample="nearest")
    with pytest.raises(OptionError, match="one of nearest, bilinear"):
        mosaic(tiles(2), name="both", resample="close")  # type: ignore[arg-type]


def test_neighbouring_chips_make_a_block(real_data: Path) -> None:
    folder = real_data / "segmentation" / "kampala_buildings" / "images"
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder}")
    blocks: dict[tuple[int, int], list[Path]] = {}
    for path in sorted(folder.glob("OAM-*.tif")):
        _, x, y, _ = path.stem.split("-")
        blocks.setdefault((int(x) >> 2, int(y) >> 2), []).append(path)
    for paths in blocks.values():
        with ExitStack() as stack:
            merged, transform = merge([stack.enter_context(rasterio.open(path)) for path in paths], method="first")
        source = mosaic([open_raster(path) for path in paths], name="block")
        assert isinstance(source, MosaicSource)
        assert source.grid.transform.almost_equals(transform, precision=1e-4)
        np.testing.assert_array_equal(source.read()[0], np.moveaxis(merged[: len(source.bands)], 0, -1))
