"""Losses of classification per pixel.

Truth is an array `(batch, height, width)` of class indices, negative where a pixel is to be ignored; predictions are
logits `(batch, height, width, classes)`. A loss of whole regions (Dice, Tversky, Lovász) gives all valid pixels of a
sample the sample's value, so losses can be summed, and sample weights mean the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError

__all__ = ("CrossEntropy", "Dice", "Focal", "Lovasz", "Tversky")

_register = keras.saving.register_keras_serializable(package="geodl")


def _prepare(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Returns log-probabilities and one-hot truth (batch, …, classes), and validity (batch, …) as 0 or 1.

    At ignored pixels the truth is 0 for all classes and the logits have no influence, not even by their gradient.
    """
    index = ops.cast(y_true, "int32")
    valid = index >= 0
    logits = ops.where(valid[..., None], y_pred, ops.zeros_like(y_pred))
    mask = ops.cast(valid, y_pred.dtype)
    truth = ops.one_hot(ops.maximum(index, 0), y_pred.shape[-1], dtype=y_pred.dtype) * mask[..., None]
    return ops.log_softmax(logits), truth, mask


def _class_weights(weights: Sequence[float] | None) -> tuple[float, ...] | None:
    if weights is None:
        return None
    if not (np.isfinite(weights).all() and np.greater_equal(weights, 0).all() and any(weights)):
        raise OptionError("class_weights", expected="numbers of at least 0, not all 0", received=weights)
    return tuple(float(weight) for weight in weights)


def _weigh(values: Any, truth: Any, weights: tuple[float, ...] | None) -> Any:
    """Multiplies the value of each pixel by the weight of its true class."""
    if weights is None:
        return values
    if len(weights) != truth.shape[-1]:
        raise OptionError("class_weights", expected=f"{truth.shape[-1]} numbers, one per class", received=weights)
    return values * ops.sum(truth * ops.convert_to_tensor(weights, dtype=truth.dtype), axis=-1)


@_register
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of softmax probabilities.

    Args:
        class_weights: one factor per class, on the pixels that truly are of it. The sum is not divided by them: with a
            mean of about 1 the learning rate keeps its meaning. Defaults to 1.
        label_smoothing: share of the truth that is spread evenly over all classes, 0–1.

    Example:
        >>> loss = CrossEntropy()
        >>> loss(np.array([[[0, -1]]]), np.zeros((1, 1, 2, 4)))  # (ln 4 + 0) / 2
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        *,
        name: str = "cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise OptionError("label_smoothing", expected="a number from 0 to below 1", received=label_smoothing)
        self.class_weights = _class_weights(class_weights)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each pixel, in nats."""
        log_p, truth, mask = _prepare(y_true, y_pred)
        target = (1 - self.label_smoothing) * truth + self.label_smoothing / y_pred.shape[-1]
        return _weigh(-ops.sum(target * log_p, axis=-1) * mask, truth, self.class_weights)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {"class_weights": self.class_weights, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


@_register
class Focal(keras.losses.Loss):
    """Focal loss, −(1 − p)^γ ln p with p the true class' probability: easy pixels count less (Lin et al. 2017, eq. 5).

    Args:
        gamma: focusing parameter γ, at least 0; 0 is cross-entropy.
        class_weights: one factor per class (α of the paper); see `CrossEntropy`. Defaults to 1.
    """

    def __init__(
        self, gamma: float = 2.0, class_weights: Sequence[float] | None = None, *, name: str = "focal", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if gamma < 0:
            raise OptionError("gamma", expected="a number of at least 0", received=gamma)
        self.gamma = gamma
        self.class_weights = _class_weights(class_weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each pixel."""
        log_p, truth, mask = _prepare(y_true, y_pred)
        log_p = ops.sum(truth * log_p, axis=-1)
        # Below γ = 1 the power has no finite slope at 0, where a pixel is certain.
        easiness = ops.power(ops.maximum(-ops.expm1(log_p), 1e-6), self.gamma)
        return _weigh(-easiness * log_p * mask, truth, self.class_weights)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "gamma": self.gamma, "class_weights": self.class_weights}


