import numpy as np
import pytest
from skimage.metrics import structural_similarity as reference

from geodl.metrics.similarity import spectral_angles, structural_similarity, whole_windows

OPTIONS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@pytest.mark.parametrize("peak", [1.0, 255.0, 10_000.0])
def test_ssim_is_that_of_scikit_image(peak: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, peak, (23, 31))
    prediction = truth + rng.normal(0, peak / 10, truth.shape)
    ours = structural_similarity(truth, prediction, peak)
    score, theirs = reference(truth, prediction, data_range=peak, full=True, **OPTIONS)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert ours[whole_windows(np.ones(truth.shape, bool))].mean() == pytest.approx(score, abs=1e-12)


def test_whole_windows_keep_five_pixels_from_sides_and_holes() -> None:
    valid = np.ones((24, 24), bool)
    valid[11, 12] = False
    expected = np.zeros_like(valid)
    expected[5:19, 5:19] = True
    expected[6:17, 7:18] = False
    np.testing.assert_array_equal(whole_windows(valid), expected)
    assert not whole_windows(np.ones((10, 30), bool)).any()


def test_angles_of_known_spectra() -> None:
    truth = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    guess = np.array([[0.0, 2.0], [5.0, 0.0], [1.0, 1.0], [30.0, 40.0], [0.0, 0.0]])
    np.testing.assert_allclose(spectral_angles(truth, guess), [90, 45, 0, 90], atol=1e-6)
