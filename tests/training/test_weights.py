from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from geodl.errors import CheckpointMismatch
from geodl.training.weights import averaged, capture, network_identity, put_back, values_of
from tests.training import tiny_run


def _compiled(optimizer: keras.optimizers.Optimizer, **options: int) -> keras.Model:
    model = tiny_run.network(**options)
    model.compile(optimizer, loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_what_is_captured_can_be_put_back() -> None:
    model = _compiled(keras.optimizers.Adam(0.01))
    before = capture(model)
    assert {name.split("/")[0] for name in before} == {"model", "optimizer", "metrics"}
    assert any("seed_generator" in variable.path for variable in model.variables)
    for variable in [*model.variables, *model.optimizer.variables]:
        variable.assign(np.ones(variable.shape, variable.dtype))
    assert not np.array_equal(before["model/0"], model.variables[0].numpy())
    put_back(model, before)
    after = capture(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_another_network_or_optimiser_is_refused() -> None:
    arrays = capture(_compiled(keras.optimizers.Adam(0.01)))
    with pytest.raises(CheckpointMismatch, match=r"a\.npz: .* the shape of stem/kernel has changed"):
        put_back(_compiled(keras.optimizers.Adam(0.01), width=6), arrays, path=Path("a.npz"))
    with pytest.raises(CheckpointMismatch, match="the number of arrays of the optimizer has changed"):
        put_back(_compiled(keras.optimizers.SGD(0.01)), arrays)


@pytest.mark.parametrize("scaled", [False, True])
def test_averages_for_a_while(scaled: bool) -> None:
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    model = _compiled(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer)
    first = values_of(model.trainable_variables)
    for _ in range(2):
        optimizer.apply([keras.ops.ones(variable.shape) for variable in model.trainable_variables])
    raw = values_of(model.trainable_variables)
    with pytest.raises(ZeroDivisionError), averaged(model):
        for start, variable in zip(first, model.trainable_variables, strict=True):
            np.testing.assert_allclose(variable.numpy(), 0.75 * (start - 1) + 0.25 * (start - 2), atol=1e-6)
        raise ZeroDivisionError
    assert all(np.array_equal(a, b) for a, b in zip(raw, values_of(model.trainable_variables), strict=True))


def test_without_an_average_the_weights_stay() -> None:
    model = _compiled(keras.optimizers.SGD(0.01))
    before = values_of(model.trainable_variables)
    with averaged(model):
        assert all(np.array_equal(a, b) for a, b in zip(before, values_of(model.trainable_variables), strict=True))


def test_a_network_is_known_by_its_layers_not_their_names() -> None:
    def build(rate: float) -> keras.Model:
        inputs = keras.Input((None, None, 2))
        x = keras.layers.Dropout(rate)(keras.layers.Conv2D(3, 3)(inputs))
        return keras.Model(inputs, x)

    one, same, other = (network_identity(build(rate)) for rate in (0.1, 0.1, 0.2))
    assert one == same
    assert [name for name in one if one[name] != other[name]] == ["network layer 2 (Dropout)"]
