"""What each layer sees: which pixels of its input one pixel of its output depends on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import keras
import numpy as np

__all__ = ("NOTHING", "POINTWISE", "Everything", "Gather", "Interpolate", "Scatter", "Taps", "layer_taps")


class Taps:
    """Which inputs an output of a layer depends on, along one spatial axis.

    A layer of one's own declares itself by an attribute `receptive`: one `Taps`, or a tuple with one for each input.
    """

    @property
    def step(self) -> Fraction:
        """Input pixels from one output pixel to the next."""
        return Fraction(1)

    def sources(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the input indices, shape (m,), that the output indices of shape (n,) depend on."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gather(Taps):
    """A window of a convolution or pooling: output o reads inputs o × stride − before + dilation × (0 … kernel − 1)."""

    kernel: int = 1
    stride: int = 1
    before: int = 0
    """Pixels of padding in front of the first input; negative: pixels cropped."""
    dilation: int = 1

    @property
    def step(self) -> Fraction:
        """See `Taps`."""
        return Fraction(self.stride)

    def sources(self, outputs: np.ndarray) -> np.ndarray:
        """See `Taps`."""
        window = self.dilation * np.arange(self.kernel) - self.before
        return np.unique(outputs[:, None] * self.stride + window)


@dataclass(frozen=True)
class Scatter(Taps):
    """A transposed convolution or repetition: input i is written to outputs i × stride − before + (0 … kernel − 1)."""

    kernel: int
    stride: int
    before: int = 0
    """Pixels cropped from the front of the full result."""

    @property
    def step(self) -> Fraction:
        """See `Taps`."""
        return Fraction(1, self.stride)

    def sources(self, outputs: np.ndarray) -> np.ndarray:
        """See `Taps`."""
        positions = (outputs + self.before)[:, None] - np.arange(self.kernel)
        return np.unique(positions[positions % self.stride == 0] // self.stride)


@dataclass(frozen=True)
class Interpolate(Taps):
    """Interpolation to a whole multiple, corners of the image aligned: output o reads `reach` inputs on either side."""

    factor: int
    reach: int
    """1: bilinear, 2: bicubic, 3: Lanczos-3, 5: Lanczos-5."""

    @property
    def step(self) -> Fraction:
        """See `Taps`."""
        return Fraction(1, self.factor)

    def sources(self, outputs: np.ndarray) -> np.ndarray:
        """See `Taps`."""
        # The centre of output o lies at input (2o + 1 - factor) / (2 factor); on an input pixel it reads that only.
        left, between = np.divmod(2 * outputs + 1 - self.factor, 2 * self.factor)
        around = left[between > 0][:, None] + np.arange(1 - self.reach, 1 + self.reach)
        return np.union1d(left[between == 0], around)


@dataclass(frozen=True)
class Everything(Taps):
    """The output depends on the whole input, or in a way that is not known here."""

    reason: str


POINTWISE = Gather()
"""Output o depends on input o only."""
NOTHING = Gather(kernel=0)
"""The output takes its size from this input, but no value."""

_POINTWISE_LAYERS = (
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.Add,
    keras.layers.AlphaDropout,
    keras.layers.Average,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.SpatialDropout2D,
    keras.layers.Subtract,
)
_CHANNELWISE_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.Concatenate,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.Softmax,
    keras.layers.UnitNormalization,
)
_POINTWISE_OPERATIONS = {
    *("Absolute", "Add", "Cast", "Clip", "Divide", "Elu", "Exp", "Expm1", "Gelu", "LeakyRelu", "Log", "Log1p"),
    *("Maximum", "Minimum", "Multiply", "Negative", "Power", "Relu", "Relu6", "Sigmoid", "Silu", "Softplus", "Sqrt"),
    *("Square", "Subtract", "Tanh", "TrueDivide"),
}
_REACH = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


def layer_taps(operation: keras.Operation, axis: int, inputs: int) -> tuple[Taps, ...]:
    """Returns what a layer sees of each of its inputs, for input sizes that are multiples of its stride.

    Args:
        operation: a Keras layer or operation that works on tensors (batch, height, width, channels).
        axis: 0 along y, 1 along x.
        inputs: number of its input tensors.
    """
    declared = getattr(operation, "receptive", None)
    if isinstance(declared, Taps):
        return (declared,) * inputs
    if isinstance(declared, tuple):
        return declared
    # What a subclass of a stock layer does is not known.
    taps = _stock(operation, axis) if type(operation).__module__.startswith("keras.") else None
    unknown = Everything(f"{operation.name} ({type(operation).__name__}) sees the whole input, or is not known")
    return (taps or unknown,) * inputs


def _stock(layer: Any, axis: int) -> Taps | None:
    """Returns what a layer or operation of Keras sees; None: everything, or not known."""
    L = keras.layers
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    if isinstance(layer, _POINTWISE_LAYERS):
        return POINTWISE
    if isinstance(layer, _CHANNELWISE_LAYERS):
        axes = layer.axis if isinstance(layer.axis, (tuple, list)) else (layer.axis,)
        return POINTWISE if set(axes) <= {-1, 3, None} else None
    if isinstance(layer, L.PReLU):
        # A slope for every pixel would make the layer depend on where the tile lies.
        return POINTWISE if {1, 2} <= set(layer.shared_axes or ()) else None
    if isinstance(layer, L.Conv2DTranspose):
        return _transposed(layer, axis)
    if isinstance(layer, (L.Conv2D, L.DepthwiseConv2D, L.SeparableConv2D)):
        return _window(layer.kernel_size[axis], layer.strides[axis], layer.padding, layer.dilation_rate[axis])
    if isinstance(layer, (L.MaxPooling2D, L.AveragePooling2D)):
        return _window(layer.pool_size[axis], layer.strides[axis], layer.padding)
    if isinstance(layer, L.UpSampling2D):
        factor = layer.size[axis]
        nearest = layer.interpolation == "nearest"
        return Scatter(factor, factor) if nearest else Interpolate(factor, _REACH[layer.interpolation])
    if isinstance(layer, L.ZeroPadding2D):
        return Gather(before=layer.padding[axis][0])
    if isinstance(layer, L.Cropping2D):
        return Gather(before=-layer.cropping[axis][0])
    if type(layer).__module__.startswith("keras.src.ops.") and type(layer).__name__ in _POINTWISE_OPERATIONS:
        return POINTWISE
    return None


def _window(kernel: int, stride: int, padding: str, dilation: int = 1) -> Gather | None:
    if padding not in ("same", "valid"):
        return None
    excess = max((kernel - 1) * dilation + 1 - stride, 0) if padding == "same" else 0
    return Gather(kernel, stride, excess // 2, dilation)


def _transposed(layer: Any, axis: int) -> Scatter | None:
    kernel, stride = layer.kernel_size[axis], layer.strides[axis]
    if layer.output_padding is not None or layer.dilation_rate[axis] != 1:
        return None
    return Scatter(kernel, stride, max(kernel - stride, 0) // 2 if layer.padding == "same" else 0)
