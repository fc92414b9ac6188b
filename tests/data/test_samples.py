from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.augment import Augmentation
from geodl.data.labels import IGNORE
from geodl.data.places import boxes, check_leakage
from geodl.data.samples import DrawnSamples, RegionSamples, Samples, Scene, SceneSamples, class_counts
from geodl.data.source import Window
from geodl.data.splits import SceneSplit, split_scenes
from geodl.data.windows import clip, disjoint, intersects, rectangles
from geodl.errors import EmptyDataset, NoValidPixels, SplitLeakage
from tests.data.fakes import FakeLabels, FakeSource, pixel_grid, utm_grid


def made(
    shape: tuple[int, int], *, split: SceneSplit | None = None, seed: int = 0, share: float = 1.0, **more: Any
) -> Scene:
    """A scene whose two bands are row and column, whose labels cover `share` of it."""
    values = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    random = np.random.default_rng(seed)
    indices = np.where(random.random(shape) < share, random.integers(0, 3, shape), IGNORE)
    return Scene(FakeSource(values, **more), FakeLabels(indices, grid=more.get("grid")), split or SceneSplit())


def drawn(samples: SceneSamples, count: int, seed: int = 0) -> list[tuple[int, tuple[np.ndarray, ...]]]:
    random = np.random.default_rng(seed)
    indices = samples.draw(random, count)
    assert indices is not None
    return [(int(k), samples.read(int(k), own)) for k, own in zip(indices, random.spawn(count))]


def test_all_kinds_keep_to_the_protocol() -> None:
    scene = made((20, 20), split=SceneSplit(regions={"test": (Window(0, 0, 5, 5),)}))
    assert isinstance(SceneSamples([scene], patch=8), DrawnSamples)
    assert isinstance(RegionSamples([scene], part="test"), Samples)
    assert not isinstance(RegionSamples([scene], part="test"), DrawnSamples)


# Training


def test_a_sample_is_what_source_and_labels_hold_in_its_window() -> None:
    scene = made((40, 50), share=0.4)
    scene.source.values[5:9, 20:30, 1] = np.nan
    samples = SceneSamples([scene], patch=16)
    for k, (x, y, weight) in drawn(samples, 40):
        top, left = (int(v) for v in x[-1, -1] - 15) if not np.isnan(x[-1, -1]).any() else (int(v) for v in x[0, 0])
        window = (slice(top, top + 16), slice(left, left + 16))
        np.testing.assert_array_equal(x, scene.source.values[window])
        valid = ~np.isnan(scene.source.values[window]).any(-1)
        np.testing.assert_array_equal(y, np.where(valid, scene.labels.indices[window], IGNORE))
        np.testing.assert_array_equal(weight, y != IGNORE)
        assert (x.dtype, y.dtype, weight.dtype) == (np.float32, np.int32, np.float32)
        row, column = samples._cells[k, :2]
        assert top <= row < top + 16 and left <= column < left + 16


rectangle = st.builds(Window, st.integers(0, 50), st.integers(0, 40), st.integers(1, 25), st.integers(1, 25))
cases = given(
    shape=st.tuples(st.integers(5, 60), st.integers(5, 60)),
    patch=st.integers(2, 24),
    excluded=st.lists(rectangle, max_size=4),
    sampling=st.sampled_from(["balanced", "random", "grid"]),
    scale=st.sampled_from([(1.0, 1.0), (0.5, 2.0), (0.7, 0.7), (3.0, 4.0)]),
    share=st.sampled_from([1.0, 0.05]),
    georeferenced=st.booleans(),
    seed=st.integers(0, 9),
)


