"""Series taken out of a cube: at labelled points, and in labelled parcels."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geodl.data.files import local_copy, stem
from geodl.data.members import Members
from geodl.data.places import moved
from geodl.data.series.labelling import Classes, as_classes, classify, warn_of_few
from geodl.data.series.membervalues import mean_values, pixel_values
from geodl.data.series.naming import LABELS, SERIES, Roles, Wanted, find_roles, official_parts
from geodl.data.series.parcels import places_of, read_parcels, read_parquet
from geodl.data.series.sheets import Sheet, frame_sheet, read_sheet
from geodl.data.series.table import SeriesTable
from geodl.data.series.wide import joined_ids, plain_labels
from geodl.data.source import Source
from geodl.data.timecube import cube_days
from geodl.errors import OptionError, SeriesUnusable

__all__ = ("extract_series",)

_PARQUET = (".parquet", ".geoparquet", ".pq")
_TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_LOG = logging.getLogger("geodl")


def extract_series(
    cube: Source,
    labels: Any,
    *,
    label: str | None = None,
    members: Literal["mean", "pixels"] = "mean",
    series: str | Sequence[str] | None = None,
    classes: Classes | None = None,
    columns: Sequence[str] | None = None,
) -> SeriesTable:
    """Takes the series of points and parcels out of a cube.

    The cube is read block by block, and of each block only what lies around places.

    Args:
        cube: with times; see `open_time_cube`.
        labels: points or parcels in any CRS, each with its label: a vector file (GeoPackage, GeoJSON, FlatGeobuf, …),
            GeoParquet, or a table of GeoPandas; or a table (CSV, Parquet, pandas) with columns lon and lat (degrees) or x and
            y (in the cube's CRS). A point stands for the pixel that it lies in, a parcel for those whose centres lie in it
            (see `geodl.data.members.Members`).
        label: column of the label; default: one called label, class, crop, …, if there is one. Empty: no labels.
        members: what becomes of the pixels of a parcel: their `mean` on each date, of those that are valid there; or as many
            series, `pixels`, of which the column `parcel` says to which they belong.
        series: column that names the places, or several; default: one called id, parcel, …, whose values are distinct,
            else they are numbered from 0.
        classes: names, whole numbers, names by value, or `ClassInfo`; default: the labels that occur, sorted.
        columns: further columns to keep, such as parcel and region; default: all.

    Returns:
        A series for each point and parcel (or pixel of one) that lies in the cube, in the order of the file, on all of the
        cube's dates. `geometry` is as in the file; of `pixels` it is their centres, in the cube's CRS.

    Raises:
        SeriesUnusable: no place lies in the cube; the cube has no times; a column is missing or ambiguous.
        LabelsUnreadable: there are lines or other shapes, or no CRS where the cube has one.
        LabelsOutOfRange: a label is none of `classes`.
        SourceUnreadable: a file is missing or damaged.
        OptionError: `members` is neither of the two.

    Example:

    >>> from geodl.data.timecube import open_time_cube
    >>> cube = open_time_cube(np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1))
    >>> table = extract_series(cube, pd.DataFrame({"x": [1.5, 3.5], "y": [0.5, 2.5], "crop": ["maize", "rice"]}))
    >>> table.values[..., 0].tolist(), [each.name for each in table.classes]
    ([[1.0, 13.0], [11.0, 23.0]], ['maize', 'rice'])
    """
    if members not in ("mean", "pixels"):
        raise OptionError("members", expected="mean or pixels", received=members)
    days, year = cube_days(cube)
    sheet = _sheet(labels, label)
    named = (series,) if isinstance(series, str) else tuple(series or ())
    roles = find_roles(sheet, Wanted(label=label, series=named, columns=tuple(columns or ())))
    shapes, crs, shaped = places_of(sheet, roles.coordinates)
    if shapes is None:
        raise SeriesUnusable(
            sheet.where,
            f"nothing says where its places are; its columns are {', '.join(sheet.names[:12])}",
            advice="Expected points or polygons, or columns called lon and lat.",
        )
    if crs is None and shaped == set(roles.coordinates or ()):
        crs = cube.grid.crs
    ids = _ids(sheet, roles, named)
    known = None if classes is None else as_classes(classes)
    found = None
    if roles.label is not None:
        cells = plain_labels(sheet, sheet.frame[roles.label], roles.label)
        found, known = classify(cells, known, where=sheet.where)
    place = Members(shapes, crs, cube.grid, where=sheet.where)
    _say_outside(place.counts, ids, cube, sheet.where, shapes, crs)
    _say_shared(place, sheet.where)
    kept = np.flatnonzero(place.counts)
    if members == "mean":
        values, rows = mean_values(cube, place)[kept], kept
        own, centres = ids[kept], None
    else:
        values, pixels, rows = pixel_values(cube, place)
        centres = _centres(cube, pixels)
        nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
        alone = place.counts[rows] == 1
        own = np.array([ids[k] if one else f"{ids[k]}_{n}" for k, n, one in zip(rows, nth, alone, strict=True)])
        if len(np.unique(own)) < len(own):
            own = np.arange(len(rows)).astype(str)
    apart = {roles.label, roles.part, *(roles.coordinates or ()), *shaped}
    kept_columns = [name for name in sheet.names if name not in apart and (columns is None or name in columns)]
    further = {name: sheet.frame[name].to_numpy()[rows] for name in kept_columns}
    if members == "pixels":
        further["parcel"] = further.get("parcel", ids[rows])
    if found is not None and known is not None:
        warn_of_few(np.bincount(found[rows][found[rows] >= 0], minlength=len(known)), known, where=sheet.where)
    unseen = int((~np.isfinite(values).any((1, 2))).sum())
    if unseen:
        _LOG.warning("%s: %s of %s series have no observation at all.", sheet.where, unseen, len(values))
    parts = None if roles.part is None else official_parts(sheet.frame[roles.part].to_numpy(), sheet.where, roles.part)
    return SeriesTable(
        name=stem(sheet.where),
        values=values,
        days=np.broadcast_to(days, values.shape[:2]).copy(),
        bands=cube.bands,
        ids=own,
        dated=year is not None,
        years=None if year is None else np.full(len(values), year),
        labels=None if found is None else found[rows],
        classes=known or (),
        columns=further,
        geometry=shapes[rows] if centres is None else centres,
        crs=crs if centres is None else cube.grid.crs,
        parts=None if parts is None else parts[rows],
    )


def _sheet(labels: Any, label: str | None) -> Sheet:
    if isinstance(labels, pd.DataFrame):
        return frame_sheet(labels, "labels")
    if not isinstance(labels, (str, os.PathLike)):
        raise SeriesUnusable(
            "labels", f"they are of type {type(labels).__name__}", advice="Expected a file, or a table of pandas."
        )
    path = local_copy(labels)
    if path.lower().endswith(_PARQUET):
        return read_parquet(path)
    if path.lower().endswith(_TABLES):
        return read_sheet(path, texts=SERIES, words=LABELS if label is None else (label,))
    return read_parcels(path)


def _ids(sheet: Sheet, roles: Roles, named: tuple[str, ...]) -> np.ndarray:
    """What places are called, each differently."""
    if named:
        ids = joined_ids(sheet, named)
        twins = np.flatnonzero(pd.Series(ids).duplicated())
        if len(twins):
            raise SeriesUnusable(
                sheet.where,
                f"{ids[twins[0]]} occurs twice, the second time in {sheet.place(int(twins[0]))}",
                advice="Give several columns that tell the places apart (series).",
            )
        return ids
    for name in roles.series:
        if sheet.frame[name].is_unique and sheet.frame[name].notna().all():
            return joined_ids(sheet, [name])
    return np.arange(len(sheet.frame)).astype(str)


def _centres(cube: Source, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(shapely.points(moved(pixels[:, ::-1] + 0.5, cube.grid.transform)), object)


def _say_outside(
    counts: np.ndarray, ids: np.ndarray, cube: Source, where: str, shapes: np.ndarray, crs: CRS | None
) -> None:
    outside = np.flatnonzero(counts == 0)
    if len(outside) == len(counts):
        raise SeriesUnusable(
            where,
            f"none of its {len(counts)} places lies in {cube.name}: they extend over {_extent(shapes, crs)}, and the cube "
            f"over {_extent(np.array([cube.grid.footprint()]), cube.grid.crs)}",
            advice="Look whether longitude and latitude are exchanged, and whether the CRS is right.",
        )
    if len(outside):
        some = ", ".join(ids[outside[:4]]) + (", …" if len(outside) > 4 else "")
        _LOG.warning(
            "%s: %s of %s places lie outside of %s and are left out (%s).",
            where, len(outside), len(counts), cube.name, some,
        )  # fmt: skip


def _say_shared(place: Members, where: str) -> None:
    """Warns of points in one pixel: they have one series, whatever their labels."""
    _, times = np.unique(place.points, axis=0, return_counts=True)
    shared = int(times[times > 1].sum())
    if shared:
        _LOG.warning(
            "%s: %s of its points share a pixel with another, and so have the same series; do not split them apart.",
            where, shared,
        )  # fmt: skip


def _extent(shapes: np.ndarray, crs: CRS | None) -> str:
    """Words for where geometries lie: in degrees where that can be told."""
    present = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if len(present) == 0:
        return "nothing (there is no geometry)"
    west, south, east, north = shapely.total_bounds(present)
    if crs is not None:
        try:
            bounds = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform_bounds(west, south, east, north)
            if np.isfinite(bounds).all():
                return "longitude {0:.5g} to {2:.5g}, latitude {1:.5g} to {3:.5g}".format(*bounds)
        except ProjError:
            pass
    return f"x {west:.6g} to {east:.6g}, y {south:.6g} to {north:.6g}"
