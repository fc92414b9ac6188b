"""Splits of scenes into training, validation and test: by block, by file, by group or by labelled polygon."""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, Self

import numpy as np
import shapely
from pyproj import Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodl.data.folds import PARTS, Part, Rule, best, stratified
from geodl.data.places import Place, boxes, check_leakage, locate, moved, overlap
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

__all__ = ("By", "ClassArea", "Features", "Part", "Place", "SceneSplit", "check_leakage", "split_scenes")

By = Literal["auto", "blocks", "file", "group", "feature", "none"]
ClassArea = Callable[[int, Window], np.ndarray]
"""Given a scene's position and a window, the labelled pixels of each class there: int64 of shape (classes,)."""
Features = Sequence[tuple[shapely.Geometry, int]]
"""Polygons in their grid's CRS, with their class index."""

_BLOCKS = 25
_MANY_FILES = 5
_FEW_FEATURES = 500
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


def split_scenes(
    scenes: Sequence[tuple[str, Grid]],
    *,
    patch: int,
    by: By = "auto",
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.0,
    folds: int | None = None,
    fold: int | None = None,
    block: int | None = None,
    buffer: int | None = None,
    pattern: str | None = None,
    divide: int | None = None,
    features: Sequence[Features | None] | None = None,
    class_area: ClassArea | None = None,
    class_names: Sequence[str] | None = None,
) -> list[SceneSplit]:
    """Splits scenes so that nothing held out is trained on.

    Args:
        scenes: (name, grid) of each.
        patch: side of a training window, in pixels.
        by: what is held out.
            `blocks`: rectangles of every scene that is large enough; smaller scenes are trained on.
            `file`: whole scenes; those whose footprints overlap stay together.
            `group`: whole scenes whose names agree in what `pattern` captures.
            `feature`: labelled polygons, of each class; a class with a single one stays in training.
            `none`: nothing.
            `auto`: by file where there are 5 that do not overlap, by feature where all labels are polygons, fewer than
            500 and at least 2 of most classes, else by blocks, or by file where the scenes are too small for blocks.
        seed: of the random choice.
        validation, test: shares held out, 0-1, of blocks, files, groups or polygons; at least one where not 0.
        folds, fold: k-fold cross-validation instead of `validation`: `fold`, from 0, is the one validated. The other
            folds, and `test`, do not depend on it. With as many folds as files or groups, each is validated alone, in
            the order of their names.
        block: side of a block, in pixels; default: such that a scene has at least 25, each of at least 2 patches
            (or 1 if it must be).
        buffer: pixels between what is held out and any training window; default: `patch` around blocks, 0 around
            polygons, which may lie a few pixels apart.
        pattern: for `group`: a regular expression searched in the names; what its groups capture names the group.
        divide: for `group`: the captured integers are divided by this, rounding down: the parent tile of map tiles.
        features: for `feature`: for each scene the polygons in its grid's CRS with their class index, or None.
        class_area: if given, units are chosen such that each class is on both sides where it can be.
        class_names: for messages; default: class indices.

    Returns:
        One `SceneSplit` per scene.

    Raises:
        SplitError: the data cannot be split like this; says what to do.

    Example:
        >>> tiles = {"pattern": r"OAM-(\\d+)-(\\d+)", "divide": 4}
        >>> splits = split_scenes(scenes, patch=128, by="group", **tiles, folds=5, fold=0)
    """
    rule = Rule(seed, validation, test, folds, fold)
    known: list[Features | None] = [None] * len(scenes) if features is None else list(features)
    if by == "auto":
        by = _choose(scenes, known, rule)
    if by == "none":
        return [SceneSplit.whole(grid, "train") for _, grid in scenes]
    if by == "file":
        return _by_unit(scenes, _by_overlap(scenes), rule, by, class_area)
    if by == "group":
        return _by_unit(scenes, _by_name(scenes, pattern, divide), rule, by, class_area)
    if by == "feature":
        margin = buffer or 0
        return _exclude_elsewhere(scenes, _by_feature(scenes, known, rule, patch, margin, class_names), margin)
    margin = patch if buffer is None else buffer
    try:
        return _exclude_elsewhere(scenes, _by_block(scenes, rule, patch, block, margin, class_area), margin)
    except SplitError:
        if by == "blocks" or len(set(_by_overlap(scenes))) < 2:
            raise
        return _by_unit(scenes, _by_overlap(scenes), rule, "file", class_area)


def _choose(scenes: Sequence[tuple[str, Grid]], features: Sequence[Features | None], rule: Rule) -> By:
    """Returns the way of splitting that `auto` stands for; `auto` again for blocks if they fit, else by file."""
    if not rule.holds_out:
        return "none"
    if len(set(_by_overlap(scenes))) >= _MANY_FILES:
        return "file"
    polygons = [item for found in features for item in found or ()]
    _, counts = np.unique([index for _, index in polygons], return_counts=True)
    if None not in features and 0 < len(polygons) < _FEW_FEATURES and np.median(counts) >= 2:
        return "feature"
    return "auto"


def _overlapping(scenes: Sequence[tuple[str, Grid]]) -> np.ndarray:
    """Returns pairs of positions (n, 2), in both orders, of scenes whose footprints overlap."""
    spaces = defaultdict(list)
    for k, (name, grid) in enumerate(scenes):
        outline, space = locate(boxes(np.array([[0, 0, *grid.shape]])), grid, name)
        spaces[space].append((k, outline[0]))
    pairs = [np.empty((0, 2), np.int64)]
    for found in spaces.values():
        index, shapes = np.array([k for k, _ in found]), np.array([shape for _, shape in found])
        i, j = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        real = (i != j) & overlap(shapes[i], shapes[j])
        pairs.append(np.column_stack([index[i[real]], index[j[real]]]))
    return np.concatenate(pairs)


