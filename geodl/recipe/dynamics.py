"""Recipes of dynamics: the system that is emulated, how far ahead it is learnt, and how forecasts are verified."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from geodl.recipe.model import Network, Recipe
from geodl.recipe.sections import Section

__all__ = ("DynamicsRecipe", "Horizon", "Simulation", "Start", "VerifiedStates")

BaselineName = Literal["persistence", "dmd", "ngrc", "lstm", "pysindy"]
SystemName = Literal["lorenz63", "lorenz96", "rossler"]


class Simulation(Section):
    """What is learnt from where no trajectories are given: the system, solved by SciPy's DOP853 in float64."""

    count: int = Field(default=1, ge=1)
    """Trajectories."""
    duration: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time units of each; null: 2000 steps."""
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time units between states; null: the system's usual step."""
    transient: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Time units that pass before the first state; null: until the system is on its attractor. 0: trajectories start off
    it, and show how the system comes back to it."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Observation noise: standard deviation as a share of each variable's own."""
    irregular: float = Field(default=0.0, ge=0, lt=1)
    """Share of the step over which each time is spread at random."""
    missing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the values that are not observed."""
    observed: list[str] | None = Field(default=None, min_length=1)
    """Variables that are observed; null: all."""
    tolerance: float = Field(default=1e-13, ge=3e-14, lt=1)
    """rtol and atol of the solver."""


class Horizon(Section):
    """How far ahead a segment reaches: it doubles from `first` to `last` in equal shares of the epochs."""

    first: int = Field(default=1, ge=1)
    """Steps from a segment's first state to its last when training begins."""
    last: int = Field(default=8, ge=1)
    """Steps when it ends."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"expected first of at most last. Received: {self.first} and {self.last}.")
        return self

    def stages(self, epochs: int) -> dict[int, int]:
        """Returns the horizon by the epoch, from 0, from which on it holds; of more horizons than epochs the longer ones."""
        horizons = [self.first]
        while 2 * horizons[-1] < self.last:
            horizons.append(2 * horizons[-1])
        if self.last > self.first:
            horizons.append(self.last)
        return {number * epochs // len(horizons): horizon for number, horizon in enumerate(horizons)}


class Start(Section):
    """What the weights of a network are before it is trained."""

    method: Literal["random", "least_squares"] = "random"
    """least_squares: the quadratic field that fits the trajectories best, in weak form; for `bilinear` alone. It is scored
    before the first step, and kept if training makes nothing better of it."""
    refine: bool | Literal["auto"] = "auto"
    """Whether that field is then improved until whole trajectories fit; auto: where there are at most 100 coefficients."""
    sparse: bool = False
    """Whether coefficients that do not differ from 0 significantly are left out: of a field of few terms, as physics
    often has, the others become much more exact."""


class VerifiedStates(Section):
    """How forecasts are scored."""

    states: int = Field(default=100, ge=1)
    """Held-out states that forecasts start from."""
    duration: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time units of each forecast; null: 18 Lyapunov times in float32, 40 in float64; of tables what they hold."""
    threshold: float = Field(default=0.4, gt=0)
    """A forecast is valid while its error is at most this share of the attractor's spread."""
    lyapunov_time: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """In time units; null: of a known system its own, else forecasts are timed in time units."""
    free_run: float = Field(default=200.0, ge=0, allow_inf_nan=False)
    """Time units of the free run whose invariant measure and spectra are compared with the truth's; 0: none."""
    exponents: bool = True
    """Whether the Lyapunov spectrum of the learned flow is measured."""
    baselines: Literal["auto"] | list[BaselineName] = "auto"
    """What the network is compared with; auto: all that are installed."""


class DynamicsRecipe(Recipe):
    """What an emulator is made by."""

    system: SystemName | None = "lorenz63"
    """System that is simulated where `data.trajectories` names no tables, and whose Lyapunov time is known."""
    simulation: Simulation = Simulation()
    network: Network = Network(name="bilinear")
    start: Start = Start()
    horizon: Horizon = Horizon()
    verification: VerifiedStates = VerifiedStates()

    @model_validator(mode="after")
    def _has_states(self) -> Self:
        if self.system is None and self.data.trajectories is None:
            raise ValueError("`system: null` needs `data.trajectories`: there is nothing to simulate.")
        return self
