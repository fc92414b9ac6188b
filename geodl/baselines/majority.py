"""The least that a classifier must beat: the class shares of the training data, everywhere."""

from __future__ import annotations

from typing import Self

import numpy as np

from geodl.baselines.pixels import labelled_pixels, log_probability
from geodl.data.samples import Samples
from geodl.errors import NoValidPixels

__all__ = ("MajorityClass",)


class MajorityClass:
    """Gives each pixel the class shares of the training samples, so the commonest class wins.

    Args:
        classes: number of classes.

    Example:
        >>> baseline = MajorityClass(3).fit(samples)
        >>> logits = baseline(x)                               # (batch, height, width, 3)
    """

    name = "majority class"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.shares = np.full(classes, np.nan, np.float32)
        """Share of each class in the training samples, float32 of shape (classes,)."""

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Counts the classes; see `Baseline.fit`."""
        counts = np.zeros(self.classes, np.int64)
        for _, y in labelled_pixels(samples, seed=seed):
            counts += np.bincount(y, minlength=self.classes)
        if not counts.any():
            raise NoValidPixels("Training samples", "No labelled pixel is valid")
        self.shares = (counts / counts.sum()).astype(np.float32)
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Predicts logits; see `Baseline.__call__`."""
        valid = np.isfinite(x).all(axis=-1, keepdims=True)
        return np.where(valid, log_probability(self.shares), np.float32(np.nan))
