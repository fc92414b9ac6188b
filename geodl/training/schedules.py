"""Learning rates as functions of the optimiser's step count, so that a continued run goes on where it was."""

from __future__ import annotations

from typing import Any

import keras
from keras.optimizers import schedules

from geodl.errors import RecipeError

__all__ = ("NAMES", "WarmUp", "build_schedule")

NAMES = ("constant", "cosine", "exponential", "step", "time")


@keras.saving.register_keras_serializable(package="geodl")
class WarmUp(schedules.LearningRateSchedule):
    """Raises the learning rate linearly from 0, then follows another schedule from its beginning.

    Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2.

    Args:
        schedule: what follows, or a constant learning rate.
        steps: length of the rise; its last step is the first with the full rate.
    """

    def __init__(self, schedule: schedules.LearningRateSchedule | float, steps: int) -> None:
        super().__init__()
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate at `step`, a scalar tensor."""
        step = keras.ops.cast(step, "float32")
        after = keras.ops.maximum(step - self.steps, 0.0)
        full = self.schedule(after) if callable(self.schedule) else self.schedule
        return full * keras.ops.minimum(step / self.steps, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Builds what `get_config` described."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def build_schedule(
    name: str,
    *,
    learning_rate: float,
    total_steps: int,
    warmup: int = 0,
    final: float = 0.01,
    factor: float = 0.5,
    every: int = 1000,
) -> schedules.LearningRateSchedule | float:
    """Returns a learning rate over the global step.

    With s the steps since the end of the warm-up and T those from there to the end:

    - `constant`: learning_rate
    - `cosine`: falls from learning_rate to final · learning_rate as half a cosine over T
    - `exponential`: learning_rate · factor^(s / every)
    - `step`: learning_rate · factor^⌊s / every⌋
    - `time`: learning_rate / (1 + s / every)

    Args:
        name: one of the above.
        learning_rate: at its height.
        total_steps: of the whole training, warm-up included.
        warmup: steps over which the rate rises linearly from 0.
        final: fraction at the end of `cosine`.
        factor: of `exponential` and `step`.
        every: steps; of `exponential`, `step` and `time`.

    Returns:
        A Keras schedule; the plain number for a constant rate without warm-up, which callbacks may then change.

    Raises:
        RecipeError: no such schedule, or the warm-up leaves no steps.

    Example:
        >>> build_schedule("cosine", learning_rate=1e-3, total_steps=3000, warmup=100)
    """
    if warmup >= total_steps:
        problem = f"expected fewer than the {total_steps} steps of the training. Received: {warmup}."
        raise RecipeError("train.schedule.warmup", problem)
    schedule: schedules.LearningRateSchedule | float
    match name:
        case "constant":
            schedule = learning_rate
        case "cosine":
            schedule = schedules.CosineDecay(learning_rate, total_steps - warmup, alpha=final)
        case "exponential" | "step":
            schedule = schedules.ExponentialDecay(learning_rate, every, factor, staircase=name == "step")
        case "time":
            schedule = schedules.InverseTimeDecay(learning_rate, every, 1.0)
        case _:
            problem = f"expected one of: {', '.join(NAMES)}. Received: {name!r}."
            raise RecipeError("train.schedule.name", problem, valid=NAMES, nearest_to=name)
    return WarmUp(schedule, warmup) if warmup else schedule
