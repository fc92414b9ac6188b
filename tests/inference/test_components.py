from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from geodl.inference.components import ComponentStream, label

RASTERS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2))


def reference(classes: np.ndarray) -> np.ndarray:
    """Numbers from 1, class by class, by SciPy; 0 where a class is negative."""
    ids, count = np.zeros(classes.shape, int), 0
    for value in np.unique(classes[classes >= 0]):
        found, more = ndimage.label(classes == value)
        ids[found > 0] = found[found > 0] + count
        count += more
    return ids


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@given(RASTERS)
def test_labels_are_those_of_scipy(classes: np.ndarray) -> None:
    ids = label(classes)
    assert same_partition(ids, reference(classes))
    np.testing.assert_array_equal(np.unique(ids), np.arange(ids.max() + 1))


@given(RASTERS, st.data())
def test_components_and_their_sums_do_not_depend_on_the_strips(classes: np.ndarray, data: st.DataObject) -> None:
    weights = np.random.default_rng(0).random(classes.shape)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(classes) - 1)))) | {0})
    stream = ComponentStream(classes.shape[1], quantities=1)
    found = []
    for start, stop in zip(cuts, [*cuts[1:], len(classes) + 1]):
        if start >= len(classes):
            continue
        step = stream.push(classes[start:stop], [weights[start:stop]])
        np.testing.assert_array_equal(step.classes[1:], classes[start:stop])
        done = step.complete
        found += zip(step.values[done], step.pixels[done], step.sums[0, done])
    step = stream.push(np.full((1, classes.shape[1]), 9, np.int32), [np.zeros((1, 1))])
    done = step.complete
    found += zip(step.values[done], step.pixels[done], step.sums[0, done])

    ids = reference(classes)
    numbers = np.arange(1, ids.max() + 1)
    values = ndimage.minimum(classes, ids, numbers)
    sums = ndimage.sum_labels(weights, ids, numbers)
    expected = sorted(zip(values, ndimage.sum_labels(np.ones_like(weights), ids, numbers), sums))
    np.testing.assert_allclose(sorted(found), expected)


def test_a_component_is_complete_when_its_last_row_is_past() -> None:
    stream = ComponentStream(4)
    first = stream.push(np.array([[1, 2, 1, 3]], np.int32))
    assert not first.complete.any()
    # Two components of class 1 become one, class 2 ends, class 3 goes on.
    second = stream.push(np.array([[1, 1, 1, 3]], np.int32))
    assert second.before.tolist() == [0, 1, 0, 2] and second.pixels.tolist() == [5, 1, 2]
    assert second.complete.tolist() == [False, True, False] and second.after.tolist() == [0, -1, 1]
    np.testing.assert_array_equal(second.ids, [[0, 1, 0, 2], [0, 0, 0, 2]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_single_rows_and_columns(shape: tuple[int, int]) -> None:
    classes = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    np.testing.assert_array_equal(label(classes), classes)
