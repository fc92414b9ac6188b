"""A tiny training run: module for the tests of this folder, and program for those that kill it.

As a program it sends itself a signal at the end of a step, and prints a line of JSON unless that ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.recipe import Train
from geodl.training.distribution import seed_everything
from geodl.training.fit import fit
from geodl.training.weights import values_of


class Batches(keras.utils.PyDataset):
    """Item k is a pure function of (seed, start + k); asked items are counted."""

    def __init__(self, start: int = 0, *, size: int = 4, classes: int = 3) -> None:
        super().__init__(workers=2)
        self.start, self.size, self.classes = start, size, classes

    def __len__(self) -> int:
        return 10_000

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([7, self.start + index])
        x = rng.normal(size=(self.size, 8, 8, 2)).astype("float32")
        y = (x.sum(-1) > 0).astype("int32") + (x[..., 0] > 1)
        return x, y, np.ones(y.shape, "float32")


def network(*, bands: int = 2, classes: int = 3, width: int = 4) -> keras.Model:
    """Convolution, batch normalisation, dropout, convolution."""
    inputs = keras.Input((None, None, bands))
    x = keras.layers.Conv2D(width, 3, padding="same", name="stem")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="act")(x)
    x = keras.layers.Dropout(0.3, name="drop")(x)
    return keras.Model(inputs, keras.layers.Conv2D(classes, 1, name="head", dtype="float32")(x))


def loss() -> keras.losses.Loss:
    """Cross-entropy on logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train(**changes: Any) -> Train:
    """Three epochs of five steps; everything that has a state is on."""
    return Train.model_validate(
        {
            "epochs": 3,
            "steps_per_epoch": 5,
            "batch_size": 4,
            "optimizer": {"name": "adamw", "learning_rate": 0.01, "ema": 0.5, "clip_norm": 1.0},
            "schedule": {"name": "cosine", "warmup": 0.1},
            "checkpoint": {"steps": 3},
            **changes,
        }
    )


def evaluate(model: keras.Model) -> dict[str, float]:
    """Accuracy and a mean of the outputs on one fixed batch, without traced functions."""
    x, y, _ = Batches(20_000)[0]
    outputs = keras.ops.convert_to_numpy(model(x, training=False))
    return {"accuracy": float((outputs.argmax(-1) == y).mean()), "mean": float(outputs.mean())}


class At(keras.callbacks.Callback):
    """Does something at the end of a step, numbered over the whole run from 1."""

    def __init__(self, step: int, action: Any, *, steps_per_epoch: int = 5) -> None:
        super().__init__()
        self.step, self.action, self.steps_per_epoch, self.epoch = step, action, steps_per_epoch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.epoch * self.steps_per_epoch + batch + 1 == self.step:
            self.action()


def run(folder: str | Path, **arguments: Any) -> tuple[keras.Model, Any]:
    """Trains from the same first weights, or continues."""
    seed_everything(3)
    model = arguments.pop("model", None) or network()
    config = arguments.pop("config", None) or train()
    options = {"evaluate": evaluate, "monitor": "accuracy", "mode": "max", "progress": False, "identity": {"seed": 3}}
    history = fit(model, Batches, loss=loss(), config=config, folder=folder, **{**options, **arguments})
    return model, history


def arrays(model: keras.Model) -> list[np.ndarray]:
    """Weights, moving statistics and seed states."""
    return values_of(model.variables)


def main() -> None:
    """Runs as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--signal", type=signal.Signals.__getitem__)
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--keep", default="best")
    parser.add_argument("--reference", action="store_true", help="train a run that is never killed, too")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadly = At(asked.at, lambda: os.kill(os.getpid(), asked.signal))
    model, history = run(asked.folder, callbacks=[deadly], progress=True, keep=asked.keep)
    np.savez(asked.folder / "final.npz", *arrays(model))
    if asked.reference:
        model, _ = run(asked.folder / "reference", keep=asked.keep)
        np.savez(asked.folder / "reference.npz", *arrays(model))
    told = ("first_step", "executed", "step", "interrupted", "best_epoch")
    print(json.dumps({name: getattr(history, name) for name in told}))


if __name__ == "__main__":
    main()
