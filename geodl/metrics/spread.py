"""Forecasts with a spread: a normal distribution about the median, in the logarithm or the decibels of the rain rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy import special

from geodl.errors import OptionError
from geodl.physics.rain import Transform, from_transformed, to_transformed

__all__ = ("Spread",)


@dataclass(frozen=True)
class Spread:
    """Rain rates whose transform is normally distributed, so that a median and a log-variance say all.

    Raises:
        OptionError: an unknown transform.

    Example:
        >>> probability = Spread("log").exceedance(np.float32([1.0]), np.float32([0.0]), 1.0)
        >>> probability.tolist()
        [0.5]
    """

    transform: Transform
    """In what the distribution is normal."""

    def __post_init__(self) -> None:
        if self.transform not in get_args(Transform):
            raise OptionError("transform", expected="log or db", received=self.transform)

    def quantiles(self, median: np.ndarray, log_variance: np.ndarray, count: int) -> Iterator[np.ndarray]:
        """Yields members that stand for equal shares of the distribution, from the lowest to the highest.

        Args:
            median: rain rates in mm/h, of any shape.
            log_variance: natural logarithm of the variance in transformed space; −inf: the median is certain.
            count: how many members; number i is the quantile (i − ½) / count.

        Yields:
            Rain rates in mm/h, at least 0, shape and type of `median`.
        """
        centre, deviation = to_transformed(median, self.transform), np.exp(0.5 * log_variance)
        for rank in range(count):
            step = deviation * np.asarray(special.ndtri((rank + 0.5) / count), deviation.dtype)
            step += centre
            yield from_transformed(step, self.transform)

    def exceedance(self, median: np.ndarray, log_variance: np.ndarray, threshold: float) -> np.ndarray:
        """Returns the probability that it rains more than `threshold` mm/h: 0 to 1, shape and type of `median`."""
        distance = to_transformed(median, self.transform) - to_transformed(
            np.asarray(threshold, median.dtype), self.transform
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.asarray(distance / np.exp(0.5 * log_variance))
        # 0 / 0: the median is certain, and no more than the threshold.
        np.copyto(scores, -np.inf, where=np.isnan(scores))
        return np.asarray(special.ndtr(scores))
