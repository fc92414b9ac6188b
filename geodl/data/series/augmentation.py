"""Augmentation of series: dates that are lost, seasons that are not over, noise, brightness and early or late years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodl.errors import OptionError

__all__ = ("SeriesAugmentation",)


@dataclass(frozen=True)
class SeriesAugmentation:
    """Random changes of series that leave their classes as they are; each is off by default.

    All chance comes from the generator that is passed in. What was not observed stays so, and each series that had an
    observation keeps at least one date with one.

    Example:
        >>> augment = SeriesAugmentation(std=(0.05, 0.1), drop=0.4, cut=0.5, noise=0.1)
        >>> values, days = augment(values, days, np.random.default_rng(0))
    """

    std: Sequence[float] = (1.0,)
    """Standard deviation of each band (or one of all) in the training data: the unit of `noise`."""
    drop: float = 0.0
    """Greatest share of the dates, 0-1, that are lost; each series loses any share up to this."""
    cut: float = 0.0
    """Greatest share of the time from the first date to the last, 0-1, that is not there yet: of every other series the
    end is cut off, by any share up to this, so that a network can tell a class before the season is over."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to each value, 0-1, in `std`."""
    scale: float = 0.0
    """Greatest relative change of all values of a series by one common factor, 0-1."""
    shift: float = 0.0
    """Most days, 0-366, by which a season comes early or late: all days of a series by the same number."""

    def __post_init__(self) -> None:
        for name in ("drop", "cut", "noise", "scale"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"augment.{name}", expected="a number from 0 to 1", received=getattr(self, name))
        if not 0 <= self.shift <= 366:
            raise OptionError("augment.shift", expected="days, from 0 to 366", received=self.shift)

    def __call__(self, values: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Changes a batch of series, each in its own way.

        Args:
            values: floating point (batch, time, band), not-a-number where not observed.
            days: (batch, time), finite.
            rng: the source of chance.

        Returns:
            Both, of the same shapes and dtypes; the given ones are left as they are.
        """
        lost = self._lost(np.isfinite(values).any(-1), days, rng)
        if lost.any():
            values = np.where(lost[..., None], values.dtype.type(np.nan), values)
        count = len(values)
        if self.scale:
            values = values * (1 + self.scale * rng.uniform(-1, 1, (count, 1, 1))).astype(values.dtype)
        if self.noise:
            std = np.broadcast_to(np.asarray(self.std, values.dtype), values.shape[-1:])
            noise = rng.standard_normal(values.shape, np.float32).astype(values.dtype)
            values = values + values.dtype.type(self.noise) * std * noise
        if self.shift:
            days = days + rng.uniform(-self.shift, self.shift, (count, 1)).astype(days.dtype)
        return values, days

    def _lost(self, observed: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Says which dates are taken away: bool (batch, time)."""
        lost = np.zeros_like(observed)
        count = len(observed)
        if self.drop:
            lost |= rng.random(observed.shape) < self.drop * rng.random((count, 1))
        if self.cut:
            first = np.where(observed, days, np.inf).min(1, keepdims=True)
            last = np.where(observed, days, -np.inf).max(1, keepdims=True)
            share = self.cut * rng.random((count, 1)) * (rng.random((count, 1)) < 0.5)
            seen = np.isfinite(first)
            end = np.where(seen, first, 0) + (1 - share) * np.where(seen, last - np.where(seen, first, 0), 0)
            lost |= days > end
        bereft = observed.any(1) & ~(observed & ~lost).any(1)
        if bereft.any():
            lost[bereft, np.argmax(observed[bereft], axis=1)] = False
        return lost
