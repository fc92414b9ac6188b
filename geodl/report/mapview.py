"""A finished map beside its scene, as layers for the map viewer, with the areas of its classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from geodl.contract import ClassInfo
from geodl.data.labels import open_labels
from geodl.data.legend import class_colour, colours_of, names_of
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Grid
from geodl.data.vectors import is_vector
from geodl.errors import NoValidPixels, OptionError
from geodl.report.comparison import colours
from geodl.report.layers import Layer, Viewer, class_layer, picture_layer, ramp_layer
from geodl.report.mapreading import ClassArea, class_areas, pixel_metres, read_decimated, screen_grid
from geodl.report.page import render
from geodl.report.palette import PROBABILITY, RIGHT, SIGNED, WRONG
from geodl.report.picture import drawn_bands, limits, paint, picture
from geodl.report.scalebar import north_angle
from geodl.report.sheet import Cell, Sheet, cell

__all__ = ("map_page",)

_JUDGED = (ClassInfo(0, "agrees", RIGHT), ClassInfo(1, "differs", WRONG))
_MOST_BANDS = 12
"""Bands of a map that are layers of their own."""


def map_page(
    path: str | os.PathLike[str],
    scene: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    truth: str | os.PathLike[str] | None = None,
    pixels: int = 1400,
) -> str:
    """Makes a page in which a map is looked at beside its scene.

    Maps and scenes of any size are read decimated; the areas of classes are counted over all pixels, strip by strip.
    What lies on other grids is brought onto that of the map. `NAME.confidence.tif` beside `NAME.tif` becomes a layer.

    Args:
        path: of a map, as `geodl predict` writes it, or any raster.
        scene: that it was made of: a raster; or several of one band each, named by their files.
        truth: labels to compare a map of classes with: a raster, or polygons.
        pixels: rows and columns shown at most.

    Returns:
        HTML, one file.

    Raises:
        SourceUnreadable: a file is missing, damaged or no raster.
        GridMismatch: one has a CRS and another has none.
        OptionError: a truth for a map that has no classes.
        NoValidPixels: the map is empty.
    """
    file, image = RasterFile(path), _Scene.open(scene)
    grid = screen_grid(file.grid, pixels)
    classes, areas = _classes(file)
    if truth is not None and not classes:
        raise OptionError(
            "truth", expected="a map of classes to compare it with", received=f"no classes in {file.path}"
        )
    if classes:
        values = read_decimated(file, grid, [0], categorical=True)[..., 0]
        told = _indices(values, classes)
        layers = [_scene_layer(image, grid), class_layer("map", told, classes), *_confidence(file.path, grid)]
        if truth is not None:
            true = _truth(truth, grid, classes)
            judged = np.where((true >= 0) & (told >= 0), (true != told).astype(np.int32), -1)
            layers += [class_layer("truth", true, classes), class_layer("map against truth", judged, _JUDGED)]
    else:
        layers = _value_layers(file, image, grid)
    viewer = Viewer(
        f"{Path(file.path).name} on {image.name}",
        tuple(layers),
        grid.width,
        grid.height,
        pixel=pixel_metres(grid),
        north=north_angle(grid, pixels=True),
        note=_note(file, grid),
    )
    return render("map.html", view=viewer, areas=_area_sheet(areas, classes), facts=_facts(file))


def _classes(file: RasterFile) -> tuple[tuple[ClassInfo, ...], list[ClassArea]]:
    """Classes of a map, by its tags and its colour table, and their areas; none where it holds values."""
    if len(file.bands) != 1 or file.bands[0].dtype not in ("uint8", "uint16"):
        return (), []
    names, tints = names_of(file), colours_of(file)
    if not names and not tints:
        return (), []
    areas = class_areas(file)
    if not areas:
        raise NoValidPixels(file.path)
    values = sorted({*names, *(area.value for area in areas)})
    infos = tuple(
        ClassInfo(value, names.get(value, f"class_{value}"), tints.get(value, class_colour(k)))
        for k, value in enumerate(values)
    )
    return infos, areas


def _indices(values: np.ndarray, classes: Sequence[ClassInfo]) -> np.ndarray:
    """Positions in `classes` of class values; -1 where there is none."""
    table = np.full(1 << 16, -1, np.int32)
    table[[info.value for info in classes]] = np.arange(len(classes))
    known = np.isfinite(values) & (values >= 0) & (values < len(table))
    return np.where(known, table[np.where(known, values, 0).astype(np.int64)], -1)


class _Scene(NamedTuple):
    """What a map was made of: a raster, or a raster of one band for each band."""

    name: str
    bands: tuple[str, ...]
    files: tuple[RasterFile, ...]

    @classmethod
    def open(cls, scene: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> _Scene:
        if isinstance(scene, str | os.PathLike):
            file = RasterFile(scene)
            return cls(Path(file.path).name, tuple(band.name for band in file.bands), (file,))
        files = tuple(RasterFile(path) for path in scene)
        names = tuple(Path(file.path).stem for file in files)
        return cls(f"{names[0]} and {len(names) - 1} more", names, files)

    def read(self, grid: Grid, bands: Sequence[int]) -> np.ndarray:
        if len(self.files) == 1:
            return read_decimated(self.files[0], grid, bands)
        return np.concatenate([read_decimated(self.files[k], grid, [0]) for k in bands], axis=-1)

    @property
    def colormap(self) -> Mapping[int, tuple[int, ...]] | None:
        return self.files[0].colormap if len(self.files) == 1 else None


def _scene_layer(image: _Scene, grid: Grid) -> Layer:
    if image.colormap is not None:
        indices = read_decimated(image.files[0], grid, [0], categorical=True)[..., 0]
        table = np.zeros((1 << 16, 4), np.uint8)
        for value, tint in image.colormap.items():
            table[value] = tint
        return picture_layer("scene", table[np.nan_to_num(indices).astype(np.int64)] * np.isfinite(indices)[..., None])
    chosen = _drawn(image.bands)
    return picture_layer("scene", picture(image.read(grid, chosen), [image.bands[k] for k in chosen]))


def _drawn(names: Sequence[str]) -> list[int]:
    """Bands that a picture is made of."""
    lower = [name.lower() for name in names]
    return [lower.index("vv"), lower.index("vh")] if {"vv", "vh"} <= set(lower) else list(drawn_bands(names))


def _confidence(path: str, grid: Grid) -> list[Layer]:
    """The confidence that was written beside a map, if any."""
    beside = Path(path).with_suffix(f".confidence{Path(path).suffix}")
    if not beside.is_file():
        return []
    values = read_decimated(RasterFile(beside), grid, [0])[..., 0]
    label = "probability of the class chosen"
    return [ramp_layer("confidence", values, ends=(0, 1), label=label, colours=PROBABILITY)]


def _truth(truth: str | os.PathLike[str], grid: Grid, classes: Sequence[ClassInfo]) -> np.ndarray:
    if is_vector(os.fspath(truth)):
        return open_labels(os.fspath(truth), grid, classes=tuple(classes)).read()
    return _indices(read_decimated(RasterFile(truth), grid, [0], categorical=True)[..., 0], classes)


def _value_layers(file: RasterFile, image: _Scene, grid: Grid) -> list[Layer]:
    """Layers of a map of values: pictures of one stretch where it has the scene's bands, else ramps of colours."""
    names, seen = [band.name for band in file.bands], list(image.bands)
    chosen = _drawn(names)
    same = set(names) <= set(seen) and image.colormap is None
    if same and (len(chosen) > 1 or len(names) == 1):
        drawn = [names[k] for k in chosen]
        values = read_decimated(file, grid, chosen)
        given = image.read(grid, [seen.index(name) for name in drawn])
        ends = limits(colours(values, drawn))
        pairs = (("scene", given), ("map", values))
        return [picture_layer(name, paint(colours(picture, drawn), ends)) for name, picture in pairs]
    layers = [_scene_layer(image, grid)]
    for k, band in enumerate(file.bands[:_MOST_BANDS]):
        values = read_decimated(file, grid, [k])[..., 0]
        label = f"{band.name} ({band.unit})" if band.unit not in ("", "1") else band.name
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
        if low < 0 < high:
            most = float(max(-low, high))
            layers.append(ramp_layer(band.name, values, ends=(-most, most), label=label, colours=SIGNED))
        else:
            layers.append(ramp_layer(band.name, values, ends=(float(low), float(high)), label=label))
    return layers


