"""Scoring: a network, or a baseline, streamed over held-out samples into metrics."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import dumps
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geodl.activity import stage
from geodl.bundle import read_bundle, replace_text
from geodl.cards.filling import lies_apart
from geodl.contract import Contract
from geodl.data.batches import in_order
from geodl.data.samples import Samples
from geodl.data.splits import Part
from geodl.errors import NoValidPixels, OptionError, RecipeError
from geodl.inference.runtime import Call, compile_network
from geodl.pipelines.task import Pipeline, Table, open_pipeline

__all__ = ("Call", "Evaluation", "evaluate", "evaluate_baselines", "evaluate_samples")

_SOURCES = tuple(
    f"data.{key}" for key in ("images", "labels", "targets", "sequences", "series", "trajectories", "dataset")
)
"""Keys that say what data is scored; others of `data` say how it is read."""


@dataclass(frozen=True)
class Evaluation:
    """Scores, with the protocol that they were measured by."""

    pipeline: str
    metrics: dict[str, float]
    protocol: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    """What stands behind the scores and can be summed over runs, such as the confusion matrix."""
    baselines: dict[str, Evaluation] = field(default_factory=dict)
    """Scores of the baselines on the same samples."""
    tables: tuple[Table, ...] = ()
    """Scores laid out as the pipeline shows them; not part of the JSON, as all that they tell is in `details`."""

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items() if "/" not in name)
        beside = f"; beside {', '.join(self.baselines)}" if self.baselines else ""
        return f"<Evaluation of {self.pipeline} on the {self.protocol.get('part', 'data')}: {scores}{beside}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores of the whole beside the baselines', then those of each class or band."""
        owners = {self.pipeline: self.metrics, **{name: other.metrics for name, other in self.baselines.items()}}
        tables = []
        for title, kept in (("Scores", False), ("Scores of each part", True)):
            names = [name for name in self.metrics if ("/" in name) is kept]
            rows = tuple((name, *(scores.get(name, float("nan")) for scores in owners.values())) for name in names)
            tables += [Table(title, ("metric", *owners), rows)] if rows else []
        return "".join(table._repr_html_() for table in (*tables, *self.tables))

    def to_json(self) -> dict[str, Any]:
        """Returns what `--json` writes; a metric that is undefined is null."""
        content = {
            "pipeline": self.pipeline,
            "metrics": {name: float(value) if np.isfinite(value) else None for name, value in self.metrics.items()},
            "protocol": self.protocol,
            "details": self.details,
        }
        if self.baselines:
            content["baselines"] = {
                name: {key: baseline.to_json()[key] for key in ("metrics", "details")}
                for name, baseline in self.baselines.items()
            }
        return content


def evaluate_samples(pipeline: Pipeline, contract: Contract, call: Call, samples: Samples, part: str) -> Evaluation:
    """Scores `call` on `samples`, each valid element once.

    Args:
        pipeline: gives the metrics and their protocol.
        contract: what `call` eats and gives.
        call: a network or a baseline.
        samples: what to score on.
        part: what to call them in the protocol.

    Returns:
        The scores.
    """
    metrics = pipeline.metrics(contract.output)
    for indices, x, y, weight in in_order(samples, pipeline.recipe.train.batch_size):
        names = [samples.place(int(k)).source for k in indices]
        metrics.update(y, call(x), weight, x=x, scenes=names)
    scenes = sorted({samples.place(i).source for i in range(len(samples))})
    protocol = {"part": part, "samples": len(samples), "scenes": scenes, **pipeline.protocol()}
    return Evaluation(pipeline.name, metrics.result(), protocol, metrics.details())


def evaluate_baselines(
    pipeline: Pipeline, contract: Contract, train: Samples, samples: Samples, part: str
) -> dict[str, Evaluation]:
    """Fits the pipeline's baselines on training samples and scores them on others, by name."""
    found = {}
    for name, baseline in pipeline.baselines(contract.output).items():
        with stage(f"Fitting and scoring {name}, a baseline"):
            baseline.fit(train, seed=pipeline.recipe.seed)
            found[name] = evaluate_samples(pipeline, contract, baseline, samples, part)
    return found


