"""What filters of images share: one band at a time, and means over the valid pixels of a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

__all__ = ("each_band", "fill", "window_mean")


def each_band(x: np.ndarray, filter_band: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """Filters every band of a batch by itself.

    Args:
        x: (batch, height, width, band), not-a-number where invalid.
        filter_band: gets a band as float64 of shape (height, width) and its index, and gives a band of that shape.
            Bands without a valid pixel are left out.

    Returns:
        float32 array of the shape of `x`, not-a-number where `x` is.
    """
    found = np.full(x.shape, np.nan, np.float32)
    for image, result in zip(x, found, strict=True):
        for band in range(x.shape[-1]):
            valid = np.isfinite(image[..., band])
            if valid.any():
                filtered = filter_band(image[..., band].astype(np.float64), band)
                result[..., band][valid] = filtered[valid]
    return found


def fill(band: np.ndarray, *, size: int = 7) -> np.ndarray:
    """Replaces invalid pixels by the mean of the valid ones around, or of all if there is none within the window.

    Args:
        band: (height, width), at least one pixel finite.
        size: side of the window in pixels.
    """
    valid = np.isfinite(band)
    if valid.all():
        return band
    mean = window_mean(band, np.ones((size, size)))
    return np.where(valid, band, np.where(np.isfinite(mean), mean, band[valid].mean()))


def window_mean(band: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Returns the mean of the valid pixels in a window around each pixel; outside the image none is valid.

    Args:
        band: (height, width), float64, not-a-number where invalid.
        window: weights of odd height and width, centred on the pixel.

    Returns:
        (height, width), not-a-number where the window holds no valid pixel.
    """
    valid = np.isfinite(band)
    total, weight = (
        ndimage.correlate(values, window.astype(np.float64), mode="constant")
        for values in (np.where(valid, band, 0.0), valid.astype(np.float64))
    )
    # Weights of the windows used are whole numbers; what is nearly 0 is 0.
    return np.divide(total, weight, out=np.full(band.shape, np.nan), where=weight > 0.5)
