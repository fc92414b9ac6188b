"""Scenes of one date each, and sources that have times: the parts of a cube of dates."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodl.data.asset import Asset
from geodl.data.cubeword import CubeWord
from geodl.data.datedcube import DatedPart
from geodl.data.datednames import band_words, dated_label, name_date
from geodl.data.files import common_name
from geodl.data.opening import find_scenes, is_one_scene, needs_bands, open_source
from geodl.data.raster import RasterSource, Resample, open_raster
from geodl.data.source import Source, are_nameless
from geodl.data.stac import is_item
from geodl.errors import SeriesUnusable

__all__ = ("dated_parts",)

_ADVICE = (
    "Expected a time axis; a raster whose bands are called by dates; or dates in the names of the files, such as "
    "ndvi_2018-08-29.tif, 20180829_B04.tif or a.2018241.tif."
)


def dated_parts(
    where: Any, *, bands: Sequence[str] | None = None, codes: str = "", resample: Resample | None = None
) -> tuple[list[DatedPart], str]:
    """Opens what one cube is made of.

    Args:
        where: as with `open_time_cube`, but no mapping of sensors.
        bands: to take of products and STAC items, default: the usual ones, and the codes; all else is opened with all its bands.
        codes: the band that holds codes, which are resampled by `nearest`.
        resample: as with `open_time_cube`.

    Returns:
        The parts, and what to call the cube.

    Raises:
        SeriesUnusable: nothing says when something was taken.
        GridMismatch: what is no raster file shall be brought onto another grid.
    """
    if is_one_scene(where) and not needs_bands(where):
        source = open_source(where, resample=resample)
        return _parts_of(source, where), source.name
    scenes = find_scenes(where)
    rasters = [spec for _, spec in scenes if _is_raster(spec)]
    parts = _of_rasters(rasters, codes, resample) if rasters else []
    for called, spec in scenes:
        if needs_bands(spec):
            if bands is None and codes:
                usual = [band.name for band in open_source(spec, resample=resample).bands]
                bands = tuple(dict.fromkeys([*usual, codes]))
            source = open_source(spec, bands=bands, resample=resample)
            parts.append(_once(source, _taken(spec, source.name)))
        elif not _is_raster(spec):
            parts += _parts_of(open_source(spec, name=called, resample=resample), spec)
    if resample is not None:
        finest = min((part.source.grid for part in parts), key=lambda grid: float(np.prod(grid.resolution)))
        parts = [
            DatedPart(part.source.onto(finest, resample.method), part.times, part.names)
            if isinstance(part.source, RasterSource) and finest.differs(part.source.grid) is not None
            else part
            for part in parts
        ]
    folder = isinstance(where, str | os.PathLike) and os.path.isdir(where)
    return parts, os.path.basename(os.path.abspath(where)) if folder else common_name([called for called, _ in scenes])


def _parts_of(source: Source, where: Any) -> list[DatedPart]:
    """A source with times; one whose bands are called by dates; or one of a single date."""
    names = tuple(band.name for band in source.bands)
    if source.times is not None:
        return [DatedPart(source, source.times, names)]
    labels = [dated_label(name) for name in names]
    if all(labels):
        return [
            DatedPart(source.select((name,)), np.array([label[0]]), (label[1] or "band_1",))
            for name, label in zip(names, labels, strict=True)
            if label is not None
        ]
    date = _only_time(source)
    if date is None and isinstance(where, str | os.PathLike):
        date = name_date(where)
    return [_once(source, date)]


def _only_time(source: Source) -> np.datetime64 | None:
    """The time of an array that has but one, which is none of its dims."""
    from geodl.data.cube import ArraySource
    from geodl.data.cubegrid import is_time
    from geodl.data.timeaxis import read_times

    coords = source.parts[0].array.coords if isinstance(source, ArraySource) else {}
    for key, coordinate in coords.items():
        if coordinate.ndim == 0 and is_time(key, {key: coordinate.expand_dims(key)}):
            time = read_times(coordinate.expand_dims(key), key)[0]
            return None if np.isnat(time) else np.datetime64(time)
    return None


def _once(source: Source, date: np.datetime64 | None) -> DatedPart:
    if date is None:
        raise SeriesUnusable(source.name, "nothing says when it was taken", advice=_ADVICE)
    return DatedPart(source, np.array([date]), tuple(band.name for band in source.bands))


def _is_raster(spec: Any) -> bool:
    return isinstance(spec, str) and not needs_bands(spec) and CubeWord.read(spec) is None


@dataclass(frozen=True)
class _Dated:
    """A raster file of one date."""

    source: RasterSource
    date: np.datetime64
    word: str
    """What its name says of its bands."""

    def names(self, *, by_word: bool) -> tuple[str, ...]:
        """What its bands are called: by descriptions, unless there are none or they tell files not apart (`by_word`)."""
        own = tuple(band.name for band in self.source.bands)
        if not self.word or not (by_word or are_nameless(own)):
            return own
        return (self.word,) if len(own) == 1 else tuple(f"{self.word}_{name}" for name in own)


def _of_rasters(paths: Sequence[str], codes: str, resample: Resample | None) -> list[DatedPart]:
    dates = []
    for path in paths:
        date = name_date(path)
        if date is None:
            raise SeriesUnusable(path, "its name has no date", advice=_ADVICE)
        dates.append(date)
    words = band_words(paths, dates)
    files = [
        _Dated(open_raster(Asset(path, codes=bool(word) and word == codes), resample=resample), date, word)
        for path, date, word in zip(paths, dates, words, strict=True)
    ]
    by_date: dict[np.datetime64, list[_Dated]] = defaultdict(list)
    for file in files:
        by_date[file.date].append(file)
    several = len(set(words)) > 1
    twins = several and any(_repeat([file.names(by_word=False) for file in alike]) for alike in by_date.values())
    return [
        DatedPart(
            file.source,
            np.array([file.date]),
            # Files of several bands need the word only where there are several such files.
            file.names(by_word=twins) if several or len(file.source.bands) == 1 else _own(file.source),
        )
        for file in files
    ]


def _own(source: Source) -> tuple[str, ...]:
    return tuple(band.name for band in source.bands)


def _repeat(names: Sequence[tuple[str, ...]]) -> bool:
    every = [name for own in names for name in own]
    return len(set(every)) < len(every)


def _taken(spec: Any, name: str) -> np.datetime64 | None:
    """When a product or an item was taken: as the item says, else as the product is called."""
    if isinstance(spec, str | os.PathLike):
        text = os.fspath(spec)
        if not is_item(text):
            return name_date(text) or name_date(name)
        from geodl.data.cubefile import fetch

        properties = json.loads(fetch(text))["properties"]
        stated = properties.get("datetime") or properties.get("start_datetime")
    else:
        stated = spec.datetime.isoformat() if spec.datetime else spec.properties.get("start_datetime")
    return np.datetime64(str(stated)[:10], "D") if stated else None
