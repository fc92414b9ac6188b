"""Class polygons of a finished map, whole whatever its size, with their class, area and mean confidence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from geodl.contract import ClassInfo
from geodl.data.source import Grid
from geodl.errors import OptionError, OutputUnwritable
from geodl.inference.classmap import NODATA, ClassMap, Strip
from geodl.inference.components import OUTSIDE, ComponentStream, Step
from geodl.inference.engine import Progress
from geodl.inference.outlines import rings, sides, simplified_sides
from geodl.inference.pixelarea import pixel_areas
from geodl.inference.planning import DEFAULT_MEMORY
from geodl.inference.polygonfile import PolygonFile, check_target
from geodl.inference.scratch import scratch_folder

__all__ = ("check_request", "vectorise")

_SIDE_BYTES, _SIMPLIFIED_SIDE_BYTES = 400, 1200
"""Measured with maps of noise, in which each pixel is a polygon."""
_AMPLE = 256 << 20
"""Bytes beyond which strips are no faster; only simplification gains by large ones."""


def vectorise(
    map_path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    classes: Sequence[ClassInfo],
    confidence: str | os.PathLike[str] | None = None,
    simplify: float | None = None,
    minimum: int = 1,
    overwrite: bool = False,
    memory: int = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> int:
    """Writes the 4-connected regions of equal class of a map as polygons.

    The map is read once, in strips of rows; a polygon is put together when its last row has been read, so that none is
    cut. All are valid; nodata belongs to none. Columns: `value`, `class` (name), `pixels`, `area` (m², counted in pixels
    even if shapes are simplified; empty without CRS) and `confidence` (mean over the pixels; empty without its layer).

    Args:
        map_path: raster of classes.
        target: path of the polygons, ending in `.gpkg` (the one for large maps), `.fgb` or `.geojson`.
        classes: names of the values.
        confidence: raster of the confidence, on the same grid.
        simplify: leave out corners whose triangle is smaller than the square of this, in units of the CRS; neighbours
            go on sharing their borders, without gaps and overlaps. The map's edges stay, and the few points where borders
            cross from one strip to the next.
        minimum: merge regions of fewer pixels into their largest neighbour first, as GDAL's sieve does; those whose
            neighbours are all as small, or nodata, stay.
        overwrite: replace an existing file.
        memory: bytes that may be taken. Polygons that go on below a strip wait in 20 bytes per corner; the largest of all
            takes some 200 bytes per corner when it is put together.
        progress: called with the pixels done and in all.

    Returns:
        The number of polygons.

    Raises:
        OptionError: the ending is not known; `simplify` or `minimum` is out of range.
        OutputExists: there is such a file.
        OutputUnwritable: no permission, disk full.
        SourceUnreadable: a raster is missing, damaged, or its values are no classes.
        GridMismatch: the confidence is of another map.

    Example:

    >>> vectorise("map.tif", "map.gpkg", classes=model.contract.output.classes, simplify=20.0)  # how many there are
    """
    check_request(target, simplify=simplify, minimum=minimum, overwrite=overwrite)
    target = Path(target)
    source = ClassMap(map_path, confidence)
    memory, side_bytes = (min(memory, _AMPLE), _SIDE_BYTES) if simplify is None else (memory, _SIMPLIFIED_SIDE_BYTES)
    names = {c.value: c.name for c in classes}
    try:
        with scratch_folder(target) as folder:
            if minimum > 1:
                source.merge_small(minimum, folder)
            file = PolygonFile(target, folder, source.grid.crs)
            strips = source.strips(memory=memory // 4, sides=memory // 2 // side_bytes)
            for polygons, columns in _polygons(strips, source.grid, names, simplify, progress):
                file.add(polygons, columns)
            file.finish()
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error
    return file.count


def check_request(
    target: str | os.PathLike[str], *, simplify: float | None = None, minimum: int = 1, overwrite: bool = False
) -> None:
    """Raises what `vectorise` would of its arguments, so that a wrong one is told before a map is made."""
    check_target(Path(target), overwrite=overwrite)
    if simplify is not None and not 0 < simplify < np.inf:
        raise OptionError("simplify", expected="a distance above 0, in units of the CRS", received=simplify)
    if minimum < 1:
        raise OptionError("minimum (--min-pixels)", expected="1 pixel or more", received=minimum)


def _polygons(
    strips: Iterator[Strip], grid: Grid, names: dict[int, str], simplify: float | None, progress: Progress | None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Follows the regions down the map and gives the polygons of those that are complete, with their columns."""
    stream = ComponentStream(grid.width, quantities=3)
    waiting: list[np.ndarray] = []
    tolerance = None if simplify is None else simplify / abs(grid.transform.determinant) ** 0.5

    def take(strip: Strip) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        step = stream.push(strip.classes, _quantities(strip, grid))
        ids = np.where(step.classes <= NODATA, -1, step.ids)
        if tolerance is None or strip.row == grid.height:
            found = sides(step.classes, ids, row=strip.row)
        else:
            found = simplified_sides(step.classes, ids, row=strip.row, tolerance=tolerance)
        for segments in waiting:
            segments[0] = step.before[segments[0]]
        complete, waiting[:] = _part([*waiting, found], step)
        polygons = rings(complete, transform=grid.transform, keep_straight=simplify is not None)
        return polygons, _columns(step, names)

    for strip in strips:
        yield take(strip)
        if progress is not None:
            progress((strip.row + len(strip.classes)) * grid.width, grid.height * grid.width)
    yield take(Strip(grid.height, np.full((1, grid.width), OUTSIDE, np.int32), None))


def _part(chunks: list[np.ndarray], step: Step) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parts sides of complete components from those that wait; the latter get the numbers of the next step."""
    done, wait = [], []
    for segments in chunks:
        complete = step.complete[segments[0]]
        done.append(segments[:, complete])
        left = segments[:, ~complete] if complete.any() else segments
        left[0] = step.after[left[0]]
        if left.shape[1]:
            wait.append(left)
    return np.concatenate(done, axis=1), wait


def _quantities(strip: Strip, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, where it is known, and area of the pixels."""
    nothing = np.zeros((1, 1))
    certain = nothing if strip.confidence is None else np.nan_to_num(strip.confidence)
    known = nothing if strip.confidence is None else np.isfinite(strip.confidence)
    area = pixel_areas(grid, start=strip.row, stop=strip.row + len(strip.classes))
    return certain, known, np.full((1, 1), np.nan) if area is None else area


def _columns(step: Step, names: dict[int, str]) -> dict[str, np.ndarray]:
    """The columns of the complete components."""
    which = step.complete & (step.values > NODATA)
    values, (certain, known, area) = step.values[which], step.sums[:, which]
    return {
        "value": values,
        "class": np.array([names.get(value) for value in values.tolist()], object),
        "pixels": step.pixels[which],
        "area": area,
        "confidence": np.divide(certain, known, out=np.full(len(values), np.nan), where=known > 0),
    }
