"""How a pipeline's scenes are dealt to training, validation and test: by the recipe, each pixel to one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geodl.data.labels import Labels, VectorLabels
from geodl.data.samples import RegionSamples, Scene, class_counts
from geodl.data.source import Source, Window
from geodl.data.splits import Part, SceneSplit, split_scenes
from geodl.data.windows import rectangles, subtract
from geodl.pipelines.datasets import official_parts
from geodl.pipelines.task import Table
from geodl.recipe import Recipe, Split

__all__ = ("CONTEXT", "as_trained", "make_scenes", "part_samples", "parts_of", "scene_table", "split_by_recipe")

CONTEXT = 64
"""Pixels of surroundings that the network sees beyond a window that is scored, where a scene is scored in windows."""


def make_scenes(sources: Sequence[Source], labels: Sequence[Labels], splits: Sequence[SceneSplit]) -> list[Scene]:
    """Puts each scene together."""
    return [Scene(*scene) for scene in zip(sources, labels, splits, strict=True)]


def split_by_recipe(
    sources: Sequence[Source], labels: Sequence[Labels], *, recipe: Recipe, patch: int
) -> list[SceneSplit]:
    """Splits by the recipe. A fold is reported only, so it becomes the test part: no epoch is chosen on it.

    Args:
        sources: the scenes.
        labels: of each.
        recipe: its `data.split` and seed.
        patch: side of a training sample in pixels.

    Raises:
        SplitError: the data cannot be split like this.
    """
    chosen = recipe.data.split
    split = chosen if isinstance(chosen, Split) else Split()
    official = official_parts(recipe.data, split, [source.name for source in sources])
    taken = [k for k in range(len(sources)) if official[k] == "train"]
    rule = split.rule()
    if split.by == "official":
        rule |= {"by": "auto", "test": 0.0, "validation": 0.0 if "validation" in official else split.validation}
    dealt = split_scenes(
        [(sources[k].name, sources[k].grid) for k in taken],
        patch=patch,
        seed=recipe.seed,
        features=[found.features if isinstance(found := labels[k], VectorLabels) else None for k in taken],
        class_area=lambda k, window: class_counts(labels[taken[k]], window),
        class_names=[info.name for info in labels[0].classes],
        block=split.block,
        buffer=split.buffer,
        **rule,
    )
    by_position = dict(zip(taken, dealt, strict=True))
    splits = [by_position.get(k) or _whole(source, official[k]) for k, source in enumerate(sources)]
    return splits if split.fold is None else [_as_test(scene) for scene in splits]


def _whole(source: Source, part: Part | None) -> SceneSplit:
    """The split of a scene that is of one official part altogether, or of none."""
    return SceneSplit(trains=False) if part is None else SceneSplit.whole(source.grid, part, by="file")


def parts_of(scenes: Sequence[Scene]) -> tuple[Part, ...]:
    """Returns which held-out parts there are."""
    parts: tuple[Part, ...] = ("validation", "test")
    return tuple(part for part in parts if any(scene.split.regions.get(part) for scene in scenes))


def part_samples(scenes: Sequence[Scene], part: Part) -> RegionSamples:
    """Returns a held-out part, window by window; of held-out polygons only, where the split is by polygon."""
    own = [
        scene._replace(labels=scene.labels.only(scene.split.features[part]))
        if isinstance(scene.labels, VectorLabels) and scene.split.features.get(part)
        else scene
        for scene in scenes
    ]
    return RegionSamples(own, part=part, margin=CONTEXT)


def as_trained(scene: Scene) -> Scene:
    """Makes what a scene trains on its test part: all that no training window is kept off."""
    grid, split = scene.source.grid, scene.split
    trained = tuple(subtract(grid.window, rectangles(split.excluded)))
    own = SceneSplit(False, {"test": trained}, features={"test": split.features.get("train", ())}, by=split.by)
    return scene._replace(split=own)


def scene_table(scenes: Sequence[Scene]) -> Table:
    """Lists the scenes with their size and the parts they give to."""

    def size(windows: Sequence[Window]) -> int:
        return sum(int(window.width * window.height) for window in windows)

    rows = tuple(
        (
            scene.source.name,
            " × ".join(map(str, scene.source.grid.shape)),
            len(scene.source.bands),
            ", ".join(
                (["train"] if scene.split.trains else [])
                + [part for part, found in scene.split.regions.items() if size(found)]
            ),
        )
        for scene in scenes
    )
    return Table("Scenes", ("scene", "height × width", "bands", "parts"), rows)


def _as_test(split: SceneSplit) -> SceneSplit:
    """Moves the validation part to the test part."""

    def moved(by_part: Mapping[Part, tuple]) -> dict[Part, tuple]:
        return {"test": (*by_part.get("validation", ()), *by_part.get("test", ())), "train": by_part.get("train", ())}

    return SceneSplit(split.trains, moved(split.regions), split.excluded, moved(split.features), split.group, split.by)
