"""What scenes hold out: rectangles for validation and test, with a buffer, as blocks or around labelled polygons."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, Self

import numpy as np
import shapely
from pyproj import Transformer

from geodl.data.folds import PARTS, Part, Rule, best, stratified
from geodl.data.places import boxes, locate, moved, overlap
from geodl.data.source import Grid, Window
from geodl.data.windows import (
    clear_position,
    clip,
    disjoint,
    expand,
    open_fraction,
    position_range,
    rectangles,
    to_window,
)
from geodl.errors import SplitError

__all__ = (
    "By",
    "ClassArea",
    "Features",
    "SceneSplit",
    "by_block",
    "by_feature",
    "exclude_elsewhere",
    "overlapping",
)

By = Literal["auto", "blocks", "file", "group", "feature", "time", "none"]
ClassArea = Callable[[int, Window], np.ndarray]
"""Given a scene's position and a window, the labelled pixels of each class there: int64 of shape (classes,)."""
Features = Sequence[tuple[shapely.Geometry, int]]
"""Polygons in their grid's CRS, with their class index."""

_BLOCKS = 25
_FEATURE_CHECKS = 4000

_LOG = logging.getLogger("geodl")


@dataclass(frozen=True)
class SceneSplit:
    """What one scene gives to training, validation and test."""

    trains: bool = True
    """Whether training windows may be drawn from it."""
    regions: Mapping[Part, tuple[Window, ...]] = field(default_factory=dict)
    """Rectangles that are scored, disjoint within a part; none for `train`."""
    excluded: tuple[Window, ...] = ()
    """Rectangles that no training window may touch: what this and overlapping scenes hold out, with the buffer."""
    features: Mapping[Part, tuple[int, ...]] = field(default_factory=dict)
    """Split by polygon: positions in `labels.features` that belong to each part; else empty."""
    group: str | None = None
    """Split by group: the group's name, which goes into `Place.group`."""
    by: By = "none"
    """How it was split: never `auto`."""

    @classmethod
    def whole(cls, grid: Grid, part: Part, *, group: str | None = None, by: By = "none") -> Self:
        """Returns the split of a scene that is in one part altogether."""
        if part == "train":
            return cls(group=group, by=by)
        return cls(False, {part: (grid.window,)}, (grid.window,), group=group, by=by)


def overlapping(scenes: Sequence[tuple[str, Grid]]) -> np.ndarray:
    """Returns pairs of positions (n, 2), in both orders, of georeferenced scenes that overlap."""
    spaces = defaultdict(list)
    for k, (name, grid) in enumerate(scenes):
        if grid.crs is None:
            continue
        outline, space = locate(boxes(np.array([[0, 0, *grid.shape]])), grid, name)
        spaces[space].append((k, outline[0]))
    pairs = [np.empty((0, 2), np.int64)]
    for found in spaces.values():
        index, shapes = np.array([k for k, _ in found]), np.array([shape for _, shape in found])
        i, j = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        real = (i != j) & overlap(shapes[i], shapes[j])
        pairs.append(np.column_stack([index[i[real]], index[j[real]]]))
    return np.concatenate(pairs)


def by_block(
    scenes: Sequence[tuple[str, Grid]],
    rule: Rule,
    patch: int,
    block: int | None,
    buffer: int,
    class_area: ClassArea | None,
) -> list[SceneSplit]:
    """Splits every scene that is large enough into blocks; those of one place and grid are split alike."""
    pairs, splits = overlapping(scenes), list[SceneSplit]()
    for k, (_, grid) in enumerate(scenes):
        alike = [j for i, j in pairs if i == k and j < k and grid.differs(scenes[j][1]) is None]
        if alike:
            splits.append(splits[alike[0]])
            continue
        for least in (2 * patch, patch):
            blocks = _blocks(grid.shape, least, block)
            counts = np.ones((len(blocks), 1))
            if class_area is not None and len(blocks) > 1:
                counts = np.array([class_area(k, to_window(rectangle)) for rectangle in blocks])
            split = _split_blocks(grid, blocks, counts, rule, k, patch, buffer)
            if split.regions:
                break
        splits.append(split)
    if not any(split.regions for split in splits):
        largest = max((grid.shape for _, grid in scenes), key=math.prod)
        raise SplitError(
            f"{rule} cannot be cut out of scenes of at most {largest[0]} x {largest[1]} pixels: with a buffer "
            f"of {buffer} pixels around each block nothing is left for patches of {patch} pixels.",
            advice="Choose a smaller data.patch or data.split.buffer, or give more scenes and split by file.",
        )
    return splits


