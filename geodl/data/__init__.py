"""Sources, labels, samples and splits: from files and arrays to what a network learns from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.data.cube import ArraySource, open_array, open_cube
    from geodl.data.labels import IGNORE, PALETTE, Labels, RasterLabels, VectorLabels, infer_classes, open_labels
    from geodl.data.opening import find_scenes, open_source
    from geodl.data.pairing import find_labels, pair
    from geodl.data.raster import RasterSource, open_raster
    from geodl.data.source import Grid, Source

__all__ = (
    "IGNORE",
    "PALETTE",
    "ArraySource",
    "Grid",
    "Labels",
    "RasterLabels",
    "RasterSource",
    "Source",
    "VectorLabels",
    "find_labels",
    "find_scenes",
    "infer_classes",
    "open_array",
    "open_cube",
    "open_labels",
    "open_raster",
    "open_source",
    "pair",
)

_HOMES = {
    "cube": ("ArraySource", "open_array", "open_cube"),
    "labels": ("IGNORE", "PALETTE", "Labels", "RasterLabels", "VectorLabels", "infer_classes", "open_labels"),
    "pairing": ("find_labels", "pair"),
    "opening": ("find_scenes", "open_source"),
    "raster": ("RasterSource", "open_raster"),
    "source": ("Grid", "Source"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"geodl.data.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
