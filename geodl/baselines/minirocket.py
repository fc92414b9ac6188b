"""MiniRocket, by aeon where it is installed: the strongest of the quick methods for time series."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from scipy.special import softmax

from geodl.baselines.series import SeriesBaseline
from geodl.errors import BackendUnavailable

__all__ = ("MiniRocketSeries",)

_LEAST = 9
"""Dates that MiniRocket's kernels span."""


class MiniRocketSeries(SeriesBaseline):
    """MiniRocket (Dempster, Schmidt & Webb 2021) on all bands, and a ridge classifier on what it gives.

    It is used as aeon has it: 10,000 kernels, features divided by their standard deviation, the penalty of ten chosen by
    leave-one-out. Ridge scores are no probabilities; their softmax orders the classes, and is not calibrated.

    Args:
        classes: number of classes.
        series: number of training series at most, drawn at random: memory grows with their square.
        kernels: number of kernels.

    Raises:
        BackendUnavailable: aeon is not installed.

    Example:
        >>> baseline = MiniRocketSeries(3).fit(samples)                # where MiniRocketSeries.available()
        >>> logits = baseline({"values": values, "days": days})        # (batch, 3)
    """

    name = "MiniRocket"

    def __init__(self, classes: int, *, series: int = 10_000, kernels: int = 10_000) -> None:
        if not self.available():
            raise BackendUnavailable(
                f"The baseline {self.name}",
                "aeon is not installed",
                advice="Install with: pip install aeon",
            )
        super().__init__(classes, series=series)
        self.kernels = kernels
        self._classifier: Any = None

    @staticmethod
    def available() -> bool:
        """Says whether aeon is installed."""
        return importlib.util.find_spec("aeon") is not None

    def _learn(self, values: np.ndarray, labels: np.ndarray, *, seed: int) -> None:
        aeon: Any = importlib.import_module("aeon.classification.convolution_based")
        self._classifier = aeon.MiniRocketClassifier(self.kernels, n_jobs=-1, random_state=seed % 2**31)
        self._classifier.fit(_channels_first(values), labels)

    def _probability(self, values: np.ndarray) -> np.ndarray:
        # aeon's own probabilities are 0 or 1.
        scores = self._classifier.pipeline_.decision_function(_channels_first(values))
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1)
        found = np.zeros((len(values), self.classes), np.float32)
        found[:, self._classifier.classes_.astype(np.int64)] = softmax(scores, axis=1)
        return found


def _channels_first(values: np.ndarray) -> np.ndarray:
    """Returns (series, band, time), of nine dates at least: the last one is repeated."""
    short = max(_LEAST - values.shape[1], 0)
    return np.pad(values, ((0, 0), (0, short), (0, 0)), mode="edge").swapaxes(1, 2)
