"""The walk, once: samples → batches → network → fit → scores → bundle.

A pipeline answers six questions (`geodl.pipelines.task.Pipeline`) and stops; the way from one to the next is here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.activity import stage
from geodl.bundle import read_bundle, write_bundle
from geodl.contract import Contract
from geodl.data.batches import Batches
from geodl.data.samples import Samples, StagedSamples
from geodl.data.splits import check_leakage
from geodl.inference.opening import open_predictor
from geodl.inference.runtime import compile_network
from geodl.models.receptive import receptive_margin, total_stride
from geodl.pipelines.datahash import data_identity
from geodl.pipelines.evaluation import Call, Evaluation, evaluate_baselines, evaluate_samples
from geodl.pipelines.reporting import Training, run_report
from geodl.pipelines.task import Parts, Pipeline, Table, open_pipeline
from geodl.recipe import Recipe
from geodl.training.compute import precision_scope
from geodl.training.distribution import Devices, resolve, seed_everything, workers
from geodl.training.fit import fit
from geodl.training.runfolder import RunFolder
from geodl.training.trackers import tracker
from geodl.training.transfer import transfer

__all__ = ("Run", "complete_contract", "devices", "initialise", "refuse_leakage", "train")

_FREE = (
    "distribution.",
    "train.accumulate",
    "train.callbacks",
    "train.checkpoint.",
    "train.jit",
    "train.rematerialise",
    "train.tensorboard",
    "train.tracker",
)
"""Keys that may change between kill and continuation: how a step is computed and what is told of it, not what it is."""


@dataclass(frozen=True)
class Run:
    """What `train` returns."""

    path: Path
    """Folder of the bundle."""
    evaluation: Evaluation | None
    """Scores on the held-out part; None where the split has none."""
    history: list[dict[str, float]]
    """One row per epoch."""
    predictor: Any
    """A `Predictor`; a `Forecaster` where the network is for nowcasting, an `Emulator` where it is for dynamics, a
    `SeriesClassifier` where it is for crops."""
    interrupted: bool = False
    """Whether Ctrl-C ended the training early."""
    address: str = ""
    """Where the run lives, as it was asked for: the folder, or an address on object storage, of which it is a copy."""
    first: bool = True
    """Whether this process is the first, or only, worker: the one that wrote the run."""

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items() if "/" not in name)
        return f"<Run {self.address or self.path}: {scores or 'no scores'}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        scores = "" if self.evaluation is None else self.evaluation._repr_html_()
        return f"<p>Run: <code>{escape(self.address or str(self.path))}</code></p>{scores}"

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics on the held-out part; empty without one."""
        return self.evaluation.metrics if self.evaluation else {}


def complete_contract(name: str, parts: Parts, network: keras.Model) -> Contract:
    """Fills in what only the network knows: the receptive margin and the lattice along y and x."""
    dims = parts.input.dims
    if any(dim.name in ("y", "x") for dim in dims):
        margin, lattice = receptive_margin(network), total_stride(network)
        dims = tuple(
            dataclasses.replace(dim, margin=margin, lattice=lattice) if dim.name in ("y", "x") else dim for dim in dims
        )
    return Contract(name, dataclasses.replace(parts.input, dims=dims), parts.output, geodl_version=version("geodl"))


