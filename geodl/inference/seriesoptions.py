"""What may be asked of a network for series, whether in memory or in files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypedDict

from geodl.data.resample import Method
from geodl.errors import OptionError
from geodl.inference.options import Bounds, Options
from geodl.inference.pixelseries import Factor
from geodl.inference.planning import DEFAULT_MEMORY

__all__ = ("SeriesAsked", "SeriesOptions")


class SeriesOptions(TypedDict, total=False):
    """Keywords that `SeriesClassifier.predict` and `predict_file` share; they are told of in the former."""

    probabilities: bool
    confidence: bool
    entropy: bool
    scale: Factor | None
    offset: Factor | None
    resample: Method | None
    bbox: Bounds | None
    mask: str | os.PathLike[str] | None
    memory: int
    batch_size: int | None


@dataclass(frozen=True)
class SeriesAsked:
    """The same with what they are where nothing is said.

    Raises:
        OptionError: one of them is out of range.
    """

    probabilities: bool = False
    confidence: bool = False
    entropy: bool = False
    scale: Factor | None = None
    offset: Factor | None = None
    resample: Method | None = None
    bbox: Bounds | None = None
    mask: str | os.PathLike[str] | None = None
    memory: int = DEFAULT_MEMORY
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError("batch_size (--batch-size)", expected="1 or more", received=self.batch_size)

    @property
    def of_map(self) -> Options:
        """What is asked of a map. Its tiles go through the engine one by one; it is series that are batched."""
        return Options(
            self.probabilities, self.confidence, self.entropy, bbox=self.bbox, mask=self.mask, memory=self.memory
        )

    def refuse_of_maps(self) -> None:
        """Raises OptionError where something is asked for that only maps have."""
        for option, given in {"bbox (--bbox)": self.bbox, "mask (--mask)": self.mask}.items():
            if given is not None:
                raise OptionError(option, expected="none: it is of maps", received=given)

    def refuse_of_cubes(self) -> None:
        """Raises OptionError where something is asked for that only cubes have."""
        self.refuse_of_maps()
        of_cubes = {
            "scale (--scale)": self.scale,
            "offset (--offset)": self.offset,
            "resample (--resample)": self.resample,
        }
        for option, given in of_cubes.items():
            if given is not None:
                raise OptionError(option, expected="none: it is of cubes; a table is in physical units", received=given)
