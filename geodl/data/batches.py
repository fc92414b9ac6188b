"""Batches: samples of any kind as one flat sequence over the global step, for Keras."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby
from typing import Any

import keras
import numpy as np

from geodl.data.samples import DrawnSamples, GatheredSamples, Samples, StagedSamples

__all__ = ("Batches", "in_order")

_READ, _ORDER = 0, 1

Batch = tuple[Any, Any, np.ndarray]


class Batches(keras.utils.PyDataset):
    """Training batches, without end: item k is the batch of global step `start + k`, a pure function of (seed, step).

    Pass it to `model.fit(batches, epochs=…, steps_per_epoch=…, shuffle=False)`: epochs are marks on one line of steps,
    and a run that continues at step s takes `Batches(…, start=s)`. Each call of `fit` begins at item 0.

    To Keras it is of unknown length and has one worker, whatever `workers` says. A known length would be shuffled by
    `fit`, and Keras's own threads lose the batches with which it builds a model (on JAX and with `tf.distribute`), so
    that step k would get a later batch.

    Args:
        samples: what to learn from. Where they have no preference (see `DrawnSamples`), each is visited once per pass.
        batch_size: samples in a batch, over all devices.
        seed: at least 0.
        start: global step of item 0.
        workers: threads that read samples; 0: each batch is read when it is asked for. Default: one for each processor,
            2 to 16.
        ahead: batches prepared before they are asked for, when they are asked for in order. Default: as many as there are
            threads, at least 4.
        share: (k, n): only the k-th (from 0) of n equal parts of each batch's rows, for one of n processes that train
            together. The weights are then as the samples give them: their sum over the whole batch is not known here,
            and `geodl.training.globalmean.GlobalMean` divides by it.

    Example:
        >>> batches = Batches(samples, batch_size=8, seed=0)
        >>> x, y, weight = batches[0]       # (8, 128, 128, bands), (8, 128, 128), (8, 128, 128)
        >>> model.fit(batches, epochs=10, steps_per_epoch=100, shuffle=False)
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int,
        seed: int,
        start: int = 0,
        workers: int | None = None,
        ahead: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        part, parts = share
        if not 0 <= part < parts or batch_size % parts:
            raise ValueError(f"a batch of {batch_size} has no part {part} of {parts} equal ones")
        self._rows = slice(batch_size // parts * part, batch_size // parts * (part + 1))
        self.samples, self.batch_size, self.seed, self.start = samples, batch_size, seed, start
        workers = min(16, max(2, os.cpu_count() or 2)) if workers is None else workers
        ahead = max(4, workers) if ahead is None else ahead
        self._ahead = ahead if workers else 0
        self._pool = ThreadPoolExecutor(workers, "geodl-batches") if workers else None
        self._pending: dict[int, Future[Batch]] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._pass = lru_cache(maxsize=2)(self._order)

    @property
    def num_batches(self) -> None:
        """None: there is no last batch."""
        return None

    def close(self) -> None:
        """Ends the threads that read ahead; batches are then read when they are asked for."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._pending.clear()
        if pool is not None:
            pool.shutdown(wait=False)

    def __getitem__(self, index: int) -> Batch:
        """Returns the batch of global step `start + index`.

        Returns:
            `x` and `y` as the samples give them, with the batch axis first; `weight`, such that the mean over all its
            elements is 1: Keras divides a loss by the number of elements, and so takes the mean over valid ones,
            however the batch is shared among devices. A batch without any valid element keeps its zeros. Of a `share`
            only its rows.
        """
        with self._lock:
            pool, in_turn = self._pool, index == self._next
            self._next = index + 1
            if pool is not None:
                wanted = range(index, index + 1 + (self._ahead if in_turn else 0))
                for k in self._pending.keys() - set(wanted):
                    self._pending.pop(k).cancel()
                for k in wanted:
                    if k not in self._pending:
                        self._pending[k] = pool.submit(self._batch, self.start + k)
                batch = self._pending.pop(index)
        return self._batch(self.start + index) if pool is None else batch.result()

    def _batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, _READ, step])
        samples = self.samples.at(step) if isinstance(self.samples, StagedSamples) else self.samples
        chosen = self._choose(samples, rng, step)
        if isinstance(samples, GatheredSamples):
            x, y, weight = keras.tree.map_structure(lambda array: array[self._rows], samples.read_batch(chosen, rng))
        else:
            pairs = zip(chosen[self._rows], rng.spawn(self.batch_size)[self._rows], strict=True)
            x, y, weight = _stack([samples.read(int(index), own) for index, own in pairs])
        if len(weight) < self.batch_size:
            return x, y, weight
        total = weight.sum(dtype=np.float64)
        return x, y, weight * weight.dtype.type(weight.size / total) if total else weight

    def _choose(self, samples: Samples, rng: np.random.Generator, step: int) -> np.ndarray:
        drawn = samples.draw(rng, self.batch_size) if isinstance(samples, DrawnSamples) else None
        if drawn is not None:
            return drawn
        turns, positions = np.divmod(step * self.batch_size + np.arange(self.batch_size), len(samples))
        return np.array(
            [self._pass(int(turn), len(samples))[position] for turn, position in zip(turns, positions, strict=True)]
        )

    def _order(self, turn: int, count: int) -> np.ndarray:
        """Returns the order in which so many samples are all visited in one pass."""
        return np.random.default_rng([self.seed, _ORDER, turn]).permutation(count)


def _stack(samples: list[Batch]) -> Batch:
    x, y, weight = keras.tree.map_structure(lambda *arrays: np.stack(arrays), *samples)
    return x, y, weight


def in_order(
    samples: Samples, batch_size: int, *, most: int = 1 << 22
) -> Iterator[tuple[np.ndarray, Any, Any, np.ndarray]]:
    """Walks over all samples once, for evaluation; a batch holds consecutive samples of one shape.

    Args:
        samples: read in their order, each with its own fixed generator.
        batch_size: most samples in a batch.
        most: most values of `x` in a batch of more than one sample, so that memory does not grow with large windows.

    Yields:
        Indices of shape (batch,); `x`, `y` and `weight` with the batch axis first, the weights as they are.
    """
    read = ((k, samples.read(k, np.random.default_rng(k))) for k in range(len(samples)))
    for _, alike in groupby(read, key=lambda item: [array.shape for array in keras.tree.flatten(item[1])]):
        held: list[tuple[int, Batch]] = []
        for item in alike:
            held.append(item)
            values = sum(array.size for array in keras.tree.flatten(item[1][0]))
            if len(held) == batch_size or (len(held) + 1) * values > most:
                yield np.array([k for k, _ in held]), *_stack([sample for _, sample in held])
                held = []
        if held:
            yield np.array([k for k, _ in held]), *_stack([sample for _, sample in held])
