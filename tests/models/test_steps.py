from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl.models.steps import ChannelsToTime, FoldTime, LeadTimes, TakeSteps, TimeToChannels, UnfoldTime

X = np.arange(2 * 3 * 4 * 5 * 2, dtype="float32").reshape(2, 3, 4, 5, 2)


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def test_every_step_becomes_an_image_and_back() -> None:
    images = _numpy(FoldTime()(X))
    np.testing.assert_array_equal(images, X.reshape(6, 4, 5, 2))
    np.testing.assert_array_equal(_numpy(UnfoldTime(3)(images)), X)


def test_steps_become_channels_in_order_and_back() -> None:
    image = _numpy(TimeToChannels()(X))
    np.testing.assert_array_equal(image, np.concatenate([X[:, step] for step in range(3)], axis=-1))
    np.testing.assert_array_equal(_numpy(ChannelsToTime(3)(image)), X)


def test_some_steps_and_the_lead_times() -> None:
    np.testing.assert_array_equal(_numpy(TakeSteps(1, 3)(X)), X[:, 1:3])
    times = _numpy(LeadTimes(4)(X[:, 0]))
    assert times.shape == (2, 4, 4, 5, 1)
    np.testing.assert_array_equal(times[1, :, 2, 3, 0], [0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        (FoldTime(), (None, 3, None, None, 2), (None, None, None, 2)),
        (UnfoldTime(3), (None, None, 5, 2), (None, 3, None, 5, 2)),
        (TakeSteps(1, 3), (None, 3, None, None, 2), (None, 2, None, None, 2)),
        (TimeToChannels(), (None, 3, None, 5, 2), (None, None, 5, 6)),
        (ChannelsToTime(3), (None, None, 5, 6), (None, 3, None, 5, 2)),
        (LeadTimes(4), (None, None, 5, 6), (None, 4, None, 5, 1)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else str(value),
)
def test_shapes_of_any_size(layer: Any, given: Any, expected: Any) -> None:
    again = type(layer).from_config(layer.get_config())
    assert again(keras.Input(batch_shape=given)).shape == expected
