"""Scenes kept in memory, where they are small enough."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Self

import numpy as np

from geodl.data.source import Source, Window

__all__ = ("Cached", "cached")


class Cached(Source):
    """A source that is read once, at the first need, and then answers from memory. Safe to read from several threads.

    Args:
        source: what to keep: float32, 4 bytes per pixel, band and time.
    """

    def __init__(self, source: Source) -> None:
        self.name, self.grid, self.bands, self.times = source.name, source.grid, source.bands, source.times
        self._source = source
        self._values: np.ndarray | None = None
        self._lock = threading.Lock()

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            if self._values is None:
                self._values, _ = self._source.read()
        lead = () if self.times is None else (times or slice(None),)
        values = self._values[(*lead, *window.toslices())].copy()
        return values, ~np.isnan(values)

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same source with these bands in this order. Raises `BandMismatch` where one is missing."""
        return type(self)(self._source.select(names))

    def rename(self, names: Sequence[str]) -> Self:
        """Returns the same source with other names for its bands, one for each."""
        return type(self)(self._source.rename(names))


def cached(sources: Sequence[Source], *, budget: int = 512 * 2**20) -> list[Source]:
    """Returns the sources, kept in memory if all of them together fit in `budget` bytes, else as they are."""
    values = sum(math.prod(s.grid.shape) * len(s.bands) * (1 if s.times is None else len(s.times)) for s in sources)
    return [Cached(source) for source in sources] if 4 * values <= budget else list(sources)
