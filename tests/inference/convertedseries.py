"""Series with gaps, and conversion without a process of its own."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from geodl.inference import conversion

__all__ = ("convert_here", "convert_quickly", "random_series")


def random_series(shape: tuple[int, int], bands: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values and days of (series, dates): irregular dates, missing bands and dates, a series without any observation."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 0.2, (*shape, bands)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(shape) < 0.4] = np.nan
    values[0] = np.nan
    days = (rng.integers(-20, 90, (shape[0], 1)) + np.cumsum(rng.integers(1, 40, shape), axis=1)).astype(np.float32)
    return values, days


def convert_here(network_file: Path, target: Path, *, format: str) -> int:
    """`geodl.inference.conversion.convert` in this process, whose backend must be TensorFlow."""
    with patch.object(sys, "excepthook"), redirect_stdout(StringIO()) as said:
        conversion._main(format, str(network_file), str(target))
    return int(said.getvalue().splitlines()[-1])


def convert_quickly(network_file: Path, target: Path, *, format: Any) -> int:
    """Converts here if it can: a process of its own, which some tests start as users do, takes longer than the rest."""
    here = keras.backend.backend() == "tensorflow"
    return (convert_here if here else conversion.convert)(network_file, target, format=format)
