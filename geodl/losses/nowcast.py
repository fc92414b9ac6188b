"""Losses of nowcasting: how far predicted rain lies from observed rain.

Truth is an array `(batch, lead, height, width, 1)` in mm/h, not-a-number where nothing was observed; the first channel
of the prediction is in mm/h and at least 0. `call` gives `(batch, lead, height, width)`: 0, and no gradient, where the
truth is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError
from geodl.models.rain import rain_level
from geodl.physics.rain import Transform

__all__ = ("Balanced", "RainL1", "RainL2", "RainLikelihood", "SoftCSI")

_register = keras.saving.register_keras_serializable(package="geodl")

_NONE = "none"


class _RainLoss(keras.losses.Loss):
    """Base of losses that compare transformed rain rates.

    Args:
        transform: "log", "db" (see `geodl.physics.rain.Transform`), or "none" for the rates themselves.
        std: standard deviation of the transformed training values, by which differences are divided.
    """

    def __init__(self, transform: str, std: float, *, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if transform not in (*get_args(Transform), _NONE):
            raise OptionError("transform", expected="'log', 'db' or 'none'", received=transform)
        if not isinstance(std, int | float) or not 0 < std < math.inf:
            raise OptionError("std", expected="a finite number greater than 0", received=std)
        self.transform, self.std = transform, float(std)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each pixel."""
        known = ops.isfinite(y_true)
        # Before any arithmetic: not-a-number would come back through the gradient of whatever it went through.
        truth = ops.where(known, y_true, ops.zeros_like(y_true))
        guess = ops.where(known, y_pred, ops.zeros_like(y_pred))
        mask = ops.cast(known, y_pred.dtype)
        return (self.compare(truth, guess, mask) * mask)[..., 0]

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """Returns the loss of each pixel, of `truth`'s shape.

        Args:
            truth: mm/h, (batch, lead, height, width, 1); 0 where it is not known.
            guess: the prediction, (batch, lead, height, width, 1 or more); 0 there.
            mask: 1 where the truth is known, 0 elsewhere: there the result does not count.
        """
        raise NotImplementedError

    def difference(self, truth: Any, guess: Any) -> Any:
        """Returns by how many standard deviations the prediction lies above the truth, once both are transformed."""
        return (rain_level(guess[..., :1], self.transform) - rain_level(truth, self.transform)) / self.std

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "transform": self.transform, "std": self.std}


@_register
class RainL1(_RainLoss):
    """Absolute difference of transformed rain rates.

    Args:
        transform: "log", "db" or "none".
        std: of the transformed training values; what differences are divided by.

    Example:
        >>> loss = RainL1()
        >>> loss(np.full((1, 12, 8, 8, 1), 0.99), np.zeros((1, 12, 8, 8, 1)))  # ln(1.00 / 0.01) = 4.6
    """

    def __init__(self, transform: str = "log", std: float = 1.0, *, name: str = "rain_l1", **kwargs: Any) -> None:
        super().__init__(transform, std, name=name, **kwargs)

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """See `_RainLoss`."""
        return ops.abs(self.difference(truth, guess))


@_register
class RainL2(_RainLoss):
    """Squared difference of transformed rain rates. Arguments as of `RainL1`."""

    def __init__(self, transform: str = "log", std: float = 1.0, *, name: str = "rain_l2", **kwargs: Any) -> None:
        super().__init__(transform, std, name=name, **kwargs)

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """See `_RainLoss`."""
        return ops.square(self.difference(truth, guess))


@_register
class Balanced(_RainLoss):
    """Squared plus absolute difference, weighted by the observed rain rate (Shi et al. 2017, section 3.3).

    The paper's weights, of rain below 2, 5, 10, 30 mm/h and above, are the default. Unlike there the two terms are not
    weighed against each other; `std` does that.

    Args:
        transform: "log", "db" or "none".
        std: of the transformed training values; what differences are divided by.
        thresholds: mm/h, increasing.
        weights: one more than there are thresholds: of rain below the first, from each on.
    """

    def __init__(
        self,
        transform: str = "log",
        std: float = 1.0,
        thresholds: Sequence[float] = (2.0, 5.0, 10.0, 30.0),
        weights: Sequence[float] = (1.0, 2.0, 5.0, 10.0, 30.0),
        *,
        name: str = "balanced",
        **kwargs: Any,
    ) -> None:
        super().__init__(transform, std, name=name, **kwargs)
        self.thresholds = _thresholds(thresholds)
        if not (np.isfinite(weights).all() and np.greater_equal(weights, 0).all() and any(weights)):
            raise OptionError("weights", expected="numbers of at least 0, not all 0", received=weights)
        if len(weights) != len(self.thresholds) + 1:
            raise OptionError("weights", expected=f"{len(self.thresholds) + 1} numbers", received=weights)
        self.weights = tuple(float(weight) for weight in weights)

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """See `_RainLoss`."""
        difference = self.difference(truth, guess)
        weight = ops.full_like(truth, self.weights[0])
        for threshold, below, above in zip(self.thresholds, self.weights, self.weights[1:]):
            weight = weight + (above - below) * ops.cast(truth >= threshold, truth.dtype)
        return weight * (ops.square(difference) + ops.abs(difference))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "thresholds": self.thresholds, "weights": self.weights}


