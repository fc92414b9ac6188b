"""The report of a finished training: what was measured, gathered for `geodl.report.html`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from geodl.contract import Contract
from geodl.data.files import is_local
from geodl.pipelines.datahash import DataIdentity
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.task import Parts, Pipeline
from geodl.recipe import Recipe
from geodl.report.figures import learning_curves, to_png
from geodl.report.html import Report, environment, to_html
from geodl.report.splitmap import split_map
from geodl.training.history import History

__all__ = ("Training", "repeating", "run_report")

_OF_DATA = ("rmse", "mae", "bias", "crps", "consistency")
"""Scores whose unit is that of the data."""
_KEYS = ("images", "labels", "targets", "sequences", "series", "trajectories")


@dataclass(frozen=True)
class Training:
    """How much a network was trained, on what."""

    samples: int
    """Training samples that there are; of each many variants are drawn."""
    steps: int
    epochs: int
    batch: int
    seconds: float
    """Time spent, over all continuations."""
    best_epoch: int | None
    """Whose weights were kept; None: the last one's."""
    parameters: int
    devices: tuple[str, ...]
    data: DataIdentity

    @classmethod
    def of(
        cls,
        parts: Parts,
        outcome: History,
        network: keras.Model,
        *,
        batch: int,
        devices: Sequence[str],
        data: DataIdentity,
    ) -> Training:
        """Gathers it from a training that has ended."""
        return cls(
            len(parts.train),
            outcome.step,
            len(outcome.rows),
            batch,
            outcome.seconds,
            outcome.best_epoch,
            network.count_params(),
            tuple(devices),
            data,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns what `metrics.json` holds of it."""
        own = ("samples", "steps", "epochs", "batch", "seconds", "best_epoch", "parameters")
        return {**{name: getattr(self, name) for name in own}, "data": self.data.to_json()}

    def facts(self) -> dict[str, object]:
        """Returns it in words, for the report."""
        minutes, seconds = divmod(round(self.seconds), 60)
        kept = {} if self.best_epoch is None else {"weights of epoch": self.best_epoch}
        return {
            "training samples": f"{self.samples:,}",
            "steps": f"{self.steps:,} of {self.batch} samples each",
            "epochs": self.epochs,
            **kept,
            "time": f"{minutes} min {seconds} s" if minutes else f"{self.seconds:.1f} s",
            "parameters": f"{self.parameters:,}",
        }

    def data_facts(self) -> dict[str, object]:
        """Returns what the data are known by, in words, for the report."""
        data = self.data
        if not data.sha256:
            return {"data": data.covers}
        files = f"{data.files:,} ({data.bytes / 1e6:,.1f} MB)"
        return {"data files": files, "data SHA-256": data.sha256, "SHA-256 of": data.covers}


def run_report(
    pipeline: Pipeline,
    contract: Contract,
    call: Call,
    parts: Parts,
    *,
    outcome: History,
    evaluation: Evaluation | None,
    training: Training,
    run: str,
) -> str:
    """Writes the report of a run.

    Args:
        pipeline: that trained.
        contract: of the network.
        call: the network.
        parts: what it learnt from.
        outcome: the course of training.
        evaluation: its scores; None without a held-out part.
        training: how much it was trained.
        run: folder of the run, or its address.

    Returns:
        HTML.
    """
    held, rows = parts.test or parts.validation, outcome.rows
    units = _units(contract, evaluation)
    drawn = learning_curves(rows, monitor=pipeline.monitor, mode=pipeline.mode, units=units) if rows else None
    curves = {} if drawn is None else {"Learning curves": to_png(drawn)}
    figures: Mapping[str, bytes] = {}
    viewer = None
    if held is not None and evaluation is not None:
        figures = pipeline.figures(contract, call, held, evaluation)
        viewer = pipeline.layers(contract, call, held, evaluation)
    command, place = repeating(pipeline.recipe, run)
    named = {"training": parts.train, "validation": parts.validation, "test": parts.test}
    axis = next((dim.unit for dim in contract.input.dims if dim.name == "time"), "")
    split = split_map({part: samples for part, samples in named.items() if samples is not None}, time_unit=axis)
    scored = evaluation or Evaluation(pipeline.name, {}, {})
    return to_html(
        Report(
            title=f"{pipeline.name.capitalize()}: {_base_name(run)}",
            contract=contract,
            command=command,
            place=place,
            # Of a forecast of a system how long it holds says more than how far off it is.
            main="vpt" if scored.details.get("unit") == "LT" and "vpt" in scored.metrics else pipeline.monitor,
            tables=parts.tables,
            data=training.data_facts(),
            training=training.facts(),
            split={"Where the parts of the data lie": to_png(split)},
            curves=curves,
            metrics=scored.metrics,
            baselines={name: baseline.metrics for name, baseline in scored.baselines.items()},
            details=scored.details,
            score_tables=scored.tables,
            protocol=scored.protocol,
            viewer=viewer,
            figures=figures,
            environment=environment(backend=keras.backend.backend(), devices=training.devices),
            recipe=pipeline.recipe.to_yaml(),
        )
    )


def _units(contract: Contract, evaluation: Evaluation | None) -> dict[str, str]:
    """Units of the scores that have those of the data, by the scores' names."""
    bands = {band.unit for band in contract.output.bands}
    shared = bands.pop() if len(bands) == 1 else ""
    units = dict.fromkeys(_OF_DATA, shared) if shared else {}
    told = {} if evaluation is None else evaluation.details
    return units | ({"vpt": str(told["unit"])} if "unit" in told else {})


def repeating(recipe: Recipe, run: str) -> tuple[str, str]:
    """Returns the command that repeats a run, and where to type it.

    Relative paths of a recipe are relative to the folder in which geodl is run. Where it has some, the command goes
    there first: by a relative way, which holds as long as the run and its data are moved together.

    Args:
        recipe: the effective one.
        run: folder of the run, or its address.

    Example:
        >>> repeating(Recipe(pipeline="segmentation"), "runs/a")[0]
        'geodl train recipe.yaml --output ../a-again'
    """
    backend = keras.backend.backend()
    chosen = "" if backend == "tensorflow" else f"KERAS_BACKEND={backend} "
    name = f"{_base_name(run)}-again"
    if not is_local(run):
        command = f"{chosen}geodl train recipe.yaml --output {shlex.quote(name)}"
        return command, "In the folder in which this run was made, with a copy of its recipe.yaml:"
    folder = Path(run).absolute()
    if not _has_relative_paths(recipe):
        command = f"{chosen}geodl train recipe.yaml --output {shlex.quote(f'../{name}')}"
        return command, "In the folder that this report lies in:"
    here = Path.cwd()
    back, there = Path(os.path.relpath(here, folder)), Path(os.path.relpath(folder, here))
    again = there.with_name(name)
    command = "\n".join(
        (
            f"cd {shlex.quote(back.as_posix())}",
            f"{chosen}geodl train {shlex.quote((there / 'recipe.yaml').as_posix())} --output {shlex.quote(again.as_posix())}",
        )
    )
    return (
        command,
        "From the folder that this report lies in; the recipe's paths are relative to where the first line goes:",
    )


def _base_name(run: str) -> str:
    return (Path(run).absolute() if is_local(run) else Path(run.rstrip("/"))).name or "run"


def _has_relative_paths(recipe: Recipe) -> bool:
    found = [path for key in _KEYS for path in _paths(getattr(recipe.data, key))]
    found += [recipe.train.init] if recipe.train.init else []
    return any(is_local(path) and not os.path.isabs(path) for path in found)


def _paths(where: Any) -> list[str]:
    if isinstance(where, dict):
        return [] if "stac" in where else [path for item in where.values() for path in _paths(item)]
    if isinstance(where, (list, tuple)):
        return [path for item in where for path in _paths(item)]
    return [] if where is None else [str(where)]
