"""Scores of a class map: one confusion matrix over the whole data set, and all that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from geodl.errors import LabelsOutOfRange, OptionError

__all__ = ("SegmentationMetrics",)

_NEIGHBOURS = (
    ((..., slice(1, None), slice(None)), (..., slice(None, -1), slice(None))),
    ((..., slice(1, None)), (..., slice(None, -1))),
)
"""Where a pixel and its upper neighbour, and where a pixel and its left neighbour, lie in an array."""


class SegmentationMetrics:
    """Streaming scores of class maps, summed over a data set and divided once, at the end.

    Scores follow scikit-learn's definitions with `zero_division=nan`: what cannot be known is not-a-number, and a class
    that neither the labels nor the predictions hold is left out of the means. A pixel whose prediction is not finite
    is wrong: it lowers the scores of its true class and never leaves the count.

    - `boundary_f1`: F1 of class boundaries found within a tolerance (Csurka et al. 2013, "What is a good evaluation
      measure for semantic segmentation?"), pooled over the data set per class, then averaged. A boundary pixel has a
      4-neighbour of another class. Labelled pixels of weight 0 (the context around a window) serve as neighbours and
      as matches but are not counted, so windows give what the whole scene gives.
    - `ece`: expected calibration error in equal bins of the largest probability (Guo et al. 2017, "On calibration of
      modern neural networks", section 2).

    Args:
        classes: names of the classes, in the order of the predictions' last axis.
        logits: whether predictions are logits, of which the softmax is taken; else they are probabilities.
        ignore: label of pixels that do not count.
        boundary: tolerance of `boundary_f1`, in pixels.
        bins: number of bins of `ece`.

    Example:
        >>> scores = SegmentationMetrics(("water", "land"))
        >>> scores.update(np.array([[[0, 1]]]), np.array([[[[0.9, 0.1], [0.6, 0.4]]]]))
        >>> scores.result()["accuracy"]
        0.5
    """

    def __init__(
        self, classes: Sequence[str], *, logits: bool = False, ignore: int = -1, boundary: float = 2.0, bins: int = 15
    ) -> None:
        if not classes:
            raise OptionError("classes", expected="at least one class name", received=classes)
        if bins < 1:
            raise OptionError("bins", expected="at least one bin", received=bins)
        if boundary < 0:
            raise OptionError("boundary", expected="a tolerance of 0 pixels or more", received=boundary)
        self.classes = tuple(classes)
        self.logits = logits
        self.ignore = ignore
        self.boundary = float(boundary)
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        """Forgets all that was counted."""
        n = len(self.classes)
        self.confusion = np.zeros((n, n), np.int64)
        """Pixels by true class (rows) and predicted class (columns)."""
        self.unpredicted = np.zeros(n, np.int64)
        """Pixels without a finite prediction, by true class."""
        self._edges = np.zeros((4, n), np.int64)
        self._calibration = np.zeros((3, self.bins), np.float64)

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: np.ndarray | None = None,
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
        n = len(self.classes)
        if prediction.shape != (*y.shape, n):
            raise OptionError("prediction", expected=f"shape {(*y.shape, n)}", received=prediction.shape)
        known = y != self.ignore
        if known.any() and (y.min(where=known, initial=0) < 0 or y.max(where=known, initial=0) >= n):
            unknown = np.setdiff1d(y[known], np.arange(n)).tolist()
            raise LabelsOutOfRange("y", expected=[*range(n), self.ignore], received=unknown)
        counted = known if weight is None else known & (weight > 0)
        best, confidence = _best(prediction, logits=self.logits)
        if not self.logits and confidence.max(where=best < n, initial=0.0) > 1.001:
            raise OptionError("logits", expected="True where predictions exceed 1", received=self.logits)

        truth, chosen = y[counted].astype(np.int64), best[counted]
        counts = np.bincount(truth * (n + 1) + chosen, minlength=n * (n + 1)).reshape(n, n + 1)
        self.confusion += counts[:, :n]
        self.unpredicted += counts[:, n]

        finite = chosen < n
        self._count_calibration(confidence[counted][finite], (truth == chosen)[finite])
        self._count_edges(y, best, known, counted)

    def merge(self, other: SegmentationMetrics) -> None:
        """Adds what `other` counted, as if its batches had been given here."""
        mine, theirs = ((m.classes, m.ignore, m.boundary, m.bins) for m in (self, other))
        if mine != theirs:
            raise OptionError("merge", expected=f"metrics of {mine}", received=theirs)
        self.confusion += other.confusion
        self.unpredicted += other.unpredicted
        self._edges += other._edges
        self._calibration += other._calibration

    def result(self) -> dict[str, float]:
        """Returns all scores, in 0–1 (`kappa`: up to 1).

        Returns:
            `miou`, `accuracy`, `kappa`, `boundary_f1`, `ece`, then `iou/<class>`, `f1/<class>`, `precision/<class>` and
            `recall/<class>`; not-a-number where undefined.
        """
        hit = np.diagonal(self.confusion)
        predicted = self.confusion.sum(axis=0)
        actual = self.confusion.sum(axis=1) + self.unpredicted
        total = actual.sum()
        iou = _ratio(hit, actual + predicted - hit)
        agreement, chance = _ratio(hit.sum(), total), _ratio(actual @ predicted.astype(np.float64), float(total) ** 2)
        found, edges, matched, truths = self._edges
        scores = {
            "miou": _mean(iou),
            "accuracy": float(agreement),
            "kappa": float(_ratio(agreement - chance, 1.0 - chance)),
            "boundary_f1": _mean(_harmonic(found, edges, matched, truths)),
            "ece": self._calibration_error(),
        }
        per_class = {
            "iou": iou,
            "f1": _ratio(2 * hit, actual + predicted),
            "precision": _ratio(hit, predicted),
            "recall": _ratio(hit, actual),
        }
        for score, values in per_class.items():
            scores |= {f"{score}/{name}": float(v) for name, v in zip(self.classes, values, strict=True)}
        return scores

    def details(self) -> dict[str, Any]:
        """Returns the class names and the confusion matrix (true classes in rows), as JSON takes them."""
        return {"classes": list(self.classes), "confusion": self.confusion.tolist()}

    def _count_calibration(self, confidence: np.ndarray, right: np.ndarray) -> None:
        # Bins are closed on the right, so that a confidence of 1 falls into the last one.
        bins = np.clip(np.ceil(confidence.astype(np.float64) * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        for row, weights in enumerate((None, confidence, right)):
            self._calibration[row] += np.bincount(bins, weights=weights, minlength=self.bins)

    def _calibration_error(self) -> float:
        pixels, confidence, right = self._calibration
        return float(_ratio(np.abs(confidence - right).sum(), pixels.sum()))

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


def _best(prediction: np.ndarray, *, logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best class per pixel (n where the prediction is not finite) and its probability."""
    # Walking over the few classes is several times faster than argmax along a short last axis.
    n = prediction.shape[-1]
    best = np.zeros(prediction.shape[:-1], np.int64)
    top = prediction[..., 0].astype(np.float32)
    finite = np.isfinite(top)
    for index in range(1, n):
        layer = prediction[..., index]
        finite &= np.isfinite(layer)
        better = layer > top
        best[better] = index
        np.copyto(top, layer, where=better, casting="same_kind")
    best[~finite] = n
    if not logits:
        return best, top
    spread = np.zeros_like(top)
    with np.errstate(invalid="ignore"):
        for index in range(n):
            spread += np.exp(prediction[..., index] - top)
        return best, 1.0 / spread


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


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Divides, with not-a-number where the divisor is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def _mean(values: np.ndarray) -> float:
    present = np.isfinite(values)
    return float(values[present].mean()) if present.any() else float("nan")


def _harmonic(found: np.ndarray, edges: np.ndarray, matched: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """F1 of precision found/edges and recall matched/truths; 0 where one has no boundary, nan where both have none."""
    precision, recall = np.nan_to_num(_ratio(found, edges)), np.nan_to_num(_ratio(matched, truths))
    f1 = np.nan_to_num(_ratio(2 * precision * recall, precision + recall))
    return np.where(edges + truths > 0, f1, np.nan)
