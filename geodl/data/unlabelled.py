"""Scenes without labels: every pixel may be learnt from, and scored on."""

from __future__ import annotations

import numpy as np

from geodl.contract import ClassInfo
from geodl.data.labels import Labels
from geodl.data.source import Source, Window

__all__ = ("Unlabelled",)


class Unlabelled(Labels):
    """In place of labels: one class, everywhere. Whether a pixel is valid is the scene's own affair.

    With it `SceneSamples`, `RegionSamples` and `split_scenes` work on scenes that have no labels.
    """

    def __init__(self, source: Source) -> None:
        self.name, self.grid, self.classes = source.name, source.grid, (ClassInfo(0, "pixels", "#808080"),)

    def _read(self, window: Window) -> np.ndarray:
        return np.zeros((int(window.height), int(window.width)), np.int32)
