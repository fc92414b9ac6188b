from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from geodl.data.asset import Asset
from geodl.data.opening import find_scenes
from geodl.data.raster import open_raster
from geodl.data.source import Grid
from geodl.errors import BandMismatch, EmptyDataset, GridMismatch, SourceUnreadable

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write(
    path: Path,
    values: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    descriptions: tuple[str | None, ...] | None = None,
    scales: tuple[float, ...] | None = None,
    offsets: tuple[float, ...] | None = None,
    units: tuple[str, ...] | None = None,
    colours: tuple[ColorInterp, ...] | None = None,
    **profile: Any,
) -> Path:
    """Writes (band, height, width) with rasterio alone."""
    count, height, width = values.shape
    usual = {"driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, "dtype": values.dtype.name}
    with rasterio.open(path, "w", count=count, height=height, width=width, **usual | profile) as dataset:
        dataset.write(values)
        if colours:
            dataset.colorinterp = colours
        for name, content in (
            ("descriptions", descriptions),
            ("scales", scales),
            ("offsets", offsets),
            ("units", units),
        ):
            if content:
                setattr(dataset, name, content)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def masked(path: Path, *, bands: int) -> np.ndarray:
    """What rasterio says of a file: physical float32 (height, width, band), not-a-number where masked."""
    with rasterio.open(path) as dataset:
        stored = dataset.read(range(1, bands + 1), masked=True)
        scale, offset = (np.array(per_band[:bands])[:, None, None] for per_band in (dataset.scales, dataset.offsets))
    return np.moveaxis(np.ma.filled(stored.astype(np.float64) * scale + offset, np.nan), 0, -1).astype(np.float32)


def ramp(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_a_plain_geotiff(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", ramp(2, 5, 7), descriptions=("B04", "B08"), units=("reflectance", ""))
    source = open_raster(path)
    values, valid = source.read()
    assert (source.name, source.dims, source.times, source.paths) == ("scene", ("y", "x", "band"), None, (str(path),))
    assert source.grid == Grid(CRS.from_epsg(32633), UTM, 5, 7)
    assert [(b.name, b.unit, b.dtype, b.scale, b.offset, b.nodata) for b in source.bands] == [
        ("B04", "reflectance", "uint16", 1, 0, None),
        ("B08", "", "uint16", 1, 0, None),
    ]
    assert (values.dtype, valid.dtype) == (np.float32, bool)
    np.testing.assert_array_equal(values, np.moveaxis(ramp(2, 5, 7), 0, -1))
    assert np.broadcast_to(valid, values.shape).all()


def test_a_window_beyond_the_edge_is_padded_with_invalid_pixels(tmp_path: Path) -> None:
    source = open_raster(write(tmp_path / "a.tif", ramp(1, 5, 7)))
    values, valid = source.read(Window(-2, 3, 5, 4))
    expected = np.full((4, 5), np.nan)
    expected[:2, 2:] = ramp(5, 7)[3:, :3]
    np.testing.assert_array_equal(values[..., 0], expected)
    np.testing.assert_array_equal(valid[..., 0], np.isfinite(expected))
    assert not source.read(Window(100, 100, 2, 2))[1].any()


DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(DTYPES),
    nodata=st.sampled_from([None, 0, 1, 100, 0.25, "nan"]),
    scale=st.floats(1e-4, 100),
    offset=st.floats(-1000, 1000),
    seed=st.integers(0, 99),
    use_mask=st.booleans(),
)
def test_values_are_those_of_rasterios_masked_read(
    tmp_path: Path, dtype: str, nodata: Any, scale: float, offset: float, seed: int, use_mask: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (2, 6, 5)).astype(dtype)
    floating = np.dtype(dtype).kind == "f"
    if floating:
        values = values / np.dtype(dtype).type(4)
        values[rng.random(values.shape) < 0.1] = np.nan
    elif nodata in ("nan", 0.25):
        nodata = None
    nodata = float("nan") if nodata == "nan" else nodata
    path = tmp_path / f"{seed}.tif"
    # A mask overrules nodata in GDAL; both together are tested on their own.
    mask = (rng.random((6, 5)) < 0.7).astype(np.uint8) * 255 if use_mask and nodata is None else None
    write(path, values, nodata=nodata, scales=(scale, 1.0), offsets=(offset, 0.0), mask=mask)
    read, valid = open_raster(path).read()
    expected = masked(path, bands=2)
    np.testing.assert_allclose(read, expected, rtol=1e-6)
    np.testing.assert_array_equal(valid, np.isfinite(expected))


def test_a_mask_and_nodata_both_hide_pixels(tmp_path: Path) -> None:
    mask = np.array([[255, 255, 0]], np.uint8)
    path = write(tmp_path / "a.tif", np.array([[[0, 1, 2]]], np.uint8), nodata=0, mask=mask)
    assert open_raster(path).read()[1][0, :, 0].tolist() == [False, True, False]


def test_a_mask_in_a_sidecar_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        write(path, ramp(2, 3, 3) + 1, mask=np.eye(3, dtype=np.uint8) * 255)
    assert (tmp_path / "a.tif.msk").exists()
    np.testing.assert_array_equal(open_raster(path).read()[1], np.repeat(np.eye(3, dtype=bool)[..., None], 2, axis=-1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_says_what_is_valid_and_is_no_band(tmp_path: Path, dtype: str) -> None:
    values = ramp(4, 2, 3, dtype=dtype)
    values[3] = [[0, 1, 255], [255, 0, 255]]
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    source = open_raster(write(tmp_path / "a.tif", values, colours=colours, nodata=2))
    assert [band.name for band in source.bands] == ["red", "green", "blue"]
    expected = np.repeat((values[3] > 0)[..., None], 3, axis=-1)
    expected[0, 2, 0] = False
    np.testing.assert_array_equal(source.read()[1], expected)


def test_alpha_that_looks_like_a_measurement_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # GDAL marks the fourth band of any four bytes as alpha unless told otherwise: the near infrared would be lost.
    values = np.random.default_rng(0).integers(1, 255, (4, 40, 40)).astype(np.uint8)
    with caplog.at_level(logging.WARNING, "geodl"):
        assert len(open_raster(write(tmp_path / "naip.tif", values)).bands) == 3
        assert "band 4 of naip is marked as transparency but looks like a measurement" in caplog.text
        caplog.clear()
        values[3] = np.where(values[3] > 128, 255, 0)
        open_raster(write(tmp_path / "cut.tif", values))
        assert not caplog.text


def test_nodata_of_each_band_in_a_vrt(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.array([[[1, 2, 3]], [[1, 2, 3]]], np.uint8))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{k}"><NoDataValue>{k}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{k}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for k in (1, 2)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="3" rasterYSize="1">{bands}</VRTDataset>')
    source = open_raster(vrt)
    assert [band.nodata for band in source.bands] == [1, 2]
    np.testing.assert_array_equal(source.read()[1][0], [[False, True], [True, False], [True, True]])


def test_band_names(tmp_path: Path) -> None:
    def names(**kwargs: Any) -> list[str]:
        return [band.name for band in open_raster(write(tmp_path / "a.tif", ramp(3, 2, 2), **kwargs)).bands]

    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert names() == ["band_1", "band_2", "band_3"]
    assert names(photometric="RGB") == ["red", "green", "blue"]
    assert names(colours=(ColorInterp.red, ColorInterp.nir, ColorInterp.swir)) == ["red", "nir", "swir"]
    assert names(colours=rgb, descriptions=("B4", "B3", "B2")) == ["B4", "B3", "B2"]
    assert names(descriptions=("B4", None, "B2")) == ["B4", "band_2", "B2"]
    assert names(descriptions=("B4", "B4", "B2")) == ["band_1", "band_2", "band_3"]


def test_choosing_and_naming_bands(tmp_path: Path) -> None:
    named = write(tmp_path / "a.tif", ramp(3, 2, 2), descriptions=("a", "b", "c"))
    chosen = open_raster(named, bands=["c", "a"])
    np.testing.assert_array_equal(chosen.read()[0], np.moveaxis(ramp(3, 2, 2)[[2, 0]], 0, -1))
    np.testing.assert_array_equal(chosen.select(("a",)).read()[0][..., 0], ramp(3, 2, 2)[0])
    with pytest.raises(BandMismatch, match=r"Expected 2: c, d\. Received 3: a, b, c"):
        open_raster(named, bands=["c", "d"])
    nameless = write(tmp_path / "b.tif", ramp(3, 2, 2))
    assert [band.name for band in open_raster(nameless, bands=["r", "g", "b"]).bands] == ["r", "g", "b"]
    reversed_ = open_raster(nameless, bands=["band_3", "band_2", "band_1"])
    np.testing.assert_array_equal(reversed_.read()[0], np.moveaxis(ramp(3, 2, 2)[::-1], 0, -1))


def test_files_as_the_bands_of_one_scene(tmp_path: Path) -> None:
    red = write(tmp_path / "T33_B04_10m.tif", ramp(1, 4, 4), nodata=3)
    nir = write(tmp_path / "T33_B08_10m.tif", ramp(1, 4, 4).astype("float32") / 10)
    scene = open_raster({"red": red, "nir": nir})
    assert (scene.name, [band.name for band in scene.bands]) == ("T33", ["red", "nir"])
    values = scene.read(Window(1, 1, 2, 2))[0]
    np.testing.assert_array_equal(values[..., 0], ramp(4, 4)[1:3, 1:3])
    np.testing.assert_allclose(values[..., 1], ramp(4, 4)[1:3, 1:3] / 10)
    assert not scene.read()[1][0, 3, 0]
    assert scene.read()[1][0, 3, 1]
    assert [band.name for band in open_raster([nir, red]).bands] == ["B08", "B04"]
    both = write(tmp_path / "T33_rest_10m.tif", ramp(2, 4, 4), descriptions=("B11", "B12"))
    assert [band.name for band in open_raster([both, red]).bands] == ["rest_B11", "rest_B12", "B04"]
    with pytest.raises(BandMismatch, match="Expected 1: one band"):
        open_raster({"red": red, "nir": both})


def test_bands_on_another_grid_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", ramp(1, 4, 4))
    coarse = write(tmp_path / "b.tif", ramp(1, 2, 2), transform=UTM @ Affine.scale(2))
    with pytest.raises(GridMismatch, match=r"b\.tif is not on the grid of .*a\.tif: the size.*\(4, 4\).*\(2, 2\)"):
        open_raster({"red": one, "nir": coarse})


@pytest.mark.parametrize(
    "transform", [UTM @ Affine.rotation(30), Affine(10, 0, 0, 0, 10, 0.5), Affine(0.1, 0.02, 3, 0.01, -0.1, 7)]
)
def test_rotated_and_south_up_grids_are_kept(tmp_path: Path, transform: Affine) -> None:
    grid = open_raster(write(tmp_path / "a.tif", ramp(1, 3, 4), transform=transform)).grid
    assert grid.transform.almost_equals(transform, precision=1e-9)


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:4326",
        "EPSG:3857",
        "EPSG:32633",
        "EPSG:3035",
        "EPSG:2193",
        "EPSG:32633+5773",
        "ESRI:54009",
        "IAU_2015:49910",
    ],
)
def test_crs_is_kept(tmp_path: Path, crs: str) -> None:
    grid = open_raster(write(tmp_path / "a.tif", ramp(1, 2, 2), crs=rasterio.crs.CRS.from_user_input(crs))).grid
    assert grid.crs is not None
    # A GeoTIFF holds no names of some CRSs; that nothing else is lost is what counts.
    assert grid.crs == CRS.from_user_input(crs) or grid.crs.to_proj4() == CRS.from_user_input(crs).to_proj4()


def test_a_file_without_crs_is_a_pixel_grid_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.png", ramp(3, 4, 4, dtype="uint8"), driver="PNG", crs=None, transform=None)
    with caplog.at_level(logging.WARNING, "geodl"):
        source = open_raster(path)
        open_raster(path)
    assert (source.grid.crs, source.grid.transform) == (None, Affine.identity())
    assert [record.message for record in caplog.records] == [
        "a has no CRS: it is taken as a plain pixel grid; what is made of it has no CRS either."
    ]
    np.testing.assert_array_equal(source.read()[0], np.moveaxis(ramp(3, 4, 4), 0, -1))


def test_what_cannot_be_read_right_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "complex.tif", ramp(1, 2, 2, dtype="complex64"))
    corners = [GroundControlPoint(row, col, 100 + col, 50 - row, 0) for row, col in ((0, 0), (0, 2), (2, 0), (2, 2))]
    write(tmp_path / "gcps.tif", ramp(1, 2, 2), transform=None, gcps=corners)
    write(tmp_path / "alpha.tif", ramp(1, 2, 2, dtype="uint8"), colours=(ColorInterp.alpha,))
    for name, cause in {
        "complex": r"band 1 is complex \(complex64\)\. Write its magnitude",
        "gcps": r"ground control points only.*data\.resample",
        "alpha": "no band besides transparency",
    }.items():
        with pytest.raises(SourceUnreadable, match=cause):
            open_raster(tmp_path / f"{name}.tif")


VRT = """<VRTDataset rasterXSize="7" rasterYSize="5"><GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>
<SRS>EPSG:32633</SRS><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>
<SourceFilename relativeToVRT="{relative}">{name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
</VRTRasterBand></VRTDataset>"""


def test_a_virtual_file_finds_what_it_refers_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiles").mkdir()
    tile = write(tmp_path / "tiles" / "a.tif", ramp(1, 5, 7))
    for name, relative in (("tiles/a.tif", 1), (tile, 0)):
        (tmp_path / "a.vrt").write_text(VRT.format(name=name, relative=relative))
        source = open_raster(tmp_path / "a.vrt")
        np.testing.assert_array_equal(source.read()[0][..., 0], ramp(5, 7))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(open_raster("a.vrt").read()[0][..., 0], ramp(5, 7))


def test_a_virtual_file_that_refers_to_nothing_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, relative in (("gone.tif", 1), (tmp_path / "gone.tif", 0)):
        (tmp_path / "a.vrt").write_text(VRT.format(name=name, relative=relative))
        with pytest.raises(SourceUnreadable, match=r"a\.vrt: it refers to .*gone\.tif, which is not there"):
            open_raster(tmp_path / "a.vrt")
    assert capfd.readouterr() == ("", "")


def test_jpeg_2000_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9999, (1, 70, 90)).astype(np.uint16)
    values[0, :3] = 0
    path = write(tmp_path / "a.jp2", values, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    read, valid = open_raster(Asset(path, nodata=0, bands=("B04",))).read()
    np.testing.assert_array_equal(read[..., 0], np.where(values[0] == 0, np.nan, values[0]))
    np.testing.assert_array_equal(valid[..., 0], values[0] != 0)


def test_an_asset_says_what_its_file_does_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", ramp(2, 3, 4), nodata=7, scales=(3.0, 3.0), units=("m", "m"))
    plain = open_raster(Asset(path))
    assert plain.bands == open_raster(path).bands
    told = Asset(path, unit="reflectance", scale=1e-4, offset=-0.1, nodata=0, bands=("B2", "B3"))
    for spec in (told, [told]):
        source = open_raster(spec, name="scene")
        assert [(b.name, b.unit, b.scale, b.offset, b.nodata) for b in source.bands] == [
            ("B2", "reflectance", 1e-4, -0.1, 0),
            ("B3", "reflectance", 1e-4, -0.1, 0),
        ]
        stored = np.moveaxis(ramp(2, 3, 4), 0, -1).astype(float)
        np.testing.assert_allclose(source.read()[0], np.where(stored == 0, np.nan, stored * 1e-4 - 0.1), rtol=1e-5)
    assert open_raster(Asset(path, nodata=float("nan"))).read()[1].all()
    with pytest.raises(BandMismatch, match="Expected 1: one. Received 2"):
        open_raster(Asset(path, bands=("one",)))
    one = Asset(write(tmp_path / "b.tif", ramp(1, 3, 4)), scale=2)
    assert open_raster({"red": one}).read()[0][2, 3, 0] == 22


def test_reading_from_several_threads_gives_the_same(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9999, (3, 300, 300)).astype(np.uint16)
    source = open_raster(
        write(tmp_path / "a.tif", values, nodata=7, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    )
    whole = source.read()[0]
    windows = [Window(col, row, 70, 90) for row in range(0, 250, 25) for col in range(0, 250, 25)]
    with ThreadPoolExecutor(6) as pool:
        for window, (values_, _) in zip(windows, pool.map(source.read, windows)):
            rows, columns = window.toslices()
            inside = whole[rows, columns]
            np.testing.assert_array_equal(values_[: inside.shape[0], : inside.shape[1]], inside)


def test_a_closed_source_opens_again(tmp_path: Path) -> None:
    source = open_raster(write(tmp_path / "a.tif", ramp(1, 2, 2)))
    source.close()
    np.testing.assert_array_equal(source.read()[0][..., 0], ramp(2, 2))


def test_finding_scenes(tmp_path: Path) -> None:
    for name in ("B1.tif", "B10.tif", "B2.tif"):
        write(tmp_path / name, ramp(1, 2, 2))
    paths = [str(tmp_path / name) for name in ("B1.tif", "B2.tif", "B10.tif")]
    assert find_scenes(tmp_path) == list(zip(("B1", "B2", "B10"), paths))
    assert find_scenes(paths[0]) == [("B1", paths[0])]
    assert find_scenes(str(tmp_path / "B1*.tif")) == [("B1", paths[0]), ("B10", paths[2])]
    assert find_scenes(tmp_path, stack=True) == [(tmp_path.name, paths)]
    bands = {"red": paths[0], "nir": paths[1]}
    assert find_scenes(bands) == [(tmp_path.name, bands)]
    assert [name for name, _ in find_scenes([bands, paths[2], bands])] == [
        f"{tmp_path.name}_1",
        "B10",
        f"{tmp_path.name}_2",
    ]
    with pytest.raises(EmptyDataset):
        find_scenes({})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_virtual_file_that_refers_to_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "a.vrt").write_text(VRT.format(name="pipe.tif", relative=1))
    with pytest.raises(SourceUnreadable, match=r"a\.vrt: it refers to .*pipe\.tif, which is a pipe"):
        open_raster(tmp_path / "a.vrt")
