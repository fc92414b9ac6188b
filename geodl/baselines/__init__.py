"""Baselines: the classical methods that a network must beat, behind one small protocol."""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from geodl.baselines.dynamics import DMD, SteadyState
from geodl.baselines.filters import Bicubic, Identity, NonLocalMeans, TotalVariation
from geodl.baselines.forest import PixelForest
from geodl.baselines.lee import Lee, RefinedLee
from geodl.baselines.lstm import OneStepLSTM
from geodl.baselines.majority import MajorityClass
from geodl.baselines.minirocket import MiniRocketSeries
from geodl.baselines.ngrc import NGRC
from geodl.baselines.nowcast import ANVIL, SPROG, Advection, Extrapolation, Persistence
from geodl.baselines.series import NearestSeries, SeriesForest
from geodl.baselines.sindy import PySINDy
from geodl.data.samples import Samples

__all__ = (
    "ANVIL",
    "DMD",
    "NGRC",
    "SPROG",
    "Advection",
    "Baseline",
    "Bicubic",
    "Extrapolation",
    "Identity",
    "Lee",
    "MajorityClass",
    "NonLocalMeans",
    "OneStepLSTM",
    "Persistence",
    "PixelForest",
    "PySINDy",
    "RefinedLee",
    "SteadyState",
    "TotalVariation",
    "MiniRocketSeries",
    "NearestSeries",
    "SeriesForest",
)


@runtime_checkable
class Baseline(Protocol):
    """Learns from the same samples as the network and answers the same batches, in the same form."""

    name: str
    """What tables and figures call it."""

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Learns from samples and returns itself. The same samples and seed give the same baseline.

        Raises:
            NoValidPixels: no sample has a valid target.
        """
        ...

    def __call__(self, x: Any) -> np.ndarray:
        """Predicts a batch, in physical units as the network gets it; the answer has the form of the network's output.

        For classes these are logarithms of probabilities (so, logits) of shape (batch, height, width, classes),
        not-a-number at invalid pixels. For images they are values in physical units, float32 of shape (batch, height,
        width, band), on the finer grid for super-resolution, not-a-number where x is. For sequences they are rain rates
        in mm/h, float32 of shape (batch, lead, height, width, 1), not-a-number where nothing is known. For trajectories x
        holds `state` (batch, state), `times` (batch, time) and perhaps `past` (batch, past, state), and the answer states
        (batch, time, state), the first of them `state`.
        """
        ...
