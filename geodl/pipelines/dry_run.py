"""The dry run: everything that training would find before its first step, written nowhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.activity import duration, stage
from geodl.data.batches import Batches
from geodl.inference.runtime import activation_bytes, compile_network
from geodl.pipelines.base import complete_contract, devices, initialise, refuse_leakage
from geodl.pipelines.task import Parts, Pipeline, Table, open_pipeline
from geodl.recipe import Recipe
from geodl.training.compute import precision_scope
from geodl.training.distribution import seed_everything
from geodl.training.fit import TOO_MUCH, compile_for_training, first_weights

__all__ = ("CheckReport", "check")

_KEPT = 3
"""What training keeps for the gradient, over what inference needs at its fullest moment: about that of a U-Net."""


@dataclass(frozen=True)
class CheckReport:
    """What a training run would do, found without writing anything."""

    pipeline: str
    tables: tuple[Table, ...]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return "".join(table._repr_html_() for table in self.tables)


def check(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    fold: int | None = None,
) -> CheckReport:
    """Tries a recipe without training: opens the data, makes the split, looks for leakage, builds the network, times it.

    Args:
        recipe: as in `train`.
        overrides: as in `train`.
        fold: as in `train`.

    Returns:
        Tables of the files, classes, split and network, and of the memory and time to expect. Nothing is written.

    Raises:
        GeodlError: whatever `train` would raise before its first step.
    """
    pipeline = open_pipeline(recipe, overrides, fold=fold)
    recipe = pipeline.recipe
    seed_everything(recipe.seed)
    with precision_scope(recipe.train.precision), devices(recipe).scope():
        with stage("Reading the data"):
            parts = pipeline.samples()
            refuse_leakage(parts)
        with stage("Building the network and timing a batch"):
            network = pipeline.network(parts)
            if recipe.train.init:
                parts = initialise(network, parts, recipe.train.init)
            compile_for_training(network, pipeline.loss(), recipe.train)
            contract = complete_contract(pipeline.name, parts, network)
            cost = _cost(pipeline, parts, network)
    margins = [dim.margin for dim in contract.input.dims if dim.name == "y"]
    held = [
        (part, len(samples)) for part, samples in (("validation", parts.validation), ("test", parts.test)) if samples
    ]
    return CheckReport(
        pipeline.name,
        (
            *parts.tables,
            Table("Samples", ("part", "samples"), (("train", len(parts.train)), *held)),
            Table("Leakage", ("check", "result"), (("training against held-out samples", "none overlap"),)),
            Table(
                "Network",
                ("property", "value"),
                (
                    ("name", network.name),
                    ("parameters", f"{network.count_params():,}"),
                    *(
                        ("receptive margin", "all of the input" if margin is None else f"{margin} pixels")
                        for margin in margins
                    ),
                ),
            ),
            Table("Cost", ("of", "expected"), cost),
        ),
    )


def _cost(pipeline: Pipeline, parts: Parts, network: keras.Model) -> tuple[tuple[str, str], ...]:
    """Times one batch's forward pass (the better of two) and counts a training step as three of them (Kaplan 2020, 2.1)."""
    config = pipeline.recipe.train
    x = Batches(parts.train, batch_size=config.batch_size, seed=pipeline.recipe.seed, workers=0)[0][0]
    call = compile_network(network)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        call(x)
        seconds.append(time.perf_counter() - start)
    steps = config.epochs * config.steps_per_epoch
    weights = sum(int(np.prod(w.shape)) for w in network.weights)
    samples = max(int(np.prod(array.shape[:-1])) for array in keras.tree.flatten(x))
    memory = 16 * weights + _KEPT * activation_bytes(network) * samples
    return (
        ("steps", f"{config.epochs} epochs × {config.steps_per_epoch} = {steps}"),
        ("training time", f"about {duration(3 * min(seconds[1:]) * steps)} on this machine, from one timed batch"),
        *(
            [
                (
                    "first weights in the average",
                    f"{100 * first_weights(config):.0f} %: too few steps for train.optimizer.ema",
                )
            ]
            if first_weights(config) >= TOO_MUCH
            else []
        ),
        ("memory", f"about {memory / 2**20:,.0f} MiB beyond the backend"),
    )
