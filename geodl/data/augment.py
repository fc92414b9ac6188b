"""Augmentation of samples that lie on a grid: values, labels and weights stay aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodl.data.source import in_all_bands
from geodl.errors import OptionError

__all__ = ("Augmentation", "resize_labels", "resize_values")


@dataclass(frozen=True)
class Augmentation:
    """Random changes that leave a sample's meaning as it is.

    All chance comes from the generator that is passed in; invalid values (not-a-number) stay invalid.

    Example:
        >>> augment = Augmentation(std=(0.02, 0.03), scale=(0.8, 1.25), brightness=0.2, contrast=0.2, noise=0.05)
        >>> x, y, weight = augment(x, y, weight, np.random.default_rng(0))
    """

    std: Sequence[float] = (1.0,)
    """Standard deviation of each band (or one of all) in the training data: the unit of `brightness` and `noise`."""
    flips: bool = True
    """Mirror along y, along x, both or neither."""
    rotations: bool = True
    """Turn by a multiple of 90 degrees; arrays that are not square by 180 only."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Least and greatest enlargement, 0.25-4; whoever reads the sample asks `read_size` how much to read for it."""
    brightness: float = 0.0
    """Standard deviation of an offset added to each band, half of its variance common to all bands."""
    contrast: float = 0.0
    """Greatest relative change, 0-1, of the deviations from each band's mean in the sample."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to each value."""
    axes: tuple[int, int] = (0, 1)
    """Positions of the y and x axes, the same in `x`, `y` and `weight`; (1, 2) for sequences with time first."""

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0.25 <= low <= high <= 4:
            raise OptionError("augment.scale", expected="two factors in order, each 0.25 to 4", received=self.scale)
        for name in ("brightness", "contrast", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"augment.{name}", expected="a number from 0 to 1", received=getattr(self, name))

    def read_size(self, patch: int, rng: np.random.Generator) -> int:
        """Draws how many pixels a side to read, such that resizing them to `patch` enlarges by a factor in `scale`."""
        low, high = np.log(self.scale)
        return max(1, round(patch * float(np.exp(-rng.uniform(low, high)))))

    def greatest_read_size(self, patch: int) -> int:
        """Returns the greatest that `read_size` can return."""
        return max(1, round(patch / self.scale[0]))

    def __call__(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Changes one sample.

        Args:
            x: floating-point values, bands last.
            y: target on the same y and x axes.
            weight: on the same y and x axes.
            rng: the source of chance.

        Returns:
            The three, of the same dtypes; new arrays or views, the given ones are left as they are.
        """
        x, y, weight = self.turn((self._radiometry(x, rng), y, weight), rng)
        return x, y, weight

    def turn(self, arrays: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Mirrors and turns arrays alike, whatever their sizes; all of them are square, or none."""
        flips, quarters = rng.integers(2, size=2), int(rng.integers(4))
        if self.flips:
            axes = tuple(axis for axis, flip in zip(self.axes, flips, strict=True) if flip)
            arrays = tuple(np.flip(array, axes) for array in arrays)
        if self.rotations:
            square = arrays[0].shape[self.axes[0]] == arrays[0].shape[self.axes[1]]
            arrays = tuple(np.rot90(array, quarters if square else 2 * (quarters // 2), self.axes) for array in arrays)
        return arrays

    def _radiometry(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not (self.brightness or self.contrast or self.noise):
            return x
        std = np.broadcast_to(np.asarray(self.std, np.float64), x.shape[-1:])
        common, own = rng.standard_normal(), rng.standard_normal(len(std))
        factor = 1 + self.contrast * rng.uniform(-1, 1)
        offset = self.brightness * std * (common + own) / np.sqrt(2)
        if self.contrast:
            offset += _band_means(x) * (1 - factor)
        # Pixels of a row are taken as one long axis: numpy is slow along a last axis as short as the bands.
        width, rows = x.shape[-2], x.reshape(*x.shape[:-2], -1)
        changed = rows * x.dtype.type(factor)
        changed += np.tile(offset.astype(x.dtype), width)
        if self.noise:
            changed += rng.standard_normal(rows.shape, np.float32) * np.tile((self.noise * std).astype(x.dtype), width)
        return np.asarray(changed.reshape(x.shape))


def _band_means(x: np.ndarray) -> np.ndarray:
    """Returns the mean of each band over its valid values, 0 where there are none."""
    means = np.zeros(x.shape[-1])
    for k in range(len(means)):
        band = x[..., k]
        means[k] = band.mean(dtype=np.float64)
        if not np.isfinite(means[k]):
            known = np.isfinite(band)
            means[k] = band.mean(dtype=np.float64, where=known) if known.any() else 0
    return means


def resize_values(values: np.ndarray, size: int) -> np.ndarray:
    """Resizes bilinearly, over as many pixels as become one; invalid pixels take no part.

    Args:
        values: (height, width, band), not-a-number where invalid.
        size: height and width of the result.

    Returns:
        (size, size, band) of the same dtype; not-a-number where less than half of the weight is on valid pixels
        (those whose bands are all valid).
    """
    if np.isfinite(values).all():
        return _blend(values, size)
    known = in_all_bands(np.isfinite(values))
    share = _blend(known.astype(values.dtype), size)
    blended = _blend(np.where(known[..., None], values, 0), size)
    blended /= np.maximum(share, 0.5)[..., None]
    blended[share < 0.5] = np.nan
    return blended


def _blend(values: np.ndarray, size: int) -> np.ndarray:
    """Resizes the first two axes with triangles as wide as two new pixels, or two old ones where these are larger."""
    for _ in range(2):
        taps, shares = _triangles(values.shape[0], size)
        columns = (-1,) + (1,) * (values.ndim - 1)
        result = np.zeros((size, *values.shape[1:]), values.dtype)
        for tap, share in zip(taps.T, shares.T.astype(values.dtype), strict=True):
            result += values[tap] * share.reshape(columns)
        values = np.ascontiguousarray(result.swapaxes(0, 1))
    return values


def _triangles(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns which of `length` pixels each of `size` new ones is made of, and with what weight: each (size, taps)."""
    step = length / size
    reach = max(step, 1.0)
    centres = (np.arange(size) + 0.5) * step - 0.5
    taps = np.floor(centres - reach).astype(np.int64)[:, None] + np.arange(1, int(np.ceil(2 * reach)) + 1)
    shares = np.maximum(1 - np.abs(taps - centres[:, None]) / reach, 0)
    shares = np.where((taps >= 0) & (taps < length), shares, 0)
    return np.clip(taps, 0, length - 1), shares / shares.sum(1, keepdims=True)


def resize_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """Resizes class indices (height, width) to (size, size): each new pixel takes the one that its centre lies in."""
    rows, cols = ((2 * np.arange(size) + 1) * length // (2 * size) for length in labels.shape)
    return labels[np.ix_(rows, cols)]
