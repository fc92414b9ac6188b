"""What baselines of single pixels share: labelled pixels out of samples, and probabilities as logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geodl.data.samples import Samples

__all__ = ("labelled_pixels", "log_probability", "stratified_pixels")


def labelled_pixels(samples: Samples, *, seed: int, most: int = 500) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads samples in random order and yields their valid pixels.

    Args:
        samples: with x of shape (height, width, band), y and weight of shape (height, width).
        seed: decides which samples are read, and their offsets.
        most: number of samples read at most.

    Yields:
        Values of shape (pixels, band) and class indices of shape (pixels,) of one sample.
    """
    rng = np.random.default_rng([seed, 0])
    for index in rng.permutation(len(samples))[:most]:
        x, y, weight = samples.read(int(index), rng)
        valid = (weight > 0) & (y >= 0) & np.isfinite(x).all(axis=-1)
        yield x[valid], y[valid]


def log_probability(probability: np.ndarray) -> np.ndarray:
    """Logits whose softmax is the probabilities given, to one in a million; finite also for 0."""
    return np.log(np.maximum(probability, 1e-6)).astype(np.float32)


def stratified_pixels(samples: Samples, *, classes: int, pixels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws equally many pixels of each class, in one pass and in bounded memory.

    Args:
        samples: as for `labelled_pixels`.
        classes: number of classes.
        pixels: number of pixels at most, all classes together; rare classes give what they have.
        seed: decides which.

    Returns:
        Values of shape (pixels, band) and class indices of shape (pixels,).
    """
    rng = np.random.default_rng([seed, 1])
    reservoirs = [_Reservoir(max(pixels // classes, 1)) for _ in range(classes)]
    for x, y in labelled_pixels(samples, seed=seed):
        ranks = rng.random(len(y))
        for index in np.unique(y):
            reservoirs[index].offer(x[y == index], ranks[y == index])
    drawn = [(index, reservoir.values) for index, reservoir in enumerate(reservoirs) if reservoir.values is not None]
    if not drawn:
        return np.empty((0, 0), np.float32), np.empty(0, np.int64)
    x = np.concatenate([values for _, values in drawn])
    return x, np.repeat([index for index, _ in drawn], [len(values) for _, values in drawn])


class _Reservoir:
    """Keeps the values of lowest rank: ranks being random, everything offered is equally likely to stay."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: np.ndarray | None = None
        self._ranks = np.empty(0)

    def offer(self, values: np.ndarray, ranks: np.ndarray) -> None:
        if self.values is None:
            self.values = values[:0]
        if len(self._ranks) == self.size:
            promising = ranks < self._ranks.max()
            values, ranks = values[promising], ranks[promising]
        values, ranks = np.concatenate([self.values, values]), np.concatenate([self._ranks, ranks])
        if len(ranks) > self.size:
            lowest = np.argpartition(ranks, self.size)[: self.size]
            values, ranks = values[lowest], ranks[lowest]
        self.values, self._ranks = values, ranks
