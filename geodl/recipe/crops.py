"""Recipes of crop sequences: how series vary, what networks learn before labels, what is scored besides accuracy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from geodl.recipe.model import Network, Recipe
from geodl.recipe.sections import Section

__all__ = ("CropsRecipe", "Pretraining", "SeriesVariation", "VerifiedSeries")


class SeriesVariation(Section):
    """Random changes of training series."""

    drop: float = Field(default=0.0, ge=0, le=1)
    """Greatest share of the dates that are hidden: each series loses any share up to this."""
    cut: float = Field(default=0.0, ge=0, le=1)
    """Greatest share of the season that is not there yet: of every other series the end is cut off, by any share up to
    this, so that classes are told before the season is over."""
    shift: float = Field(default=0.0, ge=0, le=366)
    """Most days by which a season comes early or late; of series without dates in positions."""
    scale: float = Field(default=0.0, ge=0, le=1)
    """Greatest relative change of all values of a series by one common factor."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of white noise, in the band's training standard deviations."""


class Pretraining(Section):
    """What a network learns before it sees a label: dates that are hidden from it, from those around them."""

    steps: int = Field(default=0, ge=0)
    """Batches; 0: none."""
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    share: float = Field(default=0.3, gt=0, lt=1)
    """Share of the observed dates that are hidden."""


class VerifiedSeries(Section):
    """What is scored besides the labels."""

    early_season: int = Field(default=12, ge=0)
    """Dates, spread over the season, up to which series are shown for the curve of accuracy against date; 0: no curve."""
    importance: int = Field(default=256, ge=0)
    """Series whose gradients tell what each date and band is worth; 0: none."""
    baselines: Literal["auto"] | list[Literal["forest", "nearest", "minirocket"]] = "auto"
    """What the network is compared with; auto: all that are installed (minirocket needs aeon)."""


class CropsRecipe(Recipe):
    """What a classifier of series is made by."""

    network: Network = Network(name="tempcnn")
    ensemble: int = Field(default=1, ge=1, le=32)
    """Networks that learn side by side, each with its own first weights; their mean probability is the answer."""
    augment: SeriesVariation = SeriesVariation()
    pretraining: Pretraining = Pretraining()
    verification: VerifiedSeries = VerifiedSeries()
