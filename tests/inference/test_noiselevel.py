from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from geodl.data.cube import open_array
from geodl.errors import NoValidPixels
from geodl.inference.noiselevel import estimate_noise, noise_of_scene


def smooth(height: int, width: int, bands: int = 1) -> np.ndarray:
    rng = np.random.default_rng(1)
    return 200 * ndimage.gaussian_filter(rng.normal(size=(height, width, bands)), (8, 8, 0))


@given(st.floats(0.1, 60), st.integers(0, 9))
def test_the_noise_of_smooth_images_is_found(sigma: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(scale=sigma, size=(160, 150, 2)) * [1, 3]
    image = (10 * smooth(160, 150, 2) * sigma / 100 + noise).astype(np.float32)
    np.testing.assert_allclose(estimate_noise(image), [sigma, 3 * sigma], rtol=0.05)


def test_a_plane_has_no_noise() -> None:
    """Two vanishing moments: slopes are no details."""
    y, x = np.mgrid[:64, :64]
    assert estimate_noise((3 * x - 2 * y).astype(np.float64)[..., None])[0] < 1e-9


def test_nodata_is_left_out() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(scale=4, size=(120, 120, 1))
    image[rng.random((120, 120)) < 0.02] = np.nan
    image[:40] = np.nan
    np.testing.assert_allclose(estimate_noise(image), 4, rtol=0.05)
    assert np.isnan(estimate_noise(np.full((50, 50, 1), np.nan))).all()
    assert np.isnan(estimate_noise(np.ones((3, 3, 1)))).all()


def test_of_a_scene_windows_are_looked_at() -> None:
    rng = np.random.default_rng(0)
    values = (smooth(700, 300) + rng.normal(scale=5, size=(700, 300, 1))).astype(np.float32)
    values[:200] = 0
    found = noise_of_scene(open_array(values))
    assert found == pytest.approx(5, rel=0.05)
    assert noise_of_scene(open_array(values), see=lambda image: 2 * image) == pytest.approx(2 * found)


def test_windows_without_valid_pixels_do_not_end_the_search() -> None:
    values = np.full((1500, 1500, 1), np.nan, np.float32)
    values[200:290, 200:290] = np.random.default_rng(0).normal(scale=3, size=(90, 90, 1))
    assert noise_of_scene(open_array(values)) == pytest.approx(3, rel=0.1)


def test_what_tells_nothing() -> None:
    assert noise_of_scene(open_array(np.full((200, 200, 1), 7.0))) == 0
    assert noise_of_scene(open_array(np.ones((5, 5, 1)))) is None
    with pytest.raises(NoValidPixels):
        noise_of_scene(open_array(np.full((40, 40, 1), np.nan)))
