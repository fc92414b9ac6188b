"""Resizing against Pillow, MATLAB's own files and scipy; colours against scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import color

from geodl.errors import OptionError
from geodl.physics.sensor import (
    Blur,
    crop_to_multiple,
    degrade,
    enlarge,
    resize,
    rgb_to_luma,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)


def picture(height: int, width: int, bands: int = 1, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (height, width, bands)).astype(np.float32)


def pillow(band: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(band.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))


SIZES = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 10))
def test_the_interior_is_that_of_pillow(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    image = picture(height, width, seed=seed)[..., 0]
    found, wanted = resize(image, (rows, columns)), pillow(image, (rows, columns))
    assert found.shape == (rows, columns) and found.flags.c_contiguous
    # Pillow renormalises at the borders where MATLAB mirrors: compare where the kernel, four pixels wide, fits in.
    inner = []
    for length, size in ((height, rows), (width, columns)):
        step = length / size
        centre, reach = (np.arange(size) + 0.5) * step, 2 * max(step, 1.0)
        inner.append((centre - reach >= 0) & (centre + reach <= length))
    np.testing.assert_allclose(found[np.ix_(*inner)], wanted[np.ix_(*inner)], atol=2e-5)


@pytest.mark.parametrize("shape", [(12, 15), (6, 10), (48, 60), (8, 90), (24, 30)])
def test_borders_are_mirrored(shape: tuple[int, int]) -> None:
    image = picture(24, 30)[..., 0]
    padded = np.pad(image, ((24, 24), (30, 30)), mode="symmetric")
    wanted = pillow(padded, (3 * shape[0], 3 * shape[1]))[shape[0] : 2 * shape[0], shape[1] : 2 * shape[1]]
    np.testing.assert_allclose(resize(image, shape), wanted, atol=2e-5)


def test_halving_and_doubling_by_hand() -> None:
    # Keys' kernel is 111, 29, -9 and -3 of 128 at 1/4, 3/4, 5/4 and 7/4 pixels, and half of that where it is twice as wide.
    impulse = np.zeros((16, 1))
    impulse[8] = 1
    np.testing.assert_allclose(resize(impulse, (8, 1))[2:7, 0] * 256, [-3, 29, 111, -9, 0], atol=1e-12)
    np.testing.assert_allclose(enlarge(impulse, 2)[13:21, 0] * 128, [-3, -9, 29, 111, 111, 29, -9, -3], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.booleans(), st.floats(-1e4, 1e4))
def test_constants_are_kept(height: int, width: int, rows: int, columns: int, antialias: bool, value: float) -> None:
    image = np.full((height, width, 2), value)
    np.testing.assert_allclose(resize(image, (rows, columns), antialias=antialias), value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "scale"), [(40, 4), (40, 2), (40, 0.5), (39, 1 / 3)])
def test_linear_ramps_are_kept_and_stay_where_they_are(size: int, scale: float) -> None:
    ramp = np.add.outer(np.arange(size) + 0.5, 2 * (np.arange(size) + 0.5))
    result = round(size * scale)
    place = (np.arange(result) + 0.5) / scale
    inner = slice(int(np.ceil(2 * max(scale, 1))) + 1, -int(np.ceil(2 * max(scale, 1))) - 1)
    np.testing.assert_allclose(
        resize(ramp, (result, result))[inner, inner], np.add.outer(place, 2 * place)[inner, inner]
    )


def test_without_antialiasing_shrinking_samples() -> None:
    image = picture(9, 9)
    np.testing.assert_allclose(resize(image, (3, 3), antialias=False), image[1::3, 1::3], atol=1e-6)
    assert np.abs(resize(image, (3, 3)) - image[1::3, 1::3]).max() > 0.1


@pytest.mark.parametrize("scale", [2, 3, 4, 6])
def test_mtf_is_gaussian_blur_and_mean_of_blocks(scale: int) -> None:
    image = picture(5 * scale, 7 * scale, 3).astype(np.float64)
    blurred = ndimage.gaussian_filter(image, (1 / scale, 1 / scale, 0))
    wanted = blurred.reshape(5, scale, 7, scale, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(degrade(image, scale, blur="mtf"), wanted, atol=1e-12)


@pytest.mark.parametrize("blur", ["bicubic", "mtf"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_coarse_pixel_is_nodata_where_one_of_its_own_pixels_is(blur: Blur, scale: int) -> None:
    image = picture(12, 24, 2) + 10
    image[5, 6:9, 0] = np.nan
    image[0, 0, 1] = np.inf
    found = degrade(image, scale, blur=blur)
    wanted = (~np.isfinite(image)).reshape(12 // scale, scale, 24 // scale, scale, 2).any(axis=(1, 3))
    np.testing.assert_array_equal(np.isnan(found), wanted)
    # Ten times as far as the noise is wide: no weights near zero were divided by.
    assert np.nanmin(found) > 8 and np.nanmax(found) < 12


@pytest.mark.parametrize("blur", ["bicubic", "mtf"])
@pytest.mark.parametrize("bands", [1, 3])
def test_nodata_touches_only_its_surroundings(blur: Blur, bands: int) -> None:
    image = picture(40, 40, bands)
    holed = image.copy()
    holed[18:21, 19] = np.nan
    whole, found = degrade(image, 2, blur=blur), degrade(holed, 2, blur=blur)
    far = np.ones((20, 20), bool)
    far[6:14, 6:14] = False
    np.testing.assert_allclose(found[far], whole[far], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 1000), st.sampled_from([0.05, 0.5, 0.95])
)
def test_enlarging_keeps_nodata_where_it_is_and_constants_beside_it(
    height: int, width: int, scale: int, seed: int, share: float
) -> None:
    image = np.full((height, width, 2), 7.0)
    image[np.random.default_rng(seed).random(image.shape) < share] = np.nan
    np.testing.assert_allclose(enlarge(image, scale), image.repeat(scale, axis=0).repeat(scale, axis=1), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000))
def test_any_size_keeps_constants_beside_nodata(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    image = np.full((height, width), 7.0)
    image[np.random.default_rng(seed).random(image.shape) < 0.2] = np.nan
    found = resize(image, (rows, columns))
    np.testing.assert_allclose(found[np.isfinite(found)], 7.0, rtol=1e-9)
    if np.isfinite(image).all():
        assert np.isfinite(found).all()


def test_all_nodata_and_one_nodata_band() -> None:
    image = picture(8, 8, 2)
    image[..., 1] = np.nan
    found = degrade(image, 2)
    assert np.isnan(found[..., 1]).all()
    np.testing.assert_allclose(found[..., 0], degrade(image[..., 0], 2), atol=1e-6)
    assert np.isnan(enlarge(image[..., 1], 2)).all()


def test_types_and_dimensions() -> None:
    assert resize(np.ones((4, 4), np.uint8), (2, 2)).dtype == np.float32
    assert resize(np.ones((4, 4), np.float64), (2, 2)).dtype == np.float64
    image = picture(4, 4, 3)
    np.testing.assert_allclose(resize(image, (2, 8))[..., 1], resize(image[..., 1], (2, 8)), atol=1e-6)
    np.testing.assert_array_equal(resize(image, (4, 4)), image)
    np.testing.assert_array_equal(degrade(image, 1, blur="mtf"), image)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 8))
def test_cropping_gives_the_greatest_multiple(height: int, width: int, scale: int) -> None:
    image = np.arange(height * width).reshape(height, width)
    if scale > min(height, width):
        with pytest.raises(OptionError, match="scale"):
            crop_to_multiple(image, scale)
        return
    found = crop_to_multiple(image, scale)
    assert all(
        size % scale == 0 and 0 <= full - size < scale for size, full in zip(found.shape, image.shape, strict=True)
    )
    np.testing.assert_array_equal(found, image[: found.shape[0], : found.shape[1]])


def test_colours_are_those_of_scikit_image() -> None:
    rgb = np.random.default_rng(0).uniform(0, 255, (9, 10, 3))
    wanted = color.rgb2ycbcr(rgb / 255)
    np.testing.assert_allclose(rgb_to_ycbcr(rgb), wanted, atol=1e-9)
    np.testing.assert_allclose(rgb_to_luma(rgb), wanted[..., 0], atol=1e-9)
    np.testing.assert_allclose(ycbcr_to_rgb(wanted), rgb, atol=1e-9)
    assert rgb_to_luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).round(4).tolist() == [[16.0, 235.0]]
    assert rgb_to_ycbcr(rgb.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: degrade(picture(7, 8), 2), "scale"),
        (lambda: degrade(picture(8, 8), 0), "scale"),
        (lambda: degrade(picture(8, 8), 2, blur="box"), "blur"),
        (lambda: enlarge(picture(8, 8), 1.5), "scale"),
        (lambda: enlarge(picture(8, 8), float("nan")), "scale"),
        (lambda: enlarge(np.ones(8), 2), "image"),
        (lambda: resize(picture(8, 8), (0, 4)), "shape"),
        (lambda: resize(picture(8, 8), (4,)), "shape"),
        (lambda: resize(np.ones((2, 8, 8, 1)), (4, 4)), "image"),
        (lambda: resize(np.ones((0, 8)), (4, 4)), "image"),
        (lambda: rgb_to_luma(np.ones((4, 4))), "rgb"),
        (lambda: ycbcr_to_rgb(np.ones((4, 4, 1))), "ycbcr"),
    ],
)
def test_what_cannot_be_is_refused(call, named: str) -> None:
    with pytest.raises(OptionError, match=f"^{named}: expected"):
        call()


def _rounded(values: np.ndarray) -> np.ndarray:
    """To uint8 as MATLAB: halves up, clipped."""
    return np.clip(np.floor(values + 0.5), 0, 255)


def _set5(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    files = sorted((folder / "superres/set5").glob("*_SRF_2_HR.png"))
    if len(files) != 5:
        pytest.skip(f"real data absent: {folder / 'superres/set5'}")
    pairs = [(file, file.with_name(file.name.replace("HR", "LR"))) for file in files]
    return [tuple(np.asarray(Image.open(path).convert("RGB"), np.float64) for path in pair) for pair in pairs]  # type: ignore[misc]


def test_set5_is_halved_as_matlab_did(real_data: Path) -> None:
    for fine, coarse in _set5(real_data):
        # MATLAB rounds integer images after each axis, rows first. These files are older than its mirrored borders.
        rows = _rounded(resize(fine, (coarse.shape[0], fine.shape[1])))
        found = _rounded(resize(rows, coarse.shape[:2]))
        np.testing.assert_array_equal(found[3:-3, 3:-3], coarse[3:-3, 3:-3])


def test_set5_bicubic_has_the_published_score(real_data: Path) -> None:
    scores = []
    for fine, coarse in _set5(real_data):
        luma = _rounded(enlarge(rgb_to_luma(coarse), 2))
        error = (luma - _rounded(rgb_to_luma(fine)))[2:-2, 2:-2]
        scores.append(10 * np.log10(255**2 / np.mean(np.square(error))))
    assert np.mean(scores) == pytest.approx(33.66, abs=0.05)
