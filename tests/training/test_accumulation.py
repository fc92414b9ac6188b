from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from geodl.errors import RecipeError
from geodl.losses import CrossEntropy
from geodl.training.accumulation import accumulate
from geodl.training.optimizers import build_optimizer
from geodl.training.schedules import build_schedule
from geodl.training.weights import values_of
from tests.training import six_pipelines, tiny_run

_BATCH = 8


class _Batches(keras.utils.PyDataset):
    """Batches whose samples have from no to all valid pixels, weighed over the batch as `Batches` does."""

    num_batches = None

    def __getitem__(self, index: int) -> Any:
        rng = np.random.default_rng([1, index])
        x = rng.normal(size=(_BATCH, 6, 6, 3)).astype("float32")
        y = rng.integers(0, 4, (_BATCH, 6, 6)).astype("int32")
        weight = (rng.random(y.shape) < np.linspace(0, 1, _BATCH)[:, None, None]).astype("float32")
        return {"one": x, "two": x[..., :1]}, y, weight * np.float32(weight.size / weight.sum())


def _network(policy: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(3)
    one, two = keras.Input((None, None, 3), name="one"), keras.Input((None, None, 1), name="two")
    x = layers.Conv2D(8, 3, padding="same", dtype=policy)(layers.Concatenate()([one, two]))
    x = layers.ReLU()(layers.GroupNormalization(2)(x))
    return keras.Model([one, two], layers.Conv2D(4, 1, dtype="float32")(x))


def _trained(parts: int, name: str = "sgd", *, steps: int = 20, **options: Any) -> tuple[keras.Model, float]:
    model = _network()
    schedule = build_schedule("cosine", learning_rate=0.05, total_steps=40, warmup=4, final=0.1, factor=0.5, every=10)
    optimizer = build_optimizer(
        name, learning_rate=schedule, weight_decay=1e-2, ema=0.9, variables=model.trainable_variables, **options
    )
    model.compile(optimizer, loss=CrossEntropy())
    optimizer.build(model.trainable_variables)
    accumulate(model, parts, batch_size=_BATCH)
    history = model.fit(_Batches(), steps_per_epoch=steps, shuffle=False, verbose=0)
    return model, history.history["loss"][-1]


@pytest.mark.parametrize(
    ("name", "parts", "options"),
    [
        pytest.param("sgd", 4, {"clip_norm": 0.05, "options": {"momentum": 0.9}}, id="sgd-clipped"),
        pytest.param("adamw", 8, {}, id="adamw"),
    ],
)
def test_parts_make_the_weights_and_the_state_of_whole_batches(name: str, parts: int, options: dict) -> None:
    whole, loss = _trained(1, name, **options)
    model, got = _trained(parts, name, **options)
    assert got == pytest.approx(loss, abs=1e-6)
    assert int(model.optimizer.iterations.numpy()) == 20
    pairs = zip(whole.optimizer.variables, model.optimizer.variables, strict=True)
    for one, other in [*zip(whole.variables, model.variables, strict=True), *pairs]:
        np.testing.assert_allclose(other.numpy(), one.numpy(), atol=1e-5)


def test_gradients_are_scaled_once_and_a_batch_with_an_infinite_one_is_left_out_as_a_whole() -> None:
    class Spoilt(_Batches):
        def __getitem__(self, index: int) -> Any:
            x, y, weight = super().__getitem__(index)
            if index == 1:
                x["one"][-1] = np.inf
            return x, y, weight

    states = []
    for parts in (1, 4):
        model = _network("mixed_float16")
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05, momentum=0.9))
        model.compile(optimizer, loss=CrossEntropy(), auto_scale_loss=False)
        optimizer.build(model.trainable_variables)
        accumulate(model, parts, batch_size=_BATCH)
        model.fit(Spoilt(), steps_per_epoch=3, shuffle=False, verbose=0)
        assert float(optimizer.dynamic_scale.numpy()) == 2.0**14
        assert int(optimizer.iterations.numpy()) == 2
        states.append(values_of(model.variables))
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(other, one, atol=2e-3)


def test_batch_normalisation_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_run.network()
    model.compile("sgd", loss="mse")
    with caplog.at_level(logging.WARNING, "geodl"):
        accumulate(model, 2, batch_size=_BATCH)
    assert "BatchNormalization takes its statistics of 4 samples" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segmentation", "superresolution", "nowcasting", "dynamics"])
def test_pipelines_without_batch_statistics_end_with_the_same_weights(name: str, tmp_path: Path) -> None:
    norm = {"network.norm": "group"} if name == "segmentation" else {}
    ends = []
    for more in ({}, {"train.accumulate": 2}, {"train.accumulate": 2, "train.rematerialise": True}):
        folder = tmp_path / str(len(ends))
        changes = six_pipelines.settings(name, folder / "data", **norm, **more)
        ends.append(six_pipelines.train(name, changes, folder / "run", "single")[0])
    for other in ends[1:]:
        for one, two in zip(ends[0], other, strict=True):
            np.testing.assert_allclose(two, one, atol=1e-5)


def test_one_part_leaves_the_network_as_it_is() -> None:
    model = _network()
    before = set(vars(model))
    accumulate(model, 1, batch_size=_BATCH)
    assert set(vars(model)) == before


@pytest.mark.parametrize(("parts", "replicas", "share"), [(3, 1, 8), (4, 4, 2)])
def test_unequal_parts_are_refused(parts: int, replicas: int, share: int) -> None:
    message = rf"train\.accumulate: expected a divisor of the {share} samples .* 8.*\. Received: {parts}\."
    with pytest.raises(RecipeError, match=message):
        accumulate(_network(), parts, batch_size=_BATCH, replicas=replicas)
