"""What one image, or one spectrum, resembles another by: SSIM and the spectral angle."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ("spectral_angles", "structural_similarity", "whole_windows")

_RADIUS = 5
"""Half the side of an SSIM window in pixels: a Gaussian of standard deviation 1.5, cut off at 3.5 of them."""


def structural_similarity(truth: np.ndarray, prediction: np.ndarray, peak: float) -> np.ndarray:
    """Returns the SSIM of each pixel's surroundings (Wang et al. 2004, "Image quality assessment", section III.B).

    Args:
        truth: image of shape (height, width), without not-a-number.
        prediction: shape of `truth`.
        peak: range of the values, of which K1 = 0.01 and K2 = 0.03 are the constants that steady the two ratios.

    Returns:
        −1 to 1, float64, shape of `truth`. Windows are 11 × 11 pixels under a Gaussian of standard deviation 1.5; within
        5 pixels of a side they hold mirrored pixels, see `whole_windows`.
    """
    one, other = truth.astype(np.float64), prediction.astype(np.float64)

    def blurred(image: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(image, 1.5, radius=_RADIUS)

    mean_one, mean_other = blurred(one), blurred(other)
    # The sum of both variances is all that the formula needs: four filters instead of five.
    variances = blurred(one * one + other * other) - mean_one**2 - mean_other**2
    covariance = blurred(one * other) - mean_one * mean_other
    light, contrast = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    above = (2 * mean_one * mean_other + light) * (2 * covariance + contrast)
    return above / ((mean_one**2 + mean_other**2 + light) * (variances + contrast))


def whole_windows(valid: np.ndarray) -> np.ndarray:
    """Marks pixels (height, width) whose whole SSIM window lies in the image and is valid."""
    return ndimage.minimum_filter(valid, 2 * _RADIUS + 1, mode="constant", cval=0)


def spectral_angles(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the angles between spectra (Kruse et al. 1993, "The spectral image processing system").

    Args:
        truth: shape (n, bands), finite.
        prediction: shape of `truth`.

    Returns:
        Degrees, 0 to 180, of the spectra whose truth is not all zero; an all-zero prediction is 90° off.
    """
    norms = np.linalg.norm(truth, axis=-1)
    truth, prediction, norms = truth[norms > 0], prediction[norms > 0], norms[norms > 0]
    length = norms * np.linalg.norm(prediction, axis=-1)
    dot = (truth * prediction).sum(axis=-1)
    cosine = np.divide(dot, length, out=np.zeros_like(dot), where=length > 0)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
