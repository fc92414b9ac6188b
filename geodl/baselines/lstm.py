"""A recurrent network that learns one step ahead: what is had without learning a system's dynamics over many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import keras
import numpy as np
from scipy.special import expit

from geodl.baselines.regular import at_times, observed, regular_runs, steps_until
from geodl.data.samples import Samples

__all__ = ("OneStepLSTM",)


class OneStepLSTM:
    """A long short-term memory (Hochreiter & Schmidhuber 1997) trained to give the next change, fed its own forecasts.

    It is trained by Keras on pieces of the training data, every step of a piece being a target; weights start from
    `seed`. Forecasts are rolled out in numpy: it reads what it is given of the past, then the first state, then itself.

    Args:
        units: width of the memory.
        length: states of a training piece.
        batch: pieces of a training step.
        steps: training steps.
        learning_rate: of Adam, at first; it falls to a hundredth along a cosine.

    Example:
        >>> baseline = OneStepLSTM().fit(samples, seed=1)
        >>> forecast = baseline(x)                             # (batch, time, state)
    """

    name = "one-step LSTM"

    def __init__(
        self, *, units: int = 48, length: int = 24, batch: int = 64, steps: int = 1000, learning_rate: float = 0.01
    ) -> None:
        self.units, self.length, self.batch, self.steps = units, length, batch, steps
        self.learning_rate = learning_rate
        self._step = 0.0
        self._mean = self._scale = self._change = np.zeros(0)
        self._weights: list[np.ndarray] = []

    def fit(self, samples: Samples, *, seed: int = 0) -> Self:
        """Trains the network; see `Baseline.fit`.

        Raises:
            OptionError: the samples are no segments of trajectories.
            TrajectoryUnusable: no two states in a row are complete.
        """
        self._step, runs = regular_runs(observed(samples))
        states = np.concatenate(runs)
        self._mean = states.mean(axis=0)
        self._scale = np.where(states.std(axis=0) > 0, states.std(axis=0), 1.0)
        runs = [(run - self._mean) / self._scale for run in runs]
        change = np.concatenate([np.diff(run, axis=0) for run in runs]).std(axis=0)
        self._change = np.where(change > 0, change, 1.0)
        network = self._network(len(self._mean), seed)
        pieces = _Pieces(runs, self._change, self.length, self.batch, self.steps, seed)
        network.fit(pieces, epochs=1, shuffle=False, verbose=0)
        self._weights = [np.asarray(weight, np.float64) for weight in network.get_weights()]
        return self

    def __call__(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Forecasts a batch; see `geodl.baselines.ngrc.NGRC.__call__`.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if not self._weights:
            raise RuntimeError("OneStepLSTM: call fit before predicting.")
        state = np.asarray(x["state"])
        last = (state - self._mean) / self._scale
        hidden, memory = np.zeros((2, len(state), self.units))
        past = np.asarray(x["past"], np.float64) if "past" in x else np.zeros((len(state), 0, len(self._mean)))
        steps = max(steps_until(x["times"], self._step), 3)
        forecast = np.empty((len(state), steps + 1, len(self._mean)))
        forecast[:, 0] = last
        with np.errstate(over="ignore", invalid="ignore"):
            for before in ((past - self._mean) / self._scale).swapaxes(0, 1):
                known = np.isfinite(before).all(axis=1)[:, None]
                read = self._read(np.where(known, before, 0), hidden, memory)
                # After a state that is missing the memory starts anew.
                hidden, memory = (np.where(known, part, 0) for part in read)
            for step in range(1, steps + 1):
                hidden, memory = self._read(last, hidden, memory)
                last = last + (hidden @ self._weights[3] + self._weights[4]) * self._change
                forecast[:, step] = last
            found = at_times(forecast * self._scale + self._mean, x["times"], step=self._step)
            found[:, 0] = state
            return found.astype(state.dtype)

    def _network(self, variables: int, seed: int) -> keras.Model:
        """The network on pieces (batch, length, state), whose every step is a target."""
        first, second, third = np.random.SeedSequence(seed).generate_state(3).tolist()
        states = keras.Input((self.length, variables), dtype="float32")
        hidden = keras.layers.LSTM(
            self.units,
            return_sequences=True,
            dtype="float32",
            kernel_initializer=keras.initializers.GlorotUniform(first),
            recurrent_initializer=keras.initializers.Orthogonal(seed=second),
        )(states)
        dense = keras.layers.Dense(
            variables, dtype="float32", kernel_initializer=keras.initializers.GlorotUniform(third)
        )
        network = keras.Model(states, dense(hidden))
        rate = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.steps, alpha=0.01)
        network.compile(keras.optimizers.Adam(rate), "mse")
        return network

    def _read(self, state: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of the cell, as Keras has it: gates in the order input, forget, cell, output."""
        gates = state @ self._weights[0] + hidden @ self._weights[1] + self._weights[2]
        enter, forget, cell, leave = np.split(gates, 4, axis=1)
        memory = expit(forget) * memory + expit(enter) * np.tanh(cell)
        return expit(leave) * np.tanh(memory), memory


class _Pieces(keras.utils.PyDataset):
    """Batches of pieces of runs, each a pure function of the seed and its number."""

    def __init__(
        self, runs: Sequence[np.ndarray], change: np.ndarray, length: int, batch: int, steps: int, seed: int
    ) -> None:
        super().__init__()
        self._runs, self._change, self._length = runs, change, length
        self._batch, self._steps, self._seed = batch, steps, seed
        self._places = np.array([(row, start) for row, run in enumerate(runs) for start in _starts(len(run), length)])

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, number))
        chosen = self._places[rng.integers(len(self._places), size=self._batch)]
        pieces = np.zeros((self._batch, self._length + 1, len(self._change)))
        weight = np.zeros((self._batch, self._length), np.float32)
        for place, (row, start) in enumerate(chosen):
            piece = self._runs[row][start : start + self._length + 1]
            pieces[place, : len(piece)] = piece
            weight[place, : len(piece) - 1] = 1
        changes = np.diff(pieces, axis=1) / self._change
        return pieces[:, :-1].astype(np.float32), changes.astype(np.float32), weight


def _starts(states: int, length: int) -> range:
    """Where pieces of a run start; a run shorter than a piece is one piece."""
    return range(max(states - length, 1))
