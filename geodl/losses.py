"""Losses of classification per pixel, mask-aware and never normalised over a batch.

Truth is an array `(batch, height, width)` of class indices, negative where a pixel is to be ignored; predictions are
logits `(batch, height, width, classes)`. `call` of every loss gives `(batch, height, width)`, 0 at ignored pixels. A
loss of whole regions (Dice, Tversky, Lovász) gives all valid pixels of a sample the sample's value, so losses can be
summed, and sample weights mean the same for all. With weights `valid × valid.size / valid.sum()` Keras' reduction is
the mean over valid pixels.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError, RecipeError

__all__ = ("LOSSES", "CrossEntropy", "Dice", "Focal", "Lovasz", "Sum", "Tversky", "build")

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


@_register
class Sum(keras.losses.Loss):
    """A weighted sum of losses.

    Args:
        terms: pairs of a weight and a loss.
    """

    def __init__(self, terms: Sequence[tuple[float, keras.losses.Loss]], *, name: str = "sum", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.terms = tuple((float(weight), loss) for weight, loss in terms)
        if not self.terms:
            raise OptionError("terms", expected="at least one (weight, loss)", received=terms)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the summed loss of each pixel."""
        return sum(weight * loss.call(y_true, y_pred) for weight, loss in self.terms)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, losses serialised."""
        terms = [(weight, keras.losses.serialize(loss)) for weight, loss in self.terms]
        return {**super().get_config(), "terms": terms}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sum:
        """Rebuilds what `get_config` describes."""
        terms = [(weight, keras.losses.deserialize(loss)) for weight, loss in config["terms"]]
        return cls(**{**config, "terms": terms})


LOSSES: dict[str, type[keras.losses.Loss]] = {
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "lovasz": Lovasz,
    "tversky": Tversky,
}
"""Losses by the names that recipes use."""


def build(spec: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]) -> keras.losses.Loss:
    """Makes the loss that a recipe names.

    Args:
        spec: a name of `LOSSES`; or a mapping with `name`, arguments of the loss, and optionally `weight` (default 1);
            or a list of these, which are summed.

    Raises:
        RecipeError: a name or an option does not exist, or nothing is named.
        OptionError: an option's value is out of range.

    Example:
        >>> build([{"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "dice", "weight": 0.5}])
    """
    listed = [spec] if isinstance(spec, str | Mapping) else list(spec)
    if not listed:
        raise RecipeError("loss", f"expected at least one of {', '.join(LOSSES)}. Received: none.")
    terms = [_term(entry) for entry in listed]
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Sum(terms)


def _term(entry: str | Mapping[str, Any]) -> tuple[float, keras.losses.Loss]:
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    name, weight = options.pop("name", None), options.pop("weight", 1.0)
    if name not in LOSSES:
        problem = f"expected one of {', '.join(LOSSES)}. Received: {name!r}."
        raise RecipeError("loss.name", problem, valid=LOSSES, nearest_to=str(name))
    if not isinstance(weight, int | float) or not weight > 0:
        raise RecipeError(f"loss.{name}.weight", f"expected a number greater than 0. Received: {weight!r}.")
    allowed = [option for option in inspect.signature(LOSSES[name]).parameters if option not in ("name", "kwargs")]
    for option in options:
        if option not in allowed:
            problem = f"no such option. Options of {name}: {', '.join([*allowed, 'weight'])}."
            raise RecipeError(f"loss.{name}.{option}", problem, valid=[*allowed, "weight"])
    try:
        return float(weight), LOSSES[name](**options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"loss.{name}", f"an option has a value of the wrong kind: {error}.") from error
