from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import EmptyDataset
from geodl.training.line import Feed, Leg, legs


@given(epochs=st.integers(1, 6), steps_per_epoch=st.integers(1, 7), data=st.data())
def test_legs_do_every_step_that_is_left_once(epochs: int, steps_per_epoch: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, epochs * steps_per_epoch))
    done, marks = [], []
    for leg in legs(step, epochs=epochs, steps_per_epoch=steps_per_epoch):
        start = leg.step
        for epoch in range(leg.epoch, leg.end):
            done += range(start, start + leg.epoch_steps)
            start += leg.epoch_steps
            marks.append((epoch + 1, start))
    assert done == list(range(step, epochs * steps_per_epoch))
    assert marks == [(mark, mark * steps_per_epoch) for mark in range(step // steps_per_epoch + 1, epochs + 1)]


def test_legs_of_an_epoch_that_was_begun() -> None:
    assert list(legs(7, epochs=4, steps_per_epoch=5)) == [Leg(7, 3, 1, 2), Leg(10, 5, 2, 4)]
    assert list(legs(10, epochs=4, steps_per_epoch=5)) == [Leg(10, 5, 2, 4)]


class _Counted(keras.utils.PyDataset):
    """Finite, with workers: what Keras would shuffle and start anew."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index == 5:
            raise EmptyDataset("scene.tif", expected="a valid pixel")
        return np.full((1, 1), index, "float32"), np.zeros((1, 1), "float32")


def test_keras_gets_the_items_in_their_order_over_epochs() -> None:
    seen: list[float] = []

    class Spy(keras.losses.Loss):
        def call(self, y_true: object, y_pred: object) -> object:
            return y_pred

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            seen.append(logs["loss"])

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            seen.append(-1)

    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile(keras.optimizers.SGD(0.0), loss=Spy())
    with Feed(_Counted(workers=3), steps=5) as feed:
        model.fit(feed, epochs=2, steps_per_epoch=2, shuffle=False, verbose=0, callbacks=[Watch()])
    # The loss that Keras reports is the mean since the epoch's beginning.
    assert seen == [-1, 0, 0.5, -1, 2, 2.5]


def test_the_data_sets_own_error_comes_out() -> None:
    with pytest.raises(EmptyDataset, match=r"scene\.tif"), Feed(_Counted(), steps=6) as feed:
        try:
            feed[5]
        except EmptyDataset as error:
            raise RuntimeError("a backend's") from error
    with Feed(_Counted(), steps=6) as feed, pytest.raises(EmptyDataset):
        feed[5]
    with pytest.raises(KeyboardInterrupt), Feed(_Counted(), steps=6) as feed:
        with pytest.raises(EmptyDataset):
            feed[5]
        raise KeyboardInterrupt


def test_what_is_read_ahead_of_the_end_is_the_last_item() -> None:
    assert Feed(_Counted(), steps=5)[40][0].item() == 4
