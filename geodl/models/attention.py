"""Attention over the dates of a series, for which dates that were not observed do not exist, and the encoding of days.

Tensors are `(batch, time, channels)`, masks `(batch, time, 1)` as `geodl.models.dates.ObservedDates` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops

from geodl.errors import OptionError
from geodl.models.options import check_counts

__all__ = (
    "DateEncoding",
    "DatePositions",
    "MaskedSelfAttention",
    "MasterQueryAttention",
    "attention_block",
    "attention_network",
    "check_heads",
    "masked_softmax",
)

_register = keras.saving.register_keras_serializable(package="geodl")
_Shape = tuple[int | None, ...]


def masked_softmax(scores: Any, observed: Any) -> Any:
    """Returns the softmax over those positions of the last axis that are observed: exactly 0 at all others.

    Where none is observed it is 0 everywhere. It is computed in float32 at least.

    Args:
        scores: tensor of any shape; finite.
        observed: bool tensor that broadcasts to it.
    """
    dtype = keras.backend.standardize_dtype(scores.dtype)
    wide = dtype if dtype == "float64" else "float32"
    scores = ops.where(observed, ops.cast(scores, wide), float(np.finfo(wide).min) / 2)
    highest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    weights = ops.exp(scores - highest) * ops.cast(observed, wide)
    # Where any is observed the greatest weight is 1.
    return ops.cast(weights / ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1.0), dtype)


@_register
class DateEncoding(layers.Layer):
    """Sines of the day: channel i holds sin(day / τ^(2⌊i/2⌋/channels) + (i mod 2) π/2).

    Vaswani et al. 2017, "Attention Is All You Need", section 3.5, with the day as position, as in Sainte Fare Garnot et
    al. 2020, "Satellite Image Time Series Classification with Pixel-Set Encoders and Temporal Self-Attention", section
    3.3. It works in float32 whatever the precision policy: 16 bits would not tell days apart.

    Args:
        channels: of the result.
        tau: periods go from 2π days to nearly 2πτ days; greater than 1.

    Example:
        >>> DateEncoding(4, tau=100.0)(np.array([[10.0]]))  # [[[sin 10, cos 10, sin 1, cos 1]]]
    """

    def __init__(self, channels: int, *, tau: float = 1000.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_counts(channels=channels)
        if not isinstance(tau, int | float) or not 1 < tau < math.inf:
            raise OptionError("tau", expected="a number of days greater than 1", received=tau)
        self.channels, self.tau = channels, float(tau)

    def call(self, inputs: Any) -> Any:
        """Encodes days, (batch, time), as (batch, time, channels); one that is not finite counts as 0."""
        index = np.arange(self.channels)
        frequency, phase = self.tau ** -(2 * (index // 2) / self.channels), index % 2 * (np.pi / 2)
        days = ops.where(ops.isfinite(inputs), inputs, 0.0)[..., None]
        return ops.sin(days * frequency.astype(self.compute_dtype) + phase.astype(self.compute_dtype))

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's, and the channels."""
        return (*input_shape, self.channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "channels": self.channels, "tau": self.tau}


@_register
class DatePositions(layers.Layer):
    """Positions 0, 1, 2, … in the place of days, (batch, time)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs: Any) -> Any:
        """Counts the dates."""
        return ops.cumsum(ops.ones_like(inputs), axis=1) - 1

    def compute_output_shape(self, input_shape: _Shape) -> _Shape:
        """The input's."""
        return input_shape


