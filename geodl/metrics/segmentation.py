"""Scores of a class map: those of a classification of its pixels, and how well it draws regions and boundaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.classification import ClassificationMetrics, mean_of_known, ratio

__all__ = ("SegmentationMetrics",)

_NEIGHBOURS = (
    ((..., slice(1, None), slice(None)), (..., slice(None, -1), slice(None))),
    ((..., slice(1, None)), (..., slice(None, -1))),
)
"""Where a pixel and its upper neighbour, and where a pixel and its left neighbour, lie in an array."""


class SegmentationMetrics(ClassificationMetrics):
    """Streaming scores of class maps, summed over a data set and divided once, at the end.

    What `ClassificationMetrics` says holds for pixels. Beside `accuracy`, `kappa` and `ece` there are:

    - `miou`: mean intersection over union (Jaccard index) of the classes.
    - `boundary_f1`: F1 of class boundaries found within a tolerance (Csurka et al. 2013, "What is a good evaluation
      measure for semantic segmentation?"), pooled over the data set per class, then averaged. A boundary pixel has a
      4-neighbour of another class. Labelled pixels of weight 0 (the context around a window) serve as neighbours and
      as matches but are not counted, so windows give what the whole scene gives.

    Args:
        classes: names of the classes, in the order of the predictions' last axis.
        logits: whether predictions are logits, of which the softmax is taken; else they are probabilities.
        ignore: label of pixels that do not count.
        boundary: tolerance of `boundary_f1`, in pixels.
        bins: number of bins of `ece`.

    Raises:
        OptionError: no class, no bin, or a tolerance below 0.

    Example:
        >>> scores = SegmentationMetrics(("water", "land"))
        >>> scores.update(np.array([[[0, 1]]]), np.array([[[[0.9, 0.1], [0.6, 0.4]]]]))
        >>> scores.result()["accuracy"]
        0.5
    """

    def __init__(
        self, classes: Sequence[str], *, logits: bool = False, ignore: int = -1, boundary: float = 2.0, bins: int = 15
    ) -> None:
        if boundary < 0:
            raise OptionError("boundary", expected="a tolerance of 0 pixels or more", received=boundary)
        self.boundary = float(boundary)
        super().__init__(classes, logits=logits, ignore=ignore, bins=bins)

    def reset(self) -> None:
        """Forgets all that was counted."""
        super().reset()
        self._edges = np.zeros((4, len(self.classes)), np.int64)

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: Any = None,
        scenes: Sequence[str] = (),
    ) -> None:
        """Counts a batch.

        Args:
            y: class indices of shape ([batch,] height, width).
            prediction: probabilities, or logits, of shape ([batch,] height, width, classes).
            weight: shape of `y`; pixels of weight 0 do not count. Other weights all count as one pixel.
            x: the input; not looked at.
            scenes: which scene each sample is of; not looked at, as the whole data set is one.

        Raises:
            LabelsOutOfRange: `y` holds a value that is neither a class nor `ignore`.
            OptionError: shapes do not fit, or logits were given as probabilities.
        """
        self._count_edges(y, *self._count(y, prediction, weight))

    def merge(self, other: ClassificationMetrics) -> None:
        """Adds what `other` counted, as if its batches had been given here; see `ClassificationMetrics.merge`."""
        super().merge(other)
        if isinstance(other, SegmentationMetrics):
            self._edges += other._edges

    def result(self) -> dict[str, float]:
        """Returns all scores, in 0–1 (`kappa`: up to 1).

        Returns:
            `miou`, `accuracy`, `kappa`, `boundary_f1`, `ece`, then `iou/<class>`, `f1/<class>`, `precision/<class>` and
            `recall/<class>`; not-a-number where undefined.
        """
        hit, predicted = np.diagonal(self.confusion), self.confusion.sum(axis=0)
        iou = ratio(hit, self._actual + predicted - hit)
        overall = self._overall()
        return {
            "miou": mean_of_known(iou),
            "accuracy": overall["accuracy"],
            "kappa": overall["kappa"],
            "boundary_f1": mean_of_known(_harmonic(*self._edges)),
            "ece": overall["ece"],
            **self._named({"iou": iou, **self._scores()}),
        }

    def _settings(self) -> tuple[object, ...]:
        return *super()._settings(), self.boundary

    def _count_edges(self, y: np.ndarray, best: np.ndarray, known: np.ndarray, counted: np.ndarray) -> None:
        n = len(self.classes)
        truth_edge, found_edge = _edges(y, known), _edges(best, known & (best < n))
        for index in range(n):
            truth, found = truth_edge & (y == index), found_edge & (best == index)
            self._edges[:, index] += [
                np.count_nonzero(found & counted & _dilated(truth, self.boundary)),
                np.count_nonzero(found & counted),
                np.count_nonzero(truth & counted & _dilated(found, self.boundary)),
                np.count_nonzero(truth & counted),
            ]


def _edges(classes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Marks pixels with a 4-neighbour of another class, both of them known."""
    edge = np.zeros(classes.shape, bool)
    for one, other in _NEIGHBOURS:
        step = (classes[one] != classes[other]) & known[one] & known[other]
        edge[one] |= step
        edge[other] |= step
    return edge


def _dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """Grows a mask by a disk. Shifted copies beat scipy's dilation and distance transform at the small radii in use."""
    grown = mask.copy()
    if mask.any():
        height, width = mask.shape[-2:]
        for down, right in _disk(radius):
            (to_row, from_row), (to_column, from_column) = _shifted(down, height), _shifted(right, width)
            grown[..., to_row, to_column] |= mask[..., from_row, from_column]
    return grown


def _disk(radius: float) -> Iterator[tuple[int, int]]:
    reach = int(radius)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if 0 < down * down + right * right <= radius * radius:
                yield down, right


def _shifted(step: int, size: int) -> tuple[slice, slice]:
    """Slices that move an axis by `step`: where to, and where from."""
    step = max(-size, min(step, size))
    return slice(max(step, 0), size + min(step, 0)), slice(max(-step, 0), size + min(-step, 0))


def _harmonic(found: np.ndarray, edges: np.ndarray, matched: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """F1 of precision found/edges and recall matched/truths; 0 where one has no boundary, nan where both have none."""
    precision, recall = np.nan_to_num(ratio(found, edges)), np.nan_to_num(ratio(matched, truths))
    f1 = np.nan_to_num(ratio(2 * precision * recall, precision + recall))
    return np.where(edges + truths > 0, f1, np.nan)
