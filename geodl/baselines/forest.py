"""The per-pixel random forest: what can be had from the spectrum of a pixel alone."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from geodl.baselines.pixels import log_probability, stratified_pixels
from geodl.baselines.threads import own_warnings
from geodl.data.samples import Samples
from geodl.errors import NoValidPixels

__all__ = ("PixelForest",)

_CHUNK = 1 << 18
"""Pixels per call of the forest: bounds its float64 votes to some megabytes."""


class PixelForest:
    """A random forest (Breiman 2001) on the bands of single pixels, the usual baseline of land-cover mapping.

    It learns from equally many pixels of each class, as networks do from balanced samples.

    Args:
        classes: number of classes.
        pixels: number of training pixels at most.
        trees: number of trees.
        leaf: least number of training pixels in a leaf.

    Example:
        >>> baseline = PixelForest(3).fit(samples, seed=1)
        >>> logits = baseline(x)                               # (batch, height, width, 3)
    """

    name = "per-pixel random forest"

    def __init__(self, classes: int, *, pixels: int = 50_000, trees: int = 100, leaf: int = 10) -> None:
        self.classes = classes
        self.pixels = pixels
        self.trees = trees
        self.leaf = leaf
        self._forest: RandomForestClassifier | None = None

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Draws pixels and grows the forest; see `Baseline.fit`."""
        x, y = stratified_pixels(samples, classes=self.classes, pixels=self.pixels, seed=seed)
        if not len(y):
            raise NoValidPixels("Training samples", "No labelled pixel is valid")
        forest = RandomForestClassifier(
            self.trees, min_samples_leaf=self.leaf, n_jobs=-1, random_state=np.random.RandomState(seed % 2**32)
        )
        with own_warnings():
            self._forest = forest.fit(x, y)
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Predicts logits; see `Baseline.__call__`."""
        if self._forest is None:
            raise RuntimeError("PixelForest: call fit before predicting.")
        valid = np.isfinite(x).all(axis=-1)
        pixels = x[valid]
        found = np.zeros((len(pixels), self.classes), np.float32)
        for start in range(0, len(pixels), _CHUNK):
            part = slice(start, start + _CHUNK)
            with own_warnings():
                found[part, self._forest.classes_] = self._forest.predict_proba(pixels[part])
        logits = np.full((*x.shape[:-1], self.classes), np.nan, np.float32)
        logits[valid] = log_probability(found)
        return logits
