"""How large a step may be: the first one, and the one after a step whose error is known. Each sample has its own.

Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd edition, section II.4 (first step); Hairer
& Wanner, Solving Ordinary Differential Equations II, 2nd edition, section IV.2 (PI control).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from geodl.models.embedded import root_mean_square

__all__ = ("StepControl",)

_SAFETY = 0.9
_LEAST_ERROR = 1e-4
"""A step far better than needed says little of the next one."""
_FLOOR = 10.0
"""The smallest step, in spacings of the floating-point numbers at the time."""
_EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}


@dataclass(frozen=True)
class StepControl:
    """PI control of step sizes."""

    order: int
    """q: the error norm shrinks like the (q + 1)-th power of the step."""
    rtol: float
    """Tolerance relative to the larger of the states at the start and at the end of a step, for each variable."""
    atol: float
    """Tolerance added to that, in units of the state."""
    memory: float = 0.04
    """β: how much the error of the step before counts. 0 is plain control, which oscillates where stability limits steps."""

    @property
    def _ratios(self) -> tuple[float, float]:
        """The least and the largest ratio of a step to the one before."""
        return (0.2, 10.0) if self.order < 7 else (1 / 3, 6.0)

    def scale(self, start: Any, end: Any) -> Any:
        """Returns the tolerance of each variable, (batch, S), from the states at both ends of a step."""
        return self.atol + self.rtol * ops.maximum(ops.absolute(start), ops.absolute(end))

    def first(self, slope: Callable[[Any], Any], state: Any, derivative: Any, direction: Any) -> Any:
        """Returns the size of a first step, (batch,), greater than 0; not finite where the field is not finite.

        Args:
            slope: the field with its parameters. It is evaluated once.
            state: (batch, S).
            derivative: the field there, (batch, S).
            direction: 1 forward, -1 backward in time, (batch,).
        """
        scale = self.scale(state, state)
        size, speed = root_mean_square(state / scale), root_mean_square(derivative / scale)
        one = ops.ones_like(speed)
        guess = ops.where((size < 1e-5) | (speed < 1e-5), 1e-6 * one, 0.01 * size / ops.where(speed > 0, speed, one))
        moved = slope(state + (direction * guess)[:, None] * derivative)
        bend = root_mean_square((moved - derivative) / scale) / guess
        fastest = ops.maximum(speed, bend)
        power = 1.0 / (self.order + 1)
        # In two powers: 0.01 over a fast field need not be a number in float32.
        step = ops.where(
            fastest <= 1e-15,
            ops.maximum(1e-6 * one, 1e-3 * guess),
            0.01**power * ops.where(fastest > 0, fastest, one) ** -power,
        )
        return ops.minimum(100.0 * guess, step)

    def after(self, step: Any, error: Any, *, last_error: Any, accepted: Any, rejected_before: Any) -> tuple[Any, Any]:
        """Returns the size of the next step, and the error to hand in as `last_error` then, both (batch,).

        Args:
            step: size of the step taken, greater than 0, (batch,).
            error: its error norm; not a number where the field was not finite.
            last_error: that of the last accepted step before.
            accepted: whether it was accepted, bool.
            rejected_before: whether the one before was rejected: then this one is not followed by a larger one.
        """
        least, largest = self._ratios
        finite = error < float("inf")
        error = ops.where(finite, ops.maximum(error, 1e-30), ops.ones_like(error))
        alone = error ** (1.0 / (self.order + 1) - 0.75 * self.memory)
        growth = ops.clip(_SAFETY * last_error**self.memory / alone, least, largest)
        growth = ops.where(rejected_before, ops.minimum(growth, 1.0), growth)
        shrinkage = ops.where(finite, ops.clip(_SAFETY / alone, least, 1.0), least * ops.ones_like(error))
        following = step * ops.where(accepted, growth, shrinkage)
        return following, ops.where(accepted, ops.maximum(error, _LEAST_ERROR), last_error)

    def smallest(self, time: Any) -> Any:
        """Returns the size below which a step has no effect, (batch,), at a time (batch,)."""
        dtype = keras.backend.standardize_dtype(time.dtype)
        return _FLOOR * _EPSILON[dtype] * ops.maximum(ops.absolute(time), _EPSILON[dtype])
