from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from skimage.color import rgb2ycbcr

from geodl.contract import Band
from geodl.data.cube import open_array
from geodl.data.luma import LumaSource, find_colours
from geodl.data.raster import open_raster
from geodl.data.source import Window
from geodl.errors import BandMismatch, UnitMismatch

RGB = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)


def test_luma_and_chroma_are_those_of_scikit_image() -> None:
    expected = rgb2ycbcr(RGB)
    colours = find_colours("image", open_array(RGB).bands)
    np.testing.assert_allclose(colours.luma(RGB), expected[..., :1], atol=1e-4)
    np.testing.assert_allclose(colours.chroma(RGB), expected[..., 1:], atol=1e-4)
    np.testing.assert_allclose(colours.join(colours.luma(RGB), colours.chroma(RGB)), RGB, atol=1e-3)


def test_grey_is_red_green_and_blue_alike() -> None:
    grey = RGB[..., :1]
    colours = find_colours("image", [Band("anything", dtype="uint8")])
    luma = colours.luma(grey)
    np.testing.assert_allclose(luma, rgb2ycbcr(grey.repeat(3, -1))[..., :1], atol=1e-4)
    assert colours.chroma(grey).shape == (6, 7, 0)
    np.testing.assert_allclose(colours.join(luma, colours.chroma(grey)), grey, atol=1e-4)


def test_colours_are_found_by_name_whatever_their_order() -> None:
    bands = ["nir", "Blue", "GREEN", "red"]
    scene = open_array(np.concatenate([RGB[..., :1], RGB[..., ::-1]], -1), bands=bands)
    source = LumaSource(scene)
    np.testing.assert_allclose(source.read()[0], rgb2ycbcr(RGB)[..., :1], atol=1e-4)
    assert source.bands == (Band("luma", "luma", "uint8"),) and source.grid == scene.grid
    assert source.select(("luma",)).rename(["Y"]).bands[0].name == "Y"
    with pytest.raises(BandMismatch):
        source.select(("red",))


def test_colours_are_found_by_what_a_file_says_of_them(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=7, height=6, count=4, dtype="uint8", photometric="RGB", alpha="yes"
    ) as file:
        file.write(np.moveaxis(RGB, -1, 0), (1, 2, 3))
        file.write(np.where(np.arange(7) < 5, 255, 0).astype(np.uint8)[None].repeat(6, 0), 4)
    source = LumaSource(open_raster(path))
    values, valid = source.read(Window(3, -1, 6, 4))
    assert source.paths == (str(path),)
    np.testing.assert_array_equal(valid[..., 0], np.isfinite(values[..., 0]))
    np.testing.assert_array_equal(valid[..., 0], np.outer(np.arange(-1, 3) >= 0, np.arange(3, 9) < 5))
    np.testing.assert_allclose(values[1:, :2, 0], rgb2ycbcr(RGB)[:3, 3:5, 0], atol=1e-4)


def test_a_pixel_that_lacks_a_colour_is_invalid() -> None:
    values = RGB.astype(np.float32)
    values[2, 3, 1] = np.nan
    _, valid = LumaSource(open_array(values)).read()
    assert (~valid).sum() == 1 and not valid[2, 3, 0]


def test_luma_itself_is_read_as_it_is() -> None:
    values = np.stack([np.full((4, 5), 200.0), np.full((4, 5), 7.0)], -1)
    np.testing.assert_array_equal(LumaSource(open_array(values, bands=["luma", "x"])).read()[0], 200)


def test_other_scenes_are_refused_by_name() -> None:
    message = (
        r"scene: .* Expected 1: luma \(or red, green and blue, or one grey band, .* Received 4: B02, B03, B04, B08"
    )
    with pytest.raises(BandMismatch, match=message):
        LumaSource(open_array(np.zeros((4, 5, 4)), bands=["B02", "B03", "B04", "B08"], name="scene"))
    for band, received in (
        (Band("red", "reflectance"), "'reflectance'"),
        (Band("red", dtype="uint16"), "'uint16'"),
        (Band("red", dtype="uint8", scale=0.01), "'uint8, times 0.01 plus 0'"),
    ):
        with pytest.raises(UnitMismatch, match=f"band red .* Expected '0 to 255 .uint8.'. Received: {received}"):
            find_colours("scene", [band])


def test_where_nothing_tells_the_range_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "geodl"):
        for _ in range(2):
            LumaSource(open_array(RGB.astype(np.float32), name="a photo of floats"))
        LumaSource(open_array(RGB[..., :1].astype(np.int16), name="heights"))
        LumaSource(open_array(RGB, name="a photo of bytes"))
    assert caplog.text.count("a photo of floats: its values are float32. They are taken as 0 (black) to 255") == 1
    assert caplog.text.count("heights: its values are int16. They are taken as 0 (black) to 255") == 1
    assert "bytes" not in caplog.text
