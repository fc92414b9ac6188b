"""Where the parts of a split lie: areas of scenes, points of fields, spans of time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from geodl.data.places import Place
from geodl.data.samples import Samples
from geodl.report.comparison import shorten
from geodl.report.footprints import draw_scene, ratio
from geodl.report.lines import WIDTH, line_figure, name_axes
from geodl.report.palette import CAPTION, PARTS, UNUSED
from geodl.report.timelines import draw_timelines

__all__ = ("split_map",)

_LOOKED = 4000
"""Places of a part that are looked at, at most."""
_SCENES = 12
"""Scenes that have a panel each, at most; more are drawn on one map."""


def split_map(parts: Mapping[str, Samples], *, time_unit: str = "", title: str = "") -> Figure:
    """Draws where the samples of each part lie.

    Windows of scenes are drawn as areas, scene by scene, and what lies between the parts as unused: buffers, and what has
    no label. Of more than 12 scenes, all are drawn on one map. Fields and stations are points where they are small. Events
    and trajectories are spans on an axis of time. Samples that lie nowhere are counted.

    Args:
        parts: `training`, `validation`, `test` → samples, of those that there are. Only `place` is asked; of more than
            4000 samples some, spread evenly.
        time_unit: of times that are numbers, such as those of trajectories.
        title: above all panels.

    Example:
        >>> figure = split_map({"training": parts.train, "validation": parts.validation})
    """
    places = {part: _places(samples) for part, samples in parts.items()}
    told = {
        part: f"{part}: {len(samples):,} {'sample' if len(samples) == 1 else 'samples'}"
        for part, samples in parts.items()
    }
    everywhere = [place for found in places.values() for place in found]
    if all(place.footprint is None and place.time is None for place in everywhere):
        figure = _counts(parts, places)
    elif _are_spans(everywhere):
        figure, note = draw_timelines(places, unit=time_unit)
        _legend(figure, told, note=_note(note, parts, places))
    else:
        figure, note, unused, points = _maps(places)
        _legend(figure, told, note=_note(note, parts, places), unused=unused, points=points)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _note(note: str, parts: Mapping[str, Samples], places: Mapping[str, Sequence[Place]]) -> str:
    """Adds of which parts not all samples are drawn."""
    some = [part for part in parts if len(places[part]) < len(parts[part])]
    return f"{note} Of the {' and '.join(some)} samples {_LOOKED:,} are drawn.".strip() if some else note


def _places(samples: Samples) -> list[Place]:
    count = len(samples)
    return [
        samples.place(int(k)) for k in np.unique(np.linspace(0, count - 1, min(count, _LOOKED)).round().astype(int))
    ]


def _are_spans(places: Sequence[Place]) -> bool:
    """Says whether time tells the samples apart, and not space: each source has one footprint, or none."""
    shapes: dict[str, set[bytes | None]] = {}
    for place in places:
        if place.time is None:
            return False
        shapes.setdefault(place.source, set()).add(None if place.footprint is None else shapely.to_wkb(place.footprint))
    return all(len(found) == 1 for found in shapes.values()) and len(shapes) < len(places)


def _maps(places: Mapping[str, Sequence[Place]]) -> tuple[Figure, str, bool, bool]:
    """Draws a panel per scene, or one map of many; also says what is told below, and whether there is unused and points."""
    scenes: dict[tuple[str, str], dict[str, list[shapely.Geometry]]] = {}
    for part, found in places.items():
        for place in found:
            if place.footprint is not None and not shapely.is_empty(place.footprint):
                scenes.setdefault((place.space, place.source), {}).setdefault(part, []).append(place.footprint)
    if len(scenes) > _SCENES:
        return _overview(scenes)
    columns = min(len(scenes), 2 if len(scenes) == 4 else 3)
    rows = math.ceil(len(scenes) / columns)
    tall = float(np.clip(np.median([ratio(space, of) for (space, _), of in scenes.items()]), 0.3, 1.5))
    width = min(WIDTH / columns, 5.6, 5.6 / tall)
    figure = line_figure(max(columns * width, 6.2), rows * ((width - 0.5) * tall + 0.75) + 0.5)
    figure.set_layout_engine("constrained", compress=True)
    grid = figure.subplots(rows, columns, squeeze=False)
    kinds = []
    for axes, ((space, name), of) in zip(grid.flat, sorted(scenes.items())):
        kinds.append(draw_scene(axes, space, of))
        axes.set_title(shorten(name, width), fontsize=9, parse_math=False)
    for axes in grid.flat[len(scenes) :]:
        axes.remove()
    unused, points = (any(found) for found in zip(*kinds))
    return figure, "Training windows lie anywhere in the training area." if unused else "", unused, points


def _overview(
    scenes: Mapping[tuple[str, str], Mapping[str, Sequence[shapely.Geometry]]],
) -> tuple[Figure, str, bool, bool]:
    """Draws many scenes on one map, as areas or points; counts those without common coordinates."""
    merged: dict[str, dict[str, list[shapely.Geometry]]] = {}
    for (space, _), of in scenes.items():
        for part, shapes in of.items():
            merged.setdefault(space, {}).setdefault(part, []).append(shapely.union_all(shapes))
    if len(merged) > 1:
        parts = list(dict.fromkeys(part for of in scenes.values() for part in of))
        counts = {part: sum(part in of for of in scenes.values()) for part in parts}
        return (
            _bars({part: part for part in parts}, counts, "scenes"),
            "Scenes have no common coordinates.",
            False,
            False,
        )
    ((space, of),) = merged.items()
    tall = float(np.clip(ratio(space, of), 0.35, 1.2))
    figure = line_figure(6.6, 5.4 * tall + 1.1)
    axes = figure.subplots()
    _, points = draw_scene(axes, space, of, rest=False)
    return figure, f"{len(scenes)} scenes on one map.", False, points


def _counts(parts: Mapping[str, Samples], places: Mapping[str, Sequence[Place]]) -> Figure:
    """Draws how many samples there are, and of how many groups, where none of them lies anywhere."""
    counts = {part: len(samples) for part, samples in parts.items()}
    groups = {part: len({place.group for place in found if place.group is not None}) for part, found in places.items()}
    told = {part: f"{part}{f' ({groups[part]:,} groups)' if groups[part] else ''}" for part in parts}
    return _bars(told, counts, "samples")


def _bars(told: Mapping[str, str], counts: Mapping[str, int], what: str) -> Figure:
    figure = line_figure(0.7 * WIDTH, 0.42 * len(told) + 0.8)
    axes = figure.subplots()
    for row, part in enumerate(told):
        look = PARTS[part]
        axes.barh(row, counts[part], 0.7, color=look["colour"], hatch=look["hatch"], edgecolor=CAPTION, linewidth=0.6)
        axes.annotate(
            f"{counts[part]:,}", (counts[part], row), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(told)), labels=list(told.values()), parse_math=False)
    axes.set_ylim(len(told) - 0.5, -0.5)
    name_axes(axes, what, "")
    axes.set_xlim(0, 1.12 * max(counts.values()))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=False, axis="y")
    return figure


def _legend(
    figure: Figure, told: Mapping[str, str], *, note: str = "", unused: bool = False, points: bool = False
) -> None:
    rows = {name: PARTS[part] for part, name in told.items()}
    if unused:
        rows["unused: buffer, or nothing to learn from"] = UNUSED
    handles: list[Any] = [
        Line2D([], [], linestyle="none", marker=look["marker"], color=look["colour"], label=name)
        if points and look is not UNUSED
        else Patch(facecolor=look["colour"], hatch=look["hatch"], edgecolor=CAPTION, linewidth=0.6, label=name)
        for name, look in rows.items()
    ]
    columns = 2 if unused else 3
    box = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    # As the title of the legend, for two things outside the axes would lie on each other.
    box.set_title(note, prop=FontProperties(size=8))
    box.get_title().set_color(CAPTION)