@settings(max_examples=60, deadline=None)
@cases
def test_no_draw_touches_what_is_excluded_and_each_lies_in_its_place(
    shape: tuple[int, int],
    patch: int,
    excluded: list[Window],
    sampling: Any,
    scale: tuple[float, float],
    share: float,
    georeferenced: bool,
    seed: int,
) -> None:
    grid = utm_grid(*shape) if georeferenced else pixel_grid(*shape)
    inside = [w for w in (clip(w, shape) for w in excluded) if w.height and w.width]
    scene = made(shape, split=SceneSplit(excluded=tuple(inside)), share=share, grid=grid, seed=seed)
    augment = Augmentation(scale=scale)
    try:
        samples = SceneSamples([scene], patch=patch, sampling=sampling, augment=augment)
    except EmptyDataset:
        return
    blocked, random = rectangles(inside), np.random.default_rng(seed)
    for k in random.integers(len(samples), size=12):
        scene.source.reads.clear()
        x, y, weight = samples.read(int(k), random)
        assert x.shape == (patch, patch, 2) and y.shape == weight.shape == (patch, patch)
        assert weight.any()
        read = rectangles(scene.source.reads)
        assert not intersects(read, blocked).any()
        assert (read[:, :2] >= 0).all() and (read[:, 2:] <= shape).all()
        if not georeferenced:
            footprint = samples.place(int(k)).footprint
            assert all(footprint.buffer(1e-9).covers(box) for box in boxes(read))
            assert not any(shapely.intersection(footprint, box).area for box in boxes(blocked))


def test_the_place_is_the_reach_of_the_windows_without_what_is_excluded() -> None:
    indices = np.full((100, 100), -1)
    indices[50:55, 50:55] = 0
    split = SceneSplit(excluded=(Window(60, 0, 10, 100),))
    samples = SceneSamples([Scene(FakeSource(np.zeros((100, 100, 1))), FakeLabels(indices), split)], patch=20)
    expected = shapely.box(35, 35, 70, 70) - shapely.box(60, 0, 70, 100)
    assert [samples.place(k).footprint.equals(expected) for k in range(len(samples))] == [True]
    zoomed = SceneSamples(
        [Scene(FakeSource(np.zeros((100, 100, 1))), FakeLabels(indices), SceneSplit())],
        patch=20,
        augment=Augmentation(scale=(0.5, 1)),
    )
    assert zoomed.place(0).footprint.equals(shapely.box(15, 15, 90, 90))


@pytest.mark.parametrize("georeferenced", [True, False])
@pytest.mark.parametrize("buffer", [0, 16])
def test_training_and_validation_pass_the_leakage_check(georeferenced: bool, buffer: int) -> None:
    grid = utm_grid(300, 250) if georeferenced else pixel_grid(300, 250)
    (split,) = split_scenes([("scene", grid)], patch=16, buffer=buffer, by="blocks")
    scene = made((300, 250), split=split, grid=grid)
    train, held_out = SceneSamples([scene], patch=16), RegionSamples([scene], part="validation", size=32, whole=32)
    places = [[samples.place(k) for k in range(len(samples))] for samples in (train, held_out)]
    check_leakage(*places)
    careless = SceneSamples([scene._replace(split=SceneSplit())], patch=16)
    with pytest.raises(SplitLeakage, match=r"scene \(row \d+, column \d+\)"):
        check_leakage([careless.place(k) for k in range(len(careless))], places[1])


def test_balanced_draws_take_each_class_as_often() -> None:
    indices = np.zeros((200, 200), int)
    indices[100:104, 100:104] = 1
    indices[10, 150] = 2
    scene = Scene(FakeSource(np.zeros((200, 200, 1))), FakeLabels(indices, classes=4))
    samples = SceneSamples([scene], patch=20)
    assert samples.class_counts.tolist() == [40_000 - 17, 16, 1, 0]
    present = np.array([[(y == k).any() for k in range(3)] for _, (_, y, _) in drawn(samples, 600)])
    assert (present[:, 1:].mean(0) > 0.28).all() and (present[:, 1:].mean(0) < 0.45).all()


def test_random_draws_follow_the_labelled_pixels() -> None:
    indices = np.full((40, 80), -1)
    indices[:10, :10] = 0  # a full cell of 100 pixels
    indices[20, 60:65] = 1  # 5 pixels
    samples = SceneSamples([Scene(FakeSource(np.zeros((40, 80, 1))), FakeLabels(indices))], patch=20, sampling="random")
    counts = np.bincount(samples.draw(np.random.default_rng(0), 4200))
    assert sorted(counts / 4200) == [pytest.approx(5 / 105, abs=0.015), pytest.approx(100 / 105, abs=0.015)]


