"""What a card says of data that is computed: one section for each kind that `geodl.data.simulate` makes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from geodl.recipe.sections import Section

__all__ = ("CropSimulator", "RainSimulator", "SceneSimulator", "Simulator", "TrajectorySimulator")

_Size = Annotated[list[Annotated[int, Field(ge=8)]], Field(min_length=2, max_length=2)]


class SceneSimulator(Section):
    """Scenes with label rasters: `train/images`, `train/labels`, `test/images` and `test/labels`."""

    name: Literal["scenes"]
    train: list[int] = Field(min_length=1)
    """Seeds of the scenes that are trained and validated on."""
    test: list[int] = Field(min_length=1)
    """Seeds of the scenes that are never trained on."""
    size: _Size
    """Height and width of a training scene in pixels."""
    test_size: _Size
    """Height and width of a test scene in pixels."""


class RainSimulator(Section):
    """Events of rain: a file each, `train/event_01/rain.nc`, …, and `test/event_01/rain.nc`, …."""

    name: Literal["rain"]
    train: list[int] = Field(min_length=1)
    """Seeds of the events that are trained and validated on."""
    test: list[int] = Field(min_length=1)
    """Seeds of the events that are never trained on."""
    size: _Size
    """Height and width in pixels."""
    pixel_km: float = Field(gt=0, allow_inf_nan=False)
    """Side of a pixel in km."""
    frames: int = Field(ge=1)
    """Frames of an event."""
    step_minutes: float = Field(gt=0, allow_inf_nan=False)
    """Minutes between two."""


class CropSimulator(Section):
    """Seasons of crops: a table `series.parquet` to learn from, and of another year a cube with its fields to map."""

    name: Literal["crops"]
    seed: int = Field(default=0, ge=0)
    series: dict[Literal["train", "validation", "test"], int]
    """Number of series of each part; the column `split` names the part."""
    years: list[int] = Field(min_length=1)
    """Of the series."""
    region: str
    """Of all; see `geodl.data.simulate.simulate_series`."""
    mapped_year: int
    """Of the cube `cube.nc` and its polygons `fields.gpkg`."""
    size: int = Field(ge=16)
    """Pixels of the cube along y and x."""


class TrajectorySimulator(Section):
    """Trajectories of a known system: tables `train/….csv` and `test/….csv`."""

    name: Literal["trajectories"]
    system: str
    """Name in `geodl.physics.systems`."""
    seed: int = Field(default=0, ge=0)
    train: int = Field(ge=1)
    """Number of trajectories that are trained and validated on."""
    test: int = Field(ge=1)
    """Number of trajectories that are never trained on."""
    duration: float = Field(gt=0, allow_inf_nan=False)
    """Of each, in the system's time unit."""
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Between states; null: the system's usual step."""


Simulator = Annotated[SceneSimulator | RainSimulator | CropSimulator | TrajectorySimulator, Field(discriminator="name")]
"""How data is computed."""
