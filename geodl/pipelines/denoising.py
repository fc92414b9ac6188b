"""Denoising of optical and radar scenes with residual networks: learnt from clean scenes, or from noisy ones alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np

from geodl import losses
from geodl.baselines import Baseline
from geodl.baselines.filters import NonLocalMeans, TotalVariation
from geodl.baselines.lee import Lee, RefinedLee
from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.data.augment import Augmentation
from geodl.data.corruption import (
    BlindSpot,
    GaussianNoise,
    PoissonGaussianNoise,
    Range,
    RealAndImaginary,
    Speckle,
    TwoLooks,
)
from geodl.data.degraded import Degradation
from geodl.data.pairing import pair
from geodl.data.samples import Samples, Scene
from geodl.data.sar import in_unit, one_unit, radar_unit
from geodl.data.source import Source
from geodl.data.statistics import sample_statistics
from geodl.errors import NoValidPixels, RecipeError
from geodl.inference.adapting import NOISE_LEVEL, without_noise_level
from geodl.inference.sar import HALF_LOOK
from geodl.metrics.despeckling import DespecklingMetrics
from geodl.metrics.restoration import RestorationMetrics
from geodl.metrics.speckle import homogeneous_areas
from geodl.models import DnCNN, FFDNet, ResidualUNet
from geodl.physics.speckle import Unit, log_bias, to_intensity
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.looks import open_look, with_look
from geodl.pipelines.networks import build_network
from geodl.pipelines.restoration import Restoration, as_output, axes, is_luma
from geodl.pipelines.scenes import open_fitting, open_scenes
from geodl.pipelines.task import Parts, Pipeline, StreamingMetrics
from geodl.pipelines.viewing import restored_viewer
from geodl.recipe import DenoisingRecipe, Recipe, as_range
from geodl.report.figures import to_png
from geodl.report.layers import Viewer
from geodl.report.restoration import denoising_figure
from geodl.report.speckle import ratio_figure

__all__ = ("PIPELINE", "Denoising")

_NETWORKS: dict[str, Callable[..., keras.Model]] = {"dncnn": DnCNN, "ffdnet": FFDNet, "unet": ResidualUNet}
_FLOOR, _FLOOR_OF_ANY = 5e-4, 1e-9
"""Least intensity that has a logarithm, in parts of the training mean; where scenes may be of any calibration."""


class Denoising(Restoration):
    """The `denoising` pipeline."""

    name: ClassVar[str] = "denoising"
    recipe_model: ClassVar[type[Recipe]] = DenoisingRecipe
    recipe: DenoisingRecipe

    _unit: Unit | None = None
    """Of radar scenes with speckle; None: noise that is added."""
    _floor: float = 1e-6
    """Least intensity that has a logarithm, from the training mean of the darkest band."""

    @property
    def usual_patch(self) -> int:
        """Side of training samples where the recipe leaves it open."""
        return 64

    def found(self) -> list[tuple[str, Any]]:
        """Lists scenes; of two looks a pair each."""
        scenes, data = super().found(), self.recipe.data
        if not self.recipe.noise.two_looks:
            if data.targets is not None:
                raise RecipeError(
                    "data.targets",
                    "second looks are for noise.kind none and noise.learn noise2noise, or targets where they are clean.",
                )
            return scenes
        if data.targets is None:
            raise RecipeError("data.targets", "no second looks given. Set it to a file, a folder or a glob.")
        bands = None if data.bands == "auto" else data.bands
        return [
            (name, (spec, target)) for name, spec, target in pair(scenes, data.targets, match=data.match, bands=bands)
        ]

    def open_scenes(self, found: Sequence[tuple[str, Any]]) -> list[Source]:
        """Opens scenes, of two looks with the bands of both; see `Restoration.open_scenes`."""
        data = self.recipe.data
        if is_luma(data.bands):
            if self.recipe.noise.two_looks:
                raise RecipeError("data.bands", "luma is for noise that is added, and for noise.learn blind_spot.")
            return self.open_luma(found)
        if not self.recipe.noise.two_looks:
            return self._agreeing(open_scenes(found, data))
        first = open_scenes([(name, spec) for name, (spec, _) in found], data)
        pairs = [
            with_look(source, open_look(spec, source)) for source, (_, (_, spec)) in zip(first, found, strict=True)
        ]
        return self._agreeing(pairs)

    def _agreeing(self, sources: list[Source]) -> list[Source]:
        """Returns radar scenes, or refuses them where they state different units, or another one than the recipe."""
        noise = self.recipe.noise
        if noise.kind in ("speckle", "none"):
            stated = one_unit(sources)
            if stated is not None and noise.unit not in ("auto", stated):
                raise RecipeError("noise.unit", f"the scenes state {stated}. Received: {noise.unit}.")
        return sources

    def open_fitting(self, found: Sequence[tuple[str, Any]], contract: Contract) -> list[Source]:
        """Opens scenes as a trained network's contract asks; see `Restoration.open_fitting`."""
        data, plain = self.recipe.data, without_noise_level(contract)
        wanted = radar_unit(plain.input.bands)
        of_parts = [band.name for band in plain.input.bands] == [HALF_LOOK]
        if of_parts != (self.recipe.noise.learn == "merlin"):
            learnt = "merlin" if of_parts else "another way than merlin"
            raise RecipeError("noise.learn", f"the network learnt by {learnt}. Received: {self.recipe.noise.learn}.")
        if is_luma([band.name for band in plain.input.bands]):
            return self.open_fitting_luma(found, plain)
        if of_parts:
            return open_scenes(found, data)
        if self.recipe.noise.two_looks:
            first = self._fitting([(name, spec) for name, (spec, _) in found], plain, wanted)
            return [
                with_look(source, self._in_unit(open_look(spec, source), wanted))
                for source, (_, (_, spec)) in zip(first, found, strict=True)
            ]
        return self._fitting(found, plain, wanted)

    def _fitting(self, found: Sequence[tuple[str, Any]], contract: Contract, wanted: Unit | None) -> list[Source]:
        """Opens scenes with the bands of a network; those of radar in its unit."""
        data = self.recipe.data
        if wanted is None:
            return open_fitting(found, contract, data)
        bands = tuple(replace(band, unit="") for band in contract.input.bands)
        any_unit = replace(contract, input=replace(contract.input, bands=bands))
        return [self._in_unit(source, wanted) for source in open_fitting(found, any_unit, data)]

    def _in_unit(self, source: Source, wanted: Unit | None) -> Source:
        """Brings a radar scene to a unit, if one is wanted; what states none is in the recipe's, or in this one."""
        asked = self.recipe.noise.unit
        return source if wanted is None else in_unit(source, wanted, unstated=None if asked == "auto" else asked)

    def look_at(self, sources: Sequence[Source]) -> None:
        """Finds out whether scenes are of radar, and in what unit."""
        super().look_at(sources)
        noise = self.recipe.noise
        stated = radar_unit(band for source in sources for band in source.bands)
        self._unit = noise.unit if stated is None and noise.unit != "auto" else stated
        if noise.learn == "merlin":
            counts = {len(source.bands) for source in sources}
            if counts != {2}:
                received = f"scenes of {', '.join(map(str, sorted(counts)))} bands"
                raise RecipeError("noise.learn", f"merlin expects two bands: real and imaginary. Received: {received}.")
            self._unit = "intensity"
        if noise.kind == "speckle" and self._unit is None:
            raise RecipeError(
                "noise.unit",
                "the scenes do not state what they hold. Set it to intensity, amplitude (also for 8-bit pictures) or dB.",
            )
        if noise.kind in ("gaussian", "poisson_gaussian"):
            self._unit = None
        if self.recipe.network.name == "ffdnet" and noise.kind != "gaussian":
            raise RecipeError(
                "network.name", f"ffdnet is told the level of gaussian noise. Received: noise.kind {noise.kind}."
            )
        if self.scoring.reference == "none" and self._unit is None:
            raise RecipeError("scoring.reference", "none is for radar scenes (noise.unit: intensity, amplitude or dB).")

    def degradation(self, *, training: bool) -> Degradation:
        """Adds the recipe's noise, or hides what noisy scenes tell by themselves."""
        noise = self.recipe.noise
        sigma, gain, looks, correlation, contrast = (
            as_range(value) for value in (noise.sigma, noise.gain, noise.looks, noise.correlation, noise.contrast)
        )
        if self.scoring.reference == "none" and not training:
            return _as_it_is if noise.learn != "merlin" else RealAndImaginary(swap=False)
        if noise.kind == "gaussian":
            return GaussianNoise(sigma, stated=self.recipe.network.name == "ffdnet")
        if noise.kind == "poisson_gaussian":
            return PoissonGaussianNoise(gain, sigma)
        if noise.kind == "speckle":
            assert self._unit is not None
            varied: tuple[float, Range] = (noise.level, contrast) if training else (0.0, (1.0, 1.0))
            return Speckle(self._unit, looks, correlation, *varied)
        if noise.two_looks:
            return TwoLooks(swap=training and noise.learn == "noise2noise")
        return RealAndImaginary(swap=training) if noise.learn == "merlin" else BlindSpot()

    def augmentation(self, scenes: Sequence[Scene]) -> Augmentation | None:
        """Varies training windows before noise is added; see `Restoration.augmentation`."""
        asked, noise = self.recipe.data.augment, self.recipe.noise
        if (asked.brightness or asked.contrast) and (
            self._unit is not None or noise.two_looks or noise.learn == "merlin"
        ):
            raise RecipeError(
                "data.augment",
                "brightness and contrast are for single scenes that are not of radar (speckle: noise.level, noise.contrast).",
            )
        if asked.scale != [1.0, 1.0] and noise.kind == "none":
            raise RecipeError(
                "data.augment.scale", "resampled noise is other noise: scenes that hold it stay as they are."
            )
        return super().augmentation(scenes)

    def describe(self, source: Source) -> tuple[ModelInput, ModelOutput]:
        """Says that a network gives the bands it eats."""
        bands: tuple[Band, ...] = source.bands
        if self.recipe.noise.two_looks:
            bands = bands[: len(bands) // 2]
        if self.recipe.noise.learn == "merlin":
            bands = (Band(HALF_LOOK),)
        if self._unit is not None:
            bands = tuple(replace(band, unit=self._unit) for band in bands)
        told = (Band(NOISE_LEVEL, unit=bands[0].unit),) if self.recipe.network.name == "ffdnet" else ()
        eaten = ModelInput(
            (*axes(source.grid, source.grid.resolution), Dim("band", size=len(bands) + len(told))), (*bands, *told)
        )
        given = as_output(bands) if self.recipe.noise.learn != "merlin" else (Band("intensity", unit="intensity"),)
        return eaten, ModelOutput("bands", bands=given, nodata=float("nan"))

    def measure(self, train: Samples) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Measures what the network sees: of speckled scenes the logarithm of the intensity, without its bias."""
        if self._unit is None:
            return super().measure(train)
        unit, seed = self._unit, self.recipe.seed

        def intensity(values: np.ndarray) -> np.ndarray:
            return to_intensity(values, unit)

        means = sample_statistics(train, transform=intensity, seed=seed)[0]
        if not (means > 0).all():
            raise NoValidPixels("The training samples", "No intensity of a band is above 0")
        self._floor = (_FLOOR if not self.recipe.noise.level else _FLOOR_OF_ANY) * float(means.min())

        def logarithm(values: np.ndarray) -> np.ndarray:
            return np.log(np.maximum(to_intensity(values, unit), self._floor)) - log_bias(self._looks)

        seen = sample_statistics(train, of="x", transform=logarithm, seed=seed)
        return seen, sample_statistics(train, of="y", transform=logarithm, seed=seed)

    @property
    def _looks(self) -> float:
        """The number of looks that speckle is taken to have: the middle of a range; half a look of MERLIN's parts."""
        if self.recipe.noise.learn == "merlin":
            return 0.5
        return float(np.exp(np.mean(np.log(as_range(self.recipe.noise.looks)))))

    def network(self, parts: Parts) -> keras.Model:
        """Builds the recipe's denoiser."""
        channels = len(parts.output.bands)
        given = {
            "channels": channels,
            # Behind the bands, what a network is told of the noise: it is scaled as they are.
            "mean": parts.mean[:channels].tolist(),
            "std": parts.std[:channels].tolist(),
            "speckle": self._unit,
            "looks": self._looks,
            "floor": self._floor,
        }
        return build_network(_NETWORKS, self.recipe.network, given=given)

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of losses. Speckled truths need one whose minimum is the mean of the intensity."""
        noise = self.recipe.noise
        if self._unit is None or noise.learn in ("clean", "targets"):
            return super().loss()
        asked = [term["name"] for term in self.recipe.loss]
        if asked and set(asked) != {"gamma"}:
            raise RecipeError(
                "loss",
                f"expected gamma to learn from speckled truths: others keep a bias. Received: {', '.join(asked)}.",
            )
        return losses.build(self.recipe.loss or "gamma", defaults=self.loss_defaults())

    def loss_defaults(self) -> dict[str, Any]:
        """Arguments of the losses that follow from the data; speckled scenes are compared in logarithms."""
        return {**super().loss_defaults(), "unit": self._unit, "floor": self._floor, "looks": self._looks}

    def metrics(self, output: ModelOutput) -> StreamingMetrics:
        """Scores against the truth; of radar scenes that have none, by what needs none."""
        names = [band.name for band in output.bands]
        if self.scoring.reference == "none":
            assert self._unit is not None
            return DespecklingMetrics(names, unit=self._unit, looks=self._nominal_looks, spacing=self._spacing)
        return RestorationMetrics(
            names,
            peak=self.peak(output),
            crop=self.scoring.crop,
            quantise=self.quantise,
            unit=output.bands[0].unit,
        )

    @property
    def _nominal_looks(self) -> float:
        """The scenes' number of looks, that what was removed is judged by."""
        low, high = as_range(self.recipe.noise.looks)
        if low < high:
            raise RecipeError("noise.looks", f"expected the scenes' one number of looks. Received: {[low, high]}.")
        return self._looks

    @property
    def _spacing(self) -> int:
        """Pixels at which speckle of the stated correlation is as good as independent."""
        return 2 + int(np.searchsorted([0.5, 0.7], as_range(self.recipe.noise.correlation)[1]))

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """Classical filters; where there are clean samples, those whose strength is tuned on them too."""
        if self.recipe.network.name == "ffdnet" or self.recipe.noise.learn == "merlin":
            return {}
        every: dict[str, Baseline] = {}
        if self._unit is not None:
            looks = self._looks
            every |= {"lee": Lee(looks, unit=self._unit), "refined_lee": RefinedLee(looks, unit=self._unit)}
        if self.recipe.noise.learn in ("clean", "targets"):
            speckled: dict[str, Any] = {"unit": self._unit, "looks": self._looks, "floor": self._floor}
            every |= {"nlm": NonLocalMeans(**speckled), "tv": TotalVariation(**speckled)}
        return every

    def take_over(self, trained: Pipeline) -> None:
        """Takes over the least intensity; see `Pipeline.take_over`."""
        assert isinstance(trained, Denoising)
        self._floor = trained._floor

    def protocol(self) -> dict[str, Any]:
        """Returns what noise was added, and how scores were taken."""
        noise = self.recipe.noise
        told: dict[str, Any] = {"kind": noise.kind}
        if noise.kind == "none":
            told["learn"] = noise.learn
        keys = {"gaussian": ("sigma",), "poisson_gaussian": ("gain", "sigma"), "speckle": ("looks", "correlation")}
        told |= {key: getattr(noise, key) for key in keys.get(noise.kind, ())}
        if self._unit is not None:
            told["unit"] = self._unit
        if self.scoring.reference == "none":
            told = {"kind": "that of the scenes", "looks": self._nominal_looks}
            return {"metric": "scores that need no truth, pooled over scenes; ENL: median over areas", "noise": told}
        truths = {
            "blind_spot": "the noisy scenes, at hidden pixels",
            "noise2noise": "the second looks",
            "targets": "the second looks, taken as clean",
            "merlin": "the other part, squared and doubled",
        }
        return {
            **super().protocol(),
            "noise": told,
            "noisy values": "not clipped",
            "truth": truths.get(noise.learn or "", "the scenes, taken as clean"),
        }

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws noisy, restored and true samples beside one another; of radar the ratio image too."""
        shown = list(self.drawn(call, samples, contract))
        bands, unit = [band.name for band in contract.output.bands], contract.output.bands[0].unit
        known = self.scoring.reference == "truth"
        figure = denoising_figure(
            [sample.x[..., : len(bands)] for sample in shown],
            [sample.prediction for sample in shown],
            [sample.y for sample in shown] if known else None,
            bands=bands,
            names=[sample.name for sample in shown],
            scores=[
                {
                    "noisy": {"PSNR": sample.scores.get("psnr_input", np.nan)},
                    "denoised": {"PSNR": sample.scores["psnr"]},
                }
                for sample in shown
            ]
            if known
            else None,
            unit=unit,
            metres=[sample.metres for sample in shown],
        )
        figures = {"Held-out samples, chosen by PSNR" if known else "Held-out samples": to_png(figure)}
        if self._unit is not None:
            low, high = as_range(self.recipe.noise.looks)
            looks = self._looks if low == high else None
            intensity = to_intensity(shown[0].x[..., 0], self._unit)
            ratio = ratio_figure(
                shown[0].x[..., :1],
                shown[0].prediction[..., :1],
                areas=homogeneous_areas(intensity, looks=looks),
                looks=looks,
                unit=self._unit,
                title=shown[0].name,
            )
            figures["What was removed should be speckle and nothing else"] = to_png(ratio)
        return figures

    def layers(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> Viewer:
        """Shows a held-out place: noisy, denoised, the truth where there is one, and what differs."""
        known = self.scoring.reference == "truth"
        names = ("noisy", "denoised")
        return restored_viewer(contract, call, samples, others={}, known=known, names=names, seed=self.recipe.seed)


def _as_it_is(
    values: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return values, values, weight


PIPELINE = Denoising
