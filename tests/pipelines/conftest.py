"""What tests of several pipelines share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from geodl.baselines.forest import PixelForest
from geodl.pipelines import base, segmentation


@pytest.fixture(scope="module")
def small_forest() -> Iterator[None]:
    """Lets the forests beside networks grow few trees on few pixels: one of full size takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation, "PixelForest", partial(PixelForest, pixels=3000, trees=10))
        yield


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the scores and the report of runs of which only the weights are looked at."""
    monkeypatch.setattr(base, "_final_scores", lambda *arguments: None)
    monkeypatch.setattr(base, "run_report", lambda *arguments, **named: "")
