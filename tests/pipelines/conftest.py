"""What tests of several pipelines share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from geodl.baselines.forest import PixelForest
from geodl.pipelines import segmentation


@pytest.fixture(scope="module")
def small_forest() -> Iterator[None]:
    """Lets the forests beside networks grow few trees on few pixels: one of full size takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation, "PixelForest", partial(PixelForest, pixels=3000, trees=10))
        yield