def test_grid_samples_are_all_visited_and_hold_each_labelled_pixel() -> None:
    scene = made((50, 70), share=0.5)
    samples = SceneSamples([scene], patch=16, sampling="grid")
    assert samples.draw(np.random.default_rng(0), 4) is None
    counted = np.zeros((50, 70), int)
    for k in range(len(samples)):
        x, y, _ = samples.read(k, np.random.default_rng(k))
        top, left = (int(v) for v in x[0, 0])
        counted[top : top + 16, left : left + 16] += y != IGNORE
    assert len(samples) == 4 * 5
    assert ((counted > 0) == (scene.labels.indices != IGNORE)).all()


def test_the_same_generator_gives_the_same_sample() -> None:
    samples = SceneSamples([made((90, 90))], patch=16, augment=Augmentation(scale=(0.5, 2), noise=0.1, brightness=0.1))
    first, again, other = (samples.read(5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])


def test_anchors_in_nodata_are_replaced_by_others() -> None:
    scene = made((100, 100))
    scene.source.values[:, 12:] = np.nan
    samples = SceneSamples([scene], patch=10)
    for _, (x, y, weight) in drawn(samples, 100):
        assert weight.any()
        np.testing.assert_array_equal(y != IGNORE, ~np.isnan(x).any(-1))


def test_one_valid_pixel_is_found_in_the_end() -> None:
    scene = made((100, 100))
    scene.source.values[:] = np.nan
    scene.source.values[77, 33] = 1
    samples = SceneSamples([scene], patch=10)
    assert samples.read(0, np.random.default_rng(0))[2].sum() == 1


def test_an_image_of_nodata_is_an_error() -> None:
    scene = made((40, 40))
    scene.source.values[:] = np.nan
    with pytest.raises(NoValidPixels, match="Training scenes scene: every labelled pixel is nodata"):
        SceneSamples([scene], patch=10).read(0, np.random.default_rng(0))


def test_labels_that_are_all_held_out_are_an_error() -> None:
    scene = made((40, 40), split=SceneSplit(excluded=(Window(0, 0, 40, 33),)))
    with pytest.raises(EmptyDataset, match="10 x 10 pixels off what is held out"):
        SceneSamples([scene], patch=10)
    with pytest.raises(EmptyDataset):
        SceneSamples([made((40, 40), split=SceneSplit(trains=False))], patch=10)


def test_a_scene_smaller_than_the_patch_is_centred_in_it() -> None:
    samples = SceneSamples([made((5, 40))], patch=16)
    for k, (x, y, _) in drawn(samples, 10):
        assert (y[:5] == IGNORE).all() and (y[10:] == IGNORE).all() and (y[5:10] != IGNORE).all()
        assert np.isnan(x[:5]).all() and np.isnan(x[10:]).all()
        _, top, _, bottom = samples.place(k).footprint.bounds
        assert (top, bottom) == (0, 5)


def test_zoom_reads_more_or_less_of_the_scene() -> None:
    # The bands are row and column: their slope is the pixels read per pixel given.
    scene = made((200, 200))
    samples = SceneSamples([scene], patch=32, augment=Augmentation(flips=False, rotations=False, scale=(0.5, 2)))
    slopes = []
    for _, (x, y, _) in drawn(samples, 60):
        rows = x[4:-4, 10, 0]
        slope, start = np.polyfit(np.arange(24), rows, 1)
        np.testing.assert_allclose(rows, start + slope * np.arange(24), atol=0.15)
        slopes.append(slope)
        if slope < 0.6:
            near = np.rint(x[8:-8, 8:-8]).astype(int)
            truth = scene.labels.indices[near[..., 0], near[..., 1]]
            assert (truth == y[8:-8, 8:-8]).mean() > 0.9
    assert 0.5 <= min(slopes) < 0.7 and 1.5 < max(slopes) <= 2


