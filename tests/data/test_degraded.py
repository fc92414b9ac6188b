"""Samples made of scenes: what is chance, and what is not."""

from __future__ import annotations

import numpy as np

from geodl.data.batches import Batches, in_order
from geodl.data.corruption import GaussianNoise
from geodl.data.degraded import DegradedSamples
from geodl.data.samples import DrawnSamples, RegionSamples, Scene, SceneSamples
from geodl.data.splits import SceneSplit
from geodl.data.unlabelled import Unlabelled
from tests.data.fakes import FakeSource

VALUES = np.random.default_rng(0).normal(100, 20, (40, 50, 1)).astype(np.float32)


def scenes(count: int = 1) -> list[Scene]:
    sources = [FakeSource(VALUES + k, name=f"scene_{k}") for k in range(count)]
    return [Scene(source, Unlabelled(source), SceneSplit.whole(source.grid, "test")) for source in sources]


def windows() -> SceneSamples:
    source = FakeSource(VALUES)
    return SceneSamples([Scene(source, Unlabelled(source))], patch=16, sampling="random")


def test_held_out_samples_are_degraded_alike_whoever_reads_them() -> None:
    held = DegradedSamples(RegionSamples(scenes(3), part="test", size=16, whole=16), GaussianNoise((5.0, 50.0)), seed=3)
    one = [held.read(k, np.random.default_rng(k)) for k in range(len(held))]
    other = [held.read(k, np.random.default_rng(99)) for k in reversed(range(len(held)))][::-1]
    for first, second in zip(one, other, strict=True):
        for left, right in zip(first, second, strict=True):
            np.testing.assert_array_equal(left, right)
    noises = [float((x - y).std()) for x, y, _ in one]
    assert len(set(noises)) == len(noises) and min(noises) < 20 < 35 < max(noises)
    batched = np.concatenate([(x - y).reshape(len(x), -1).std(1) for _, x, y, _ in in_order(held, 4)])
    np.testing.assert_allclose(batched, noises, rtol=1e-5)


def test_another_seed_degrades_otherwise() -> None:
    regions = RegionSamples(scenes(), part="test")
    x, other = (
        DegradedSamples(regions, GaussianNoise((5.0, 5.0)), seed=seed).read(0, np.random.default_rng(0))[0]
        for seed in (0, 1)
    )
    noise, others = (values.ravel() - VALUES.ravel() for values in (x, other))
    assert abs(np.corrcoef(noise, others)[0, 1]) < 0.1


def test_training_samples_depend_on_the_generator_alone() -> None:
    train = DegradedSamples(windows(), GaussianNoise((5.0, 5.0)))
    one, same, other = (train.read(4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert (one[0] != other[0]).all()


def test_batches_are_a_function_of_seed_and_step() -> None:
    train = DegradedSamples(windows(), GaussianNoise((5.0, 5.0)))
    assert isinstance(train, DrawnSamples)
    whole = Batches(train, batch_size=3, seed=5, workers=0)
    later = Batches(train, batch_size=3, seed=5, start=2, workers=2)
    for left, right in zip(whole[3], later[1], strict=True):
        np.testing.assert_array_equal(left, right)
    later.close()
    assert (whole[3][0] != Batches(train, batch_size=3, seed=6, workers=0)[3][0]).any()
    assert (whole[3][0] != whole[4][0]).any()


def test_it_is_drawn_as_what_is_degraded() -> None:
    drawn = windows()
    train = DegradedSamples(drawn, GaussianNoise((5.0, 5.0)))
    np.testing.assert_array_equal(train.draw(np.random.default_rng(1), 50), drawn.draw(np.random.default_rng(1), 50))
    assert len(train) == len(drawn) and train.place(3) == drawn.place(3)
    side_by_side = SceneSamples(scenes_of_training(), patch=16, sampling="grid")
    assert DegradedSamples(side_by_side, GaussianNoise((5.0, 5.0))).draw(np.random.default_rng(1), 2) is None
    regions = RegionSamples(scenes(), part="test")
    assert DegradedSamples(regions, GaussianNoise((5.0, 5.0))).draw(np.random.default_rng(1), 2) is None


def scenes_of_training() -> list[Scene]:
    return [scene._replace(split=SceneSplit()) for scene in scenes()]