def _by_overlap(scenes: Sequence[tuple[str, Grid]]) -> list[tuple]:
    """Returns one key per scene, the same for those that overlap: the first of their names."""
    i, j = _overlapping(scenes).T
    links = coo_array((np.ones(len(i)), (i, j)), shape=(len(scenes), len(scenes)))
    _, parts = connected_components(links, directed=False)
    first: dict[int, str] = {}
    for (name, _), part in sorted(zip(scenes, parts, strict=True), key=lambda item: item[0][0]):
        first.setdefault(int(part), name)
    return [(first[int(part)],) for part in parts]


def _by_name(scenes: Sequence[tuple[str, Grid]], pattern: str | None, divide: int | None) -> list[tuple]:
    """Returns what the pattern captures in each scene's name."""
    advice = "Set data.split.pattern to a regular expression that captures what the names of one group have in common."
    if not pattern:
        raise SplitError("by group needs a pattern.", advice=advice)
    try:
        matches = [re.search(pattern, name) for name, _ in scenes]
    except re.error as error:
        raise SplitError(f"pattern {pattern!r} is no regular expression ({error}).", advice=advice) from error
    keys: list[tuple] = []
    for (name, _), match in zip(scenes, matches, strict=True):
        if match is None:
            raise SplitError(f"pattern {pattern!r} does not occur in the name {name!r}.", advice=advice)
        captured = [part or "" for part in match.groups() or (match.group(),)]
        if divide and not all(part.isdecimal() for part in captured):
            raise SplitError(
                f"divide needs integers, but {pattern!r} captures {captured} in {name!r}.",
                advice="Let the pattern capture digits only, or leave divide out.",
            )
        keys.append(tuple(int(part) // divide for part in captured) if divide else tuple(captured))
    return keys


def _by_unit(
    scenes: Sequence[tuple[str, Grid]], keys: Sequence[tuple], rule: Rule, by: By, class_area: ClassArea | None
) -> list[SceneSplit]:
    """Splits by whole scenes; those of one key stay together."""
    units = {key: k for k, key in enumerate(sorted(set(keys)))}
    owner = np.array([units[key] for key in keys])
    cost = None
    if class_area is not None:
        of_scenes = np.array([class_area(k, grid.window) for k, (_, grid) in enumerate(scenes)])
        counts = np.zeros((len(units), of_scenes.shape[1]))
        np.add.at(counts, owner, of_scenes)
        cost = stratified(counts)
    dealt = best(rule, lambda rng: rule.deal(len(units), rng), cost)
    if dealt is None:
        raise SplitError(
            f"{rule} cannot be made of {len(units)} {'group(s)' if by == 'group' else 'file(s) that do not overlap'}.",
            advice="Give more of them, ask for fewer parts or folds, or split by blocks.",
        )
    parts = [PARTS[code] for code in rule.parts(dealt[0])[owner]]
    names = ["-".join(map(str, key)) if by == "group" else None for key in keys]
    grids = (grid for _, grid in scenes)
    return [SceneSplit.whole(*of, group=group, by=by) for *of, group in zip(grids, parts, names, strict=True)]


def _by_block(
    scenes: Sequence[tuple[str, Grid]],
    rule: Rule,
    patch: int,
    block: int | None,
    buffer: int,
    class_area: ClassArea | None,
) -> list[SceneSplit]:
    """Splits every scene that is large enough into blocks; those of one place and grid are split alike."""
    pairs, splits = _overlapping(scenes), list[SceneSplit]()
    for k, (_, grid) in enumerate(scenes):
        alike = [j for i, j in pairs if i == k and j < k and grid.differs(scenes[j][1]) is None]
        if alike:
            splits.append(splits[alike[0]])
            continue
        blocks = _blocks(grid.shape, patch, block)
        counts = np.ones((len(blocks), 1))
        if class_area is not None and len(blocks) > 1:
            counts = np.array([class_area(k, to_window(rectangle)) for rectangle in blocks])
        splits.append(_split_blocks(grid, blocks, counts, rule, k, patch, buffer))
    if not any(split.regions for split in splits):
        largest = max((grid.shape for _, grid in scenes), key=math.prod)
        raise SplitError(
            f"{rule} cannot be cut out of scenes of at most {largest[0]} x {largest[1]} pixels: with a buffer "
            f"of {buffer} pixels around each block nothing is left for patches of {patch} pixels.",
            advice="Choose a smaller data.patch or data.split.buffer, or give more scenes and split by file.",
        )
    return splits


def _blocks(shape: tuple[int, int], patch: int, block: int | None) -> np.ndarray:
    """Cuts a scene into nearly equal blocks (n, 4)."""
    if block is None:
        side = math.sqrt(shape[0] * shape[1] / _BLOCKS)
        counts = [[max(1, min(math.ceil(n / side), n // (least * patch))) for n in shape] for least in (2, 1)]
        rows, cols = counts[0] if math.prod(counts[0]) > 1 else counts[1]
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


def _by_feature(
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


def _exclude_elsewhere(
    scenes: Sequence[tuple[str, Grid]], splits: Sequence[SceneSplit], buffer: int
) -> list[SceneSplit]:
    """Keeps what is held out in one scene out of the training windows of those that overlap it."""
    done = list(splits)
    for i, j in _overlapping(scenes):
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
