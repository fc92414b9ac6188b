"""Augmentation of samples that lie on a grid: values, labels and weights stay aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        x, y, weight = self._turn((x, y, weight), rng)
        return self._radiometry(x, rng), y, weight

    def _turn(self, arrays: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
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
        known = ~np.isnan(x)
        number = known.sum(tuple(range(x.ndim - 1)))
        mean = np.where(known, x, 0).sum(tuple(range(x.ndim - 1)), dtype=np.float64) / np.maximum(number, 1)
        offset = self.brightness * std * (common + own) / np.sqrt(2) + mean * (1 - factor)
        changed = x * x.dtype.type(factor) + offset.astype(x.dtype)
        if self.noise:
            changed += rng.standard_normal(x.shape, np.float32) * (self.noise * std).astype(x.dtype)
        return np.asarray(changed)


def resize_values(values: np.ndarray, size: int) -> np.ndarray:
    """Resizes bilinearly, over as many pixels as become one; invalid pixels take no part.

    Args:
        values: (height, width, band), not-a-number where invalid.
        size: height and width of the result.

    Returns:
        (size, size, band) of the same dtype; not-a-number where less than half of the weight is on valid pixels
        (those whose bands are all valid).
    """
    known = np.isfinite(values).all(-1, keepdims=True)
    if known.all():
        return _blend(_blend(values, size, 0), size, 1)
    filled = np.concatenate([np.where(known, values, 0), known], -1, dtype=values.dtype)
    blended = _blend(_blend(filled, size, 0), size, 1)
    share = blended[..., -1:]
    return np.where(share >= 0.5, blended[..., :-1] / np.maximum(share, 0.5), np.nan).astype(values.dtype)


def _blend(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Resizes one axis with a triangle as wide as two new pixels, or two old ones where these are larger."""
    length = values.shape[axis]
    step = length / size
    reach = max(step, 1.0)
    centres = (np.arange(size) + 0.5) * step - 0.5
    first = np.floor(centres - reach).astype(np.int64) + 1
    taps = first[:, None] + np.arange(int(np.ceil(2 * reach)))
    shares = np.maximum(1 - np.abs(taps - centres[:, None]) / reach, 0)
    shares = np.where((taps >= 0) & (taps < length), shares, 0)
    shares = (shares / shares.sum(1, keepdims=True)).astype(values.dtype)
    along = [1] * values.ndim
    along[axis] = size
    result = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
    for tap, share in zip(np.clip(taps, 0, length - 1).T, shares.T, strict=True):
        result += np.take(values, tap, axis) * share.reshape(along)
    return result


def resize_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """Resizes class indices (height, width) to (size, size): each new pixel takes the one that its centre lies in."""
    rows, cols = (((np.arange(size) + 0.5) * length / size).astype(np.int64) for length in labels.shape)
    return labels[np.ix_(rows, cols)]