def _area_sheet(areas: Sequence[ClassArea], classes: Sequence[ClassInfo]) -> Sheet | None:
    if not areas:
        return None
    names = {info.value: info.name for info in classes}
    total = sum(area.pixels for area in areas)
    placed = all(area.square_metres is not None for area in areas)
    rows = []
    for area in areas:
        size = area.square_metres or 0.0
        sizes = (_area(size / 1e4, 2), _area(size / 1e6, 4)) if placed else ()
        share = Cell(f"{100 * area.pixels / total:.2f}", area.pixels / total, numeric=True)
        rows.append((Cell(names[area.value]), cell(f"{area.pixels:,}"), *sizes, share))
    units = ("area (ha)", "area (km²)") if placed else ()
    note = "Counted over all pixels of the map." if placed else "The map has no CRS: its pixels have no area."
    return Sheet(("class", "pixels", *units, "share of pixels (%)"), tuple(rows), note=note)


def _area(value: float, digits: int) -> Cell:
    return Cell(f"{value:,.{digits}f}", value, numeric=True)


def _note(file: RasterFile, grid: Grid) -> str:
    factor = file.grid.width / grid.width
    return "" if factor <= 1 else f"Shown with one pixel for {factor:.3g} × {factor:.3g} of the map."


def _facts(file: RasterFile) -> list[tuple[str, str]]:
    grid = file.grid
    unit = "pixels" if grid.crs is None else grid.unit
    return [
        ("file", Path(file.path).name),
        ("height × width", f"{grid.height:,} × {grid.width:,}"),
        ("CRS", "none" if grid.crs is None else grid.crs.to_string()[:80]),
        ("pixel size", " × ".join(f"{size:.6g}" for size in grid.resolution) + f" {unit}"),
        ("type", ", ".join(dict.fromkeys(band.dtype for band in file.bands))),
    ]
