"""Scores of a classification: one confusion matrix over the whole data set, and all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geodl.errors import LabelsOutOfRange, OptionError

__all__ = ("ClassificationMetrics", "mean_of_known", "ratio")


class ClassificationMetrics:
    """Streaming scores of classes, summed over a data set and divided once, at the end.

    Scores follow scikit-learn's definitions with `zero_division=nan`: what cannot be known is not-a-number, and a class
    that neither the labels nor the predictions hold is left out of the means. What has no finite prediction is wrong: it
    lowers the scores of its true class and never leaves the count.

    - `accuracy`: share of right answers, also called overall accuracy; `kappa`: Cohen's.
    - `macro_f1`: mean over the classes; `weighted_f1`: mean weighted by how often each class is true.
    - `balanced_accuracy`: mean recall of the classes that the labels hold.
    - `ece`: expected calibration error in equal bins of the largest probability (Guo et al. 2017, "On calibration of
      modern neural networks", section 2).

    Args:
        classes: names of the classes, in the order of the predictions' last axis.
        logits: whether predictions are logits, of which the softmax is taken; else they are probabilities.
        ignore: label of what does not count.
        bins: number of bins of `ece`.

    Raises:
        OptionError: no class or no bin.

    Example:
        >>> scores = ClassificationMetrics(("maize", "soya"))
        >>> scores.update(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
        >>> scores.result()["accuracy"]
        0.5
    """

    def __init__(self, classes: Sequence[str], *, logits: bool = False, ignore: int = -1, bins: int = 15) -> None:
        if not classes:
            raise OptionError("classes", expected="at least one class name", received=classes)
        if bins < 1:
            raise OptionError("bins", expected="at least one bin", received=bins)
        self.classes = tuple(classes)
        self.logits = logits
        self.ignore = ignore
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        """Forgets all that was counted."""
        n = len(self.classes)
        self.confusion = np.zeros((n, n), np.int64)
        """Counts by true class (rows) and predicted class (columns)."""
        self.unpredicted = np.zeros(n, np.int64)
        """Those without a finite prediction, by true class."""
        self._calibration = np.zeros((3, self.bins), np.float64)

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
            y: class indices of any shape (…,).
            prediction: probabilities, or logits, of shape (…, classes).
            weight: shape of `y`; what has weight 0 does not count. Other weights all count as one.
            x: the input; not looked at.
            scenes: which scene each sample is of; not looked at, as the whole data set is one.

        Raises:
            LabelsOutOfRange: `y` holds a value that is neither a class nor `ignore`.
            OptionError: shapes do not fit, or logits were given as probabilities.
        """
        self._count(np.asarray(y), np.asarray(prediction), weight)

    def merge(self, other: ClassificationMetrics) -> None:
        """Adds what `other` counted, as if its batches had been given here.

        Raises:
            OptionError: `other` is of another kind, or of other classes or bins.
        """
        mine, theirs = self._settings(), other._settings()
        if mine != theirs:
            raise OptionError("merge", expected=f"metrics of {mine}", received=theirs)
        self.confusion += other.confusion
        self.unpredicted += other.unpredicted
        self._calibration += other._calibration

    def result(self) -> dict[str, float]:
        """Returns all scores, in 0–1 (`kappa`: up to 1).

        Returns:
            `accuracy`, `kappa`, `macro_f1`, `weighted_f1`, `balanced_accuracy`, `ece`, then `f1/<class>`,
            `precision/<class>` and `recall/<class>`; not-a-number where undefined.
        """
        scores = self._scores()
        f1, actual = scores["f1"], self._actual
        overall = self._overall()
        return {
            "accuracy": overall["accuracy"],
            "kappa": overall["kappa"],
            "macro_f1": mean_of_known(f1),
            "weighted_f1": float(ratio(np.nansum(f1 * actual), actual.sum())),
            "balanced_accuracy": mean_of_known(scores["recall"]),
            "ece": overall["ece"],
            **self._named(scores),
        }

    def details(self) -> dict[str, Any]:
        """Returns what the scores are made of, as JSON takes it.

        Returns:
            `classes`: their names; `confusion`: counts, true classes in rows; `reliability`: of each bin of the largest
            probability, from 0 to 1, the `count`, the mean `confidence` and the `accuracy`, None where the bin is empty.
        """
        count, confidence, right = self._calibration
        return {
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "reliability": {
                "count": count.astype(np.int64).tolist(),
                "confidence": _or_none(ratio(confidence, count)),
                "accuracy": _or_none(ratio(right, count)),
            },
        }

    def _settings(self) -> tuple[object, ...]:
        """What must be the same for counts to be added."""
        return type(self).__name__, self.classes, self.ignore, self.bins

    @property
    def _actual(self) -> np.ndarray:
        """How often each class is true."""
        return np.asarray(self.confusion.sum(axis=1) + self.unpredicted)

    def _overall(self) -> dict[str, float]:
        actual, predicted = self._actual, self.confusion.sum(axis=0)
        total = actual.sum()
        agreement = ratio(np.trace(self.confusion), total)
        chance = ratio(actual @ predicted.astype(np.float64), float(total) ** 2)
        count, confidence, right = self._calibration
        return {
            "accuracy": float(agreement),
            "kappa": float(ratio(agreement - chance, 1.0 - chance)),
            "ece": float(ratio(np.abs(confidence - right).sum(), count.sum())),
        }

    def _scores(self) -> dict[str, np.ndarray]:
        """Scores of each class, each of shape (classes,)."""
        hit, predicted, actual = np.diagonal(self.confusion), self.confusion.sum(axis=0), self._actual
        return {
            "f1": ratio(2 * hit, actual + predicted),
            "precision": ratio(hit, predicted),
            "recall": ratio(hit, actual),
        }

    def _named(self, scores: dict[str, np.ndarray]) -> dict[str, float]:
        return {
            f"{score}/{name}": float(value)
            for score, values in scores.items()
            for name, value in zip(self.classes, values, strict=True)
        }

    def _count(
        self, y: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts a batch and returns, in the shape of `y`, the class chosen, where it is labelled, and what counts."""
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
        return best, known, counted

    def _count_calibration(self, confidence: np.ndarray, right: np.ndarray) -> None:
        # Bins are closed on the right, so that a confidence of 1 falls into the last one.
        bins = np.clip(np.ceil(confidence.astype(np.float64) * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        for row, weights in enumerate((None, confidence, right)):
            self._calibration[row] += np.bincount(bins, weights=weights, minlength=self.bins)


def ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Divides, with not-a-number where the divisor is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def mean_of_known(values: np.ndarray) -> float:
    """Returns the mean of the finite values, not-a-number where there is none."""
    present = np.isfinite(values)
    return float(values[present].mean()) if present.any() else float("nan")


def _best(prediction: np.ndarray, *, logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best class of each (n where the prediction is not finite) and its probability."""
    # Walking over the few classes is several times faster than argmax along a short last axis.
    n = prediction.shape[-1]
    best = np.zeros(prediction.shape[:-1], np.int64)
    top = np.array(prediction[..., 0], np.float32)
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


def _or_none(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
