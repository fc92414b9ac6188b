"""Forecasts with a spread: a normal distribution about the median, in the logarithm or the decibels of the rain rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import special

from geodl.errors import OptionError
from geodl.physics.rain import from_log, to_log

__all__ = ("Spread", "Transform")

Transform = Literal["log", "db"]
"""ln(R + 0.01), or 10 log10(R), of a rain rate R in mm/h. Below 0.1 mm/h, decibels are a straight line to −15 at 0 mm/h,
as networks have them, so that each has one rate."""

_FAINTEST, _DRY, _FAINT = 0.1, -15.0, -10.0
"""The rate from which on decibels are a logarithm, their value without rain and at that rate."""


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
        centre, deviation = self._to(median), np.exp(0.5 * log_variance)
        for rank in range(count):
            step = deviation * np.asarray(special.ndtri((rank + 0.5) / count), deviation.dtype)
            step += centre
            yield self._from(step)

    def exceedance(self, median: np.ndarray, log_variance: np.ndarray, threshold: float) -> np.ndarray:
        """Returns the probability that it rains more than `threshold` mm/h: 0 to 1, shape and type of `median`."""
        distance = self._to(median) - self._to(np.asarray(threshold, median.dtype))
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.asarray(distance / np.exp(0.5 * log_variance))
        # 0 / 0: the median is certain, and no more than the threshold.
        np.copyto(scores, -np.inf, where=np.isnan(scores))
        return np.asarray(special.ndtr(scores))

    def _to(self, rate: np.ndarray) -> np.ndarray:
        if self.transform == "log":
            return to_log(rate)
        faint = _DRY + rate * ((_FAINT - _DRY) / _FAINTEST)
        return np.where(rate < _FAINTEST, faint, 10 * np.log10(np.maximum(rate, _FAINTEST)))

    def _from(self, values: np.ndarray) -> np.ndarray:
        if self.transform == "log":
            return from_log(values)
        faint = np.maximum(values - _DRY, 0) * (_FAINTEST / (_FAINT - _DRY))
        return np.where(values < _FAINT, faint, np.exp(values * (np.log(10) / 10).astype(values.dtype)))