def evaluate(
    run: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    baselines: bool = False,
    json: str | Path | None = None,
) -> Evaluation:
    """Scores a bundle.

    Args:
        run: folder of the bundle.
        overrides: dotted keys to values, over the bundle's recipe. Data given here (`data.images`, `data.labels`,
            `data.targets`, `data.sequences`, `data.series`, `data.trajectories` or `data.dataset`) is used whole, unless `data.split`
            names a part; without any, the held-out part of the run's own data is scored.
        baselines: also fit the pipeline's baselines on the run's training samples, and score them beside the network.
            Those that learn nothing (of nowcasting) are always there.
        json: file to write `{"pipeline", "metrics", "protocol"}` to.

    Returns:
        Metrics with their protocol.

    Raises:
        BundleError: `run` is no bundle.
        RecipeError: an unknown key or a wrong value among the overrides, or one that would make it another network.
        NoValidPixels: there is no pixel to score.
        OptionError: another split of the run's own data: what it holds out may have been trained on.
        GeodlError: data that does not fit the bundle's contract.
    """
    bundle = read_bundle(run)
    changes = _spread(overrides or {})
    named: Part | Literal["all"] | None = None
    if changes.get("data.split") in typing.get_args(Part):
        named = changes.pop("data.split")
    other_data = any(key == source or key.startswith(f"{source}.") for key in changes for source in _SOURCES)
    split = next((key for key in changes if key.startswith("data.split")), None)
    if split is not None and not other_data:
        received = changes[split]
        raise OptionError(
            split, expected=f"data.split to be one of {', '.join(typing.get_args(Part))}", received=received
        )
    if other_data and "data.dataset" not in changes:
        changes["data.dataset"] = None
    if "data.images" in changes and "data.targets" not in changes:
        # Second looks at the training scenes are none of these.
        changes["data.targets"] = None
    dataset = changes.get("data.dataset", (bundle.recipe.get("data") or {}).get("dataset"))
    apart = named in (None, "test") and (other_data or named == "test") and lies_apart(dataset)
    if apart:
        changes.setdefault("data.part", "test")
    pipeline = open_pipeline(bundle.recipe, {"train.init": None, **changes})
    _check_settled(pipeline, bundle.recipe, changes)
    wanted: Part | Literal["all"] | None = "all" if apart else named or ("all" if other_data else None)
    with stage("Reading the data"):
        samples, part = pipeline.held_out(bundle.contract, wanted)
    part = "test" if apart else part
    with stage(f"Scoring {bundle.path}"):
        evaluation = evaluate_samples(pipeline, bundle.contract, compile_network(bundle.network), samples, part)
    if not any(map(np.isfinite, evaluation.metrics.values())) and not _any_counts(samples):
        raise NoValidPixels("The data to score", "Every pixel is nodata, or without a truth")
    if pipeline.always_compared:
        evaluation = replace(
            evaluation, baselines=evaluate_baselines(pipeline, bundle.contract, samples, samples, part)
        )
    elif baselines:
        own = open_pipeline(bundle.recipe, {"train.init": None})
        with stage("Reading the training data"):
            trained = own.samples().train
        pipeline.take_over(own)
        others = evaluate_baselines(pipeline, bundle.contract, trained, samples, part)
        evaluation = replace(evaluation, baselines=others)
    with stage("Scoring further"):
        evaluation = pipeline.extended(evaluation, bundle.contract, bundle.network, samples)
    evaluation = replace(evaluation, tables=pipeline.tables(evaluation))
    if json is not None:
        replace_text(Path(json), dumps(evaluation.to_json(), indent=2, ensure_ascii=False) + "\n")
    return evaluation


def _check_settled(pipeline: Pipeline, recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuses changes of what the network is."""
    other = [key for key in changes if key.split(".")[0] in pipeline.settled]
    if not other:
        return
    own = open_pipeline(recipe, {key: value for key, value in changes.items() if key not in other}).recipe
    for key in other:
        name = key.split(".")[0]
        if getattr(own, name) != getattr(pipeline.recipe, name):
            raise RecipeError(key, f"the network is trained; what it is cannot be changed. Received: {changes[key]!r}.")


def _any_counts(samples: Samples) -> bool:
    return any((weight > 0).any() for *_, weight in in_order(samples, 1))


def _spread(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a mapping given for `data` as dotted keys."""
    changes = dict(overrides)
    if isinstance(changes.get("data"), Mapping):
        changes |= {f"data.{key}": value for key, value in changes.pop("data").items()}
    return changes
