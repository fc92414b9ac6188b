"""Scenes kept in memory, where they are small enough."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from geodl.data.labels import Labels
from geodl.data.samples import Scene
from geodl.data.source import Source, Window

__all__ = ("CachedLabels", "CachedSource", "cached", "free_memory")


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


def free_memory() -> int:
    """Returns the bytes that this process may still take: of the machine and of its control group; 2 GiB if unknown."""
    free = 2 << 30
    with contextlib.suppress(OSError, ValueError, KeyError):
        free = 1024 * _numbers(Path("/proc/meminfo"))["MemAvailable:"]
    with contextlib.suppress(OSError, ValueError, KeyError):
        group = Path("/sys/fs/cgroup")
        # What is cached of files counts as taken there, but gives way.
        taken = _numbers(group / "memory.stat")["anon"]
        free = min(free, max(0, int((group / "memory.max").read_text()) - taken))
    return free


def _numbers(path: Path) -> dict[str, int]:
    """Reads lines of a name and a whole number."""
    words = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {name: int(number) for name, number, *_ in words}


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


def cached(scenes: Sequence[Scene], *, budget: int | None = None) -> list[Scene]:
    """Returns the scenes, kept in memory if all of them together fit in a budget, else as they are.

    Args:
        scenes: what is learnt from.
        budget: bytes; default: a quarter of the memory that is free, at most 4 GiB.
    """
    if budget is None:
        budget = min(free_memory() // 4, 4 << 30)
    needed = 0
    for source, _, _ in scenes:
        times = 1 if source.times is None else len(source.times)
        needed += math.prod(source.grid.shape) * (4 * len(source.bands) * times + 2)
    if needed > budget:
        return list(scenes)
    return [Scene(CachedSource(source), CachedLabels(labels), split) for source, labels, split in scenes]