# Evaluation


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    regions=st.lists(rectangle, max_size=4),
    size=st.integers(1, 30),
    margin=st.integers(0, 9),
    whole=st.integers(0, 30),
    share=st.sampled_from([1.0, 0.2, 0.01]),
)
def test_each_labelled_pixel_of_the_regions_counts_once(
    shape: tuple[int, int], regions: list[Window], size: int, margin: int, whole: int, share: float
) -> None:
    inside = tuple(disjoint(w for w in (clip(w, shape) for w in regions) if w.height and w.width))
    scene = made(shape, split=SceneSplit(regions={"test": inside}), share=share)
    expected = np.zeros(shape, bool)
    for window in inside:
        expected[window.toslices()] = scene.labels.indices[window.toslices()] != IGNORE
    if not expected.any():
        with pytest.raises(EmptyDataset, match="The test part"):
            RegionSamples([scene], part="test")
        return
    samples = RegionSamples([scene], part="test", size=size, margin=margin, whole=whole)
    counted = np.zeros(shape, int)
    for k in range(len(samples)):
        x, y, weight = samples.read(k, np.random.default_rng())
        assert x.shape[:2] == y.shape == weight.shape
        assert not np.isnan(x).any()
        assert max(y.shape) <= max(size, whole) + 2 * margin
        for row, column in x[weight > 0].astype(int):
            counted[row, column] += 1
        assert (y[weight > 0] != IGNORE).all()
        near = x.astype(int)
        np.testing.assert_array_equal(y, scene.labels.indices[near[..., 0], near[..., 1]])
    np.testing.assert_array_equal(counted, expected)
    assert samples.class_counts.sum() == expected.sum()


def test_small_regions_are_one_window_with_context_around_it() -> None:
    split = SceneSplit(regions={"validation": (Window(10, 20, 30, 40),)})
    samples = RegionSamples([made((100, 100), split=split)], part="validation", size=8, margin=12)
    x, _, weight = samples.read(0, np.random.default_rng())
    assert len(samples) == 1 and x.shape == (64, 52, 2)
    assert x[0, 0].tolist() == [8, 0]
    assert weight[12:52, 10:40].all() and weight.sum() == 30 * 40
    assert samples.place(0).footprint.equals(shapely.box(10, 20, 40, 60))
    grid = samples.grid(0)
    assert grid.shape == (64, 52)
    # Its upper left pixel is pixel (8, 0) of the scene, of one unit.
    assert grid.transform @ (0, 0) == made((100, 100)).source.grid.transform @ (0, 8)


def test_invalid_pixels_are_not_scored() -> None:
    scene = made((20, 20), split=SceneSplit.whole(pixel_grid(20, 20), "test"))
    scene.source.values[3, 4, 1] = np.nan
    _, y, weight = RegionSamples([scene], part="test").read(0, np.random.default_rng())
    assert y[3, 4] == IGNORE and weight.sum() == 399


def test_a_group_is_in_the_place() -> None:
    scene = made((20, 20), split=SceneSplit.whole(pixel_grid(20, 20), "test", group="Ghana"))
    assert RegionSamples([scene], part="test").place(0).group == "Ghana"
    scene = made((20, 20), split=SceneSplit(group="India"))
    assert SceneSamples([scene], patch=8).place(0).group == "India"


def test_class_counts_equal_those_of_the_whole() -> None:
    labels = FakeLabels(np.random.default_rng(0).integers(-1, 3, (1300, 1100)))
    window = Window(50, 60, 1040, 1200)
    inside = labels.indices[window.toslices()]
    assert class_counts(labels, window).tolist() == [(inside == k).sum() for k in range(3)]


def test_real_chips_train_on_all_parents_but_one(real_data: Path) -> None:
    from geodl.data.labels import infer_classes, open_labels
    from geodl.data.raster import open_raster

    folder = real_data / "segmentation/kampala_buildings"
    files = sorted((folder / "images").glob("*.tif"))
    sources = [open_raster(file) for file in files]
    classes, _ = infer_classes([folder / "labels" / file.name for file in files])
    labels = [open_labels(folder / "labels" / f.name, s.grid, classes=classes) for f, s in zip(files, sources)]
    splits = split_scenes(
        [(s.name, s.grid) for s in sources],
        patch=128,
        by="group",
        pattern=r"OAM-(\d+)-(\d+)",
        divide=4,
        folds=5,
        fold=1,
    )
    scenes = [Scene(*scene) for scene in zip(sources, labels, splits)]
    train, held_out = SceneSamples(scenes, patch=128), RegionSamples(scenes, part="validation")
    check_leakage(*([samples.place(k) for k in range(len(samples))] for samples in (train, held_out)))
    assert len(held_out) == 16
    x, y, _ = held_out.read(0, np.random.default_rng())
    assert x.shape == (256, 256, 3) and set(np.unique(y)) <= {-1, 0, 1}