@_register
class RainLikelihood(_RainLoss):
    """Negative log-likelihood of transformed rain that is normally distributed, in nats.

    The prediction is that of a network with the head "gaussian" and the same transform: the median rain rate, and the
    logarithm of the variance of the transformed rain.

    Args:
        transform: "log", "db" or "none".
    """

    def __init__(self, transform: str = "log", *, name: str = "rain_likelihood", **kwargs: Any) -> None:
        super().__init__(transform, 1.0, name=name, **kwargs)

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """See `_RainLoss`."""
        if guess.shape[-1] != 2:
            expected = "two channels, the median and the logarithm of the variance (the head 'gaussian')"
            raise OptionError("y_pred", expected=expected, received=f"{guess.shape[-1]} channels")
        log_variance = guess[..., 1:]
        squared = ops.square(self.difference(truth, guess))
        return 0.5 * (squared * ops.exp(-log_variance) + log_variance + math.log(2 * math.pi))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        config = super().get_config()
        del config["std"]
        return config


@_register
class SoftCSI(_RainLoss):
    """One minus the critical success index, made differentiable, in the mean over thresholds.

    Whether it is predicted to rain more than a threshold θ becomes a probability, p = σ(k ln((R + c) / (θ + c))) of the
    predicted rate R. CSI is hits / (hits + misses + false alarms), each summed over all lead times and pixels of a
    sample, plus one pixel above and below the line: a sample without rain counts 1 unless rain is predicted there. All
    known pixels of a sample bear its value, so that a mean with weights of 0 and 1 is one minus CSI again, and that
    samples count by their known pixels.

    Args:
        thresholds: mm/h, increasing, greater than 0.
        sharpness: k, greater than 0. With 2, three times a large threshold has a probability of 0.9.
        offset: c in mm/h, greater than 0: the smaller, the less a pixel without rain feels that it should rain there.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = (0.5, 1.0, 5.0),
        sharpness: float = 2.0,
        offset: float = 0.1,
        *,
        name: str = "soft_csi",
        **kwargs: Any,
    ) -> None:
        super().__init__("log", 1.0, name=name, **kwargs)
        self.thresholds = _thresholds(thresholds)
        if not isinstance(sharpness, int | float) or not 0 < sharpness < math.inf:
            raise OptionError("sharpness", expected="a finite number greater than 0", received=sharpness)
        if not isinstance(offset, int | float) or not 0 < offset < math.inf:
            raise OptionError("offset", expected="a finite number greater than 0", received=offset)
        self.sharpness, self.offset = float(sharpness), float(offset)

    def compare(self, truth: Any, guess: Any, mask: Any) -> Any:
        """See `_RainLoss`."""
        level = ops.log1p(guess[..., :1] * (1 / self.offset))
        axes = tuple(range(1, len(truth.shape)))
        total = ops.zeros_like(truth[:, :1, :1, :1])
        for threshold in self.thresholds:
            p = ops.sigmoid(self.sharpness * (level - math.log1p(threshold / self.offset))) * mask
            observed = ops.cast(truth >= threshold, p.dtype) * mask
            hits = ops.sum(p * observed, axis=axes, keepdims=True)
            union = ops.sum(p + observed, axis=axes, keepdims=True) - hits
            total = total + (1 - (hits + 1) / (union + 1))
        return total / len(self.thresholds) * ops.ones_like(truth)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        config = super().get_config()
        del config["transform"], config["std"]
        return {**config, "thresholds": self.thresholds, "sharpness": self.sharpness, "offset": self.offset}


def _thresholds(values: Sequence[float]) -> tuple[float, ...]:
    finite = len(values) and np.isfinite(values).all() and np.greater(values, 0).all()
    if not finite or np.less_equal(np.diff(values), 0).any():
        raise OptionError("thresholds", expected="increasing rain rates greater than 0 mm/h", received=values)
    return tuple(float(value) for value in values)
