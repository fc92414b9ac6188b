"""Scenes kept in memory, where they are small enough."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from geodl.data.labels import Labels
from geodl.data.samples import Scene
from geodl.data.source import Source, Window

__all__ = ("CachedLabels", "CachedSource", "cached")


class CachedSource(Source):
    """A source that is read once, at the first need, and then answers from memory: 4 bytes per pixel, band and time."""

    def __init__(self, source: Source) -> None:
        self.name, self.grid, self.bands, self.times = source.name, source.grid, source.bands, source.times
        self._source = source
        self._values = _Once(lambda: source.read()[0])

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        lead = () if self.times is None else (times or slice(None),)
        values = self._values.get()[(*lead, *window.toslices())].copy()
        return values, ~np.isnan(values)

    def select(self, names: tuple[str, ...]) -> Self:
        """Returns the same source with these bands in this order. Raises `BandMismatch` where one is missing."""
        return type(self)(self._source.select(names))

    def rename(self, names: Sequence[str]) -> Self:
        """Returns the same source with other names for its bands, one for each."""
        return type(self)(self._source.rename(names))


class CachedLabels(Labels):
    """Labels that are read once, at the first need, and then answer from memory: 2 bytes per pixel."""

    def __init__(self, labels: Labels) -> None:
        self.name, self.grid, self.classes = labels.name, labels.grid, labels.classes
        self._indices = _Once(lambda: labels.read().astype(np.int16))

    def _read(self, window: Window) -> np.ndarray:
        return self._indices.get()[window.toslices()].astype(np.int32)


class _Once:
    """An array that the first of several threads reads and the others wait for."""

    def __init__(self, read: Callable[[], np.ndarray]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._array: np.ndarray | None = None

    def get(self) -> np.ndarray:
        with self._lock:
            if self._array is None:
                self._array = self._read()
            return self._array


def cached(scenes: Sequence[Scene], *, budget: int = 512 * 2**20) -> list[Scene]:
    """Returns the scenes, kept in memory if all of them together fit in `budget` bytes, else as they are."""
    needed = 0
    for source, _, _ in scenes:
        times = 1 if source.times is None else len(source.times)
        needed += math.prod(source.grid.shape) * (4 * len(source.bands) * times + 2)
    if needed > budget:
        return list(scenes)
    return [Scene(CachedSource(source), CachedLabels(labels), split) for source, labels, split in scenes]
