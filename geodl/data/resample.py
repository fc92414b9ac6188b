"""How rasters are brought onto another grid: what can be chosen, and nothing heavy to import."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from geodl.errors import OptionError

if TYPE_CHECKING:
    from pyproj import CRS

__all__ = ("METHODS", "Method", "Resample")

Method = Literal[
    "nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "max", "min", "med", "q1", "q3", "rms"
]
"""GDAL's resampling methods. From `average` on they are meant for going to larger pixels."""
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class Resample:
    """How a scene is brought onto one regular grid, where it does not lie on one already.

    Raises:
        OptionError: another method, or a pixel size that is not above 0.
    """

    method: Method = "bilinear"
    resolution: float | None = None
    """Pixel size in units of the CRS; None: that of the finest band."""
    crs: CRS | None = None
    """None: the scene's own; for one that is placed by ground control points, theirs."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError("resample", expected=f"one of {', '.join(METHODS)}", received=self.method)
        if self.resolution is not None and not (math.isfinite(self.resolution) and self.resolution > 0):
            raise OptionError("resolution", expected="a pixel size above 0", received=self.resolution)
