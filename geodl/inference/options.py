"""What may be asked of a map, whether it is made in memory or in files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypedDict

from geodl.data.resample import Method
from geodl.errors import OptionError
from geodl.inference.planning import DEFAULT_MEMORY, Overlap
from geodl.inference.turns import Turns

__all__ = ("Bounds", "MapOptions", "Options")

Bounds = tuple[float, float, float, float]
"""minx, miny, maxx, maxy in the scene's CRS."""


class MapOptions(TypedDict, total=False):
    """Keywords that `Predictor.predict` and `Predictor.predict_file` share; they are told of in the former."""

    probabilities: bool
    confidence: bool
    entropy: bool
    overlap: Overlap
    batch_size: int
    bbox: Bounds | None
    mask: str | os.PathLike[str] | None
    any_resolution: bool
    resample: Method | None
    noise_level: float | None
    turns: Turns
    memory: int


@dataclass(frozen=True)
class Options:
    """The same with what they are where nothing is said, and whether the residual is asked for.

    Raises:
        OptionError: one of them is out of range, whatever the network and the scene.
    """

    probabilities: bool = False
    confidence: bool = False
    entropy: bool = False
    overlap: Overlap = "auto"
    batch_size: int = 1
    bbox: Bounds | None = None
    mask: str | os.PathLike[str] | None = None
    any_resolution: bool = False
    resample: Method | None = None
    noise_level: float | None = None
    turns: Turns = 1
    memory: int = DEFAULT_MEMORY
    residual: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise OptionError("batch_size", expected="1 or more", received=self.batch_size)
        if self.noise_level is not None and not 0 <= self.noise_level < float("inf"):
            raise OptionError(
                "noise_level (--noise-level)", expected="a standard deviation, 0 or more", received=self.noise_level
            )
