from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.batches import Batches, in_order
from geodl.data.places import Place
from geodl.data.samples import RegionSamples, Samples, Scene, SceneSamples
from geodl.data.source import Window
from geodl.data.splits import SceneSplit
from geodl.errors import NoValidPixels
from tests.data.fakes import FakeLabels, FakeSource


class Rows:
    """Samples of another kind, rows of a table: x holds the row's number and a random number."""

    def __init__(self, number: int, *, shape: tuple[int, ...] = (3,)) -> None:
        self.number, self.shape = number, shape

    def __len__(self) -> int:
        return self.number

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = np.full(self.shape, index + rng.random() / 2)
        return x, np.int64(index), (x > 0).astype(np.float64) * (index % 3)

    def place(self, index: int) -> Place:
        return Place(None, "rows")


class Chosen(Rows):
    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray | None:
        return rng.integers(self.number // 2, size=count)


def equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True))


@pytest.mark.parametrize("samples", [Rows(10), Chosen(10)])
def test_a_batch_depends_on_seed_and_step_only(samples: Samples) -> None:
    one, other = (Batches(samples, batch_size=4, seed=7, workers=workers) for workers in (0, 3))
    forward = [one[k] for k in range(12)]
    assert all(equal(other[k], forward[k]) for k in range(12))
    assert all(equal(other[k], forward[k]) for k in (11, 3, 3, 4, 5, 0, 1, 9))
    assert not equal(Batches(samples, batch_size=4, seed=8)[0], forward[0])
    assert not equal(forward[0], forward[1])


