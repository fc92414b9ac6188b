"""Layers of convolutional networks for series that leave out the dates which were not observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geodl.models.options import check_counts

__all__ = ("HighestObserved", "ObservedNormalisation", "WindowGain", "partial_convolution")

_Shape = tuple[int | None, ...]

_LOWEST = -6e4
"""Below all features, and a number in 16 bits too."""


@keras.saving.register_keras_serializable(package="geodl")
class WindowGain(layers.Layer):
    """Says how many times more dates the window of a convolution covers than were observed in it.

    Only the dates from the first to the last observed count as covered: around a series stand zeros, as around one
    without gaps, where the gain is 1, and padding changes nothing. It is 0 where nothing in the window was observed.

    Args:
        kernel: dates of the window.

    Example:
        >>> WindowGain(3)(np.array([[[1.0], [0.0], [1.0], [1.0], [0.0]]]))  # [[[2.0], [1.5], [1.5], [1.0], [1.0]]]
    """

    def __init__(self, kernel: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_counts(kernel=kernel)
        self.kernel = kernel

    def call(self, inputs: Any) -> Any:
        """Turns a mask (batch, time, 1) into the gain (batch, time, 1)."""
        so_far = ops.cumsum(inputs, axis=1)
        still = so_far[:, -1:] - so_far + inputs
        series = ops.cast((so_far > 0) & (still > 0), self.compute_dtype)
        # A constant: OpenVINO knows no operation that makes an identity matrix.
        ones = ops.convert_to_tensor(np.tile(np.eye(2), (self.kernel, 1, 1)), dtype=self.compute_dtype)
        counts = ops.conv(ops.concatenate([series, inputs], axis=-1), ones, padding="same")
        return ops.where(counts[..., 1:] > 0, counts[..., :1] / ops.maximum(counts[..., 1:], 1.0), 0.0)

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The mask's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "kernel": self.kernel}


@keras.saving.register_keras_serializable(package="geodl")
class ObservedNormalisation(layers.BatchNormalization):
    """A batch normalisation to be called with `mask`, booleans (batch, time): its statistics are of those dates only.

    Unlike in Keras the mask ends here: other layers warn of it, and losses would take it for theirs. The momentum of 0.9
    forgets the start sooner than Keras' of 0.99, which takes 500 steps.
    """

    def __init__(self, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None."""


@keras.saving.register_keras_serializable(package="geodl")
class HighestObserved(layers.Layer):
    """Takes the maximum over each date and its neighbours, as far as they were observed; 0 where none was.

    Example:
        >>> x, mask = np.array([[[-3.0], [9.0], [-2.0]]]), np.array([[[1.0], [0.0], [1.0]]])
        >>> HighestObserved()([x, mask])  # [[[-3.0], [-2.0], [-2.0]]]
    """

    def call(self, inputs: Any) -> Any:
        """Turns features (batch, time, channels) and their mask (batch, time, 1) into features of the same shape."""
        x, mask = inputs
        x = ops.pad(ops.where(mask > 0, x, _LOWEST), ((0, 0), (1, 1), (0, 0)), constant_values=_LOWEST)
        # XLA's gradient of a pooling takes many times as long on processors.
        x = ops.maximum(ops.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
        return ops.where(x > _LOWEST, x, 0.0)

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """The features'."""
        return input_shape[0]


def partial_convolution(x: Any, gain: Any, filters: int, kernel: int, *, name: str) -> Any:
    """Convolves over the observed dates only, made up for by the gain where some of a window are missing.

    After Liu et al. 2018, equation 1; but what was observed remains what it was from layer to layer, instead of spreading
    by the width of a window, so that padding changes nothing. There is no bias. Where no date is missing this is a plain
    convolution between zeros.

    Args:
        x: Keras tensor (batch, time, channels), 0 where not observed.
        gain: what `WindowGain(kernel)` makes of the mask, (batch, time, 1).
        filters: channels of the result.
        kernel: dates of the window.
        name: prefix of the layers' names.

    Returns:
        Keras tensor (batch, time, filters), for dates that were not observed too.
    """
    x = layers.Conv1D(
        filters, kernel, padding="same", use_bias=False, kernel_initializer="he_uniform", name=f"{name}_conv"
    )(x)
    return layers.Multiply(name=f"{name}_gain")([x, gain])
