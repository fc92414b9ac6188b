"""Semantic segmentation of scenes with a U-Net: one class per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from geodl import losses
from geodl.baselines import Baseline
from geodl.baselines.forest import PixelForest
from geodl.contract import ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.data.augment import Augmentation
from geodl.data.cache import cached
from geodl.data.chords import mean_chord
from geodl.data.labels import Labels, infer_classes, open_labels
from geodl.data.legend import class_colour
from geodl.data.opening import find_scenes
from geodl.data.pairing import pair
from geodl.data.samples import RegionSamples, Samples, SceneSamples
from geodl.data.source import Source
from geodl.data.splits import Part, SceneSplit
from geodl.data.statistics import statistics
from geodl.errors import RecipeError
from geodl.inference.products import free_value
from geodl.metrics.segmentation import SegmentationMetrics
from geodl.models import UNet
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.examples import counted, metres_per_pixel, telling
from geodl.pipelines.networks import build_network
from geodl.pipelines.scenes import open_fitting, open_scenes, resampling
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
from geodl.pipelines.viewing import class_viewer
from geodl.recipe import ClassEntry
from geodl.report.figures import picture, samples_figure, to_png
from geodl.report.layers import Viewer

__all__ = ("PIPELINE", "Segmentation")

_SHOWN = 96
"""Rows and columns of a sample that is drawn, at least: with its surroundings where little of it is scored."""

_CELLS = 32
"""A typical region must be at least so many stem cells across: what a stem folds together it cannot tell apart."""
_LARGEST_SHOWN = 512
"""Most pixels of a sample, along y and x, that are drawn."""


class Segmentation(Pipeline):
    """The `segmentation` pipeline."""

    name: ClassVar[str] = "segmentation"
    monitor: ClassVar[str] = "miou"
    mode: ClassVar[Literal["max", "min"]] = "max"

    _chord: float = 1.0
    """Mean chord of the labelled regions in pixels; see `geodl.data.chords`."""

    def samples(self) -> Parts:
        """Opens scenes with label rasters or polygons; see `Pipeline.samples`."""
        data = self.recipe.data
        pairs = self._pairs()
        classes = self._classes([label for *_, label in pairs])
        sources = open_scenes([(name, spec) for name, spec, _ in pairs], data)
        labels = [self._open_labels(label, source, classes) for (*_, label), source in zip(pairs, sources, strict=True)]
        patch = self._patch(sources, labels)
        read = make_scenes(sources, labels, split_by_recipe(sources, labels, recipe=self.recipe, patch=patch))
        scenes = cached(read)
        mean, std = statistics(scenes, size=patch, seed=self.recipe.seed)
        augment = Augmentation(std=tuple(std), **data.augment.model_dump())
        train = SceneSamples(scenes, patch=patch, sampling=data.sampling, augment=augment)
        scored = [scene._replace(source=kept.source) for scene, kept in zip(read, scenes, strict=True)]
        held: dict[str, RegionSamples] = {part: part_samples(scored, part) for part in parts_of(scenes)}
        grid, bands = sources[0].grid, sources[0].bands
        axes = [Dim(axis, step=step, unit=grid.unit) for axis, step in zip(("y", "x"), grid.resolution, strict=True)]
        return Parts(
            train,
            held.get("validation"),
            held.get("test"),
            ModelInput((*axes, Dim("band", size=len(bands))), bands),
            ModelOutput("classes", classes=classes, nodata=free_value(classes)),
            mean,
            std,
            (scene_table(scenes), _class_table(classes, {"train": train, **held}, patch, self._chord)),
        )

    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Opens scenes as a trained network's contract asks; see `Pipeline.held_out`."""
        classes = contract.output.classes
        pairs = self._pairs()
        sources = open_fitting([(name, spec) for name, spec, _ in pairs], contract, self.recipe.data)
        labels = [self._open_labels(label, source, classes) for (*_, label), source in zip(pairs, sources, strict=True)]
        if part == "all":
            splits = [SceneSplit.whole(source.grid, "test") for source in sources]
        else:
            splits = split_by_recipe(sources, labels, recipe=self.recipe, patch=self._patch(sources, labels))
        scenes = make_scenes(sources, labels, splits)
        if part is None:
            part = "test" if "test" in parts_of(scenes) else "validation"
        if part == "train":
            scenes = [as_trained(scene) for scene in scenes if scene.split.trains]
        return part_samples(scenes, "validation" if part == "validation" else "test"), part

    def network(self, parts: Parts) -> keras.Model:
        """Builds the U-Net; what the recipe leaves `auto` follows from the size of the labelled regions."""
        given = {
            "channels": len(parts.input.bands),
            "classes": len(parts.output.classes),
            "mean": parts.mean.tolist(),
            "std": parts.std.tolist(),
        }
        return build_network({"unet": UNet}, self.recipe.network, given=given, defaults=self._sizes())

    def _sizes(self) -> dict[str, Any]:
        """What `auto` is. Without stem there is no more depth than halves a typical region to a pixel, and at most 4."""
        stem = self._stem()
        resolved = max(round(np.log2(min(self._chord, 16.0))), 1)
        return {"stem": stem, "width": 16 if stem == 1 else 32, "depth": resolved if stem == 1 else 3}

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of masked losses."""
        return losses.build(self.recipe.loss or "cross_entropy", among=losses.CLASSIFICATION)

    def metrics(self, output: ModelOutput) -> SegmentationMetrics:
        """One confusion matrix over the data set, and what follows from it."""
        return SegmentationMetrics([info.name for info in output.classes], logits=True)

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """A random forest that sees one pixel at a time: what the surroundings are worth."""
        return {"forest": PixelForest(len(output.classes))}

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed."""
        return {
            "metric": "one confusion matrix over all labelled, valid pixels of the data set, each counted once",
            "context": f"scenes above 1024 pixels are scored in windows with {CONTEXT} pixels of surroundings",
        }

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws held-out samples beside their maps, and where these are wrong."""
        rng = np.random.default_rng(self.recipe.seed)

        def mapped(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            x, y, weight = samples.read(index, rng)
            best = np.where(np.isfinite(x).all(-1), call(x[None])[0].argmax(-1), -1)
            window, _ = counted(weight, least=_SHOWN)
            return x[window], np.where(weight > 0, y, -1)[window], best[window]

        def share_right(index: int) -> float:
            _, y, best = mapped(index)
            known = (y >= 0) & (best >= 0)
            return float((y == best)[known].mean()) if known.any() else np.nan

        names, images, truths, maps, metres = [], [], [], [], []
        for example in telling(len(samples), share_right, seed=self.recipe.seed):
            index, why = example.index, example.why
            x, y, best = mapped(index)
            place = samples.place(index)
            names.append(f"{why}\n{place.name}" if why else place.name)
            metres.append(metres_per_pixel(contract.input, place, y[counted(y >= 0)[0]].shape))
            cut = np.s_[:_LARGEST_SHOWN, :_LARGEST_SHOWN]
            images.append(picture(x[cut], [band.name for band in contract.input.bands]))
            truths.append(y[cut])
            maps.append(best[cut])
        shown = samples_figure(images, truths, maps, classes=contract.output.classes, names=names, metres=metres)
        return {
            "Held-out samples, chosen by the share of pixels that is right": to_png(shown),
        }

    def layers(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> Viewer:
        """Shows a held-out place: input, truth, map, error and confidence."""
        return class_viewer(contract, call, samples, seed=self.recipe.seed)

    def _pairs(self) -> list[tuple[str, Any, str]]:
        """Finds images with their labels."""
        data = self.recipe.data
        bands, resample = None if data.bands == "auto" else data.bands, resampling(data)
        for key, where, what in (
            ("images", data.images, "scenes"),
            ("labels", data.labels, "label rasters or polygons"),
        ):
            if where is None:
                raise RecipeError(
                    f"data.{key}", f"no {what} given. Set it to a file, a folder or a glob (--set data.{key}=…)."
                )
        scenes = find_scenes(data.images, stack=data.stack == "bands")
        return pair(scenes, data.labels, match=data.match, bands=bands, resample=resample)

    def _classes(self, label_files: Sequence[str]) -> tuple[ClassInfo, ...]:
        data = self.recipe.data
        if data.classes == "auto":
            return infer_classes(label_files, column=data.label_column, ignore_label=data.ignore_label)[0]
        if isinstance(data.classes, dict):
            entries = [ClassEntry(value=value, name=name) for value, name in sorted(data.classes.items())]
        else:
            given: list[str | ClassEntry] = [*data.classes]
            entries = [
                ClassEntry(value=k, name=entry) if isinstance(entry, str) else entry for k, entry in enumerate(given)
            ]
        return tuple(
            ClassInfo(entry.value, entry.name, entry.colour or class_colour(k)) for k, entry in enumerate(entries)
        )

    def _open_labels(self, path: str, source: Source, classes: Sequence[ClassInfo]) -> Labels:
        data = self.recipe.data
        return open_labels(
            path,
            source.grid,
            classes=classes,
            column=data.label_column,
            ignore_label=data.ignore_label,
            name=source.name,
            resample=data.resample is not None,
        )

    def _patch(self, sources: Sequence[Source], labels: Sequence[Labels]) -> int:
        """Measures the labelled regions and returns the side of training samples.

        Left open, it is 64 stem cells: a step then costs the same whatever the stem. Without stem it holds about ten
        regions across, from 64 to 128 pixels. It is a multiple of 32, and at most the usual scene. All labels are measured,
        held-out ones too: the patch is needed before the split.
        """
        self._chord = mean_chord(make_scenes(sources, labels, [SceneSplit()] * len(sources)), seed=self.recipe.seed)
        if self.recipe.data.patch != "auto":
            return self.recipe.data.patch
        stem = self._stem()
        wanted = 64 * stem if stem > 1 else min(max(10 * self._chord, 64), 128)
        usual = np.median([min(source.grid.shape) for source in sources])
        return max(32, int(min(wanted, usual)) // 32 * 32)

    def _stem(self) -> int:
        """Returns the recipe's stem, or the coarsest that still resolves a typical labelled region."""
        stem = self.recipe.network.options.get("stem", "auto")
        if stem == "auto":
            return next((size for size in (4, 2) if self._chord >= _CELLS * size), 1)
        if type(stem) is not int or stem not in (1, 2, 4):
            raise RecipeError("network.stem", f"expected auto, 1, 2 or 4. Received: {stem!r}.")
        return stem


def _class_table(classes: Sequence[ClassInfo], parts: Mapping[str, Any], patch: int, chord: float) -> Table:
    counts = [parts[part].class_counts for part in parts]
    rows = tuple((info.value, info.name, *(f"{int(found[k]):,}" for found in counts)) for k, info in enumerate(classes))
    title = f"Labelled pixels (samples of {patch} × {patch} pixels; mean chord {chord:.0f} pixels)"
    return Table(title, ("value", "class", *parts), rows)


PIPELINE = Segmentation
