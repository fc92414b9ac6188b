"""What restoration demonstrations show: a scene never seen, degraded just as it is when it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geodl.bundle import read_bundle
from geodl.pipelines.task import open_pipeline

__all__ = ("scored_sample",)


def scored_sample(run: Path, changes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sample that `geodl.evaluate` scores, where this is one scene of one window.

    Args:
        run: folder of the bundle.
        changes: dotted keys to values, over the bundle's recipe: the data, at least.

    Returns:
        What the network is given, and the truth: shape (height, width, band) each, in physical units.
    """
    bundle = read_bundle(run)
    samples, _ = open_pipeline(bundle.recipe, changes).held_out(bundle.contract, "all")
    x, y, _ = samples.read(0, np.random.default_rng())
    return x, y
