"""Many series through a network: in batches of two sizes, and none of which nothing was observed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geodl.inference.converted import Call
from geodl.inference.engine import Progress

__all__ = ("SeriesBatches", "batch_size")

_MOST = 4096
_LEAST = 64
_SHARE = 4
"""Part of the memory that a batch in the network may take: one in this many."""
_TAIL = 8
"""What is left after the last whole batch goes through in batches so many times as small."""


def batch_size(length: int, *, activations: int, memory: int, asked: int | None = None) -> int:
    """Chooses how many series go through a network together.

    Args:
        length: dates of each.
        activations: bytes that the network takes for each of them while it works.
        memory: bytes that mapping may take.
        asked: what the user wants.
    """
    if asked is not None:
        return asked
    fits = memory // _SHARE // max(length * activations, 1)
    return max(_LEAST, min(_MOST, 1 << max(fits, 1).bit_length() - 1))


class SeriesBatches:
    """A network for series of one length, as a function of any number of them.

    Networks of two inputs are compiled for each shape that they see: there are two, whatever the number of series.

    Args:
        call: the network: `values` (batch, time, band) and `days` (batch, time) to logits (batch, classes).
        classes: number of classes.
        size: most series that go through it together.

    Example:

    >>> batches = SeriesBatches(model.call, classes=4, size=1024)
    >>> logits, observed = batches(values, days)
    """

    def __init__(self, call: Call, *, classes: int, size: int) -> None:
        self._call, self._classes = call, classes
        self._sizes = tuple(dict.fromkeys((size, max(size // _TAIL, 1))))

    def __call__(
        self, values: np.ndarray, days: np.ndarray, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs the network.

        Args:
            values: float32 (series, time, band), not-a-number where not observed.
            days: float32 (time,), of all series, or (series, time); finite.
            progress: called with the series done and in all, after each batch.

        Returns:
            Logits, float32 (series, classes), 0 where nothing was observed; and whether anything was, bool (series,).
        """
        observed = np.isfinite(values).any((1, 2))
        logits = np.zeros((len(values), self._classes), np.float32)
        every = np.flatnonzero(observed)
        for rows, size in self._cut(every):
            # The last one is filled up with series that it has already.
            taken = rows if len(rows) == size else np.resize(rows, size)
            given = np.broadcast_to(days, (size, *days.shape)) if days.ndim == 1 else days[taken]
            logits[rows] = self._call({"values": values[taken], "days": given})[: len(rows)]
            if progress is not None:
                progress(int(np.searchsorted(every, rows[-1], "right")), len(every))
        return logits, observed

    def _cut(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Cuts positions into batches, whole ones first."""
        begin = 0
        for size in self._sizes:
            last = size == self._sizes[-1]
            while begin < len(rows) and (last or begin + size <= len(rows)):
                yield rows[begin : begin + size], size
                begin += size
