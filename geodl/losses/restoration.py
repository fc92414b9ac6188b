"""Losses of restoration: how far predicted values lie from true ones.

Truth and prediction are arrays `(batch, height, width, band)` in physical units. `call` gives `(batch, height, width)`:
the mean over the bands whose truth is finite; 0, and no gradient, where no band's is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import keras
import numpy as np
from keras import ops

from geodl.errors import OptionError
from geodl.physics.speckle import Unit

__all__ = ("L1", "L2", "Charbonnier", "Comparison", "GammaLikelihood")

_register = keras.saving.register_keras_serializable(package="geodl")


class Comparison(keras.losses.Loss):
    """Base of losses that compare values band by band, as they are or as logarithms of intensity.

    Args:
        scale: one divisor per band, such as the standard deviation of the training data, so that all bands count
            alike. In the bands' units or, with `unit`, in nepers of intensity. Defaults to 1.
        unit: what the values of radar images are, "intensity", "amplitude" or "dB": natural logarithms of intensity
            are compared. None compares the values themselves.
        floor: intensity to which smaller ones, and negative ones, are raised before the logarithm; a prediction below
            it gets no gradient.
    """

    def __init__(
        self, scale: Sequence[float] | None, *, unit: Unit | None, floor: float, name: str, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = None if scale is None else positive("scale", scale)
        if unit not in (None, *get_args(Unit)):
            raise OptionError("unit", expected=f"one of {', '.join(get_args(Unit))}, or none", received=unit)
        if not floor > 0:
            raise OptionError("floor", expected="a number greater than 0", received=floor)
        self.unit, self.floor = unit, floor

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each pixel."""
        valid = ops.isfinite(y_true)
        # Before any arithmetic: not-a-number would come back through the gradient of whatever it went through.
        truth, prediction = (
            self._compared(ops.where(valid, values, ops.ones_like(values))) for values in (y_true, y_pred)
        )
        mask = ops.cast(valid, y_pred.dtype)
        values = self.compare(truth, prediction, mask) * mask
        return ops.sum(values, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1)

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """Returns the loss of each band of each pixel.

        Args:
            truth: scaled values, or logarithms of intensity, of shape (batch, height, width, band); finite.
            prediction: the same of the prediction.
            mask: 1 where the truth is valid, 0 elsewhere: there the result does not count.
        """
        raise NotImplementedError

    def _compared(self, values: Any) -> Any:
        if self.unit == "intensity":
            values = ops.log(ops.maximum(values, self.floor))
        elif self.unit == "amplitude":
            values = 2 * ops.log(ops.maximum(values, math.sqrt(self.floor)))
        elif self.unit == "dB":
            values = ops.maximum(values * (math.log(10) / 10), math.log(self.floor))
        return values if self.scale is None else values / per_band("scale", self.scale, values)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "scale": self.scale, "unit": self.unit, "floor": self.floor}


def positive(option: str, values: Sequence[float]) -> tuple[float, ...]:
    """Returns the numbers, one per band, or raises OptionError unless all are finite and greater than 0."""
    if not (len(values) and np.isfinite(values).all() and np.greater(values, 0).all()):
        raise OptionError(option, expected="numbers greater than 0, one per band", received=values)
    return tuple(float(value) for value in values)


def per_band(option: str, values: tuple[float, ...], like: Any) -> Any:
    """Returns the numbers as a tensor along the last axis of `like`."""
    if len(values) != like.shape[-1]:
        raise OptionError(option, expected=f"{like.shape[-1]} numbers, one per band", received=values)
    return ops.convert_to_tensor(values, dtype=like.dtype)


@_register
class L1(Comparison):
    """Absolute difference.

    Args:
        scale: see `Comparison`.
        unit: see `Comparison`.
        floor: see `Comparison`.

    Example:
        >>> loss = L1(scale=[25.0])
        >>> loss(np.full((1, 8, 8, 1), 50.0), np.zeros((1, 8, 8, 1)))  # 50 / 25 = 2
    """

    def __init__(
        self,
        scale: Sequence[float] | None = None,
        *,
        unit: Unit | None = None,
        floor: float = 1e-6,
        name: str = "l1",
        **kwargs: Any,
    ) -> None:
        super().__init__(scale, unit=unit, floor=floor, name=name, **kwargs)

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """See `Comparison`."""
        return ops.abs(prediction - truth)


@_register
class L2(Comparison):
    """Squared difference.

    Args:
        scale: see `Comparison`.
        unit: see `Comparison`.
        floor: see `Comparison`.
    """

    def __init__(
        self,
        scale: Sequence[float] | None = None,
        *,
        unit: Unit | None = None,
        floor: float = 1e-6,
        name: str = "l2",
        **kwargs: Any,
    ) -> None:
        super().__init__(scale, unit=unit, floor=floor, name=name, **kwargs)

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """See `Comparison`."""
        return ops.square(prediction - truth)


@_register
class Charbonnier(Comparison):
    """√(d² + ε²): the absolute difference, rounded off around 0 (Lai et al. 2017).

    Args:
        epsilon: ε, greater than 0, in what is compared (after `scale`).
        scale: see `Comparison`.
        unit: see `Comparison`.
        floor: see `Comparison`.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        scale: Sequence[float] | None = None,
        *,
        unit: Unit | None = None,
        floor: float = 1e-6,
        name: str = "charbonnier",
        **kwargs: Any,
    ) -> None:
        super().__init__(scale, unit=unit, floor=floor, name=name, **kwargs)
        if not epsilon > 0:
            raise OptionError("epsilon", expected="a number greater than 0", received=epsilon)
        self.epsilon = epsilon

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """See `Comparison`."""
        return ops.sqrt(ops.square(prediction - truth) + self.epsilon**2)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@_register
class GammaLikelihood(Comparison):
    """Negative log-likelihood of an intensity t that is Gamma-distributed about the predicted mean p.

    L (t/p − ln(t/p) − 1): the likelihood of fully developed speckle of L looks (Goodman 2007), up to what
    does not depend on p. It is 0 where p = t, and smallest in the mean over speckled truths at p = E[t], so the truth
    may be speckled itself, independently of the input. The real or imaginary part of a single-look complex field,
    squared and doubled, is such a truth with L = 1/2 (Dalsasso et al. 2022).

    Args:
        looks: L, greater than 0, of the truth.
        unit: of truth and prediction; see `Comparison`.
        floor: see `Comparison`.
    """

    def __init__(
        self,
        looks: float = 1.0,
        *,
        unit: Unit = "intensity",
        floor: float = 1e-6,
        name: str = "gamma",
        **kwargs: Any,
    ) -> None:
        super().__init__(None, unit=unit, floor=floor, name=name, **kwargs)
        if unit is None:
            raise OptionError("unit", expected=f"one of {', '.join(get_args(Unit))}", received=unit)
        if not looks > 0:
            raise OptionError("looks", expected="a number greater than 0", received=looks)
        self.looks = looks

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """See `Comparison`."""
        log_ratio = truth - prediction
        return self.looks * (ops.expm1(log_ratio) - log_ratio)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        config = super().get_config()
        del config["scale"]
        return {**config, "looks": self.looks}
