from __future__ import annotations

import keras
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from geodl.losses import SSIMLoss

PEAK = (255.0, 3.0)


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.uniform(size=(2, 24, 22, 2)) * PEAK + [0, 40]).astype("float32")


@pytest.fixture
def guess(truth: np.ndarray) -> np.ndarray:
    return (truth + np.random.default_rng(1).normal(size=truth.shape) * [40, 0.5]).astype("float32")


def call(loss: keras.losses.Loss, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(p)))


def of_scikit_image(y: np.ndarray, p: np.ndarray, peak: float) -> np.ndarray:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    return structural_similarity(y.astype(float), p.astype(float), data_range=peak, **options)[1]


def test_is_one_minus_that_of_scikit_image(truth: np.ndarray, guess: np.ndarray) -> None:
    values = call(SSIMLoss(PEAK), truth, guess)
    maps = [
        [of_scikit_image(y[..., band], p[..., band], PEAK[band]) for band in range(2)]
        for y, p in zip(truth, guess, strict=True)
    ]
    inside = (slice(None), slice(5, -5), slice(5, -5))  # nearer to the border scikit-image mirrors the image
    np.testing.assert_allclose(values[inside], 1 - np.mean(maps, axis=1)[inside], atol=2e-5)


def test_invalid_pixels_and_the_outside_take_no_part(truth: np.ndarray, guess: np.ndarray) -> None:
    y, p = truth, guess
    y[0, 6:12, 3:9] = np.nan
    y[0, ..., 1] = np.nan
    values = call(SSIMLoss(PEAK), y, p)[0]
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.pad(np.outer(line, line), 30)
    for i, j in ((0, 0), (5, 2), (12, 9), (23, 10)):
        weights = window[35 - i : 35 - i + 24, 35 - j : 35 - j + 22][np.isfinite(y[0, ..., 0])]
        pair = np.stack([image[0, ..., 0][np.isfinite(y[0, ..., 0])] for image in (y, p)]).astype(float)
        (m1, m2), cov = np.average(pair, axis=1, weights=weights), np.cov(pair, aweights=weights, ddof=0)
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        ssim = (2 * m1 * m2 + c1) * (2 * cov[0, 1] + c2) / (m1**2 + m2**2 + c1) / (cov[0, 0] + cov[1, 1] + c2)
        assert values[i, j] == pytest.approx(1 - ssim, abs=2e-5)


def test_equal_images_cost_nothing(truth: np.ndarray) -> None:
    np.testing.assert_allclose(call(SSIMLoss(PEAK), truth, truth), 0, atol=1e-5)


def test_the_range_is_six_standard_deviations_where_it_is_not_told(truth: np.ndarray, guess: np.ndarray) -> None:
    told = call(SSIMLoss([60.0, 6.0]), truth, guess)
    np.testing.assert_allclose(call(SSIMLoss(scale=[10.0, 1.0]), truth, guess), told, atol=1e-4)
    np.testing.assert_allclose(call(SSIMLoss([60.0, 6.0], [10.0, 1.0]), truth, guess), told, atol=1e-4)