class _RegionLoss(keras.losses.Loss):
    """A loss with one value per class and sample: its mean over the classes that the sample's truth holds.

    A class that a sample lacks has no region to be matched; predicting it there costs its true classes.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns each sample's value at its valid pixels."""
        log_p, truth, mask = _prepare(y_true, y_pred)
        pixels = int(np.prod(y_pred.shape[1:-1])) if None not in y_pred.shape[1:-1] else -1
        shape = (ops.shape(y_pred)[0], pixels, y_pred.shape[-1])
        p = ops.reshape(ops.exp(log_p) * mask[..., None], shape)
        truth = ops.reshape(truth, shape)
        present = ops.cast(ops.any(truth > 0, axis=1), p.dtype)
        values = ops.sum(self.regions(p, truth) * present, axis=-1) / ops.maximum(ops.sum(present, axis=-1), 1)
        return ops.reshape(values, (-1, *(1,) * (len(mask.shape) - 1))) * mask

    def regions(self, p: Any, truth: Any) -> Any:
        """Returns the loss per sample and class, shape (batch, classes).

        Args:
            p: probabilities (batch, pixels, classes), 0 at ignored pixels.
            truth: 1 at the true class (batch, pixels, classes), 0 elsewhere and at ignored pixels.
        """
        raise NotImplementedError


@_register
class Tversky(_RegionLoss):
    """1 − TP / (TP + α FP + β FN), per class present in a sample, of soft counts (Salehi et al. 2017, eq. 2).

    Args:
        alpha: weight of false positives, at least 0.
        beta: weight of false negatives, at least 0; more than `alpha` favours recall.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, *, name: str = "tversky", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        for option, value in (("alpha", alpha), ("beta", beta)):
            if value < 0:
                raise OptionError(option, expected="a number of at least 0", received=value)
        self.alpha, self.beta = alpha, beta

    def regions(self, p: Any, truth: Any) -> Any:
        """See `_RegionLoss`."""
        hit = ops.sum(p * truth, axis=1)
        false_positive = ops.sum(p, axis=1) - hit
        false_negative = ops.sum(truth, axis=1) - hit
        weighted = hit + self.alpha * false_positive + self.beta * false_negative
        return 1 - hit / ops.maximum(weighted, 1e-6)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


@_register
class Dice(_RegionLoss):
    """1 − 2 TP / (2 TP + FP + FN), per class present in a sample, of soft counts: one minus the F1 score."""

    def __init__(self, *, name: str = "dice", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def regions(self, p: Any, truth: Any) -> Any:
        """See `_RegionLoss`."""
        return 1 - 2 * ops.sum(p * truth, axis=1) / ops.maximum(ops.sum(p, axis=1) + ops.sum(truth, axis=1), 1e-6)


@_register
class Lovasz(_RegionLoss):
    """Lovász-softmax: convex extension of 1 − IoU, per class present in a sample (Berman et al. 2018, algorithm 1)."""

    def __init__(self, *, name: str = "lovasz", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def regions(self, p: Any, truth: Any) -> Any:
        """See `_RegionLoss`."""
        # Ignored pixels have an error of 0 here: they are sorted last, and count nothing there.
        errors = ops.abs(truth - p)
        order = ops.argsort(-ops.stop_gradient(errors), axis=1)
        errors, truth = (ops.take_along_axis(values, order, axis=1) for values in (errors, truth))
        size = ops.sum(truth, axis=1, keepdims=True)
        found = ops.cumsum(truth, axis=1)
        # IoU when the worst 1, 2, … pixels are wrong.
        intersection = size - found
        union = size + ops.cumsum(1 - truth, axis=1)
        jaccard = 1 - intersection / union
        steps = ops.concatenate([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=1)
        return ops.sum(errors * ops.stop_gradient(steps), axis=1)
