"""Short trainings of all six pipelines by their recipes: module for the tests of this folder, and program for them.

As a program it trains each pipeline that is named, on each strategy that is named, and stores the arrays it ends with.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.data.batches import Batches
from geodl.data.samples import StagedSamples
from geodl.pipelines.task import open_pipeline
from geodl.training.distribution import resolve, seed_everything, workers
from geodl.training.fit import fit
from geodl.training.weights import values_of
from tests.training.tiny_run import At

NORM = "batch" if keras.backend.backend() == "jax" else "group"
"""TensorFlow takes the variance in another way where it synchronises it; see `test_distribution`."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "segmentation": ("segmentation:TestSegmentation", {"network.dropout": 0.0, "network.norm": NORM}),
    "denoising": ("denoising:TestDenoising", {}),
    "superresolution": ("superresolution:TestSuperresolution", {}),
    "nowcasting": ("nowcasting:TestWalk", {"network": {"name": "convlstm", "widths": [4]}}),
    "dynamics": ("dynamics:TestWalk", {"train.optimizer.learning_rate": 1e-4}),
    "crops": ("crops:TestWalk", {"network.dropout": 0.0}),
}
"""Name of a pipeline to its test, which has small data, and what is changed: what is random in each replica is off."""

STATEFUL: dict[str, Any] = {
    "train.optimizer": {"name": "adamw", "learning_rate": 0.003, "weight_decay": 0.01, "clip_norm": 1.0, "ema": 0.9},
    "train.schedule": {"name": "cosine", "warmup": 0.1},
    "train.checkpoint.steps": 3,
}
RICH: dict[str, dict[str, Any]] = {"segmentation": {"network.dropout": 0.3, "network.norm": "batch"}}
"""What has a state or is random: optimiser, moving averages, schedule, dropout; augmentation is on in the recipes."""

STEPS = 20


def settings(name: str, folder: Path, **more: Any) -> dict[str, Any]:
    """Writes small data, and says what a recipe has to be changed in to learn from them."""
    place, changes = CASES[name]
    module, case = place.split(":")
    test = getattr(importlib.import_module(f"tests.pipelines.test_{module}"), case)()
    folder.mkdir(parents=True, exist_ok=True)
    sgd = {"name": "sgd", "learning_rate": 0.01, "weight_decay": 0, "ema": None, "options": {}}
    line = {
        "train.epochs": 2,
        "train.steps_per_epoch": STEPS // 2,
        "train.batch_size": 4,
        "train.optimizer": sgd,
        "train.jit": "auto",
    }
    return {**test.data(folder), **test.quick, **line, **changes, **more}


def train(name: str, changes: dict[str, Any], run: Path, strategy: str, **options: Any) -> tuple[list[np.ndarray], Any]:
    """Fits a pipeline's network to its samples by its recipe, as `geodl.train` does, without scores and reports."""
    pipeline = open_pipeline(name, changes)
    recipe = pipeline.recipe
    seed_everything(recipe.seed)
    with resolve(strategy, batch_size=recipe.train.batch_size).scope():
        parts = pipeline.samples()
        network = pipeline.network(parts)
        group = workers()
        history = fit(
            network,
            lambda start: Batches(
                parts.train,
                batch_size=recipe.train.batch_size,
                seed=recipe.seed,
                start=start,
                share=(group.index, group.count),
            ),
            loss=pipeline.loss(),
            config=recipe.train,
            folder=run,
            keep="last",
            breaks=parts.train.changes if isinstance(parts.train, StagedSamples) else (),
            progress=False,
            facts={"the number of samples": len(parts.train)},
            **options,
        )
        values = values_of(network.variables)
    return values, history


def two_processors() -> None:
    """Makes this machine's processor two devices; before a backend has begun."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    else:
        import jax

        jax.config.update("jax_num_cpu_devices", 2)


def main() -> None:
    """Runs as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", nargs="+", default=list(CASES))
    parser.add_argument("--strategies", nargs="+", required=True)
    parser.add_argument("--kill-at", type=int, help="step at the end of which the process kills itself")
    parser.add_argument("--rich", action="store_true", help="everything that has a state is on")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "JSON"))
    asked = parser.parse_args()
    if "multi_worker" not in asked.strategies:
        two_processors()
    more = {key: json.loads(value) for key, value in asked.set}
    callbacks = []
    if asked.kill_at is not None:
        callbacks = [At(asked.kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL), steps_per_epoch=STEPS // 2)]
    for name in asked.names:
        data = asked.folder / f"data-{name}-{os.environ.get('KERAS_DISTRIBUTION_PROCESS_ID', '0')}"
        changes = settings(name, data, **(RICH.get(name, {}) | STATEFUL if asked.rich else {}), **more)
        for strategy in asked.strategies:
            run = asked.folder / f"run-{name}-{strategy}"
            values, history = train(name, changes, run, strategy, callbacks=callbacks)
            assert history.step == STEPS, history
            np.savez(run / f"final-{os.environ.get('KERAS_DISTRIBUTION_PROCESS_ID', '0')}.npz", *values)
            print(json.dumps([name, strategy, history.first_step, history.executed]), flush=True)


if __name__ == "__main__":
    main()
