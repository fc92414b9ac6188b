"""The speckle filters of Lee: linear estimates of least mean squared error from the statistics of a window."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import ndimage

from geodl.baselines.images import each_band, fill, window_mean
from geodl.data.samples import Samples
from geodl.errors import OptionError
from geodl.physics.speckle import Unit, from_intensity, to_intensity

__all__ = ("Lee", "RefinedLee")

_SIZE = 7
"""Side of the refined filter's window, in pixels."""


class _Lee:
    """A filter in intensity, from the mean and the mean square around each pixel.

    Args:
        looks: number of looks of the images, greater than 0.
        unit: what the values are.
    """

    def __init__(self, looks: float = 1.0, *, unit: Unit = "intensity") -> None:
        if not looks > 0:
            raise OptionError("looks", expected="a number greater than 0", received=looks)
        to_intensity(np.ones(1), unit)
        self.looks, self.unit = looks, unit

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Returns itself: there is nothing to learn."""
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Filters a batch; see `Baseline.__call__`."""
        return from_intensity(each_band(to_intensity(x, self.unit), self._estimate), self.unit)

    def _estimate(self, band: np.ndarray, _: int) -> np.ndarray:
        mean, square = self._moments(band)
        variance = square - mean**2
        # Variance that speckle, of relative variance 1 / L, leaves unexplained: that of the reflectivity.
        signal = np.maximum(variance - mean**2 / self.looks, 0) / (1 + 1 / self.looks)
        gain = np.divide(signal, variance, out=np.zeros_like(signal), where=signal > 0)
        return mean + gain * (band - mean)

    def _moments(self, band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and mean square of the valid pixels around each pixel of a band, (height, width)."""
        raise NotImplementedError


class Lee(_Lee):
    """The filter of Lee (1980), in intensity.

    The mean of a square window, moved towards the pixel by the share of the window's variance that is not speckle: the
    linear estimate of least mean squared error in its exact form, where the paper linearises the product.

    Args:
        looks: number of looks of the images, greater than 0.
        unit: what the values are.
        size: side of the window in pixels, odd, at least 3.

    Example:
        >>> clean = Lee(looks=1, unit="amplitude")(noisy)      # (batch, height, width, band)
    """

    name = "Lee"

    def __init__(self, looks: float = 1.0, *, unit: Unit = "intensity", size: int = 7) -> None:
        super().__init__(looks, unit=unit)
        if size < 3 or size % 2 == 0:
            raise OptionError("size", expected="an odd number of at least 3", received=size)
        self.size = size

    def _moments(self, band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        window = np.ones((self.size, self.size))
        return window_mean(band, window), window_mean(band**2, window)


class RefinedLee(_Lee):
    """The refined filter of Lee (1981), in intensity: as `Lee`, on the half of a 7 × 7 window on the pixel's side.

    The means of the window's nine 3 × 3 squares tell the strongest of four gradients, so how an edge would run, and
    which of its sides is more like the centre. The half on that side, 28 pixels with its edge, is used everywhere.

    Args:
        looks: number of looks of the images, greater than 0.
        unit: what the values are.

    Example:
        >>> clean = RefinedLee(looks=1, unit="amplitude")(noisy)  # (batch, height, width, band)
    """

    name = "refined Lee"

    def _moments(self, band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = _choose_half(band)
        mean, square = np.empty_like(band), np.empty_like(band)
        for index, half in enumerate(_halves()):
            here = chosen == index
            if here.any():
                mean[here] = window_mean(band, half)[here]
                square[here] = window_mean(band**2, half)[here]
        return mean, square


def _halves() -> list[np.ndarray]:
    """The eight halves of the window, each with its edge: right, upper right, upper, upper left, and their opposites."""
    row, column = np.mgrid[:_SIZE, :_SIZE] - _SIZE // 2
    return [half for side in (column, column - row, -row, -row - column) for half in (side >= 0, side <= 0)]


def _choose_half(band: np.ndarray) -> np.ndarray:
    """Returns the index, into `_halves()`, of the half that suits each pixel."""
    square = np.pad(ndimage.uniform_filter(fill(band), 3, mode="nearest"), 2, mode="edge")
    height, width = band.shape

    def mean(down: int, right: int) -> np.ndarray:
        """Mean of the 3 × 3 square that lies two pixels off in these directions."""
        return square[2 + 2 * down : 2 + 2 * down + height, 2 + 2 * right : 2 + 2 * right + width]

    # Around the centre; each with its two neighbours makes the three squares on one side of an edge.
    ring = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
    sides = [np.sum([mean(*ring[(k + step) % 8]) for step in (-1, 0, 1)], axis=0) for k in range(8)]
    gradients = np.abs([sides[k] - sides[k + 4] for k in range(4)])
    farther = [np.abs(mean(*ring[k]) - mean(0, 0)) > np.abs(mean(*ring[k + 4]) - mean(0, 0)) for k in range(4)]
    direction = gradients.argmax(axis=0)
    return 2 * direction + np.take_along_axis(np.array(farther), direction[None], axis=0)[0]
