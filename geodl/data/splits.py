"""Splits of scenes into training, validation and test: by block, by file, by group or by labelled polygon."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodl.data.folds import PARTS, Part, Rule, best, stratified
from geodl.data.holdouts import (
    By,
    ClassArea,
    Features,
    SceneSplit,
    by_block,
    by_feature,
    exclude_elsewhere,
    overlapping,
)
from geodl.data.places import Place, check_leakage
from geodl.data.source import Grid
from geodl.errors import SplitError

__all__ = ("By", "ClassArea", "Features", "Part", "Place", "SceneSplit", "check_leakage", "group_keys", "split_scenes")

_MANY_FILES = 5
_FEW_FEATURES = 500


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
            `auto`: by group where there is a `pattern`; by file where there are 5 that do not overlap; by feature where
            all labels are polygons, fewer than 500 and at least 2 of most classes; else by blocks, or by file where the
            scenes are too small for blocks.
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
        by = "group" if pattern else _choose(scenes, known, rule)
    if by not in ("auto", "none", "file", "group", "feature", "blocks"):
        raise SplitError(f"scenes are not split by {by}.", advice="Expected blocks, file, group, feature or none.")
    if by == "none" or not rule.holds_out:
        return [SceneSplit.whole(grid, "train") for _, grid in scenes]
    if by == "file":
        return _by_unit(scenes, _by_overlap(scenes), rule, by, class_area)
    if by == "group":
        return _by_unit(scenes, group_keys([name for name, _ in scenes], pattern, divide), rule, by, class_area)
    if by == "feature":
        margin = buffer or 0
        return exclude_elsewhere(scenes, by_feature(scenes, known, rule, patch, margin, class_names), margin)
    margin = patch if buffer is None else buffer
    try:
        return exclude_elsewhere(scenes, by_block(scenes, rule, patch, block, margin, class_area), margin)
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


def _by_overlap(scenes: Sequence[tuple[str, Grid]]) -> list[tuple]:
    """Returns one key per scene, the same for those that overlap: the first of their names."""
    i, j = overlapping(scenes).T
    links = coo_array((np.ones(len(i)), (i, j)), shape=(len(scenes), len(scenes)))
    _, parts = connected_components(links, directed=False)
    first: dict[int, str] = {}
    for (name, _), part in sorted(zip(scenes, parts, strict=True), key=lambda item: item[0][0]):
        first.setdefault(int(part), name)
    return [(first[int(part)],) for part in parts]


def group_keys(names: Sequence[str], pattern: str | None, divide: int | None) -> list[tuple]:
    """Returns what the pattern captures in each name; those that agree are one group.

    Raises:
        SplitError: there is no pattern, or it does not fit.
    """
    advice = "Set data.split.pattern to a regular expression that captures what the names of one group have in common."
    if not pattern:
        raise SplitError("by group needs a pattern.", advice=advice)
    try:
        matches = [re.search(pattern, name) for name in names]
    except re.error as error:
        raise SplitError(f"pattern {pattern!r} is no regular expression ({error}).", advice=advice) from error
    keys: list[tuple] = []
    for name, match in zip(names, matches, strict=True):
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
