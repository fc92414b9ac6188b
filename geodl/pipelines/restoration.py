"""What denoising and super-resolution share: scenes without labels, degraded on the way to the network."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import keras
import numpy as np

from geodl import losses
from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.data.augment import Augmentation
from geodl.data.cache import cached
from geodl.data.degraded import Degradation, DegradedSamples
from geodl.data.luma import LUMA, LumaSource
from geodl.data.opening import find_scenes, open_source
from geodl.data.samples import Samples, Sampling, Scene, SceneSamples
from geodl.data.source import Grid, Source
from geodl.data.splits import Part, SceneSplit
from geodl.data.statistics import sample_statistics, statistics
from geodl.data.unlabelled import Unlabelled
from geodl.errors import RecipeError
from geodl.inference.fitting import fit_source
from geodl.pipelines.evaluation import Call
from geodl.pipelines.examples import counted, metres_per_pixel, telling
from geodl.pipelines.scenes import open_scenes
from geodl.pipelines.splitting import (
    CONTEXT,
    as_trained,
    make_scenes,
    part_samples,
    parts_of,
    scene_table,
    split_by_recipe,
)
from geodl.pipelines.task import Parts, Pipeline, Table
from geodl.recipe import DenoisingRecipe, Scoring, SuperresolutionRecipe

__all__ = ("Restoration", "as_output", "axes", "is_luma")

_SHOWN = 96
"""Rows and columns of a sample that is drawn, at least: with its surroundings where little of it is scored."""


class Drawn(NamedTuple):
    """A held-out sample, restored."""

    name: str
    x: np.ndarray
    y: np.ndarray
    prediction: np.ndarray
    scores: dict[str, float]
    metres: float | None
    """That a pixel of the output is wide on the ground; None: not known."""


class Restoration(Pipeline):
    """A pipeline whose truth is the scene itself. Subclasses say how scenes are opened and degraded."""

    recipe: DenoisingRecipe | SuperresolutionRecipe
    monitor: ClassVar[str] = "psnr"
    mode: ClassVar[Literal["max", "min"]] = "max"

    _deviation: tuple[float, ...] = ()
    """Standard deviation of each band of the truth, the unit of the losses."""
    _eight_bits: bool = False
    """Whether the scenes are of whole numbers from 0 to 255."""
    _luma: bool = False
    """Whether they are the brightness of images, which is taken on a scale of 0 to 255 whatever the images are."""

    @abstractmethod
    def open_scenes(self, found: Sequence[tuple[str, Any]]) -> list[Source]:
        """Opens scenes to learn from; their bands are what `degradation` takes."""

    @abstractmethod
    def open_fitting(self, found: Sequence[tuple[str, Any]], contract: Contract) -> list[Source]:
        """Opens scenes with the bands, units and pixel size of a trained network."""

    @abstractmethod
    def degradation(self, *, training: bool) -> Degradation:
        """Makes samples of windows of scenes; varied at random when training."""

    @abstractmethod
    def describe(self, source: Source) -> tuple[ModelInput, ModelOutput]:
        """Says what a network for such scenes eats and gives."""

    @property
    @abstractmethod
    def usual_patch(self) -> int:
        """Side of training samples where the recipe leaves it open, in pixels of the scenes."""

    @property
    def patch_multiple(self) -> int:
        """What the side of training samples is a multiple of."""
        return 1

    @property
    def scoring(self) -> Scoring:
        """How scores are taken."""
        return self.recipe.scoring

    @property
    def patch(self) -> int:
        """Side of training samples, in pixels of the scenes."""
        asked = self.recipe.data.patch
        side = self.usual_patch if asked == "auto" else asked
        if side % self.patch_multiple:
            raise RecipeError("data.patch", f"expected a multiple of {self.patch_multiple}. Received: {side}.")
        return side

    def samples(self) -> Parts:
        """Opens scenes and splits them; see `Pipeline.samples`."""
        sources = self.open_scenes(self.found())
        self.look_at(sources)
        labels = [Unlabelled(source) for source in sources]
        patch = self.patch
        splits = split_by_recipe(sources, labels, recipe=self.recipe, patch=patch)
        scenes = cached(make_scenes(sources, labels, splits))
        sampling: Sampling = "grid" if self.recipe.data.sampling == "grid" else "random"
        windows = SceneSamples(scenes, patch=patch, sampling=sampling, augment=self.augmentation(scenes))
        train = DegradedSamples(windows, self.degradation(training=True))
        held: dict[str, Samples] = {part: self._scored(scenes, part) for part in parts_of(scenes)}
        if self.scoring.reference == "none" and "validation" in held:
            # No epoch can be chosen without a truth: all that is held out is only reported.
            held.setdefault("test", held["validation"])
            del held["validation"]
        seen, truth = self.measure(train)
        self._deviation = tuple(truth[1])
        eaten, given = self.describe(sources[0])
        return Parts(
            train,
            held.get("validation"),
            held.get("test"),
            eaten,
            given,
            *seen,
            (scene_table(scenes), self._sample_table(eaten, seen, patch)),
        )

    def measure(self, train: Samples) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Measures mean and standard deviation, per band, of what the network sees and of the truth."""
        seed = self.recipe.seed
        return sample_statistics(train, of="x", seed=seed), sample_statistics(train, of="y", seed=seed)

    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Opens scenes as a trained network's contract asks; see `Pipeline.held_out`."""
        sources = self.open_fitting(self.found(), contract)
        self.look_at(sources)
        labels = [Unlabelled(source) for source in sources]
        if part == "all":
            splits = [SceneSplit.whole(source.grid, "test") for source in sources]
        else:
            splits = split_by_recipe(sources, labels, recipe=self.recipe, patch=self.patch)
        scenes = make_scenes(sources, labels, splits)
        if part is None:
            part = "test" if "test" in parts_of(scenes) else "validation"
        if part == "train":
            scenes = [as_trained(scene) for scene in scenes if scene.split.trains]
        return self._scored(scenes, "validation" if part == "validation" else "test"), part

    def found(self) -> list[tuple[str, Any]]:
        """Lists the scenes of the recipe: (name, spec) of each."""
        data = self.recipe.data
        if data.labels is not None:
            raise RecipeError("data.labels", f"{self.name} has no labels: scenes are their own truth.")
        if data.images is None:
            raise RecipeError(
                "data.images", "no scenes given. Set it to a file, a folder or a glob (--set data.images=…)."
            )
        return find_scenes(data.images, stack=data.stack == "bands")

    def open_luma(self, found: Sequence[tuple[str, Any]]) -> list[Source]:
        """Opens the brightness of scenes, of which some may be in colour and some grey."""
        return open_scenes(found, self.recipe.data.model_copy(update={"bands": "auto"}), see=LumaSource)

    def open_fitting_luma(self, found: Sequence[tuple[str, Any]], contract: Contract) -> list[Source]:
        """Opens the brightness of scenes for a trained network of it."""
        return [fit_source(LumaSource(open_source(spec, name=name)), contract) for name, spec in found]

    def look_at(self, sources: Sequence[Source]) -> None:
        """Takes note of what the scenes are, before anything is made of them."""
        self._eight_bits = all(
            band.dtype == "uint8" and band.scale == 1 and band.offset == 0
            for source in sources
            for band in source.bands
        )
        self._luma = all(is_luma([band.name for band in source.bands]) for source in sources)

    def augmentation(self, scenes: Sequence[Scene]) -> Augmentation | None:
        """Varies training windows before they are degraded."""
        asked = self.recipe.data.augment
        if asked.noise:
            raise RecipeError("data.augment.noise", f"would be in the truth too. Expected: 0. Received: {asked.noise}.")
        radiometric = asked.brightness or asked.contrast
        std = statistics(scenes, seed=self.recipe.seed)[1] if radiometric else np.ones(1)
        return Augmentation(std=tuple(std), **asked.model_dump())

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of losses, in units of each band's standard deviation."""
        for term in self.recipe.loss:
            if term["name"] == "gamma" and (term.get("unit") or self.loss_defaults().get("unit")) is None:
                raise RecipeError(
                    "loss",
                    "gamma is for radar scenes. Expected: charbonnier, l1, l2 or ssim, or a `unit` beside its name.",
                )
        return losses.build(self.recipe.loss or "l1", among=losses.RESTORATION, defaults=self.loss_defaults())

    def loss_defaults(self) -> dict[str, Any]:
        """Arguments of the losses that follow from the data."""
        return {"scale": self._deviation}

    def peak(self, output: ModelOutput) -> float | None:
        """Returns the range that PSNR refers to; None: each scene's own."""
        if not isinstance(self.scoring.peak, str):
            return self.scoring.peak
        if self._eight_bits or self._luma:
            return 255.0
        return 1.0 if all(band.unit == "reflectance" for band in output.bands) else None

    @property
    def quantise(self) -> tuple[float, float] | None:
        """The range of whole numbers that restored values are brought to before they are compared."""
        asked = self.scoring.whole_numbers
        return (0.0, 255.0) if (self._eight_bits if isinstance(asked, str) else asked) else None

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed."""
        peak = "1 for reflectance, else each scene's own range"
        if self._eight_bits or self._luma:
            peak = f"255 for {'8-bit scenes' if self._eight_bits else 'brightness'}"
        return {
            "metric": "scores of each scene over its valid pixels, averaged over scenes",
            "context": f"scenes above 1024 pixels are scored in windows with {CONTEXT} pixels of surroundings",
            "seed": self.recipe.seed,
            "restored values": "as they are" if self.quantise is None else "rounded and clipped to 0-255",
            "peak": peak if isinstance(self.scoring.peak, str) else self.scoring.peak,
            "border left out": self.scoring.crop,
        }

    def drawn(self, call: Call, samples: Samples, contract: Contract) -> Iterator[Drawn]:
        """Restores the worst, the median and the best sample by PSNR, the same ones each time, to be looked at."""
        rng = np.random.default_rng(self.recipe.seed)

        def restored(index: int, why: str = "") -> Drawn:
            x, y, weight = samples.read(index, rng)
            scores = self.metrics(contract.output)
            prediction = call(x[None])
            scores.update(y[None], prediction, weight[None], x=x[None])
            seen, whole = counted(weight, contract.output.scale, least=_SHOWN)
            place = samples.place(index)
            own, _ = counted(weight, contract.output.scale)
            metres = metres_per_pixel(contract.input, place, x[own].shape[:2])
            metres = None if metres is None else metres / contract.output.scale
            name = f"{why}\n{place.name}" if why else place.name
            return Drawn(name, x[seen], y[whole], prediction[0][whole], scores.result(), metres)

        def psnr(index: int) -> float:
            return restored(index).scores.get("psnr", np.nan)

        for example in telling(len(samples), psnr, seed=self.recipe.seed):
            yield restored(example.index, example.why)

    def _scored(self, scenes: Sequence[Scene], part: Part) -> DegradedSamples:
        return DegradedSamples(part_samples(scenes, part), self.degradation(training=False), seed=self.recipe.seed)

    def _sample_table(self, eaten: ModelInput, seen: tuple[np.ndarray, np.ndarray], patch: int) -> Table:
        rows = tuple(
            (band.name, band.unit or "not stated", f"{mean:.4g}", f"{std:.4g}")
            for band, mean, std in zip(eaten.bands, *seen, strict=True)
        )
        title = f"What the network sees (samples of {patch} × {patch} pixels of the scene)"
        return Table(title, ("band", "unit", "mean", "standard deviation"), rows)


def as_output(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Returns bands as a network gives them: physical units in floating point."""
    return tuple(dataclasses.replace(band, dtype="float32", scale=1.0, offset=0.0, nodata=None) for band in bands)


def axes(grid: Grid, step: tuple[float, float] | None) -> tuple[Dim, Dim]:
    """Describes the axes y and x of what a network eats.

    Args:
        grid: of a scene.
        step: size of the pixels that the network is made for, in units of the grid's CRS; None: of any size, as where
            there is no CRS.
    """
    sizes = (None, None) if step is None or grid.crs is None else step
    return Dim("y", step=sizes[0], unit=grid.unit), Dim("x", step=sizes[1], unit=grid.unit)


def is_luma(bands: Sequence[str] | str) -> bool:
    """Whether these bands, or `auto`, are the brightness of images, and not bands of theirs."""
    return list(bands) == [LUMA]
