"""Sources, labels, samples and splits: from files and arrays to what a network learns from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.data.cube import ArraySource, open_array, open_cube
    from geodl.data.cubefile import open_cube_file
    from geodl.data.labels import IGNORE, PALETTE, Labels, RasterLabels, VectorLabels, infer_classes, open_labels
    from geodl.data.mosaic import MosaicSource
    from geodl.data.opening import find_scenes, open_source
    from geodl.data.pairing import find_labels, pair
    from geodl.data.radar import RadarSequence, find_sequences, open_sequence
    from geodl.data.raster import RasterSource, open_raster
    from geodl.data.resample import Resample
    from geodl.data.segments import SegmentSamples
    from geodl.data.source import Grid, Source
    from geodl.data.stac import open_item
    from geodl.data.stacsearch import search
    from geodl.data.trajectories import Trajectory, open_trajectories, split_trajectories

__all__ = (
    "IGNORE",
    "PALETTE",
    "ArraySource",
    "Grid",
    "Labels",
    "MosaicSource",
    "RadarSequence",
    "RasterLabels",
    "RasterSource",
    "Resample",
    "SegmentSamples",
    "Source",
    "Trajectory",
    "VectorLabels",
    "find_labels",
    "find_scenes",
    "find_sequences",
    "infer_classes",
    "open_array",
    "open_cube",
    "open_cube_file",
    "open_item",
    "open_labels",
    "open_raster",
    "open_sequence",
    "open_source",
    "open_trajectories",
    "pair",
    "search",
    "split_trajectories",
)

_HOMES = {
    "cube": ("ArraySource", "open_array", "open_cube"),
    "cubefile": ("open_cube_file",),
    "labels": ("IGNORE", "PALETTE", "Labels", "RasterLabels", "VectorLabels", "infer_classes", "open_labels"),
    # Not the function `mosaic`: its name would mean the module once something has imported that.
    "mosaic": ("MosaicSource",),
    "pairing": ("find_labels", "pair"),
    "opening": ("find_scenes", "open_source"),
    "radar": ("RadarSequence", "find_sequences", "open_sequence"),
    "raster": ("RasterSource", "open_raster"),
    "resample": ("Resample",),
    "segments": ("SegmentSamples",),
    "source": ("Grid", "Source"),
    "stac": ("open_item",),
    "stacsearch": ("search",),
    "trajectories": ("Trajectory", "open_trajectories", "split_trajectories"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"geodl.data.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
