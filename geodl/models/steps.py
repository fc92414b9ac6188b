"""Layers that move steps of time between axes. Sequences are `(batch, time, height, width, channels)`."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from geodl.models.taps import NOTHING, POINTWISE

__all__ = ("ChannelsToTime", "FoldTime", "LeadTimes", "TakeSteps", "TimeToChannels", "UnfoldTime")

_Shape = tuple[int | None, ...]


class _Steps(layers.Layer):
    receptive: Any = POINTWISE


@keras.saving.register_keras_serializable(package="geodl")
class TakeSteps(_Steps):
    """Keeps the steps `start` … `stop - 1`."""

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs: Any) -> Any:
        """Selects from the time axis."""
        return inputs[:, self.start : self.stop]

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's with fewer steps."""
        return (input_shape[0], self.stop - self.start, *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable(package="geodl")
class FoldTime(_Steps):
    """Makes every step an image of its own: (batch × time, height, width, channels)."""

    def call(self, inputs: Any) -> Any:
        """Folds time into the batch."""
        return ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Images."""
        batch, time = input_shape[:2]
        return (batch and time and batch * time, *input_shape[2:])


@keras.saving.register_keras_serializable(package="geodl")
class UnfoldTime(_Steps):
    """Undoes `FoldTime`.

    Args:
        steps: number of steps.
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, inputs: Any) -> Any:
        """Makes images sequences again."""
        return ops.reshape(inputs, (-1, self.steps, *ops.shape(inputs)[1:]))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """Sequences."""
        return (input_shape[0] and input_shape[0] // self.steps, self.steps, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="geodl")
class TimeToChannels(_Steps):
    """Makes a sequence an image whose channels are those of all steps, step by step."""

    def call(self, inputs: Any) -> Any:
        """Folds time into the channels."""
        batch, time, height, width, channels = ops.shape(inputs)
        return ops.reshape(ops.transpose(inputs, (0, 2, 3, 1, 4)), (batch, height, width, time * channels))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """An image."""
        batch, time, height, width, channels = input_shape
        return (batch, height, width, time and channels and time * channels)


@keras.saving.register_keras_serializable(package="geodl")
class ChannelsToTime(_Steps):
    """Undoes `TimeToChannels`.

    Args:
        steps: number of steps.
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, inputs: Any) -> Any:
        """Makes an image a sequence."""
        batch, height, width, channels = ops.shape(inputs)
        x = ops.reshape(inputs, (batch, height, width, self.steps, channels // self.steps))
        return ops.transpose(x, (0, 3, 1, 2, 4))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """A sequence."""
        batch, height, width, channels = input_shape
        return (batch, self.steps, height, width, channels and channels // self.steps)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="geodl")
class LeadTimes(_Steps):
    """Makes sequences whose every pixel holds its lead time, 0–1 of the longest.

    Args:
        leads: number of lead times.
    """

    receptive = NOTHING

    def __init__(self, leads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leads = leads

    def call(self, inputs: Any) -> Any:
        """Returns (batch, lead, height, width, 1); of the inputs (batch, height, width, any) only the size is used."""
        times = ops.convert_to_tensor([(k + 1) / self.leads for k in range(self.leads)], dtype=self.compute_dtype)
        return ops.zeros_like(inputs[:, None, ..., :1]) + ops.reshape(times, (1, -1, 1, 1, 1))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """A sequence of one channel."""
        batch, height, width, _ = input_shape
        return (batch, self.leads, height, width, 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "leads": self.leads}