def _blocks(shape: tuple[int, int], least: int, block: int | None) -> np.ndarray:
    """Cuts a scene into nearly equal blocks (n, 4) of side `block`, or else of at least `least`."""
    if block is None:
        side = math.sqrt(shape[0] * shape[1] / _BLOCKS)
        rows, cols = (max(1, min(math.ceil(n / side), n // least)) for n in shape)
    else:
        rows, cols = (max(1, round(n / block)) for n in shape)
    y, x = (np.linspace(0, n, parts + 1).round().astype(np.int64) for n, parts in zip(shape, (rows, cols), strict=True))
    return np.array([(t, left, b, r) for t, b in pairwise(y) for left, r in pairwise(x)])


def _dilated(held: np.ndarray, buffer: int, grid: Grid) -> np.ndarray:
    return np.clip(held + np.array([-buffer, -buffer, buffer, buffer]), 0, [*grid.shape, *grid.shape])


def _split_blocks(
    grid: Grid, blocks: np.ndarray, counts: np.ndarray, rule: Rule, stream: int, patch: int, buffer: int
) -> SceneSplit:
    """Holds out blocks of one scene; of the random choices, one that leaves room for training and fits the classes."""
    balance = stratified(counts)

    def cost(parts: np.ndarray) -> np.ndarray:
        room = open_fraction(grid.shape, patch, _dilated(blocks[parts > 0], buffer, grid))
        missing, mismatch = balance(parts)
        return np.array([room == 0, missing, mismatch - room])

    dealt = best(rule, lambda rng: rule.deal(len(blocks), rng), cost, stream=stream)
    if dealt is None or dealt[1][0] > 0:
        return SceneSplit(by="blocks")
    parts = rule.parts(dealt[0])
    regions = {PARTS[code]: tuple(map(to_window, blocks[parts == code])) for code in np.unique(parts[parts > 0])}
    excluded = tuple(map(to_window, _dilated(blocks[parts > 0], buffer, grid)))
    return SceneSplit(True, regions, excluded, by="blocks")


def by_feature(
    scenes: Sequence[tuple[str, Grid]],
    features: Sequence[Features | None],
    rule: Rule,
    patch: int,
    buffer: int,
    class_names: Sequence[str] | None,
) -> list[SceneSplit]:
    """Holds out polygons of each class, such that windows that miss them can still reach polygons of each class."""
    items, found = [], []
    for k, ((_, grid), polygons) in enumerate(zip(scenes, features, strict=True)):
        for j, (polygon, index) in enumerate(polygons or ()):
            bounds = _pixel_bounds(polygon, grid)
            if bounds.height > 0 and bounds.width > 0:
                items.append((k, j, index))
                found.append(bounds)
    scene, feature, kind = np.array(items, np.int64).reshape(-1, 3).T
    extent = rectangles(found)
    lonely = [class_names[c] if class_names else str(c) for c in np.unique(kind) if (kind == c).sum() == 1]
    if lonely and rule.holds_out:
        _LOG.warning("Trained on but not scored, having a single polygon: class %s.", ", ".join(lonely))

    def excluded(parts: np.ndarray, k: int) -> np.ndarray:
        return _dilated(extent[(parts > 0) & (scene == k)], buffer, scenes[k][1])

    def cost(parts: np.ndarray) -> np.ndarray:
        blocked = [excluded(parts, k) for k in range(len(scenes))]
        training = np.flatnonzero(parts == 0)
        reached = [i for i in training if _reachable(extent[i], patch, scenes[scene[i]][1], blocked[scene[i]])]
        return np.array([-len(np.unique(kind[reached])), -len(reached)])

    trials = min(128, max(1, _FEATURE_CHECKS // max(1, len(items) * rule.hands)))
    dealt = best(rule, lambda rng: rule.deal_each(kind, rng), cost, trials=trials)
    assert dealt is not None
    parts = rule.parts(dealt[0])
    if not (parts > 0).any():
        raise SplitError(
            f"{rule} cannot be made of {len(items)} polygon(s) of {len(np.unique(kind))} class(es).",
            advice="Give at least two polygons of a class, or split by blocks or by file.",
        )
    splits = []
    for k in range(len(scenes)):
        members: dict[Part, tuple[int, ...]] = {}
        regions: dict[Part, tuple[Window, ...]] = {}
        for code in np.unique(parts[scene == k]):
            mine = (parts == code) & (scene == k)
            members[PARTS[code]] = tuple(feature[mine].tolist())
            if code > 0:
                regions[PARTS[code]] = tuple(disjoint(map(to_window, extent[mine])))
        splits.append(SceneSplit(True, regions, tuple(map(to_window, excluded(parts, k))), members, by="feature"))
    return splits


def _pixel_bounds(shape: shapely.Geometry, grid: Grid) -> Window:
    """Returns the pixels of `grid` that hold `shape`, given in its CRS."""
    left, top, right, bottom = shapely.bounds(shapely.transform(shape, lambda points: moved(points, ~grid.transform)))
    if not np.isfinite([left, top, right, bottom]).all():
        return Window(0, 0, 0, 0)
    return clip(to_window((math.floor(top), math.floor(left), math.ceil(bottom), math.ceil(right))), grid.shape)


def _reachable(extent: np.ndarray, patch: int, grid: Grid, blocked: np.ndarray) -> bool:
    low, high = position_range(extent[None], patch, grid.shape)
    return clear_position(low[0], high[0], patch, blocked) is not None


def exclude_elsewhere(
    scenes: Sequence[tuple[str, Grid]], splits: Sequence[SceneSplit], buffer: int
) -> list[SceneSplit]:
    """Keeps what is held out in one scene out of the training windows of those that overlap it."""
    done = list(splits)
    for i, j in overlapping(scenes):
        (_, here), (_, there) = scenes[i], scenes[j]
        if here.differs(there) is None and splits[i].regions == splits[j].regions:
            continue
        transformer = Transformer.from_crs(here.crs, there.crs, always_xy=True)
        for window in (w for windows in splits[i].regions.values() for w in windows):
            outline = shapely.get_coordinates(shapely.segmentize(here.footprint(window), max(here.resolution) * 64))
            seen = _pixel_bounds(shapely.Polygon(np.column_stack(transformer.transform(*outline.T))), there)
            if seen.height and seen.width:
                done[j] = replace(done[j], excluded=(*done[j].excluded, expand(seen, buffer, there.shape)))
    return done
