"""Samples of restoration: what a sensor would have made of a scene, and the scene."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from geodl.data.places import Place
from geodl.data.samples import DrawnSamples, RegionSamples, Samples
from geodl.data.source import Grid

__all__ = ("Degradation", "DegradedSamples")


class Degradation(Protocol):
    """Turns a window of a scene into a sample: what a network sees, what it is to give, and what counts."""

    def __call__(
        self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Makes a sample.

        Args:
            values: float32 (height, width, band), physical units, not-a-number where invalid.
            weight: float32 (height, width), 0 where the scene must not count.
            rng: the only source of chance.

        Returns:
            `x`, `y` and `weight` of the sample; see `Samples.read`.
        """
        ...


class DegradedSamples:
    """Samples whose input is made from the scene itself.

    Args:
        samples: windows of scenes, varied as one likes; their labels are not looked at.
        degradation: makes a sample of each.
        seed: where given, chance depends on it and on the sample's index alone: held-out samples are degraded alike
            whoever scores them. Else it comes from the generator that `read` is given.
    """

    def __init__(self, samples: Samples, degradation: Degradation, *, seed: int | None = None) -> None:
        self._samples, self._degradation, self._seed = samples, degradation, seed

    def __len__(self) -> int:
        return len(self._samples)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray | None:
        """Draws as the samples underneath do; see `DrawnSamples`."""
        return self._samples.draw(rng, count) if isinstance(self._samples, DrawnSamples) else None

    def read(self, index: int, rng: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
        """Reads a window and degrades it; see `Samples`."""
        values, _, weight = self._samples.read(index, rng)
        own = rng if self._seed is None else np.random.default_rng([self._seed, index])
        return self._degradation(values, weight, own)

    def grid(self, index: int) -> Grid | None:
        """Returns the grid of a window of the scene, see `RegionSamples.grid`; None where windows are drawn anew."""
        return self._samples.grid(index) if isinstance(self._samples, RegionSamples) else None

    def place(self, index: int) -> Place:
        """Returns where the window lies; see `Samples`."""
        return self._samples.place(index)
