"""A task: the six questions that a pipeline answers, and what its answers are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import keras
import numpy as np

from geodl.baselines import Baseline
from geodl.contract import Contract, ModelInput, ModelOutput
from geodl.data.samples import Samples
from geodl.data.splits import Part
from geodl.inference.runtime import Call
from geodl.pipelines import find
from geodl.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from geodl.pipelines.evaluation import Evaluation
    from geodl.report.layers import Viewer

__all__ = ("Parts", "Pipeline", "StreamingMetrics", "Table", "open_pipeline")


@dataclass(frozen=True)
class Table:
    """A titled table for the terminal and the report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{escape(_said(cell))}</td>' for cell in row)}</tr>" for row in self.rows)
        return (
            f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _said(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Parts:
    """What a pipeline learns from and is measured on."""

    train: Samples
    validation: Samples | None
    """Chooses the best epoch; None: the last epoch is kept."""
    test: Samples | None
    """Is only reported."""
    input: ModelInput
    """What a network for these samples eats; margins and lattice are filled in once there is a network."""
    output: ModelOutput
    mean: np.ndarray
    """Training mean per band, shape (band,), in physical units."""
    std: np.ndarray
    """Training standard deviation per band, shape (band,)."""
    tables: tuple[Table, ...] = ()
    """What was found: files, classes, split."""


class StreamingMetrics(Protocol):
    """Metrics over a data set, one batch at a time."""

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: Any,
        scenes: Sequence[str] = (),
    ) -> None:
        """Adds a batch: truth, raw network outputs, weights (0 = not counted), inputs, and the scene of each sample."""

    def result(self) -> dict[str, float]:
        """Returns all metrics of what was added so far."""

    def details(self) -> dict[str, Any]:
        """Returns what stands behind them, JSON-serialisable."""


class Pipeline(ABC):
    """One task. Subclasses answer the six questions; an instance belongs to one recipe."""

    name: ClassVar[str]
    recipe_model: ClassVar[type[Recipe]] = Recipe
    """Class of its recipes: `Recipe`, or a subclass with further keys."""
    monitor: ClassVar[str]
    """Metric that chooses the best epoch."""
    mode: ClassVar[Literal["max", "min"]]
    settled: ClassVar[tuple[str, ...]] = ("network",)
    """Keys of a recipe that say what a trained network is: when it is scored they cannot be others."""
    always_compared: ClassVar[bool] = False
    """Whether the baselines learn nothing from samples, so that every evaluation has them beside the network."""

    scores_start: bool = False
    """Whether the network may be good before it is trained, so that its first weights are scored, too."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @abstractmethod
    def samples(self) -> Parts:
        """Which samples? Opens the recipe's data, splits it, and says what a network for it eats and gives."""

    @abstractmethod
    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Which samples is a trained network scored on?

        Args:
            contract: of the network; bands and classes are matched to it.
            part: of the recipe's split; `all`: all the data, whole; None: what training reported on.

        Returns:
            The samples and the name of the part.
        """

    @abstractmethod
    def network(self, parts: Parts) -> keras.Model:
        """Which network?"""

    @abstractmethod
    def loss(self) -> keras.losses.Loss:
        """Which loss?"""

    @abstractmethod
    def metrics(self, output: ModelOutput) -> StreamingMetrics:
        """Which metrics?"""

    @abstractmethod
    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """Which baselines to beat?"""

    def take_over(self, trained: Pipeline) -> None:
        """Takes over what another pipeline of this kind measured of its training samples, for baselines."""
        return

    def extended(
        self, evaluation: Evaluation, contract: Contract, network: keras.Model, samples: Samples
    ) -> Evaluation:
        """Adds to the scores of a finished network what no batch shows, such as long free runs."""
        return evaluation

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed, for the reader of a figure."""
        return {}

    def tables(self, evaluation: Evaluation) -> tuple[Table, ...]:
        """Lays out scores that are more than a list, for the terminal and the report."""
        return ()

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws what this task is looked at by, for the report: caption → PNG."""
        return {}

    def layers(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> Viewer | None:
        """Makes layers of one held-out place, for the map viewer of the report.

        Args:
            contract: of the network.
            call: the network.
            samples: that are held out.
            evaluation: its scores on them.

        Returns:
            The layers; None where the task has no map to look at.
        """
        return None


def open_pipeline(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    fold: int | None = None,
) -> Pipeline:
    """Reads a recipe and returns its pipeline.

    Args:
        recipe: name of a shipped recipe, path of a YAML file, mapping, or `Recipe`.
        overrides: dotted keys to values, over the recipe's.
        fold: which fold of `data.split.folds` is held out, from 0; of 5 where the recipe names no number.

    Raises:
        RecipeError: an unknown key or pipeline, a wrong type, a value out of range, a missing file.
    """
    changes = dict(overrides or {})
    if fold is not None:
        changes["data.split.fold"] = fold
    loaded = load_recipe(recipe, changes, model=lambda name: find(name).recipe_model)
    return find(loaded.pipeline)(loaded)
