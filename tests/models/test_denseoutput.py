"""Values at asked times within steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from geodl.models.denseoutput import AskedTimes, as_batch

TIMES = np.stack([np.linspace(0, 1, 14), -(np.linspace(0, 1, 14) ** 2)]).astype("float32")
STATES = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
TERMS = np.random.default_rng(0).normal(size=(4, 2, 2)).astype("float32")
STARTS, ENDS = np.array([0.15, -0.3], "float32"), np.array([0.9, -0.6], "float32")


def inside() -> np.ndarray:
    return (np.abs(TIMES) > np.abs(STARTS[:, None])) & (np.abs(TIMES) <= np.abs(ENDS[:, None]))


def tensors(*arrays: Any) -> list[Any]:
    return [ops.convert_to_tensor(array) for array in arrays]


def written(taken: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    times, states, terms, starts, ends = tensors(TIMES, STATES, TERMS, STARTS, ENDS)
    asked = AskedTimes(times)
    first = ops.convert_to_tensor(inside().argmax(1).astype("int32"))
    taken = ops.convert_to_tensor(taken)
    values, following = asked.write(
        asked.empty(states), first, taken=taken, start=starts, end=ends, state=states, terms=terms
    )
    return np.asarray(asked.shaped(values)), np.asarray(following)


def test_all_times_within_get_their_value_and_no_others() -> None:
    values, following = written([True, True])
    place = ((TIMES - STARTS[:, None]) / (ENDS - STARTS)[:, None])[:, :, None]
    first, second, third, fourth = TERMS[:, :, None, :]
    # Nested as in the book.
    expected = STATES[:, None] + place * (first + (1 - place) * (second + place * (third + (1 - place) * fourth)))
    np.testing.assert_allclose(values[inside()], expected[inside()], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(values[:, 0], STATES)
    assert np.isnan(values[:, 1:][~inside()[:, 1:]]).all()
    np.testing.assert_array_equal(following, inside().argmax(1) + inside().sum(1))


def test_a_step_that_was_not_taken_writes_nothing() -> None:
    values, following = written([True, False])
    assert np.isfinite(values[0][inside()[0]]).all() and np.isnan(values[1, 1:]).all()
    assert following[1] == inside()[1].argmax()


def test_pulling_is_the_transpose_of_writing() -> None:
    times, starts, ends = tensors(TIMES, STARTS, ENDS)
    cotangents = np.random.default_rng(1).normal(size=(2, 14, 2)).astype("float32")
    following = (inside().argmax(1) + inside().sum(1)).astype("int32")
    of_states, of_terms, earlier = AskedTimes(times).pull(
        *tensors(cotangents, following), taken=tensors([True, True])[0], start=starts, end=ends, terms=4
    )
    values = written([True, True])[0]
    through = (np.asarray(of_states) * STATES).sum() + (np.asarray(of_terms) * TERMS).sum()
    np.testing.assert_allclose(through, (cotangents * values)[inside()].sum(), rtol=1e-4)
    np.testing.assert_array_equal(np.asarray(earlier), inside().argmax(1))


def test_times_alike_for_all_samples_are_given_to_each() -> None:
    found = as_batch([0.0, 0.5], ops.convert_to_tensor(STATES))
    np.testing.assert_array_equal(np.asarray(found), np.array([[0, 0.5], [0, 0.5]], "float32"))
