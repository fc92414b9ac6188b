"""`geodl predict` with a network for time series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.cli.activity import progress_bar
from geodl.cli.terminal import Answer
from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.inference.series import SeriesClassifier

__all__ = ("Asked", "classify")

_RASTERS = (".tif", ".tiff")


@dataclass(frozen=True)
class Asked:
    """What is asked of a map, or a table, as the command line has it."""

    parcels: str | None
    members: str | None
    scale: float | None
    offset: float | None
    options: dict[str, Any]
    """Those of `SeriesClassifier.predict_file` that maps of other networks have, too."""


def classify(model: SeriesClassifier, sources: Sequence[str], target: str, asked: Asked, *, answer: Answer) -> None:
    """Classifies the pixels of a cube, the parcels in it, or the series of a table, to a file.

    Args:
        model: the network.
        sources: a cube: a NetCDF file, a Zarr store, a folder of dated rasters, or these themselves; or a table.
        target: the map, or the table.
        asked: all else.
        answer: is told what was made.

    Raises:
        GeodlError: as `SeriesClassifier.predict_file` raises.
    """
    if asked.members is not None and asked.parcels is None:
        raise OptionError("--parcel-members", expected="--parcels FILE beside it", received=asked.members)
    source = sources[0] if len(sources) == 1 else list(sources)
    given = {"parcels": asked.parcels, "members": asked.members, "scale": asked.scale, "offset": asked.offset}
    options = {**asked.options, **{name: value for name, value in given.items() if value is not None}}
    if answer.quiet:
        made = model.predict_file(source, target, **options)
    else:
        unit = "pixels" if Path(target).suffix.lower() in _RASTERS else "series"
        with progress_bar(Path(target).name, unit=unit) as progress:
            made = model.predict_file(source, target, progress=progress, **options)
    for path in made:
        what = "Map" if path.suffix.lower() in _RASTERS else "Parcels" if asked.parcels else "Table"
        answer.file(what, path)
    polygons = asked.options.get("vectorise")
    if polygons is not None:
        answer.file("Polygons", polygons)
