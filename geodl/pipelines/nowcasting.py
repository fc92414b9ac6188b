"""Precipitation nowcasting: from radar frames to forecasts of the next ones, verified as radar meteorology does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import keras
import numpy as np

from geodl import losses
from geodl.baselines import ANVIL, SPROG, Advection, Baseline, Extrapolation, Persistence
from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.data.augment import Augmentation
from geodl.data.clips import ClipReader, ClipSamples, DomainClips, find_clips
from geodl.data.pixelsize import TOLERANCE, metres_per_pixel
from geodl.data.radar import ZR, RadarSequence, find_sequences, open_sequence
from geodl.data.samples import Samples
from geodl.data.source import Grid
from geodl.data.splits import Part
from geodl.data.statistics import sample_statistics
from geodl.data.timesplit import Interval, TimeSplit, split_sequences
from geodl.errors import FramesMissing, RecipeError, ResolutionMismatch
from geodl.metrics.bootstrap import intervals
from geodl.metrics.nowcast import NowcastMetrics
from geodl.models import EncoderForecaster, RainNet
from geodl.physics.rain import Transform, to_transformed
from geodl.pipelines.csi import csi_tables
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.networks import build_network
from geodl.pipelines.task import Parts, Pipeline, StreamingMetrics, Table
from geodl.pipelines.viewing import forecast_viewer
from geodl.recipe import NowcastingRecipe, Recipe, Split
from geodl.report.figures import to_png
from geodl.report.layers import Viewer
from geodl.report.nowcast import csi_figure, reliability_figure, spectrum_figure
from geodl.report.rain import forecast_figure

__all__ = ("PIPELINE", "Nowcasting")

_NETWORKS: dict[str, Callable[..., keras.Model]] = {"convlstm": EncoderForecaster, "rainnet": RainNet}
_PATCH = 128
_LOOKED = 12
"""Clips of which the wettest is drawn."""
_MINUTE = np.timedelta64(60, "s")

Found = list[tuple[str, RadarSequence, TimeSplit]]


class Nowcasting(Pipeline):
    """The `nowcasting` pipeline."""

    name: ClassVar[str] = "nowcasting"
    recipe_model: ClassVar[type[Recipe]] = NowcastingRecipe
    monitor: ClassVar[str] = "csi"
    mode: ClassVar[Literal["max", "min"]] = "max"
    settled: ClassVar[tuple[str, ...]] = ("network", "clip")
    always_compared: ClassVar[bool] = True
    recipe: NowcastingRecipe

    _minutes: float = 0.0
    """Between two frames."""
    _pixel: float | None = None
    """Size of a pixel in kilometres, where it is known."""
    _std: float = 1.0
    """Of the transformed training values."""
    _phases: int = 1
    """Sequences that one is taken apart into, where its step is finer."""

    def samples(self) -> Parts:
        """Opens the recipe's sequences at one step and resolution, splits them and cuts them into clips."""
        found = self._open()
        first = found[0][1]
        metres = _metres(first)
        self._note(first.step, metres)
        reader = self._reader()
        patch = _PATCH if self.recipe.data.patch == "auto" else self.recipe.data.patch
        train = ClipSamples(
            self._clips(found, "train"), reader, patch=patch, augment=Augmentation(**self._augmentation())
        )
        transformed = partial(to_transformed, transform=self._transform)
        mean, std = sample_statistics(train, transform=transformed, seed=self.recipe.seed)
        self._std = float(std[0])
        rate = Band("rain_rate", unit="mm/h")
        clip, unit = self.recipe.clip, "" if metres is None else "metre"
        eaten = ModelInput(
            (
                Dim("time", size=clip.frames, step=60 * self._minutes, unit="s"),
                Dim("y", step=metres, unit=unit),
                Dim("x", step=metres, unit=unit),
                Dim("band", size=1),
            ),
            (rate,),
            advected=clip.leads if clip.advected else 0,
        )
        spread = (Band("log_variance", unit=self._transform),) if self._is_probabilistic else ()
        given = ModelOutput("sequence", bands=(rate, *spread), nodata=float("nan"), leads=clip.leads)
        return Parts(
            train,
            self._scored(found, "validation", reader),
            self._scored(found, "test", reader),
            eaten,
            given,
            mean,
            std,
            (*self._sequence_tables(found), self._split_table(found)),
        )

    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Opens the recipe's sequences as a trained network eats them; see `Pipeline.held_out`."""
        time, y = contract.input.dim("time"), contract.input.dim("y")
        assert time.step is not None
        step = np.timedelta64(round(time.step), "s")
        self._note(step, y.step)
        found = self._open(step=step, metres=y.step, whole=part == "all")
        named: Part = "test" if part in (None, "all") else part  # type: ignore[assignment]
        if part is None and not any(split.intervals.get("test") for *_, split in found):
            named = "validation"
        reader = self._reader()
        clips = self._clips(found, named, scored=True)
        return DomainClips(clips, reader, part=named), "all" if part == "all" else named

    def network(self, parts: Parts) -> keras.Model:
        """Builds the recipe's network."""
        clip = self.recipe.clip
        given = {
            "frames": clip.frames,
            "leads": clip.leads,
            "advected": clip.advected,
            "mean": float(parts.mean[0]),
            "std": float(parts.std[0]),
        }
        return build_network(_NETWORKS, self.recipe.network, given=given)

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of losses, in the network's transformed space."""
        usual = "rain_likelihood" if self._is_probabilistic else "balanced"
        terms: list[dict[str, Any]] = self.recipe.loss or [{"name": usual}]
        names = [term["name"] for term in terms]
        if ("rain_likelihood" in names or self._is_probabilistic) and (names, self._is_probabilistic) != (
            ["rain_likelihood"],
            True,
        ):
            problem = f"network.head gaussian is learnt by rain_likelihood alone, and nothing else is. Received: {', '.join(names)}."
            raise RecipeError("loss", problem)
        verified = {"thresholds": self.recipe.verification.thresholds}
        terms = [{**verified, **term} if term["name"] == "soft_csi" else term for term in terms]
        return losses.build(terms, among=losses.NOWCAST, defaults={"transform": self._transform, "std": self._std})

    def metrics(self, output: ModelOutput) -> StreamingMetrics:
        """Contingency tables, fractions, errors and spectra, per threshold, scale and lead time."""
        verification = self.recipe.verification
        return NowcastMetrics(
            verification.thresholds,
            lead_minutes=[self._minutes * (k + 1) for k in range(output.leads)],
            scales=verification.scales,
            pixel_km=self._pixel,
            block=max(-(-(self.recipe.clip.frames + self.recipe.clip.leads) * self._phases // verification.stride), 1),
            spread=self._transform if len(output.bands) > 1 else None,
        )

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """Persistence and advection; where pysteps is installed its extrapolation, S-PROG and ANVIL."""
        clip, asked = self.recipe.clip, self.recipe.verification.baselines
        given: dict[str, Any] = {"advected": clip.leads if clip.advected else 0}
        kinds: dict[str, Callable[..., Baseline]] = {"persistence": Persistence, "advection": Advection}
        if asked != "auto" or Extrapolation.available():
            kinds |= {"extrapolation": Extrapolation, "sprog": SPROG, "anvil": ANVIL}
        chosen = kinds if asked == "auto" else {name: kinds[name] for name in asked}
        return {name: kind(output.leads, **given) for name, kind in chosen.items()}

    def tables(self, evaluation: Evaluation) -> tuple[Table, ...]:
        """Lays out the critical success index by threshold and lead time, and says who wins."""
        return csi_tables(evaluation)

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws skill against lead time, spectra, and the forecast of the wettest clip."""
        details, others = evaluation.details, {name: other.details for name, other in evaluation.baselines.items()}
        drawn = {
            "Critical success index by lead time": csi_figure(
                details, others, intervals=intervals(details, seed=self.recipe.seed), name=self.name
            ),
            f"Spectra at +{details['lead_minutes'][-1]:g} min": spectrum_figure(details, others, name=self.name),
        }
        if "reliability" in details:
            drawn["Reliability of the probabilities of rain"] = reliability_figure(details)
        assert isinstance(samples, DomainClips)
        rng = np.random.default_rng(self.recipe.seed)
        looked = rng.permutation(len(samples))[:_LOOKED]
        wettest = max((int(k) for k in looked), key=lambda k: float(np.nansum(samples.read(k, rng)[1])))
        x, y, _ = samples.read(wettest, rng)
        clip, frames = samples.clips[wettest], self.recipe.clip.frames
        shown = {self.name: np.where(np.isfinite(x[frames - 1, ..., 0]), call(x[None])[0, ..., 0], np.nan)}
        if self.recipe.clip.advected:
            shown["advection"] = x[frames:, ..., 0]
        drawn[f"A forecast: {samples.place(wettest).name}"] = forecast_figure(
            y[..., 0],
            shown,
            lead_minutes=details["lead_minutes"],
            grid=clip.sequence.grid,
            last=x[frames - 1, ..., 0],
            start=clip.sequence.times[clip.start + frames - 1],
        )
        return {caption: to_png(figure) for caption, figure in drawn.items()}

    def layers(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> Viewer:
        """Shows the forecast of a wet clip: observed and forecast at some lead times."""
        assert isinstance(samples, DomainClips)
        minutes = evaluation.details["lead_minutes"]
        return forecast_viewer(contract, call, samples, minutes=minutes, seed=self.recipe.seed)

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed."""
        verification = self.recipe.verification
        scored = "those whose last lead time was observed" if verification.complete else "each lead time observed"
        return {
            "metric": "contingency tables summed over all forecasts; rain rates in mm/h",
            "lead times (minutes)": [self._minutes * (k + 1) for k in range(self.recipe.clip.leads)],
            "intervals": "90 %, of a bootstrap over blocks of consecutive forecasts, each as long as a clip",
            "forecasts": f"whole domains, every {verification.stride} frame(s), {scored}",
            "from outside": "where nothing is forecast, no rain is; all methods are scored on the same pixels",
            "seed": self.recipe.seed,
        }

    @property
    def _transform(self) -> Transform:
        asked = self.recipe.network.options.get("transform", "log")
        if asked not in get_args(Transform):
            known = ", ".join(get_args(Transform))
            raise RecipeError("network.transform", f"expected one of: {known}. Received: {asked!r}.")
        return asked  # type: ignore[no-any-return]

    @property
    def _is_probabilistic(self) -> bool:
        return self.recipe.network.options.get("head", "rate") == "gaussian"

    def _note(self, step: np.timedelta64, metres: float | None) -> None:
        self._minutes = float(step / _MINUTE)
        self._pixel = None if metres is None else metres / 1000

    def _reader(self) -> ClipReader:
        clip = self.recipe.clip
        return ClipReader(clip.frames, clip.leads, advected=clip.advected)

    def _augmentation(self) -> dict[str, Any]:
        asked = self.recipe.data.augment
        if asked.brightness or asked.contrast or asked.noise or asked.scale != [1.0, 1.0]:
            raise RecipeError("data.augment", "rain is mirrored and turned only: expected flips and rotations.")
        return {"flips": asked.flips, "rotations": asked.rotations}

    def _open(self, *, step: np.timedelta64 | None = None, metres: float | None = None, whole: bool = False) -> Found:
        """Opens the sequences of the recipe at one step and pixel size, and says which part each stretch is of.

        Args:
            step: of a trained network; default: the recipe's, else the first sequence's.
            metres: pixel size of a trained network; default: likewise.
            whole: all of each is for testing, whatever the recipe's split.
        """
        data = self.recipe.data
        if data.sequences is None:
            raise RecipeError(
                "data.sequences", "no radar sequences given. Set it to a folder (--set data.sequences=FOLDER)."
            )
        if data.images is not None or data.labels is not None or data.targets is not None:
            raise RecipeError("data", "nowcasting learns from data.sequences alone: they are their own truth.")
        step = step or (None if data.step is None else np.timedelta64(round(60 * data.step), "s"))
        metres = metres or data.resolution
        found: list[tuple[str, RadarSequence]] = []
        for name, spec in find_sequences(data.sequences):
            sequence = open_sequence(
                spec, name=name, zr=None if data.zr is None else ZR(*data.zr), unit=data.unit, minutes=data.minutes
            )
            least = self.recipe.clip.frames + 1
            if len(sequence.times) < least:
                raise FramesMissing(name, expected=f"at least {least} frames", received=str(len(sequence.times)))
            sequence = _at_resolution(sequence, metres, averaged=data.resample is not None)
            metres, step = metres or _metres(sequence), step or sequence.step
            found.append((name, sequence))
        assert step is not None
        spans = [(name, (_first(sequence), _end(sequence))) for name, sequence in found]
        splits = [TimeSplit({"test": (span,)}) for _, span in spans] if whole else self._split(spans)
        phases = [sequence.phases(step) for _, sequence in found]
        self._phases = max(map(len, phases))
        return [
            (name, phase, split)
            for (name, _), split, those in zip(found, splits, phases, strict=True)
            for phase in those
        ]

    def _split(self, spans: list[tuple[str, Interval]]) -> list[TimeSplit]:
        """Splits by the recipe. A fold is reported only, so it becomes the test part: no epoch is chosen on it."""
        data = self.recipe.data
        asked = data.split if isinstance(data.split, Split) else Split()
        splits = split_sequences(spans, seed=self.recipe.seed, **asked.rule())
        return splits if asked.fold is None else [_as_test(split) for split in splits]

    def _clips(self, found: Found, part: Part, *, scored: bool = False) -> list[Any]:
        clip, verification = self.recipe.clip, self.recipe.verification
        stretches = [
            (name, sequence.between(*interval), split.group)
            for name, sequence, split in found
            for interval in split.intervals.get(part, ())
            if ((sequence.times >= interval[0]) & (sequence.times < interval[1])).any()
        ]
        return find_clips(
            stretches,
            frames=clip.frames,
            leads=clip.leads,
            least=clip.leads if scored and verification.complete else 1,
            stride=verification.stride if scored else 1,
        )

    def _scored(self, found: Found, part: Part, reader: ClipReader) -> DomainClips | None:
        """Returns a held-out part; None where the split has none."""
        if not any(split.intervals.get(part) for *_, split in found):
            return None
        return DomainClips(self._clips(found, part, scored=True), reader, part=part)

    def _sequence_tables(self, found: Found) -> tuple[Table, Table]:
        """What the sequences are, and where and when."""
        pixels, places = [], []
        for name in dict.fromkeys(name for name, *_ in found):
            phases = [sequence for other, sequence, _ in found if other == name]
            first, grid = phases[0], phases[0].grid
            pixels.append(
                (
                    name,
                    sum(len(phase.times) for phase in phases),
                    sum(len(phase.missing) for phase in phases),
                    f"{first.step / _MINUTE:g} min" + (f" × {len(phases)}" if len(phases) > 1 else ""),
                    f"{grid.height} × {grid.width}",
                    f"{grid.resolution[0]:.5g} {grid.unit or 'pixels'}",
                    str(first.quantity),
                )
            )
            times = [time for phase in phases for time in phase.times[[0, -1]]]
            places.append((name, *(str(time)[:16].replace("T", " ") for time in (min(times), max(times))), _crs(grid)))
        columns = ("sequence", "frames", "missing", "step", "size", "pixel", "stored as")
        return (
            Table("Radar sequences", columns, tuple(pixels)),
            Table("Where and when (UTC)", ("sequence", "first", "last", "projection"), tuple(places)),
        )

    def _split_table(self, found: Found) -> Table:
        rows = []
        parts: tuple[Part, ...] = ("train", "validation", "test")
        for part in parts:
            if any(split.intervals.get(part) for *_, split in found):
                clips = self._clips(found, part, scored=part != "train")
                rows.append((part, len({clip.name for clip in clips}), len(clips)))
        by = found[0][2].by
        return Table(f"Split (by {by})", ("part", "sequences", "clips"), tuple(rows))


def _crs(grid: Grid) -> str:
    """A CRS in a word or two: its code, else its projection."""
    if grid.crs is None:
        return "none"
    code = grid.crs.to_authority(min_confidence=70)
    if code is not None:
        return ":".join(code)
    operation = grid.crs.coordinate_operation
    return grid.crs.name if operation is None else operation.method_name


def _first(sequence: RadarSequence) -> np.datetime64:
    return sequence.times[0]


def _end(sequence: RadarSequence) -> np.datetime64:
    """The first time that is no longer of a sequence."""
    return sequence.times[-1] + sequence.step


def _as_test(split: TimeSplit) -> TimeSplit:
    intervals = dict(split.intervals)
    if "validation" in intervals:
        intervals["test"] = intervals.pop("validation")
    return TimeSplit(intervals, split.by, split.group)


def _metres(sequence: RadarSequence) -> float | None:
    """Pixel size of a sequence; None without CRS."""
    own = metres_per_pixel(sequence.grid)
    return None if own is None else float(np.mean(own))


def _at_resolution(sequence: RadarSequence, metres: float | None, *, averaged: bool) -> RadarSequence:
    """Brings a sequence to a pixel size, where that is known and is not its own."""
    own = _metres(sequence)
    if metres is None or own is None or abs(own / metres - 1) <= TOLERANCE:
        return sequence
    if not averaged:
        raise ResolutionMismatch(
            sequence.name,
            expected=f"{metres:.5g} m",
            received=f"{own:.5g} m",
            advice="Set data.resample to average, to bring all sequences to one pixel size (data.resolution, or the first "
            "sequence's).",
        )
    return sequence.at_resolution(metres)


PIPELINE = Nowcasting
