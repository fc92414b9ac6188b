from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geodl.data.source import Grid, Window
from geodl.data.splits import SceneSplit, split_scenes
from geodl.errors import SplitError
from tests.data.fakes import pixel_grid, utm_grid

Scenes = list[tuple[str, Grid]]


def part_of(split: SceneSplit) -> str:
    return "train" if split.trains else next(iter(split.regions))


def chips(number: int, size: int = 64) -> Scenes:
    """Chips side by side, touching."""
    return [(f"chip_{k:02}", utm_grid(size, size, east=size * k)) for k in range(number)]


def test_none_trains_on_everything() -> None:
    assert split_scenes(chips(3), patch=32, by="none") == [SceneSplit()] * 3


@pytest.mark.parametrize("by", ["auto", "blocks", "file", "feature"])
def test_without_anything_held_out_it_is_none(by: Any) -> None:
    assert split_scenes(chips(9), patch=32, by=by, validation=0.0) == [SceneSplit()] * 9


def test_a_whole_scene_can_be_evaluated() -> None:
    split = SceneSplit.whole(pixel_grid(5, 6), "test")
    assert (split.trains, split.regions, split.excluded) == (
        False,
        {"test": (Window(0, 0, 6, 5),)},
        (Window(0, 0, 6, 5),),
    )


# By file


def test_auto_splits_many_files_by_file() -> None:
    splits = split_scenes(chips(10), patch=32, validation=0.2, test=0.1, seed=3)
    parts = [part_of(split) for split in splits]
    assert (parts.count("train"), parts.count("validation"), parts.count("test")) == (7, 2, 1)
    assert {split.by for split in splits} == {"file"}
    assert all(split.excluded == (Window(0, 0, 64, 64),) for split in splits if not split.trains)


def test_the_choice_depends_on_the_seed_alone() -> None:
    found = [[part_of(s) for s in split_scenes(chips(20), patch=32, seed=seed)] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_files_that_overlap_stay_together() -> None:
    # Three dates of each of six places, a few pixels apart.
    scenes = [(f"place{k}_{date}", utm_grid(64, 64, east=200 * k + 3 * date)) for date in range(3) for k in range(6)]
    for seed in range(5):
        sides = defaultdict(set)
        for (name, _), split in zip(scenes, split_scenes(scenes, patch=32, seed=seed)):
            sides[name[:6]].add(part_of(split))
        assert all(len(side) == 1 for side in sides.values())
        assert len(set.union(*sides.values())) == 2


def test_leave_one_file_out_goes_through_the_files_by_name() -> None:
    scenes = chips(6)[::-1]
    for fold in range(6):
        parts = [part_of(s) for s in split_scenes(scenes, patch=32, by="file", folds=6, fold=fold, seed=fold)]
        assert [name for (name, _), part in zip(scenes, parts) if part == "validation"] == [f"chip_{fold:02}"]


def test_files_are_chosen_so_that_classes_are_on_both_sides() -> None:
    def class_area(scene: int, window: Window) -> np.ndarray:
        return np.array([100, 50 * (scene in (4, 11))])

    for seed in range(6):
        splits = split_scenes(chips(15), patch=32, by="file", seed=seed, class_area=class_area)
        assert part_of(splits[4]) != part_of(splits[11])


def test_too_few_files_are_refused() -> None:
    with pytest.raises(SplitError, match=r"6 folds cannot be made of 4 file\(s\) that do not overlap. Give more"):
        split_scenes(chips(4), patch=32, by="file", folds=6, fold=0)
    with pytest.raises(SplitError, match=r"validation 0.2 and test 0.2 cannot be made of 2 file"):
        split_scenes(chips(2), patch=32, by="file", test=0.2)


# By group


def test_auto_with_a_pattern_is_by_group() -> None:
    named = split_scenes(chips(20), patch=32, pattern=r"chip_(\d)")
    assert named == split_scenes(chips(20), patch=32, by="group", pattern=r"chip_(\d)")
    assert {split.by for split in named} == {"group"}


def test_parents_of_map_tiles_are_groups(real_data: Path) -> None:
    names = sorted(p.stem for p in (real_data / "segmentation/kampala_buildings/images").glob("*.tif"))
    scenes = [(name, pixel_grid(256, 256)) for name in names]
    options = {"patch": 128, "by": "group", "pattern": r"OAM-(\d+)-(\d+)", "divide": 4}
    validated = []
    for fold in range(5):
        splits = split_scenes(scenes, **options, folds=5, fold=fold)
        held = [name for name, split in zip(names, splits) if not split.trains]
        parents = {tuple(int(v) // 4 for v in name.split("-")[1:3]) for name in held}
        assert (len(held), len(parents)) == (16, 1)
        assert {split.group for split in splits if not split.trains} == {"-".join(map(str, *parents))}
        validated += sorted(parents)
    assert validated == sorted(validated) and len(set(validated)) == 5


def test_groups_are_named_by_what_the_pattern_captures() -> None:
    scenes = [
        (f"{country}_{k}", utm_grid(8, 8, east=100 * k))
        for k, country in enumerate(["Spain", "India", "Spain", "Ghana"])
    ]
    splits = split_scenes(scenes, patch=4, by="group", pattern=r"^([A-Za-z]+)_", folds=3, fold=2)
    assert [split.group for split in splits] == ["Spain", "India", "Spain", "Ghana"]
    assert [split.trains for split in splits] == [False, True, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "by group needs a pattern"),
        ({"pattern": "("}, r"'\(' is no regular expression"),
        ({"pattern": r"_(\d+)$"}, "does not occur in the name 'one'"),
        ({"pattern": r"(\w)", "divide": 4}, "divide needs integers"),
        ({"pattern": "."}, r"cannot be made of 1 group\(s\)"),
    ],
)
def test_patterns_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    scenes = [("one_1", pixel_grid(8, 8)), ("one", pixel_grid(8, 8))]
    with pytest.raises(SplitError, match=message):
        split_scenes(scenes, patch=4, by="group", **options)


def test_auto_takes_a_few_small_scenes_by_file() -> None:
    splits = split_scenes(chips(3), patch=48)
    assert sorted(map(part_of, splits)) == ["train", "train", "validation"]