def refuse_leakage(parts: Parts) -> None:
    """Raises `SplitLeakage` where a training sample overlaps a held-out one."""
    for held in (parts.validation, parts.test):
        if held is not None:
            check_leakage(_places(parts.train), _places(held))


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    fold: int | None = None,
    progress: bool = False,
) -> Run:
    """Trains a network by a recipe and leaves a bundle.

    The same call on an unfinished run continues it at the step of its last checkpoint.

    Args:
        recipe: name of a shipped recipe (`"segmentation"`), path of a YAML file, mapping, or `Recipe`.
        overrides: dotted keys to values, over the recipe's, for example `{"data.images": "scenes/"}`.
        output: folder of the run, or an address on object storage (`s3://bucket/run`, `gs://…`); default
            `runs/<pipeline>`.
        overwrite: replace whatever run `output` holds.
        fold: hold out this fold (from 0) of `data.split.folds` for the scores, and keep the last epoch: an epoch is
            never chosen on what is reported.
        progress: show progress in the terminal.

    Returns:
        The run: its folder, its scores on the held-out part and a `Predictor` (`Forecaster`, `Emulator`, `SeriesClassifier`).

    Raises:
        RecipeError: an unknown key, a wrong type, a value out of range, a missing file.
        OutputExists: `output` holds a finished run.
        CheckpointMismatch: `output` holds an unfinished run of another recipe.
        SplitLeakage: a training sample overlaps a held-out one.
        BackendUnavailable: the recipe's `distribution` cannot be had here.
        WorkersDiffer: workers that train together have not the same data, recipe or checkpoint.
        OutputUnwritable: `output` cannot be written.
        GeodlError: any other mistake that the data or the recipe holds; the message says which.

    Example:
        >>> run = geodl.train("segmentation", {"data.images": "scenes", "data.labels": "labels"}, output="runs/a")
    """
    pipeline = open_pipeline(recipe, overrides, fold=fold)
    settings = pipeline.recipe
    place = RunFolder(output or Path("runs") / pipeline.name)
    place.prepare(overwrite=overwrite)
    folder = place.local
    seed_everything(settings.seed)
    used = devices(settings)
    with precision_scope(settings.train.precision), used.scope():
        group = workers()
        with stage("Reading the data"):
            parts = pipeline.samples()
            refuse_leakage(parts)
        with stage("Building the network"):
            network = pipeline.network(parts)
        if settings.train.init:
            parts = initialise(network, parts, settings.train.init)
        contract = complete_contract(pipeline.name, parts, network)
        call = compile_network(network)
        validation = parts.validation
        loss = pipeline.loss()
        if group.writes:
            if overwrite:
                place.clear()
            place.fetch_logs()
        group.wait()
        asked = settings.train.tracker if group.writes else None
        track = None if asked is None else tracker(asked, folder, settings.flat())
        with nullcontext() if track is None else closing(track):
            outcome = fit(
                network,
                lambda start: Batches(
                    parts.train,
                    batch_size=settings.train.batch_size,
                    seed=settings.seed,
                    start=start,
                    share=(group.index, group.count),
                ),
                loss=loss,
                config=settings.train,
                folder=folder,
                evaluate=None if validation is None else partial(_validate, pipeline, contract, call, validation),
                monitor=pipeline.monitor if validation else "loss",
                mode=pipeline.mode if validation else "min",
                score_start=pipeline.scores_start,
                breaks=parts.train.changes if isinstance(parts.train, StagedSamples) else (),
                progress=progress,
                identity={key: value for key, value in settings.flat().items() if not key.startswith(_FREE)},
                facts=_facts(parts.train) if group.count > 1 else {},
                storage=place.storage,
                callbacks=[] if track is None else [track],
            )
            evaluation = None if outcome.interrupted else _final_scores(pipeline, contract, call, parts, network)
            if track is not None and evaluation is not None:
                track.finish(evaluation.metrics, step=outcome.step)
        with stage("Drawing the report"):
            training = Training.of(
                parts,
                outcome,
                network,
                batch=settings.train.batch_size,
                devices=used.names,
                data=data_identity(settings.data),
            )
            report = run_report(
                pipeline,
                contract,
                call,
                parts,
                outcome=outcome,
                evaluation=evaluation,
                training=training,
                run=place.name,
            )
    # Out of the scope, in which whatever one worker makes of the network would wait for the others.
    if group.writes:
        with stage(f"Writing {place.name}"):
            write_bundle(
                folder,
                network=network,
                contract=contract,
                recipe=settings.to_yaml(),
                metrics={
                    **(evaluation or Evaluation(pipeline.name, {}, {})).to_json(),
                    "training": training.to_json(),
                },
                report=report,
            )
            place.publish()
    group.wait()
    predictor = open_predictor(network, contract, folder)
    return Run(folder, evaluation, outcome.rows, predictor, outcome.interrupted, place.name, group.writes)


def _facts(samples: Samples) -> dict[str, object]:
    """What tells one worker's data from another's: how many samples there are, and what is in some of them."""
    several = samples.at(0) if isinstance(samples, StagedSamples) else samples
    digest = hashlib.sha256()
    for index in sorted({0, len(several) // 2, len(several) - 1}):
        for array in keras.tree.flatten(several.read(index, np.random.default_rng(0))):
            digest.update(np.ascontiguousarray(array).tobytes())
    return {"the number of training samples": len(several), "the content of training samples": digest.hexdigest()[:16]}


def devices(recipe: Recipe) -> Devices:
    """Returns the devices that a recipe asks for; see `geodl.training.distribution.resolve`."""
    asked = recipe.distribution
    return resolve(
        asked.strategy,
        batch_size=recipe.train.batch_size,
        model_devices=asked.model_devices,
        layout=asked.layout,
    )


def _places(samples: Samples) -> Any:
    return (samples.place(i) for i in range(len(samples)))


def initialise(network: keras.Model, parts: Parts, path: str) -> Parts:
    """Starts from another bundle's weights, bands and classes mapped by name; a table tells what was taken over."""
    bundle = read_bundle(path)
    old = bundle.contract
    report = transfer(
        bundle.network,
        network,
        bands=([band.name for band in old.input.bands], [band.name for band in parts.input.bands]),
        classes=([info.name for info in old.output.classes], [info.name for info in parts.output.classes]),
    )
    return dataclasses.replace(
        parts, tables=(*parts.tables, Table("First weights", ("from", "taken"), ((path, str(report)),)))
    )


def _validate(pipeline: Pipeline, contract: Contract, call: Call, samples: Samples, _: keras.Model) -> dict[str, float]:
    return evaluate_samples(pipeline, contract, call, samples, "validation").metrics


def _final_scores(
    pipeline: Pipeline, contract: Contract, call: Call, parts: Parts, network: keras.Model
) -> Evaluation | None:
    """Scores the finished network, and the baselines beside it, on the held-out part that is reported."""
    part, samples = ("test", parts.test) if parts.test is not None else ("validation", parts.validation)
    if samples is None:
        return None
    with stage(f"Scoring the {part} part"):
        evaluation = evaluate_samples(pipeline, contract, call, samples, part)
    baselines = evaluate_baselines(pipeline, contract, parts.train, samples, part)
    choice = "best epoch on the validation part" if parts.validation is not None else "last epoch"
    evaluation = dataclasses.replace(
        evaluation, protocol={**evaluation.protocol, "weights": choice}, baselines=baselines
    )
    with stage("Scoring further"):
        evaluation = pipeline.extended(evaluation, contract, network, samples)
    return dataclasses.replace(evaluation, tables=pipeline.tables(evaluation))
