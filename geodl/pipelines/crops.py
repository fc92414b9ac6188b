"""Crops: networks that tell from a place's values over time what grows there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from scipy.special import softmax

from geodl import losses
from geodl.baselines import Baseline, MiniRocketSeries, NearestSeries, SeriesForest
from geodl.contract import Contract, Dim, ModelInput, ModelOutput
from geodl.data.folds import Part
from geodl.data.samples import Samples
from geodl.data.series import SeriesAugmentation, SeriesSamples, SeriesTable, common_days, fit_days
from geodl.errors import RecipeError
from geodl.inference.products import free_value
from geodl.losses import PerMember
from geodl.metrics.classification import ClassificationMetrics
from geodl.models import (
    LTAE,
    Committee,
    InceptionTime,
    SeriesGRU,
    SeriesLSTM,
    SeriesTransformer,
    TempCNN,
)
from geodl.models.pretraining import pretrain
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.examples import telling
from geodl.pipelines.fields import read_series, series_tables, split_by_recipe
from geodl.pipelines.networks import build_network
from geodl.pipelines.season import early_season, importance, season_figures
from geodl.pipelines.task import Parts, Pipeline, Table
from geodl.recipe import CropsRecipe, Recipe
from geodl.report.figures import to_png
from geodl.report.told import told_figure
from geodl.training.compute import use_jit

__all__ = ("PIPELINE", "Crops")

_NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "lstm": SeriesLSTM,
    "gru": SeriesGRU,
    "tempcnn": TempCNN,
    "inception": InceptionTime,
    "transformer": SeriesTransformer,
    "ltae": LTAE,
}
_LOOKED = 128
"""Held-out series of which the telling ones are chosen: each is one run of the network."""
_FIXED = ("tempcnn",)
"""Networks that are, unasked, made for as many dates as all training series have."""

_log = logging.getLogger("geodl")


class Crops(Pipeline):
    """The `crops` pipeline."""

    name: ClassVar[str] = "crops"
    recipe_model: ClassVar[type[Recipe]] = CropsRecipe
    monitor: ClassVar[str] = "accuracy"
    mode: ClassVar[Literal["max", "min"]] = "max"
    settled: ClassVar[tuple[str, ...]] = ("network", "ensemble")
    recipe: CropsRecipe

    _counts: np.ndarray
    """Training series of each class."""

    def samples(self) -> Parts:
        """Reads the recipe's series and splits them; see `Pipeline.samples`."""
        data = self.recipe.data
        if data.sampling == "grid":
            raise RecipeError("data.sampling", "expected balanced or random for series. Received: 'grid'.")
        split = split_by_recipe(self.recipe, read_series(self.recipe))
        train = split["train"]
        calendar = common_days(train)
        samples = SeriesSamples(train, sampling=data.sampling)
        self._counts = samples.class_counts
        mean, std = samples.mean, samples.std
        samples.augment = SeriesAugmentation(std=tuple(std), **self.recipe.augment.model_dump())
        clouds = data.clouds
        eaten = ModelInput(
            (
                Dim("time", size=self._length(calendar), step=_step(train), unit="day" if train.dated else ""),
                Dim("band", size=len(train.bands)),
            ),
            train.bands,
            days=calendar,
            cloud_band="" if clouds is None else clouds.band,
            cloud_values=() if clouds is None else tuple(clouds.values),
        )
        given = ModelOutput("series_label", classes=train.classes, nodata=free_value(train.classes))
        held = {part: _fitted(split[part], eaten) for part in ("validation", "test") if part in split}
        return Parts(
            samples,
            held.get("validation"),
            held.get("test"),
            eaten,
            given,
            mean,
            std,
            series_tables(split, calendar),
        )

    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Reads series as a trained network's contract asks; see `Pipeline.held_out`."""
        table = read_series(self.recipe, contract=contract)
        if part == "all":
            return _fitted(table, contract.input), "all"
        split = split_by_recipe(self.recipe, table)
        named: Part = part or ("test" if "test" in split else "validation")
        if named not in split:
            raise RecipeError("data.split", f"holds no {named} part. Expected one of: {', '.join(split)}.")
        return _fitted(split[named], contract.input), named

    def network(self, parts: Parts) -> keras.Model:
        """Builds the recipe's network, or a committee of several, and shows them the series without labels first."""
        assert isinstance(parts.train, SeriesSamples)
        given = {
            "bands": len(parts.input.bands),
            "classes": len(parts.output.classes),
            "mean": parts.mean.tolist(),
            "std": parts.std.tolist(),
        }
        # Days are no more than positions where nobody states dates.
        defaults = {"length": parts.input.dim("time").size, "dates": parts.input.dim("time").unit == "day"}
        count = self.recipe.ensemble
        members = []
        for k in range(count):
            member = build_network(_NETWORKS, self.recipe.network, given=given, defaults=defaults)
            if count > 1:
                member = keras.Model(member.inputs, member.outputs[0], name=f"member_{k}")
            members.append(member)
        asked = self.recipe.pretraining
        for k, member in enumerate(members if asked.steps else ()):
            x, _ = parts.train.arrays()
            pretrain(
                member,
                x["values"],
                x["days"],
                mean=parts.mean.tolist(),
                std=parts.std.tolist(),
                seed=self.recipe.seed + k,
                jit=use_jit(member, self.recipe.train.jit),
                **asked.model_dump(),
            )
        return members[0] if count == 1 else Committee(members, name=f"{self.recipe.network.name}_committee")

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of losses; `class_weights: balanced` follows from the training series."""
        terms: list[dict[str, Any]] = [dict(term) for term in self.recipe.loss or [{"name": "cross_entropy"}]]
        for term in terms:
            if term.get("class_weights") == "balanced":
                present = self._counts > 0
                weights = np.where(present, self._counts.sum() / np.maximum(self._counts * present.sum(), 1), 0.0)
                term["class_weights"] = weights.tolist()
        return PerMember(losses.build(terms, among=losses.SERIES))

    def metrics(self, output: ModelOutput) -> ClassificationMetrics:
        """One confusion matrix over all series, and what follows from it."""
        return ClassificationMetrics([info.name for info in output.classes], logits=True)

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """A random forest, the nearest neighbour and, where aeon is installed, MiniRocket."""
        kinds: dict[str, Callable[[int], Baseline]] = {"forest": SeriesForest, "nearest": NearestSeries}
        asked = self.recipe.verification.baselines
        if asked != "auto" or MiniRocketSeries.available():
            kinds["minirocket"] = MiniRocketSeries
        named = list(kinds) if asked == "auto" else asked
        return {name: kinds[name](len(output.classes)) for name in named}

    def extended(
        self, evaluation: Evaluation, contract: Contract, network: keras.Model, samples: Samples
    ) -> Evaluation:
        """Adds accuracy against date, and what each date and band is worth."""
        assert isinstance(samples, SeriesSamples)
        asked, details = self.recipe.verification, dict(evaluation.details)
        if asked.early_season:
            details["early_season"] = early_season(network, samples, self.metrics(contract.output), asked.early_season)
        if asked.importance:
            details["importance"] = importance(
                network, samples, contract.input, asked.importance, seed=self.recipe.seed
            )
        return replace(evaluation, details=details)

    def tables(self, evaluation: Evaluation) -> tuple[Table, ...]:
        """Lays out the scores of each class."""
        names, metrics = evaluation.details["classes"], evaluation.metrics
        support = np.sum(evaluation.details["confusion"], axis=1)
        rows = tuple(
            (name, int(count), *(_shown(metrics[f"{score}/{name}"]) for score in ("precision", "recall", "f1")))
            for name, count in zip(names, support, strict=True)
        )
        return (Table("Scores of each class", ("class", "series", "precision", "recall", "F1"), rows),)

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed."""
        split = self.recipe.data.split
        return {
            "metric": "one confusion matrix over all labelled series that were observed, each counted once",
            "split": split if isinstance(split, str) else split.by,
            "seed": self.recipe.seed,
        }

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws held-out series, profiles of the classes, the curve over the season, importance and calibration."""
        assert isinstance(samples, SeriesSamples)
        return {
            "Held-out series, chosen by the probability of their true class": _told(
                call, samples, contract, seed=self.recipe.seed
            ),
            **season_figures(samples, contract, evaluation.details),
        }

    def _length(self, calendar: tuple[float, ...]) -> int | None:
        """Dates that the network eats; None where any number will do."""
        options = self.recipe.network.options
        length = options.get("length", "auto")
        if length == "auto":
            return len(calendar) if calendar and self.recipe.network.name in _FIXED else None
        if length is not None and calendar and length != len(calendar):
            problem = f"expected {len(calendar)}, the dates of all training series, or null: any. Received: {length!r}."
            raise RecipeError("network.length", problem)
        if length is not None and not calendar:
            problem = f"the training series have dates of their own, so any length is needed. Received: {length!r}."
            raise RecipeError("network.length", f"{problem} Set it to null.")
        return length


def _fitted(table: SeriesTable, eaten: ModelInput) -> SeriesSamples:
    """Makes samples of the dates that a network gets; none is drawn more often than another."""
    fixed = eaten.dim("time").size
    values, days = fit_days(table.values, table.days, eaten.days, fixed=fixed, name=table.name)
    return SeriesSamples(replace(table, values=values, days=days), sampling="random")


def _told(call: Call, samples: SeriesSamples, contract: Contract, *, seed: int) -> bytes:
    """Draws the series of whose true class the network is least, middlingly and most sure."""
    rng = np.random.default_rng(seed)

    def probabilities(index: int) -> np.ndarray:
        x, _, _ = samples.read(index, rng)
        logits = np.asarray(call({name: values[None] for name, values in x.items()})[0], np.float64)
        return np.asarray(softmax(logits))

    def sure(index: int) -> float:
        y = int(samples.read(index, rng)[1])
        return float(probabilities(index)[y]) if y >= 0 else np.nan

    classes, days, values, names = contract.output.classes, [], [], []
    for example in telling(len(samples), sure, seed=seed, looked=_LOOKED):
        x, y, _ = samples.read(example.index, rng)
        found = probabilities(example.index)
        best = int(found.argmax())
        days.append(x["days"])
        values.append(x["values"])
        told = f"told {classes[best].name} with probability {found[best]:.2f}"
        names.append(f"{example.why}: {classes[int(y)].name}, {told} ({samples.place(example.index).name})")
    bands = [f"{band.name} ({band.unit})" if band.unit else band.name for band in contract.input.bands]
    return to_png(told_figure(days, values, bands=bands, names=names, unit=contract.input.dim("time").unit))


def _step(table: SeriesTable) -> float | None:
    """The usual number of days, or positions, between two dates; None where series have one date."""
    steps = np.diff(table.days, axis=1)
    return float(np.nanmedian(steps)) if np.isfinite(steps).any() else None


def _shown(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"


PIPELINE = Crops
