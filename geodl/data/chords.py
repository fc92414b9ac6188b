"""How large labelled regions are: the mean chord."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodl.data.labels import IGNORE
from geodl.data.samples import Scene
from geodl.data.statistics import training_windows

__all__ = ("mean_chord",)


def mean_chord(scenes: Sequence[Scene], *, size: int = 512, most: int = 64, seed: int = 0) -> float:
    """Measures how far one goes along a row or column before the class changes (the mean intercept of stereology).

    Where labels end, the region ends too: of polygons that only sample a region, this is the size of the polygons.

    Args:
        scenes: labelled scenes; only their training area counts.
        size: side of the windows looked at, in pixels.
        most: how many windows with labels are looked at; a random choice where there are more.
        seed: of that choice.

    Returns:
        Mean chord in pixels; infinite where the class never changes.
    """
    changes = steps = seen = 0
    for scene, window in training_windows(scenes, size, seed):
        labels = scene.labels.read(window)
        for ahead, behind in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            steps += int(((ahead != IGNORE) | (behind != IGNORE)).sum())
            changes += int((ahead != behind).sum())
        seen += bool((labels != IGNORE).any())
        if seen >= most:
            break
    return steps / changes if changes else float(np.inf)
