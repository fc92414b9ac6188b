"""What a speckled image, and a filter of it, tell without a clean reference: looks, homogeneous areas, ratio image.

All images here are intensities of shape (height, width). Pixels that are not-a-number, 0 or negative are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

from geodl.errors import OptionError

__all__ = (
    "Area",
    "enl",
    "estimate_looks",
    "homogeneous_areas",
    "ratio_image",
    "ratio_statistics",
    "ratio_structure",
)

_LEVELS = 8
"""Grey levels of co-occurrences."""


class Area(NamedTuple):
    """A rectangle of pixels."""

    row: int
    col: int
    height: int
    width: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """Returns the part of `image`, of shape (height, width, …), that lies in the rectangle."""
        return image[self.row : self.row + self.height, self.col : self.col + self.width]


def enl(intensity: np.ndarray, areas: Sequence[Area]) -> np.ndarray:
    """Returns the equivalent number of looks, mean² / variance, of each area.

    Args:
        intensity: image of shape (height, width).
        areas: rectangles in it.

    Returns:
        Float64 of shape (areas,): L in pure speckle of L looks, more the more it is filtered, infinite where all pixels
        are equal; not-a-number where pixels are unknown.

    Example:
        >>> speckle = np.random.default_rng(0).gamma(4, 1 / 4, (100, 100))
        >>> enl(speckle, [Area(0, 0, 100, 100)]).round(1)
        array([4.])
    """
    parts = [area.of(intensity).astype(np.float64) for area in areas]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.square(part.mean()) / part.var() for part in parts], np.float64)


def estimate_looks(intensity: np.ndarray, *, size: int = 15) -> float:
    """Estimates the number of looks as the most frequent of local ENLs.

    Texture and edges lower the ENL of a window, homogeneous ones agree with one another: their ENLs make the mode. An
    image with few homogeneous windows gives too small a number.

    Args:
        intensity: image of shape (height, width).
        size: side of the windows, in pixels.

    Returns:
        The mode of the density of the logarithms of ENLs (Gaussian kernel, Silverman's width); not-a-number where no
        window is valid.
    """
    _, found, _ = _candidates(intensity, size)
    found = np.log(found[np.isfinite(found)])
    if found.size < 2 or np.ptp(found) == 0:
        return float(np.exp(found.mean())) if found.size else float("nan")
    quartiles = np.subtract(*np.quantile(found, (0.75, 0.25))) / 1.34
    width = 0.9 * min(found.std(), quartiles or found.std()) * found.size**-0.2
    # Counted before it is smoothed: of a large image there are millions.
    counts, edges = np.histogram(found, bins=512)
    density = ndimage.gaussian_filter1d(counts.astype(np.float64), width / (edges[1] - edges[0]), mode="constant")
    most = int(density.argmax())
    return float(np.exp((edges[most] + edges[most + 1]) / 2))


def homogeneous_areas(
    image: np.ndarray, *, size: int = 25, count: int = 8, looks: float | None = None, tolerance: float = 0.2
) -> list[Area]:
    """Finds areas of the noisy image that hold nothing but speckle, to be shown and to take the ENL of filters on.

    After Gomez et al. (2017, "Unassisted quantitative evaluation of despeckling filters"): windows whose
    ENL agrees with the number of looks. The windows of smallest variation would overstate the ENL of the input, and
    choosing on a filtered image would favour the filter. Among those that agree, the ones come first whose sub-blocks,
    rows and columns have the most equal means, so that no slope or edge lowers the ENL of the filtered image; those
    where the means vary half as much again as in the better quarter are left out.

    Args:
        image: noisy intensity of shape (height, width). Windows with an unknown pixel are left out, and those with a
            saturated one: the image's largest value, where that occurs more than once.
        size: side of the areas, in pixels.
        count: how many areas at most. They do not overlap.
        looks: number of looks; None: `estimate_looks`.
        tolerance: largest relative difference of the area's ENL and `looks`.

    Returns:
        Areas, the most homogeneous first; none where no window agrees.

    Raises:
        OptionError: `size` is below 6, or `count` below 1.
    """
    if size < 6:
        raise OptionError("size", expected="6 pixels or more", received=size)
    if count < 1:
        raise OptionError("count", expected="1 or more", received=count)
    looks = estimate_looks(image) if looks is None else looks
    corners, found, unevenness = _candidates(image, size)
    agrees = np.abs(found / looks - 1) <= tolerance
    if not agrees.any():
        return []
    limit = 1.5 * np.quantile(unevenness[agrees], 0.25)
    chosen: list[Area] = []
    for index in np.argsort(unevenness, kind="stable"):
        area = Area(int(corners[index, 0]), int(corners[index, 1]), size, size)
        apart = all(abs(area.row - other.row) >= size or abs(area.col - other.col) >= size for other in chosen)
        if agrees[index] and unevenness[index] <= limit and apart and len(chosen) < count:
            chosen.append(area)
    return chosen


def ratio_image(noisy: np.ndarray, denoised: np.ndarray) -> np.ndarray:
    """Returns noisy / denoised intensity: pure speckle of mean 1 where the filter is right.

    Args:
        noisy: intensity.
        denoised: shape of `noisy`.

    Returns:
        Float64, not-a-number where either is unknown.
    """
    with np.errstate(invalid="ignore"):
        known = (noisy > 0) & (denoised > 0) & np.isfinite(noisy) & np.isfinite(denoised)
    return np.divide(noisy, denoised, out=np.full(noisy.shape, np.nan), where=known, dtype=np.float64)


def ratio_statistics(ratio: np.ndarray) -> tuple[float, float]:
    """Returns the mean and the variance of what is known of a ratio image.

    A mean other than 1 is a bias of the filter. The variance of L-look speckle is 1 / L: less, and speckle was left in
    the filtered image; more, and detail went into the ratio.
    """
    known = ratio[np.isfinite(ratio)]
    return (float(known.mean()), float(known.var())) if known.size else (float("nan"), float("nan"))


def ratio_structure(ratio: np.ndarray, *, looks: float | None = None) -> float:
    """Returns the structure that is left in a ratio image, as the δh of Gomez et al. (2017), in percent.

    h is the homogeneity of co-occurrences of grey levels, Σ p(i, j) / (1 + (i − j)²), of the eight neighbours; δh is its
    relative difference from what the same pixels have in random order. The paper shuffles them a number of times; here
    the mean over all orders is taken, which is known exactly.

    Args:
        ratio: image of shape (height, width), not-a-number where unknown.
        looks: divide values into eight grey levels at the octiles of speckle of so many looks; None: at those of the
            image. (The paper does not depend on it; linear levels would put most pixels of few looks into one.)

    Returns:
        Percent: 0 of independent speckle, with a standard deviation of 50 / √pixels. Correlated speckle has structure of its own.
    """
    known = ratio[np.isfinite(ratio)]
    if known.size < 2:
        return float("nan")
    edges = np.quantile(known, np.arange(1, _LEVELS) / _LEVELS) if looks is None else speckle_octiles(looks)
    return structure(*co_occurrences(ratio, edges))


def speckle_octiles(looks: float) -> np.ndarray:
    """Returns the seven octiles of L-look speckle, of the distribution Gamma(L, 1 / L)."""
    return special.gammaincinv(looks, np.arange(1, _LEVELS) / _LEVELS) / looks


def co_occurrences(ratio: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts neighbours by grey level.

    Args:
        ratio: image of shape (height, width), not-a-number where unknown.
        edges: what separates the grey levels, ascending.

    Returns:
        Pairs of the eight neighbours by grey level, int64 of shape (levels, levels), symmetric; and pixels by grey
        level, of shape (levels,).
    """
    levels = len(edges) + 1
    known = np.isfinite(ratio)
    # Unknown pixels get a level of their own, which is dropped from the counts.
    grey = np.where(known, np.searchsorted(edges, np.where(known, ratio, 0.0), side="right"), levels)
    height, width = ratio.shape
    pairs = np.zeros((levels + 1) ** 2, np.int64)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = grey[: height - down, max(-right, 0) : width - max(right, 0)]
        other = grey[down:, max(right, 0) : width + min(right, 0)]
        pairs += np.bincount((one * (levels + 1) + other).ravel(), minlength=pairs.size)
    table = pairs.reshape(levels + 1, levels + 1)[:levels, :levels]
    return table + table.T, np.bincount(grey.ravel(), minlength=levels + 1)[:levels]


def structure(pairs: np.ndarray, pixels: np.ndarray) -> float:
    """Returns the δh, in percent, of what `co_occurrences` counted; see `ratio_structure`."""
    pixels = pixels.astype(np.float64)
    total = pixels.sum()
    if not pairs.any():
        return float("nan")
    closeness = 1 / (1 + np.square(np.subtract.outer(np.arange(len(pixels)), np.arange(len(pixels)))))
    # Two places hold levels i and j with this probability, whatever places they are, if all orders are as likely.
    chance = (np.multiply.outer(pixels, pixels) - np.diag(pixels)) / (total * (total - 1))
    found, expected = (pairs * closeness).sum() / pairs.sum(), (chance * closeness).sum()
    return float(100 * abs(found - expected) / found)


def _candidates(image: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the upper left corners (n, 2) of valid windows half a side apart, their ENLs and their unevenness.

    That is the variance of the means of sub-blocks over the variance of a mean of so many independent pixels, or the
    same of rows or columns, whichever is the largest: about 1 in homogeneous speckle without correlation.
    """
    step, across = size // 2, 5 if size >= 15 else 3
    side = size // across
    if min(image.shape) < size:
        return np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0)
    with np.errstate(invalid="ignore"):
        valid = np.isfinite(image) & (image > 0)
    top = image.max(where=valid, initial=0)
    if np.count_nonzero(image == top) > 1:
        valid &= image != top
    corners, looks, unevenness = [], [], []
    for row in range(0, image.shape[0] - size + 1, step):
        strip, clear = (
            np.lib.stride_tricks.sliding_window_view(array[row : row + size], size, axis=1)[:, ::step].swapaxes(0, 1)
            for array in (image, valid)
        )
        kept = np.flatnonzero(clear.all(axis=(1, 2)))
        parts = strip[kept].astype(np.float64)
        variance = parts.var(axis=(1, 2))
        blocks = parts[:, : across * side, : across * side].reshape(len(kept), across, side, across, side)
        corners.append(np.stack([np.full(len(kept), row), kept * step], axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            looks.append(np.square(parts.mean(axis=(1, 2))) / variance)
            means = blocks.mean(axis=(2, 4)).reshape(len(kept), across**2), parts.mean(axis=1), parts.mean(axis=2)
            sizes = side * side, size, size
            uneven = [each.var(axis=1, ddof=1) * pixels / variance for each, pixels in zip(means, sizes, strict=True)]
            unevenness.append(np.max(uneven, axis=0))
    return np.concatenate(corners), np.concatenate(looks), np.concatenate(unevenness)
