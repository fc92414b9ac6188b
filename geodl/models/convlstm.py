"""The convolutional LSTM, and the encoder–forecaster for rain that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from geodl.errors import OptionError
from geodl.models.blocks import residual_head
from geodl.models.cascade import FirstGuess, cascade
from geodl.models.options import check_counts, check_factor
from geodl.models.rain import Head, RainFeatures, RainForecast, check_rain_options
from geodl.models.resizing import CropLike, PadToMultiple, PixelShuffle, PixelUnshuffle
from geodl.models.steps import FoldTime, LeadTimes, TakeSteps, UnfoldTime
from geodl.models.taps import Everything
from geodl.physics.rain import Transform

__all__ = ("ConvLSTM2D", "EncoderForecaster")

_Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="geodl")
class ConvLSTM2D(layers.Layer):
    """A convolutional LSTM (Shi et al. 2015, equation 3), several times faster to train than Keras' on processors.

    What does not depend on the state, the convolution of the input, is done for all steps at once; what does is unrolled,
    as the number of steps is known. Padding is with zeros, the forget gate's bias starts at 1.

    Args:
        filters: channels of the hidden state and of the cell.
        kernel: side of both kernels, in pixels; odd.
        peephole: whether the gates see the cell: one weight per channel and gate, so that any size of image will do,
            where the paper has one per pixel.
        return_sequences: whether to return the hidden state of every step, or of the last alone.
        return_state: whether to return also the last hidden state and cell.

    Example:
        >>> ConvLSTM2D(8)(np.zeros((2, 10, 64, 64, 1), "float32")).shape
        (2, 10, 64, 64, 8)
    """

    receptive = Everything("a recurrent layer sees farther with every step")

    def __init__(
        self,
        filters: int,
        kernel: int = 3,
        *,
        peephole: bool = False,
        return_sequences: bool = True,
        return_state: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(filters=filters, kernel=kernel)
        if kernel % 2 == 0:
            raise OptionError("kernel", expected="an odd number", received=kernel)
        self.filters, self.kernel, self.peephole = filters, kernel, peephole
        self.return_sequences, self.return_state = return_sequences, return_state

    def build(self, inputs_shape: _Shape, initial_state_shape: Any = None) -> None:
        """Makes the weights."""
        if len(inputs_shape) != 5 or inputs_shape[1] is None or inputs_shape[-1] is None:
            expected = "(batch, time, height, width, channels) with a known number of steps and channels"
            raise OptionError("inputs", expected=expected, received=inputs_shape)
        side, gates = (self.kernel, self.kernel), 4 * self.filters
        self.input_kernel = self.add_weight(
            name="kernel", shape=(*side, inputs_shape[-1], gates), initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(*side, self.filters, gates), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(gates,), initializer=self._first_bias)
        if self.peephole:
            self.peepholes = self.add_weight(name="peepholes", shape=(3, self.filters), initializer="zeros")
        self.built = True

    def _first_bias(self, shape: Any, dtype: Any = None) -> Any:
        f = self.filters
        return ops.concatenate([ops.zeros(f, dtype), ops.ones(f, dtype), ops.zeros(2 * f, dtype)])

    def call(self, inputs: Any, initial_state: Sequence[Any] | None = None) -> Any:
        """Runs over a sequence.

        Args:
            inputs: (batch, time, height, width, channels).
            initial_state: hidden state and cell, each (batch, height, width, filters). Defaults to zeros.

        Returns:
            Hidden states (batch, time, height, width, filters), or the last one (batch, height, width, filters); with
            `return_state` a list of that, the last hidden state and the last cell.
        """
        steps = inputs.shape[1]
        images = ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))
        given = ops.conv(images, self.input_kernel, padding="same") + self.bias
        # Taken apart at once: the gradient of a slice is as large as what it was cut from.
        given = ops.unstack(ops.reshape(given, (-1, steps, *ops.shape(given)[1:])), steps, axis=1)
        hidden, cell = (None, None) if initial_state is None else initial_state
        outputs = []
        for gates in given:
            if hidden is not None:
                gates = gates + ops.conv(hidden, self.recurrent_kernel, padding="same")
            hidden, cell = self._step(gates, cell)
            outputs.append(hidden)
        result = ops.stack(outputs, axis=1) if self.return_sequences else hidden
        return [result, hidden, cell] if self.return_state else result

    def _step(self, gates: Any, cell: Any) -> tuple[Any, Any]:
        """Returns the next hidden state and cell."""
        i, f, o, g = ops.split(gates, 4, axis=-1)
        if self.peephole and cell is not None:
            i, f = i + self.peepholes[0] * cell, f + self.peepholes[1] * cell
        new = ops.sigmoid(i) * ops.tanh(g)
        if cell is not None:
            new = new + ops.sigmoid(f) * cell
        if self.peephole:
            o = o + self.peepholes[2] * new
        return ops.sigmoid(o) * ops.tanh(new), new

    def compute_output_shape(self, inputs_shape: _Shape, initial_state_shape: Any = None) -> Any:
        """Sequences or images of `filters` channels."""
        batch, steps, height, width, _ = inputs_shape
        image = (batch, height, width, self.filters)
        result = (batch, steps, height, width, self.filters) if self.return_sequences else image
        return [result, image, image] if self.return_state else result

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        own = {
            "filters": self.filters,
            "kernel": self.kernel,
            "peephole": self.peephole,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
        }
        return {**super().get_config(), **own}


def EncoderForecaster(
    frames: int,
    leads: int,
    *,
    advected: bool = False,
    widths: Sequence[int] = (32, 48, 64),
    kernel: int = 3,
    stem: int = 4,
    scales: int = 6,
    peephole: bool = False,
    transform: Transform = "log",
    head: Head = "rate",
    mean: float = 0.0,
    std: float = 1.0,
    name: str = "encoder_forecaster",
) -> keras.Model:
    """Forecasts rain by convolutional LSTMs at several resolutions (Shi et al. 2017, figure 1, with those of 2015).

    The encoder goes from fine to coarse: its LSTMs read the observed frames, and each level hands its hidden states, at
    half the resolution, to the next. The forecaster goes back from coarse to fine: its LSTMs start from the encoder's
    states and run over the lead times. It corrects a forecast that is there already, the advected frames or the last
    one: an untrained network gives that, and with rain that moves little is left to learn.

    The cost lies in the levels, so that the finest works on squares of `stem` × `stem` pixels folded into channels.

    Args:
        frames: observed frames.
        leads: lead times; all are forecast at once.
        advected: whether the last frame, carried on by the motion to each lead time, follows the observed frames in the
            input. Its features, at half the resolution from level to level, are what the forecaster's LSTMs read.
        widths: filters of the LSTMs of each level, the finest first; one level or more.
        kernel: side of their kernels, in pixels of the level; odd.
        stem: 1, 2, 4 or 8: side of the squares that are folded.
        scales: how many scales of rain, each twice the one before, are corrected apart (see `geodl.models.cascade`); 0:
            one correction for all.
        peephole: whether the gates see the cell.
        transform: what the network computes in: "log", ln(R + 0.01) of the rain rate R in mm/h, or "db", 10 log10(R)
            with -15 for no rain.
        head: "rate", or "gaussian" for a second channel: the logarithm of the variance of the transformed rain. The first
            is then its median.
        mean: of the transformed training values.
        std: of the same.
        name: name of the model.

    Returns:
        A model from float32 (batch, frames, height, width, 1), or (batch, frames + leads, …) with `advected`, in mm/h
        with not-a-number where nothing is known, to float32 (batch, leads, height, width, 1 or 2), finite and at least 0
        mm/h, for any height and width. Where an advected frame is not known it takes the last observed one's place.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> network = EncoderForecaster(frames=6, leads=12)
        >>> network.predict(np.zeros((1, 6, 100, 90, 1), "float32")).shape
        (1, 12, 100, 90, 1)
    """
    check_counts(frames=frames, leads=leads)
    if not len(widths):
        raise OptionError("widths", expected="one whole number per level", received=widths)
    for width in widths:
        check_counts(widths=width)
    check_factor("stem", stem, (1, 2, 4, 8))
    if not 0 <= scales <= 10:
        raise OptionError("scales", expected="0 to 10", received=scales)
    check_rain_options(transform, head, mean, std)

    clip = keras.Input((frames + leads * advected, None, None, 1), dtype="float32", name="clip")
    features = RainFeatures(frames, transform, mean=mean, std=std, name="features")(clip)
    images = whole = FoldTime(name="fold")(features)
    multiple = max(stem * 2 ** (len(widths) - 1), 2 ** max(scales - 1, 0))
    images = PadToMultiple(multiple, name="pad")(images)
    if stem > 1:
        images = PixelUnshuffle(stem, name="unshuffle")(images)
    images = _convolution(images, widths[0], 3, "stem")
    sequence = UnfoldTime(frames + leads * advected, name="unfold")(images)
    seen = TakeSteps(0, frames, name="observed")(sequence) if advected else sequence
    ahead = TakeSteps(frames, frames + leads, name="advected")(sequence) if advected else None

    states, carried = [], []
    for level, width in enumerate(widths):
        if level:
            seen = _halved(seen, width, frames, f"encoder{level}_halve")
        last = level == len(widths) - 1
        layer = ConvLSTM2D(
            width, kernel, peephole=peephole, return_sequences=not last, return_state=True, name=f"encoder{level}"
        )
        seen, *state = layer(seen)
        states.append(state)
        if ahead is not None:
            if level:
                ahead = _halved(ahead, width, leads, f"advected{level}_halve")
            carried.append(ahead)

    below, found = None, {}
    for level in reversed(range(len(widths))):
        inputs = [] if ahead is None else [carried[level]]
        if below is not None:
            inputs.append(_doubled(below, widths[level], leads, f"forecaster{level}_double"))
        if not inputs:
            inputs.append(LeadTimes(leads, name="lead_times")(states[level][0]))
        x = layers.Concatenate(name=f"forecaster{level}_concatenate")(inputs) if len(inputs) > 1 else inputs[0]
        below = ConvLSTM2D(widths[level], kernel, peephole=peephole, name=f"forecaster{level}")(
            x, initial_state=states[level]
        )
        found[stem * 2**level] = FoldTime(name=f"forecaster{level}_fold")(below)

    told = [below] if ahead is None else [below, carried[0]]
    x = layers.Concatenate(name="found")(told) if len(told) > 1 else below
    x = _convolution(FoldTime(name="fold_leads")(x), widths[0], 3, "last")
    outputs = []
    if scales:
        start = FirstGuess(frames, leads, transform, std=std, name="first_guess")(clip)
        start = PadToMultiple(multiple, dtype="float32", name="pad_first_guess")(start)
        outputs.append(cascade(start, {**found, stem: x}, scales=scales))
    channels = (0 if scales else 1) + (head == "gaussian")
    if channels:
        plain = residual_head(x, channels * stem**2, kernel=1)
        outputs.append(PixelShuffle(stem, dtype="float32", name="shuffle")(plain) if stem > 1 else plain)
    x = layers.Concatenate(dtype="float32", name="outputs")(outputs) if len(outputs) > 1 else outputs[0]
    x = CropLike(dtype="float32", name="crop")([x, whole])
    x = UnfoldTime(leads, dtype="float32", name="unfold_leads")(x)
    rain = RainForecast(frames, transform, mean=mean, std=std, name="rain")([clip, x])
    return keras.Model(clip, rain, name=name)


def _convolution(x: Any, filters: int, kernel: int, name: str) -> Any:
    x = layers.Conv2D(filters, kernel, padding="same", kernel_initializer="he_normal", name=name)(x)
    return layers.LeakyReLU(0.2, name=f"{name}_relu")(x)


def _halved(x: Any, filters: int, steps: int, name: str) -> Any:
    """Halves the resolution of a sequence."""
    x = PixelUnshuffle(2, name=f"{name}_unshuffle")(FoldTime(name=f"{name}_fold")(x))
    return UnfoldTime(steps, name=f"{name}_unfold")(_convolution(x, filters, 1, name))


def _doubled(x: Any, filters: int, steps: int, name: str) -> Any:
    """Doubles the resolution of a sequence."""
    x = _convolution(FoldTime(name=f"{name}_fold")(x), 4 * filters, 1, name)
    return UnfoldTime(steps, name=f"{name}_unfold")(PixelShuffle(2, name=f"{name}_shuffle")(x))
