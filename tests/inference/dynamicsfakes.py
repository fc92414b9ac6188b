"""Flows of numpy and of Keras whose states are known otherwise: what emulation needs, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.inference.converted import Call, Converted
from geodl.inference.emulator import Emulator
from geodl.models.scaling import Denormalisation, Normalisation

STEP, RATE, PULSE = 0.1, 0.2, 3.0
MEAN, STD = (1.0, -2.0), (2.0, 0.5)


def make_contract(
    variables: Sequence[str] = ("x", "y"),
    *,
    step: float = STEP,
    dtype: str = "float32",
    units: Sequence[str] = (),
    time_unit: str = "",
    told: bool = False,
) -> Contract:
    """Of a network for these variables; `told`: it also tells the covariance of its errors."""
    bands = tuple(Band(name, unit, dtype) for name, unit in zip(variables, units or [""] * len(variables)))
    size = len(bands)
    factors = tuple(Band(f"error_{k}", dtype=dtype) for k in range(size * (size + 1) // 2)) if told else ()
    eaten = ModelInput((Dim("time", step=step, unit=time_unit), Dim("state", size)), bands, dtype)
    return Contract("dynamics", eaten, ModelOutput("trajectory", bands=bands + factors))


def spiral(state: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The exact flow of a damped oscillator: states (…, 2) after times (time,), (…, time, 2)."""
    decay, turn = np.exp(-RATE * times), PULSE * times
    x, y = state[..., :1], state[..., 1:]
    return np.stack(
        [decay * (x * np.cos(turn) - y * np.sin(turn)), decay * (x * np.sin(turn) + y * np.cos(turn))], axis=-1
    )


class SpiralNetwork:
    """The same as a network of numpy; keeps what it was given."""

    def __init__(self, blow_up: float = np.inf) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.blow_up = blow_up

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        state, times = inputs["state"], inputs["times"]
        self.shapes.append(times.shape)
        assert state.dtype == times.dtype and len(state) == len(times)
        assert np.isfinite(state).all() and (times[:, 0] == 0).all()
        states = spiral(state.astype(np.float64), times[0].astype(np.float64))
        # Whatever comes to the right of a line is lost, at once and for good.
        lost = np.logical_or.accumulate(states[..., 0] > self.blow_up, axis=1)
        return np.where(lost[..., None], np.inf, states).astype(state.dtype)


@keras.saving.register_keras_serializable(package="geodl-tests")
class Spiral(layers.Layer):
    """The same as a layer."""

    def call(self, inputs: Sequence[Any]) -> Any:
        """(batch, state) and (batch, time) to (batch, time, state)."""
        state, times = inputs
        decay, turn = ops.exp(-RATE * times), PULSE * times
        x, y = state[:, :1], state[:, 1:]
        turned = [x * ops.cos(turn) - y * ops.sin(turn), x * ops.sin(turn) + y * ops.cos(turn)]
        return ops.stack([decay * part for part in turned], axis=-1)


def spiral_model(dtype: str = "float32") -> keras.Model:
    """A Keras network that spirals around its training mean, in units of its training deviation."""
    state = keras.Input((2,), name="state", dtype=dtype)
    times = keras.Input((None,), name="times", dtype=dtype)
    standard = Normalisation(MEAN, STD, dtype=dtype)(state)
    flown = Spiral(dtype=dtype)([standard, times])
    return keras.Model({"state": state, "times": times}, Denormalisation(MEAN, STD, dtype=dtype)(flown))


def around_mean(state: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What `spiral_model` gives."""
    return spiral((state - np.array(MEAN)) / STD, times) * STD + np.array(MEAN)


def make_emulator(call: Call, contract: Contract | None = None) -> Emulator:
    """An emulator whose network is a function, and whose statistics are known."""
    model = Emulator(None, contract or make_contract(), "nowhere")
    model._running = Converted(call, "keras", 1)
    size = len(model.variables)
    model.statistics = np.full(size, 0.0), np.arange(1.0, size + 1)
    return model
