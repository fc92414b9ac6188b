"""What a coarser sensor would have seen: bicubic resizing as MATLAB's, blur and mean of the pixels, and luma.

Every operation is separable and linear, so each axis has a matrix of weights that is made once per (length, size).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import ndimage, sparse

from geodl.errors import OptionError

__all__ = ("Blur", "crop_to_multiple", "degrade", "enlarge", "resize", "rgb_to_luma", "rgb_to_ycbcr", "ycbcr_to_rgb")

Blur = Literal["bicubic", "mtf"]
"""How `degrade` blurs before it samples: antialiased bicubic (MATLAB), or Gaussian and mean (a sensor's MTF)."""

_LUMA_OFFSET = np.array([16.0, 128.0, 128.0])
_RGB_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255


def resize(image: np.ndarray, shape: tuple[int, int], *, antialias: bool = True) -> np.ndarray:
    """Resizes an image by bicubic interpolation, equal to MATLAB's `imresize(image, shape, "bicubic")`.

    The kernel is that of Keys (1981, "Cubic convolution interpolation for digital image processing", a = -0.5), widened when
    an axis shrinks; borders are mirrored (the border pixel is repeated); pixel centres are aligned by area, so the outer
    edges of both images coincide. The result is neither rounded nor clipped.

    Where a pixel is missing (NaN or infinite), its share goes to the valid pixels under the kernel, each weighted with the
    modulus of its own weight: a normalised convolution (Knutsson and Westin 1993) that the kernel's negative lobes cannot
    bring to a division by zero.

    Args:
        image: `(height, width)` or `(height, width, band)`, physical units, NaN is nodata.
        shape: `(height, width)` of the result.
        antialias: widen the kernel along an axis that shrinks.

    Returns:
        `(*shape)` or `(*shape, band)`, the floating-point type of `image` (integers become float32 or float64). NaN where
        any pixel that a pixel of the result covers (its nearest one, when enlarging) is missing.

    Raises:
        OptionError: `image` has another number of dimensions or no pixels; `shape` is not positive.

    Example:
        >>> resize(np.ones((6, 8, 3), np.float32), (3, 4)).shape
        (3, 4, 3)
    """
    image = _floating(image)
    if len(shape) != 2 or any(not float(size).is_integer() or size < 1 for size in shape):
        raise OptionError("shape", expected="(height, width), both at least 1", received=shape)
    rows, columns = (
        _bicubic(length, int(size), antialias, image.dtype.char)
        for length, size in zip(image.shape[:2], shape, strict=True)
    )
    return _apply(image, rows, columns)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges an image `scale` times by bicubic interpolation.

    Args:
        image: `(height, width)` or `(height, width, band)`, NaN is nodata.
        scale: how many times, a whole number of at least 1.

    Returns:
        `(scale * height, scale * width[, band])`, as from `resize`.

    Raises:
        OptionError: `scale` is not a whole number of at least 1, or `image` has another number of dimensions.

    Example:
        >>> enlarge(np.ones((3, 4, 2), np.float32), 2).shape
        (6, 8, 2)
    """
    scale = _checked_scale(scale)
    image = np.asarray(image)
    return resize(image, (image.shape[0] * scale, image.shape[1] * scale) if image.ndim >= 2 else (scale, scale))


def degrade(image: np.ndarray, scale: int, *, blur: Blur = "bicubic") -> np.ndarray:
    """Simulates the image of a sensor with pixels `scale` times as large (Wald et al. 1997).

    `"bicubic"` is `resize`, what the super-resolution benchmarks use. `"mtf"` blurs with a Gaussian of standard deviation
    1/`scale` pixels **of the fine image** and takes the mean of each `scale` x `scale` block (Lanaras et al. 2018,
    "Super-resolution of Sentinel-2 images: learning a globally applicable deep neural network"; the authors' program,
    DSen2, counts the 1/`scale` in fine pixels); borders are mirrored and the Gaussian ends at four standard deviations.

    Args:
        image: `(height, width)` or `(height, width, band)`, NaN is nodata.
        scale: how many times coarser, a whole number of at least 1. 1 returns the image itself.
        blur: `"bicubic"` or `"mtf"`.

    Returns:
        `(height / scale, width / scale[, band])`, the floating-point type of `image`. A coarse pixel is NaN where any of its
        own `scale` x `scale` pixels is missing; missing pixels around it only leave their share to the valid ones.

    Raises:
        OptionError: `scale` is not a whole number or does not divide the size (see `crop_to_multiple`), or `blur` is unknown.

    Example:
        >>> degrade(np.ones((6, 8, 3), np.float32), 2, blur="mtf").shape
        (3, 4, 3)
    """
    scale = _checked_scale(scale)
    image = _floating(image)
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise OptionError(
            "scale", expected=f"a divisor of the image's height {height} and width {width}", received=scale
        )
    if blur not in ("bicubic", "mtf"):
        raise OptionError("blur", expected="bicubic or mtf", received=blur)
    if scale == 1:
        return image
    if blur == "bicubic":
        return resize(image, (height // scale, width // scale))
    return _apply(image, _mtf(height, scale, image.dtype.char), _mtf(width, scale, image.dtype.char))


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cuts off the last rows and columns so that `scale` divides height and width.

    Args:
        image: `(height, width, ...)`.
        scale: a whole number of at least 1.

    Returns:
        A view of `image` from its upper left corner.

    Raises:
        OptionError: `scale` is not a whole number of at least 1, or exceeds the image.

    Example:
        >>> crop_to_multiple(np.ones((7, 9)), 4).shape
        (4, 8)
    """
    scale = _checked_scale(scale)
    height, width = image.shape[:2]
    if scale > min(height, width):
        raise OptionError("scale", expected=f"at most the image's height {height} and width {width}", received=scale)
    return image[: height - height % scale, : width - width % scale]


def rgb_to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Converts RGB to luma and chroma after ITU-R BT.601, as MATLAB's `rgb2ycbcr`, without rounding.

    Args:
        rgb: `(..., 3)`, 0 to 255.

    Returns:
        `(..., 3)`: Y from 16 to 235, Cb and Cr from 16 to 240; the floating-point type of `rgb`.

    Raises:
        OptionError: the last dimension is not 3.

    Example:
        >>> rgb_to_ycbcr(np.array([255.0, 255.0, 255.0])).round(3)
        array([235., 128., 128.])
    """
    rgb = _three_bands("rgb", rgb)
    return rgb @ _RGB_TO_YCBCR.T.astype(rgb.dtype) + _LUMA_OFFSET.astype(rgb.dtype)


def ycbcr_to_rgb(ycbcr: np.ndarray) -> np.ndarray:
    """Converts luma and chroma (ITU-R BT.601) back to RGB: the inverse of `rgb_to_ycbcr`, without rounding or clipping.

    Args:
        ycbcr: `(..., 3)`: Y from 16 to 235, Cb and Cr from 16 to 240.

    Returns:
        `(..., 3)`, 0 to 255 for colours that exist; the floating-point type of `ycbcr`.

    Raises:
        OptionError: the last dimension is not 3.

    Example:
        >>> ycbcr_to_rgb(np.array([235.0, 128.0, 128.0])).round(3)
        array([255., 255., 255.])
    """
    ycbcr = _three_bands("ycbcr", ycbcr)
    return (ycbcr - _LUMA_OFFSET.astype(ycbcr.dtype)) @ np.linalg.inv(_RGB_TO_YCBCR).T.astype(ycbcr.dtype)


def rgb_to_luma(rgb: np.ndarray) -> np.ndarray:
    """Returns the luma Y of ITU-R BT.601, the first band of `rgb_to_ycbcr`.

    Args:
        rgb: `(..., 3)`, 0 to 255.

    Returns:
        `(...)`, 16 to 235.

    Raises:
        OptionError: the last dimension is not 3.

    Example:
        >>> float(rgb_to_luma(np.zeros(3)))
        16.0
    """
    rgb = _three_bands("rgb", rgb)
    return rgb @ _RGB_TO_YCBCR[0].astype(rgb.dtype) + rgb.dtype.type(_LUMA_OFFSET[0])


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@lru_cache(maxsize=256)
def _bicubic(length: int, size: int, antialias: bool, dtype: str) -> sparse.csr_array:
    """The `(size, length)` weights of one axis."""
    step = length / size
    widening = max(step, 1.0) if antialias else 1.0
    centre = (np.arange(size) + 0.5) * step - 0.5
    first = np.floor(centre - 2 * widening).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4 * widening)) + 2)
    weights = _cubic((taps - centre[:, None]) / widening)
    return _mirrored(taps, weights / weights.sum(axis=1, keepdims=True), length, dtype)


@lru_cache(maxsize=256)
def _mtf(length: int, scale: int, dtype: str) -> sparse.csr_array:
    """The `(length / scale, length)` weights of one axis: a Gaussian, then the mean of each block."""
    impulse = np.zeros(2 * 4 + 1)
    impulse[4] = 1
    kernel = np.trim_zeros(ndimage.gaussian_filter1d(impulse, 1 / scale, truncate=4.0))
    kernel = np.convolve(kernel, np.full(scale, 1 / scale))
    first = np.arange(0, length, scale) - (kernel.size - scale) // 2
    taps = first[:, None] + np.arange(kernel.size)
    return _mirrored(taps, np.broadcast_to(kernel, taps.shape), length, dtype)


def _mirrored(taps: np.ndarray, weights: np.ndarray, length: int, dtype: str) -> sparse.csr_array:
    """The weights as a matrix, those of taps beyond the borders on their mirror images (the border pixel is repeated)."""
    taps = taps % (2 * length)
    columns = np.where(taps < length, taps, 2 * length - 1 - taps)
    rows = np.broadcast_to(np.arange(len(taps))[:, None], taps.shape)
    matrix = sparse.csr_array(
        (weights.astype(dtype).ravel(), (rows.ravel(), columns.ravel())), shape=(len(taps), length)
    )
    matrix.eliminate_zeros()
    return matrix


def _apply(image: np.ndarray, rows: sparse.csr_array, columns: sparse.csr_array) -> np.ndarray:
    missing = ~np.isfinite(image)
    if not missing.any():
        return _both(image, rows, columns)
    filled = np.where(missing, image.dtype.type(0), image)
    if image.ndim == 3 and np.array_equal(missing.any(axis=2), missing.all(axis=2)):
        missing = missing[:, :, :1]
    valid = (~missing).astype(image.dtype)
    result = _both(filled, rows, columns)
    lost = 1 - _both(valid, rows, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        result += lost * (_both(filled, abs(rows), abs(columns)) / _both(valid, abs(rows), abs(columns)))
    result[np.broadcast_to(_covered(missing, result.shape), result.shape)] = np.nan
    return result


def _both(image: np.ndarray, rows: sparse.csr_array, columns: sparse.csr_array) -> np.ndarray:
    # Sparse weights act on the first axis, so the image is turned twice: when it has the fewest pixels.
    if rows.shape[0] < rows.shape[1]:
        return np.ascontiguousarray(_along(_along(image, rows).swapaxes(0, 1), columns).swapaxes(0, 1))
    return _along(_along(image.swapaxes(0, 1), columns).swapaxes(0, 1), rows)


def _along(image: np.ndarray, matrix: sparse.csr_array) -> np.ndarray:
    flat = matrix @ np.ascontiguousarray(image).reshape(image.shape[0], -1)
    return flat.reshape(matrix.shape[0], *image.shape[1:])


def _covered(missing: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which pixels of the result cover a missing one, or have it as the nearest."""
    for axis in (0, 1):
        length, size = missing.shape[axis], shape[axis]
        index = np.arange(size)
        if size > length:
            missing = np.take(missing, (2 * index + 1) * length // (2 * size), axis=axis)
        else:
            missing = np.logical_or.reduceat(missing, -((size - 2 * index * length) // (2 * size)), axis=axis)
    return missing


def _floating(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim not in (2, 3) or not image.size:
        raise OptionError(
            "image", expected="(height, width) or (height, width, band), with pixels", received=image.shape
        )
    return image.astype(np.result_type(image.dtype, np.float32), copy=False)


def _three_bands(option: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if not values.ndim or values.shape[-1] != 3:
        raise OptionError(option, expected="three bands in the last dimension", received=values.shape)
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _checked_scale(scale: int) -> int:
    if not float(scale).is_integer() or scale < 1:
        raise OptionError("scale", expected="a whole number of at least 1", received=scale)
    return int(scale)