@pytest.mark.parametrize("samples", [Rows(10), Chosen(10)])
def test_a_later_start_gives_the_tail(samples: Samples) -> None:
    whole, tail = Batches(samples, batch_size=3, seed=1), Batches(samples, batch_size=3, seed=1, start=7)
    assert all(equal(tail[k], whole[7 + k]) for k in range(9))


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 9))
def test_without_a_choice_each_sample_is_visited_once_per_pass(number: int, batch_size: int) -> None:
    batches = Batches(Rows(number), batch_size=batch_size, seed=0, workers=0)
    visited = np.concatenate([batches[k][1] for k in range(-(-4 * number // batch_size))])[: 4 * number]
    passes = visited.reshape(4, number)
    assert (np.sort(passes) == np.arange(number)).all()
    if number > 8:
        assert len({tuple(order) for order in passes}) == 4


def test_samples_that_choose_are_asked() -> None:
    batches = Batches(Chosen(10), batch_size=8, seed=0)
    assert max(batches[k][1].max() for k in range(20)) == 4


def test_two_reads_of_one_sample_differ() -> None:
    x, y, _ = Batches(Chosen(2), batch_size=50, seed=0)[0]
    assert (y == 0).all() and len(np.unique(x)) == 50


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 99))
def test_the_mean_over_elements_becomes_the_mean_over_valid_ones(batch_size: int, step: int, seed: int) -> None:
    batches = Batches(Rows(9, shape=(4, 5)), batch_size=batch_size, seed=seed, workers=0)
    _, y, weight = batches[step]
    raw = np.broadcast_to((y % 3)[:, None, None], weight.shape)
    if not raw.any():
        assert not weight.any()
        return
    loss = np.random.default_rng(seed).random(weight.shape)
    assert weight.mean() == pytest.approx(1)
    assert (loss * weight).mean() == pytest.approx((loss * raw).sum() / raw.sum())


def test_a_batch_without_valid_elements_keeps_its_zeros() -> None:
    weight = Batches(Rows(1), batch_size=4, seed=0)[0][2]
    assert weight.dtype == np.float64 and (weight == 0).all()


def test_inputs_may_be_several_arrays() -> None:
    class Named(Rows):
        def read(self, index: int, rng: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
            return {"values": np.full((2, 3), index), "day": np.arange(2)}, (np.zeros(2), np.ones(3)), np.ones(1)

    x, y, weight = Batches(Named(5), batch_size=4, seed=0)[0]
    assert {name: array.shape for name, array in x.items()} == {"values": (4, 2, 3), "day": (4, 2)}
    assert [array.shape for array in y] == [(4, 2), (4, 3)] and weight.shape == (4, 1)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    class Empty(Rows):
        def read(self, index: int, rng: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
            raise NoValidPixels("scene")

    with pytest.raises(NoValidPixels, match="scene"):
        Batches(Empty(3), batch_size=2, seed=0)[0]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("built", [False, True])
def test_fit_receives_the_batches_in_their_order_across_epochs(workers: int, built: bool) -> None:
    seen: list[tuple[np.ndarray, ...]] = []

    class Model(keras.Sequential):
        def train_step(self, *args: Any) -> Any:
            data = args[-1]
            if not isinstance(data[0], keras.KerasTensor):
                seen.append(tuple(np.array(part) for part in data))
            return super().train_step(*args)

    class ByRow(Rows):
        def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            x, y, _ = super().read(index, rng)
            return x, np.full(3, y, np.float32), np.float32(1 + index)

    model = Model([*([keras.Input((3,))] if built else []), keras.layers.Dense(3)])
    model.compile(optimizer="sgd", loss="mse", run_eagerly=True)
    for start in (0, 4):
        seen.clear()
        batches = Batches(ByRow(7), batch_size=2, seed=3, start=start, workers=workers)
        model.fit(batches, epochs=3, steps_per_epoch=5, shuffle=False, verbose=0)
        expected = Batches(ByRow(7), batch_size=2, seed=3, start=start, workers=0)
        assert len(seen) == 15
        for k, received in enumerate(seen):
            for mine, other in zip(received, expected[k]):
                np.testing.assert_allclose(mine, other, rtol=1e-6)


def scene(shape: tuple[int, int], regions: tuple[Window, ...] = ()) -> Scene:
    random = np.random.default_rng(0)
    source, labels = FakeSource(random.normal(size=(*shape, 2))), FakeLabels(random.integers(0, 3, shape))
    return Scene(source, labels, SceneSplit(regions={"test": regions}))


def test_windows_of_scenes_become_batches() -> None:
    x, y, weight = Batches(SceneSamples([scene((50, 60))], patch=16), batch_size=5, seed=0)[0]
    assert (x.shape, y.shape, weight.shape) == ((5, 16, 16, 2), (5, 16, 16), (5, 16, 16))
    assert (x.dtype, y.dtype, weight.dtype) == (np.float32, np.int32, np.float32)
    assert (weight == 1).all()


def test_in_order_gives_each_sample_once_in_batches_of_one_shape() -> None:
    regions = (Window(0, 0, 8, 8), Window(8, 0, 8, 8), Window(16, 0, 8, 8), Window(0, 8, 5, 8), Window(10, 8, 8, 8))
    samples = RegionSamples([scene((50, 60), regions)], part="test")
    batches = list(in_order(samples, 2))
    assert [indices.tolist() for indices, *_ in batches] == [[0, 1], [2], [3], [4]]
    for indices, x, y, weight in batches:
        for k, *found in zip(indices, x, y, weight):
            assert equal(tuple(found), samples.read(int(k), np.random.default_rng()))


def test_in_order_bounds_the_values_of_a_batch() -> None:
    regions = tuple(Window(0, 8 * k, 8, 8) for k in range(4))
    samples = RegionSamples([scene((50, 60), regions)], part="test")
    sizes = [len(indices) for indices, *_ in in_order(samples, 4, most=3 * 8 * 8 * 2)]
    assert sizes == [3, 1]
    assert [len(indices) for indices, *_ in in_order(samples, 4, most=1)] == [1, 1, 1, 1]


def test_closed_batches_are_the_same_and_leave_no_thread() -> None:
    samples = SceneSamples([scene((50, 60))], patch=16)
    open_batches, closed = (Batches(samples, batch_size=2, seed=3) for _ in range(2))
    first = closed[0]
    closed.close()
    assert equal(first, open_batches[0])
    assert equal(closed[1], open_batches[1])
    assert closed._pool is None
    open_batches.close()
