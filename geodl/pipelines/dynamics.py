"""Dynamics: a neural ODE learns the flow behind observed trajectories, and emulates the system far ahead."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from geodl import losses
from geodl.autodiff import enable_float64
from geodl.baselines import DMD, NGRC, Baseline, OneStepLSTM, PySINDy, SteadyState
from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.data.folds import Part
from geodl.data.samples import Samples
from geodl.data.segments import SegmentSamples
from geodl.data.trajectories import Trajectory
from geodl.errors import RecipeError, TrajectoryUnusable
from geodl.metrics.dynamics import TrajectoryMetrics
from geodl.models import MLPODE, BilinearField, BilinearODE, ResidualODE
from geodl.models.identification import identify_quadratic
from geodl.physics.systems import System, find_system
from geodl.pipelines.climate import Climate, climate
from geodl.pipelines.evaluation import Call, Evaluation
from geodl.pipelines.networks import build_network
from geodl.pipelines.portraits import CEILINGS, portraits
from geodl.pipelines.task import Parts, Pipeline, StreamingMetrics, Table
from geodl.pipelines.trajectories import simulated, tables, trajectory_tables
from geodl.pipelines.validity import validity_tables
from geodl.recipe import DynamicsRecipe, Recipe

__all__ = ("PIPELINE", "Dynamics")

_NETWORKS: dict[str, Callable[..., keras.Model]] = {"bilinear": BilinearODE, "mlp": MLPODE, "residual": ResidualODE}
_SINGLE, _DOUBLE = 18.0, 40.0
"""Lyapunov times of forecasts that are scored: beyond what float32 and float64 can hold."""
_STEPS = 2000
"""Steps of a trajectory that is learnt from, where nobody says how long it is."""
_CHOSEN = 32
"""Forecasts that choose the best epoch."""
_REACH = 2.0
"""Lyapunov times that they last."""
_PAST = 16
"""States before the first one that baselines are shown."""
_UNKNOWN_REACH = 200
"""Steps of forecasts of systems whose Lyapunov time nobody states."""

_REFINED = 100
"""Most coefficients that are refined unasked: it takes seconds."""


class Dynamics(Pipeline):
    """The `dynamics` pipeline."""

    name: ClassVar[str] = "dynamics"
    recipe_model: ClassVar[type[Recipe]] = DynamicsRecipe
    monitor: ClassVar[str] = "nrmse"
    mode: ClassVar[Literal["max", "min"]] = "min"
    settled: ClassVar[tuple[str, ...]] = ("network", "train")
    recipe: DynamicsRecipe

    _spread: float = 1.0
    """Of the true states, in the norm of all variables."""
    _std: np.ndarray
    """Of each variable of the training states."""
    _expected: tuple[str, ...] | None = None
    """Variables of a trained network."""
    _climate: Climate | None = None
    """What `extended` found, for the pictures."""
    _step: float = 1.0
    _unit: str = ""

    def samples(self) -> Parts:
        """Reads, or simulates, the recipe's trajectories, splits them and cuts them into segments."""
        split = self._split_of_recipe()
        train = split["train"]
        observed = np.concatenate([trajectory.states for trajectory in train])
        mean, std = np.nanmean(observed, axis=0), np.nanstd(observed, axis=0)
        if not std.all():
            still = ", ".join(name for name, spread in zip(train[0].variables, std) if not spread)
            raise TrajectoryUnusable(
                ", ".join(trajectory.name for trajectory in train[:3]),
                f"{still} never changes",
                advice="Leave it out (data.bands), or give trajectories in which it does.",
            )
        self._std = std
        self._note(split.get("test") or split.get("validation") or train)
        first = train[0]
        steps, stages = self.recipe.train.steps_per_epoch, self.recipe.horizon.stages(self.recipe.train.epochs)
        longer = [(epoch * steps, horizon) for epoch, horizon in stages.items() if epoch]
        samples = SegmentSamples(train, horizon=stages[0], horizons=longer, dtype=self._dtype)
        bands = tuple(
            Band(name, unit=unit, dtype=self._dtype) for name, unit in zip(first.variables, first.units, strict=True)
        )
        size = len(bands)
        eaten = ModelInput(
            (Dim("time", step=self._step, unit=self._unit), Dim("state", size=size)), bands, dtype=self._dtype
        )
        factors = tuple(
            Band(f"error_{bands[row].name}_{bands[column].name}", dtype=self._dtype)
            for row in range(size)
            for column in range(row + 1)
        )
        given = ModelOutput(
            "trajectory", bands=(*bands, *factors) if self._is_probabilistic else bands, nodata=float("nan")
        )
        return Parts(
            samples,
            self._held(split.get("validation"), states=_CHOSEN, reach=_REACH),
            self._held(split.get("test"), states=self.recipe.verification.states),
            eaten,
            given,
            mean,
            std,
            trajectory_tables(split),
        )

    def held_out(self, contract: Contract, part: Part | Literal["all"] | None) -> tuple[Samples, str]:
        """Held-out states: of the tables' held-out part, or simulated ones, drawn from the seed."""
        if contract.input.dtype == "float64":
            enable_float64()
        self._expected = tuple(band.name for band in contract.input.bands)
        named: Part = "test" if part in (None, "all") else part  # type: ignore[assignment]
        split = self._split_of_recipe(whole=part == "all", wanted=named)
        if part is None and not split.get("test"):
            named = "validation"
        trajectories = split.get(named)
        if not trajectories:
            raise RecipeError("data.split", f"holds no {named} part. Expected one of: {', '.join(split)}.")
        self._note(trajectories)
        self._step = contract.input.dim("time").step or self._step
        dtype: Literal["float32", "float64"] = "float64" if contract.input.dtype == "float64" else "float32"
        held = self._held(trajectories, states=self.recipe.verification.states, dtype=dtype)
        assert held is not None
        return held, "all" if part == "all" else named

    def network(self, parts: Parts) -> keras.Model:
        """Builds the recipe's network; its field starts from least squares where the recipe says so."""
        assert isinstance(parts.train, SegmentSamples)
        rate = _rate(parts.train.trajectories, parts.mean, parts.std)
        given = {
            "states": len(parts.input.bands),
            "mean": parts.mean.tolist(),
            "std": parts.std.tolist(),
            "rate": rate.tolist(),
        }
        network = build_network(_NETWORKS, self.recipe.network, given=given, defaults={"substeps": 1})
        if self.recipe.start.method == "least_squares":
            self._start(network, parts, rate)
            self.scores_start = True
        return network

    def loss(self) -> keras.losses.Loss:
        """Builds the recipe's sum of losses, in standard deviations of the training states."""
        usual = "state_likelihood" if self._is_probabilistic else "state_norm"
        terms: list[dict[str, Any]] = self.recipe.loss or [{"name": usual}]
        names = [term["name"] for term in terms]
        if ("state_likelihood" in names or self._is_probabilistic) and (names, self._is_probabilistic) != (
            ["state_likelihood"],
            True,
        ):
            problem = f"network.head gaussian is learnt by state_likelihood alone, and nothing else is. Received: {', '.join(names)}."
            raise RecipeError("loss", problem)
        return losses.build(terms, among=losses.DYNAMICS, defaults={"std": self._std.tolist()})

    def metrics(self, output: ModelOutput) -> StreamingMetrics:
        """Errors after some steps and after a Lyapunov time, and valid prediction times."""
        channels = len(output.bands)
        # With S (S + 1) / 2 channels for the covariance there are S (S + 3) / 2 in all.
        size = (math.isqrt(9 + 8 * channels) - 3) // 2 if self._is_probabilistic else channels
        return TrajectoryMetrics(
            spread=self._spread,
            step=self._step,
            lyapunov_time=self._lyapunov_time,
            threshold=self.recipe.verification.threshold,
            time_unit=self._unit,
            std=np.ones(size),
        )

    def baselines(self, output: ModelOutput) -> Mapping[str, Baseline]:
        """Persistence, a linear model, next-generation reservoir computing, an LSTM; with pysindy a sparse regression."""
        kinds: dict[str, Callable[[], Baseline]] = {
            "persistence": SteadyState,
            "dmd": DMD,
            "ngrc": NGRC,
            "lstm": OneStepLSTM,
        }
        asked = self.recipe.verification.baselines
        if asked != "auto" or PySINDy.available():
            kinds["pysindy"] = PySINDy
        chosen = kinds if asked == "auto" else {name: kinds[name] for name in asked}
        return {name: kind() for name, kind in chosen.items()}

    def extended(
        self, evaluation: Evaluation, contract: Contract, network: keras.Model, samples: Samples
    ) -> Evaluation:
        """Adds what a long free run shows: the invariant measure, spectra, Lyapunov exponents."""
        assert isinstance(samples, SegmentSamples)
        found = climate(
            network,
            contract,
            samples,
            system=self._system,
            duration=self.recipe.verification.free_run,
            exponents=self.recipe.verification.exponents,
            seed=self.recipe.seed,
        )
        self._climate = found
        return replace(
            evaluation,
            metrics={**evaluation.metrics, **found.metrics},
            details={**evaluation.details, **found.details},
            protocol={**evaluation.protocol, "dtype": contract.input.dtype},
        )

    def tables(self, evaluation: Evaluation) -> tuple[Table, ...]:
        """Lays out valid prediction times, errors, and what the free run shows."""
        return validity_tables(evaluation)

    def protocol(self) -> dict[str, Any]:
        """Returns how the metrics are computed."""
        verification, simulation = self.recipe.verification, self.recipe.simulation
        said = {
            "valid prediction time": f"until the error is above {verification.threshold:g} × the spread "
            f"{self._spread:.4g} of the true states; median and quartiles over forecasts; not-a-number ends one",
            "Lyapunov time": "not known: times are in time units"
            if self._lyapunov_time is None
            else f"{self._lyapunov_time:.4g} {self._unit or 'time units'}",
        }
        if self._system is not None:
            said["truth"] = f"{self._system.name}, SciPy DOP853, rtol = atol = {simulation.tolerance:g}, float64"
            if self._system.name == "lorenz63":
                said["ceilings (LT)"] = ", ".join(f"{value} in {name}" for name, value in CEILINGS.items())
        return {**said, "step": self._step, "seed": self.recipe.seed}

    def figures(self, contract: Contract, call: Call, samples: Samples, evaluation: Evaluation) -> dict[str, bytes]:
        """Draws the attractor, the forecast of median length, valid prediction times and the climate."""
        assert isinstance(samples, SegmentSamples)
        return portraits(
            call,
            samples,
            evaluation,
            contract=contract,
            spread=self._spread,
            lyapunov_time=self._lyapunov_time,
            threshold=self.recipe.verification.threshold,
            system=None if self._system is None else self._system.name,
            run=None if self._climate is None else self._climate.run,
            truth=None if self._climate is None else self._climate.truth,
        )

    @property
    def _dtype(self) -> Literal["float32", "float64"]:
        return "float64" if self.recipe.train.precision == "float64" else "float32"

    @property
    def _is_probabilistic(self) -> bool:
        return self.recipe.network.options.get("head", "state") == "gaussian"

    @property
    def _system(self) -> System | None:
        """The system that is simulated; None where there are tables."""
        name = self.recipe.system
        return None if name is None or self.recipe.data.trajectories is not None else find_system(name)

    @property
    def _lyapunov_time(self) -> float | None:
        """In time units; None where nobody states it."""
        stated = self.recipe.verification.lyapunov_time
        exponent = None if self._system is None else self._system.lyapunov
        return stated or (None if exponent is None else 1 / exponent)

    def _note(self, scored: Sequence[Trajectory]) -> None:
        """Remembers what metrics need of the true states."""
        states = np.concatenate([trajectory.states for trajectory in scored])
        self._spread = float(np.sqrt(np.nanvar(states, axis=0).sum()))
        self._step, self._unit = float(np.median([one.step for one in scored])), scored[0].time_unit

    def _split_of_recipe(self, *, whole: bool = False, wanted: Part | None = None) -> Mapping[Part, list[Trajectory]]:
        """Simulates, or reads and splits, the trajectories; see `geodl.pipelines.trajectories`."""
        recipe, system = self.recipe, self._system
        for key in ("images", "labels", "targets", "sequences", "series"):
            if getattr(recipe.data, key) is not None:
                raise RecipeError(f"data.{key}", "dynamics learns from data.trajectories alone.")
        if system is None:
            return tables(recipe, variables=self._expected, whole=whole)
        step = recipe.simulation.step or system.step
        parts: dict[Part, tuple[int, float]] = {
            "train": (recipe.simulation.count, recipe.simulation.duration or _STEPS * step),
            "validation": (_CHOSEN, self._reach(_REACH, step=step) + _PAST * step),
            "test": (recipe.verification.states, self._reach(None, step=step) + _PAST * step),
        }
        asked = tuple(parts) if wanted is None else (wanted,)
        return {part: simulated(recipe, system, part, *parts[part]) for part in asked}

    def _reach(self, lyapunov_times: float | None, *, step: float) -> float:
        """Time units of forecasts that are scored."""
        asked, unit = self.recipe.verification.duration, self._lyapunov_time
        if lyapunov_times is None and asked is not None:
            return asked
        if unit is None:
            return _UNKNOWN_REACH * step
        longest = _DOUBLE if self._dtype == "float64" else _SINGLE
        return max((lyapunov_times or longest) * unit, 8 * step)

    def _held(
        self,
        trajectories: Sequence[Trajectory] | None,
        *,
        states: int,
        reach: float | None = None,
        dtype: Literal["float32", "float64"] | None = None,
    ) -> SegmentSamples | None:
        """Makes forecasts that are scored out of a held-out part; None where there is none."""
        if not trajectories:
            return None
        step = float(np.median([one.step for one in trajectories]))
        longest = max(len(one.times) for one in trajectories) - 1
        horizon = min(round(self._reach(reach, step=step) / step), max(longest - _PAST, 1))
        return SegmentSamples(
            trajectories, horizon=horizon, dtype=dtype or self._dtype, starts=states, past=_PAST, seed=self.recipe.seed
        )

    def _start(self, network: keras.Model, parts: Parts, rate: np.ndarray) -> None:
        """Puts the field that least squares find into a bilinear network."""
        field = network.get_layer("flow").field
        if not isinstance(field, BilinearField):
            raise RecipeError(
                "start.method", f"least_squares is for network.name bilinear. Received: {self.recipe.network.name}."
            )
        assert isinstance(parts.train, SegmentSamples)
        size, start = len(parts.mean), self.recipe.start
        unknown = size * (1 + size + size * (size + 1) // 2)
        # In physical coordinates, where systems have fewer terms than around their mean.
        found = identify_quadratic(
            [(one.times, one.states) for one in parts.train.trajectories],
            refine=unknown <= _REFINED if start.refine == "auto" else start.refine,
            sparse=start.sparse,
        )
        field.set_quadratic(*found.standardised(parts.mean, parts.std, rate))


def _rate(trajectories: Sequence[Trajectory], mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Standard deviation per variable of the derivative of standardised states, by differences of neighbours."""
    slopes = np.concatenate(
        [np.diff((one.states - mean) / std, axis=0) / np.diff(one.times)[:, None] for one in trajectories]
    )
    found = np.sqrt(np.nanmean(slopes**2, axis=0))
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


PIPELINE = Dynamics
