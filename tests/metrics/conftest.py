"""What pysteps makes of small fields of rain, written once: see tests/fixtures/write_nowcast_scores.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl.metrics import NowcastMetrics
from tests.fixtures.write_nowcast_scores import SCALES, THRESHOLDS


@pytest.fixture(scope="session")
def pysteps() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "fixtures" / "nowcast_scores.npz") as found:
        return dict(found)


@pytest.fixture
def scored(pysteps: dict[str, np.ndarray]) -> NowcastMetrics:
    """Metrics that have seen the forecast of the fixture."""
    scores = NowcastMetrics(THRESHOLDS, lead_minutes=(10, 20), scales=SCALES, pixel_km=2.0)
    scores.update(pysteps["observed"][None, ..., None], pysteps["forecast"][None, ..., None])
    return scores
