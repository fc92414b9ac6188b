"""Super-resolution: scenes made finer from themselves, or their coarse bands from their fine ones."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import keras
import numpy as np

from geodl.baselines import Baseline
from geodl.baselines.filters import Bicubic, Identity
from geodl.contract import Contract, Dim, ModelInput, ModelOutput
from geodl.data.augment import Augmentation
from geodl.data.degraded import Degradation
from geodl.data.downsampling import Downsampling, GuidedDownsampling
from geodl.data.opening import open_source
from geodl.data.samples import Samples, Scene
from geodl.data.source import Source, one_time
from geodl.data.stacked import FoldedSource
from geodl.errors import BandMismatch, RecipeError
from geodl.inference.fitting import fit_source
from geodl.metrics.restoration import RestorationMetrics
from geodl.models import EDSR, RCAN, SRCNN, VDSR, GuidedSR
from geodl.physics.sensor import Blur, degrade, enlarge
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.networks import build_network
from geodl.pipelines.restoration import Restoration, as_output, axes, is_luma
from geodl.pipelines.scenes import open_fitting, open_scenes
from geodl.pipelines.task import Parts
from geodl.pipelines.viewing import restored_viewer
from geodl.recipe import Recipe, SuperresolutionRecipe
from geodl.report.figures import to_png
from geodl.report.layers import Viewer
from geodl.report.restoration import superresolution_figure

__all__ = ("PIPELINE", "Superresolution")

_NETWORKS: dict[str, Callable[..., keras.Model]] = {"edsr": EDSR, "rcan": RCAN, "srcnn": SRCNN, "vdsr": VDSR}
_GUIDED: dict[str, Callable[..., keras.Model]] = {"guided": GuidedSR}
_ONTO = "cubic"
"""How coarse bands are brought to the fine grid when a guided network maps a scene: GDAL's cubic is Keys' with a = -0.5, as
`geodl.physics.sensor.enlarge` is, with which the network learnt."""


class Superresolution(Restoration):
    """The `superresolution` pipeline."""

    name: ClassVar[str] = "superresolution"
    recipe_model: ClassVar[type[Recipe]] = SuperresolutionRecipe
    recipe: SuperresolutionRecipe
    settled: ClassVar[tuple[str, ...]] = ("network", "scale", "mode", "guide", "sharpen")

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._guide: tuple[str, ...] = ()
        self._sharpened: tuple[str, ...] = ()

    @property
    def guided(self) -> bool:
        """Whether coarse bands are made finer with the help of fine ones."""
        return self.recipe.mode == "guided"

    @property
    def usual_patch(self) -> int:
        """Side of training samples where the recipe leaves it open: of 40 coarse pixels; guided of 32 of the truth's."""
        return 32 // self.recipe.scale * self.recipe.scale if self.guided else 40 * self.recipe.scale

    @property
    def patch_multiple(self) -> int:
        """Samples are cut to whole coarse pixels."""
        return self.recipe.scale

    @property
    def blur(self) -> Blur:
        """How coarse samples are made."""
        asked = self.recipe.blur
        return asked if asked != "auto" else "mtf" if self.guided else "bicubic"

    def open_scenes(self, found: Sequence[tuple[str, Any]]) -> list[Source]:
        """Opens scenes; guided: coarse bands with fine ones folded behind them. See `Restoration.open_scenes`."""
        data = self.recipe.data
        if self.scoring.reference == "none":
            raise RecipeError("scoring.reference", "none is for denoising. Expected: truth.")
        if self.guided:
            self._name_bands(found[0])
            return [self._folded(name, spec) for name, spec in found]
        if is_luma(data.bands):
            return self.open_luma(found)
        return open_scenes(found, data)

    def found(self) -> list[tuple[str, Any]]:
        """Lists the scenes; see `Restoration.found`."""
        if self.recipe.data.targets is not None:
            raise RecipeError("data.targets", "second looks are for denoising: fine scenes are their own truth.")
        return super().found()

    def open_fitting(self, found: Sequence[tuple[str, Any]], contract: Contract) -> list[Source]:
        """Opens scenes with the bands of a trained network; see `Restoration.open_fitting`."""
        names = [band.name for band in contract.input.bands]
        if self.guided:
            self._sharpened = tuple(band.name for band in contract.output.bands)
            self._guide = tuple(name for name in names if name not in self._sharpened)
            return [self._folded(name, spec, contract) for name, spec in found]
        if is_luma(names):
            return self.open_fitting_luma(found, contract)
        return open_fitting(found, contract, self.recipe.data)

    def _name_bands(self, first: tuple[str, Any]) -> None:
        """Finds out which bands guide and which are sharpened, by their pixel sizes in the first scene."""
        name, spec = first
        guide, sharpen, scale = self.recipe.guide, self.recipe.sharpen, self.recipe.scale
        if guide != "auto" and sharpen != "auto":
            self._guide, self._sharpened = tuple(guide), tuple(sharpen)
            return
        if not isinstance(spec, Mapping):
            raise RecipeError(
                "guide" if guide == "auto" else "sharpen",
                f"{name} is no mapping of band names to files, of which bands could be chosen by their pixel size. "
                "Name the fine bands in guide and the coarse ones in sharpen.",
            )
        sizes = {band: max(open_source(os.fspath(path)).grid.resolution) for band, path in spec.items()}
        least = min(sizes.values())
        ratios = {band: size / least for band, size in sizes.items()}
        fine = [band for band, ratio in ratios.items() if abs(ratio - 1) < 0.01]
        coarse = [band for band, ratio in ratios.items() if abs(ratio / scale - 1) < 0.01]
        if not coarse:
            found = ", ".join(f"{band} {size:g}" for band, size in sizes.items())
            raise RecipeError(
                "scale", f"no band of {name} has pixels {scale} times as large as the smallest. Pixel sizes: {found}."
            )
        self._guide = tuple(fine if guide == "auto" else guide)
        self._sharpened = tuple(coarse if sharpen == "auto" else sharpen)

    def _folded(self, name: str, spec: Any, contract: Contract | None = None) -> Source:
        coarse, fine = (_bands_of(spec, names, name) for names in (self._sharpened, self._guide))
        scale = self.recipe.scale
        if contract is not None:
            coarse = fit_source(coarse, _part(contract, self._sharpened, times=scale))
            fine = fit_source(fine, _part(contract, self._guide))
        return FoldedSource(coarse, fine, factor=scale)

    def degradation(self, *, training: bool) -> Degradation:
        """Makes scenes coarser by the scale."""
        scale = self.recipe.scale
        if not self.guided:
            return Downsampling(scale, self.blur, whole_numbers=self._eight_bits)
        asked = self.recipe.data.augment
        turns = Augmentation(flips=asked.flips, rotations=asked.rotations) if training else None
        return GuidedDownsampling(scale, len(self._sharpened), self.blur, turns)

    def augmentation(self, scenes: Sequence[Scene]) -> Augmentation | None:
        """Varies training windows before they are made coarser; of guided ones, whose pixels are folded, later."""
        if not self.guided:
            return super().augmentation(scenes)
        asked = self.recipe.data.augment
        if asked.scale != [1.0, 1.0] or asked.brightness or asked.contrast or asked.noise:
            raise RecipeError("data.augment", "guided super-resolution is varied by flips and rotations only.")
        return None

    def describe(self, source: Source) -> tuple[ModelInput, ModelOutput]:
        """Says what a network eats and gives.

        It takes scenes of any pixel size: it learnt from scenes made coarser, and is used on them as they are.
        """
        if not self.guided:
            eaten = ModelInput((*axes(source.grid, None), Dim("band", size=len(source.bands))), source.bands)
            return eaten, ModelOutput(
                "bands", bands=as_output(source.bands), scale=self.recipe.scale, nodata=float("nan")
            )
        count, scale = len(self._sharpened), self.recipe.scale
        coarse, folded = source.bands[:count], source.bands[count :: scale**2]
        fine = tuple(dataclasses.replace(band, name=band.name.rsplit("/", 1)[0]) for band in folded)
        step = (source.grid.resolution[0] / scale, source.grid.resolution[1] / scale)
        dims = (*axes(source.grid, step), Dim("band", size=len(fine) + count))
        eaten = ModelInput(
            dims, (*fine, *coarse), resample=_ONTO, coarse=tuple(band.name for band in coarse), ratio=scale
        )
        return eaten, ModelOutput("bands", bands=as_output(coarse), nodata=float("nan"))

    def network(self, parts: Parts) -> keras.Model:
        """Builds the recipe's network."""
        given = {
            "channels": len(parts.input.bands),
            "guide": len(self._guide),
            "targets": len(self._sharpened),
            "scale": self.recipe.scale,
            "mean": parts.mean.tolist(),
            "std": parts.std.tolist(),
        }
        chosen = self.recipe.network
        if chosen.name == "auto":
            chosen = chosen.model_copy(update={"name": "guided" if self.guided else "edsr"})
        return build_network(_GUIDED if self.guided else _NETWORKS, chosen, given=given)

    def metrics(self, output: ModelOutput) -> RestorationMetrics:
        """Scores against the finer truth, and whether the result, made coarser again, is what was given."""
        coarser = partial(degrade, scale=self.recipe.scale, blur=self.blur)
        return RestorationMetrics(
            [band.name for band in output.bands],
            peak=self.peak(output),
            ratio=self.recipe.scale,
            crop=self.scoring.crop,
            quantise=self.quantise,
            degrade=partial(_as_guided, coarser, self.recipe.scale) if self.guided else coarser,
            inputs=slice(-len(output.bands), None),
            unit=output.bands[0].unit,
        )

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """Cubic convolution: what can be had without learning."""
        return {"bicubic": _Targets(len(output.bands)) if self.guided else Bicubic(self.recipe.scale)}

    def protocol(self) -> dict[str, Any]:
        """Returns how coarse samples were made, and how scores were taken."""
        words = {
            "bicubic": "antialiased bicubic (MATLAB's imresize)",
            "mtf": "Gaussian point spread and mean of pixels",
        }
        return {
            **super().protocol(),
            "mode": self.recipe.mode,
            "scale": self.recipe.scale,
            "made coarser by": words[self.blur],
        }

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws coarse, interpolated, restored and true samples beside one another."""
        shown = list(self.drawn(call, samples, contract))
        bands, scale = [band.name for band in contract.output.bands], self.recipe.scale
        bicubic = self.baselines(contract.output)["bicubic"]
        interpolated = [bicubic(sample.x[None])[0] for sample in shown]
        scores = []
        for sample, image in zip(shown, interpolated, strict=True):
            plain = self.metrics(contract.output)
            plain.update(sample.y[None], image[None], x=sample.x[None])
            scores.append({"bicubic": {"PSNR": plain.result()["psnr"]}, "restored": {"PSNR": sample.scores["psnr"]}})
        figure = superresolution_figure(
            [
                degrade(image, scale, blur=self.blur) if self.guided else sample.x
                for sample, image in zip(shown, interpolated, strict=True)
            ],
            interpolated,
            [sample.prediction for sample in shown],
            [sample.y for sample in shown],
            scale=scale,
            bands=bands,
            names=[sample.name for sample in shown],
            scores=scores,
            unit=contract.output.bands[0].unit,
            metres=[sample.metres for sample in shown],
        )
        return {"Held-out samples, chosen by PSNR": to_png(figure)}

    def layers(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> Viewer:
        """Shows a held-out place: bicubic, the network, the truth and what differs."""
        others = {"bicubic": self.baselines(contract.output)["bicubic"]}
        names = ("coarse", "network")
        return restored_viewer(contract, call, samples, others=others, known=True, names=names, seed=self.recipe.seed)


class _Targets(Identity):
    """The coarse bands as they come to the network: enlarged already."""

    name = "bicubic"

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """See `Baseline`."""
        return x[..., -self.count :]


def _as_guided(coarser: Any, scale: int, prediction: np.ndarray) -> np.ndarray:
    """What a guided network would be given of its own prediction."""
    return enlarge(coarser(prediction), scale)


def _part(contract: Contract, names: tuple[str, ...], *, times: int = 1) -> Contract:
    """A contract of some of the bands, on pixels some times as large."""

    def own(dim: Dim) -> Dim:
        if dim.name == "band":
            return dataclasses.replace(dim, size=len(names))
        return dataclasses.replace(dim, step=None if dim.step is None else dim.step * times)

    bands = tuple(band for band in contract.input.bands if band.name in names)
    dims = tuple(own(dim) for dim in contract.input.dims)
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, dims=dims, bands=bands))


def _bands_of(spec: Any, names: tuple[str, ...], scene: str) -> Source:
    """Opens some bands of a scene on their own grid. Raises `BandMismatch` where one is missing."""
    if isinstance(spec, Mapping):
        if not set(names) <= spec.keys():
            raise BandMismatch(scene, expected=names, received=list(spec))
        return one_time(open_source({name: spec[name] for name in names}, name=scene))
    return one_time(open_source(spec, name=scene, bands=names))


PIPELINE = Superresolution