@_register
class MaskedSelfAttention(layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2) in which all dates ask and the observed ones answer.

    Where no date was observed, the answer is what the last projection makes of 0.

    Args:
        heads: a divisor of the channels.
        dropout: share of the attention weights that are dropped in training.

    Example:
        >>> x, mask = np.ones((2, 5, 8)), np.ones((2, 5, 1))
        >>> MaskedSelfAttention(4)([x, mask])  # (2, 5, 8)
    """

    def __init__(self, heads: int, *, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.dropout = heads, dropout
        self._drop = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Sequence[_Shape]) -> None:
        """Makes the projections."""
        channels = input_shape[0][-1] or 0
        check_heads(self.heads, channels)
        self._projections = layers.Dense(3 * channels, dtype=self.dtype_policy, name="projections")
        self._joined = layers.Dense(channels, dtype=self.dtype_policy, name="joined")
        for layer in (self._projections, self._joined):
            layer.build(input_shape[0])

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Turns features (batch, time, channels) and their mask (batch, time, 1) into (batch, time, channels)."""
        x, mask = inputs
        time, channels = ops.shape(x)[1], x.shape[-1]
        size = channels // self.heads
        split = ops.reshape(self._projections(x), (-1, time, 3, self.heads, size))
        query, key, value = ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)))
        scores = ops.matmul(query * (1 / math.sqrt(size)), ops.transpose(key, (0, 1, 3, 2)))
        weights = masked_softmax(scores, mask[:, None, None, :, 0] > 0)
        answers = ops.matmul(self._drop(weights, training=training), value)
        return self._joined(ops.reshape(ops.transpose(answers, (0, 2, 1, 3)), (-1, time, channels)))

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> _Shape:
        """The features'."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout}


@_register
class MasterQueryAttention(layers.Layer):
    """Pools the observed dates by one learned query per head, each on channels of its own, which are not projected.

    Sainte Fare Garnot & Landrieu 2020, "Lightweight Temporal Self-Attention for Classifying Satellite Images Time
    Series", section 3.2. The paper's keys k = W x + b are never made: q · k = (Wᵀ q) · x + q · b, and as the last term is
    the same for all dates the softmax does not see it, so that there is no b.

    Args:
        heads: a divisor of the channels.
        key: length of the queries.

    Example:
        >>> x, mask = np.ones((2, 5, 8)), np.ones((2, 5, 1))
        >>> pooled, weights = MasterQueryAttention(4)([x, mask])  # (2, 8), (2, 4, 5)
    """

    def __init__(self, heads: int, *, key: int = 8, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        check_counts(key=key)
        self.heads, self.key = heads, key

    def build(self, input_shape: Sequence[_Shape]) -> None:
        """Makes the queries, and what makes keys of channels."""
        channels = input_shape[0][-1] or 0
        check_heads(self.heads, channels)
        shapes = {"keys": (self.heads, channels // self.heads, self.key), "queries": (self.heads, self.key, 1)}
        self._keys, self._queries = (
            self.add_weight(name=name, shape=shape, initializer=initializers.RandomNormal(stddev=(2 / self.key) ** 0.5))
            for name, shape in shapes.items()
        )

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Pools features (batch, time, channels) with their mask (batch, time, 1).

        Returns:
            (batch, channels), and the weights (batch, head, time): their sum is 1. Both are 0 where no date was observed.
        """
        x, mask = inputs
        time, channels = ops.shape(x)[1], x.shape[-1]
        groups = ops.transpose(ops.reshape(x, (-1, time, self.heads, channels // self.heads)), (0, 2, 1, 3))
        asked = ops.matmul(self._keys, self._queries) * (1 / math.sqrt(self.key))
        weights = masked_softmax(ops.matmul(groups, asked)[..., 0], mask[:, None, :, 0] > 0)
        return ops.reshape(ops.matmul(weights[:, :, None, :], groups), (-1, channels)), weights

    def compute_output_shape(self, input_shape: Sequence[_Shape]) -> tuple[_Shape, _Shape]:
        """Of what is pooled, and of the weights."""
        batch, time, channels = input_shape[0]
        return (batch, channels), (batch, self.heads, time)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "heads": self.heads, "key": self.key}


def attention_block(x: Any, mask: Any, *, heads: int, hidden: int, dropout: float = 0.0, name: str = "block") -> Any:
    """Self-attention, then two dense layers on each date; both take normalised features and are added to what they take.

    Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1b.

    Args:
        x: Keras tensor (batch, time, channels).
        mask: Keras tensor (batch, time, 1).
        heads: a divisor of the channels.
        hidden: channels between the dense layers.
        dropout: share dropped in training of attention weights, of what is between the dense layers, of what is added.
        name: prefix of the layers' names.

    Returns:
        Keras tensor of the shape of `x`.
    """
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm1")(x)
    y = MaskedSelfAttention(heads, dropout=dropout, name=f"{name}_attention")([y, mask])
    x = layers.Add(name=f"{name}_add1")([x, layers.Dropout(dropout, name=f"{name}_dropout1")(y)])
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm2")(x)
    y = layers.Dense(hidden, activation="relu", name=f"{name}_dense1")(y)
    y = layers.Dense(x.shape[-1], name=f"{name}_dense2")(layers.Dropout(dropout, name=f"{name}_dropout2")(y))
    return layers.Add(name=f"{name}_add2")([x, layers.Dropout(dropout, name=f"{name}_dropout3")(y)])


def check_heads(heads: int, channels: int) -> None:
    """Raises OptionError unless so many heads can share so many channels."""
    check_counts(heads=heads)
    if channels % heads:
        raise OptionError("heads", expected=f"a divisor of the width, {channels}", received=heads)


def attention_network(network: keras.Model) -> keras.Model:
    """Returns the network that says how much each date counts; it shares the layers of the one given.

    Args:
        network: an `LTAE`, or a `SeriesTransformer` with `pool="attention"`.

    Returns:
        A Keras model of the same inputs that gives the attention weights (batch, head, time): 0 for dates that were not
        observed; their sum over time is 1, or 0 where none was.

    Raises:
        OptionError: the network has no such weights.

    Example:
        >>> attention_network(LTAE(4, 9)).output.shape
        (None, 16, None)
    """
    for layer in network.layers:
        if isinstance(layer, MasterQueryAttention):
            return keras.Model(network.input, layer.output[1], name=f"{network.name}_attention")
    expected = "a network that pools dates by attention: ltae, or transformer with pool: attention"
    raise OptionError("network", expected=expected, received=network.name)
