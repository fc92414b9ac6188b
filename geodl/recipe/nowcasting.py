"""Recipes of nowcasting: what a clip is, and how forecasts are verified."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from geodl.recipe.model import Network, Recipe
from geodl.recipe.sections import Section

__all__ = ("Clip", "NowcastingRecipe", "Verification")

BaselineName = Literal["persistence", "advection", "extrapolation", "sprog", "anvil"]


class Clip(Section):
    """What a network sees of a sequence, and what it forecasts."""

    frames: int = Field(default=4, ge=2, le=24)
    """Observed frames that it is given, one `data.step` after the other."""
    leads: int = Field(default=6, ge=1, le=48)
    """Lead times that it forecasts, one `data.step` after the other."""
    advected: bool = True
    """Whether it is also given the last frame, carried on by the motion of the whole domain to each lead time."""


class Verification(Section):
    """How forecasts are scored."""

    thresholds: list[float] = Field(default=[0.5, 1.0, 5.0], min_length=1)
    """Rain rates, in mm/h, at which rain or none is told apart."""
    scales: list[int] = Field(default=[1, 5, 20])
    """Sides, in pixels, of the neighbourhoods in which fractions of rain are compared (FSS)."""
    stride: int = Field(default=1, ge=1)
    """Frames between the starts of forecasts that are scored."""
    complete: bool = True
    """Whether a forecast is scored only where its last lead time was observed; false: each lead time that was."""
    baselines: Literal["auto"] | list[BaselineName] = "auto"
    """What the network is compared with; auto: persistence and advection, and with pysteps extrapolation, S-PROG and
    ANVIL."""

    @field_validator("thresholds")
    @classmethod
    def _rising(cls, thresholds: list[float]) -> list[float]:
        if any(low >= high for low, high in pairwise(thresholds)) or thresholds[0] <= 0:
            raise ValueError(f"expected rain rates above 0 mm/h, from small to large. Received: {thresholds}.")
        return thresholds

    @field_validator("scales")
    @classmethod
    def _positive(cls, scales: list[int]) -> list[int]:
        if any(scale < 1 for scale in scales):
            raise ValueError(f"expected sides of 1 pixel or more. Received: {scales}.")
        return scales


class NowcastingRecipe(Recipe):
    """What a nowcasting run is made by."""

    network: Network = Network(name="convlstm")
    clip: Clip = Clip()
    verification: Verification = Verification()

    @model_validator(mode="after")
    def _radar(self) -> Self:
        if self.data.resample not in (None, "average"):
            raise ValueError(
                f"`data.resample` of sequences is average: whole squares of pixels become one. Received: {self.data.resample}."
            )
        return self
