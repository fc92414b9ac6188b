from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, tree

from geodl import models
from geodl.training.rematerialisation import rematerialise
from geodl.training.weights import network_identity, values_of


def _images(channels: int, *, steps: int | None = None) -> np.ndarray:
    shape = (2, 16, 16, channels) if steps is None else (2, steps, 16, 16, channels)
    return np.random.default_rng(0).random(shape).astype("float32")


def _series() -> dict[str, np.ndarray]:
    days = np.tile(np.arange(5, dtype="float32") * 16 + 1, (4, 1))
    return {"values": np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32"), "days": days}


def _committee() -> keras.Model:
    inputs = keras.Input((16, 16, 2))
    members = [models.UNet(channels=2, classes=3, width=4, depth=1, dropout=0.2, name=f"member_{k}") for k in range(2)]
    return keras.Model(inputs, layers.Average()([member(inputs) for member in members]))


_NETWORKS: dict[str, tuple[Any, Any]] = {
    "unet": (lambda: models.UNet(channels=2, classes=3, width=4, depth=1, dropout=0.2), lambda: _images(2)),
    "committee": (_committee, lambda: _images(2)),
    "dncnn": (lambda: models.DnCNN(channels=2), lambda: _images(2)),
    "ffdnet": (lambda: models.FFDNet(channels=2), lambda: _images(3)),
    "residual_unet": (lambda: models.ResidualUNet(channels=2), lambda: _images(2)),
    "edsr": (lambda: models.EDSR(channels=2, scale=2), lambda: _images(2)),
    "rcan": (lambda: models.RCAN(channels=2, scale=2), lambda: _images(2)),
    "srcnn": (lambda: models.SRCNN(channels=2, scale=2), lambda: _images(2)),
    "vdsr": (lambda: models.VDSR(channels=2, scale=2), lambda: _images(2)),
    "convlstm": (lambda: models.EncoderForecaster(3, 2, widths=(4, 4)), lambda: _images(1, steps=3)),
    "rainnet": (lambda: models.RainNet(3, 1), lambda: _images(1, steps=3)),
    "lstm": (lambda: models.SeriesLSTM(3, 4, units=8, layers=1), _series),
    "gru": (lambda: models.SeriesGRU(3, 4, units=8), _series),
    "tempcnn": (lambda: models.TempCNN(3, 4, length=5), _series),
    "inception": (lambda: models.InceptionTime(3, 4), _series),
    "transformer": (lambda: models.SeriesTransformer(3, 4, width=16, depth=2), _series),
    "ltae": (lambda: models.LTAE(3, 4), _series),
}
_QUICK = ("unet", "lstm")


def _trained(name: str, *, rematerialised: bool = False) -> list[np.ndarray]:
    build, inputs = _NETWORKS[name]
    keras.utils.set_random_seed(1)
    model, x = build(), inputs()
    shape = (len(tree.flatten(x)[0]), *model(x).shape[1:])
    target = np.random.default_rng(1).normal(size=shape).astype("float32")
    if rematerialised:
        rematerialise(model)
    model.compile(keras.optimizers.SGD(1e-2), loss="mse")
    model.fit(x, target, batch_size=len(target), epochs=2, verbose=0)
    return values_of(model.variables)


@pytest.mark.parametrize(
    "name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in _NETWORKS]
)
def test_weights_statistics_and_seeds_are_those_without(name: str) -> None:
    for one, other in zip(_trained(name), _trained(name, rematerialised=True), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


class Counted(layers.Layer):
    """Counts its calls."""

    calls = 0

    def call(self, x: Any) -> Any:
        type(self).calls += 1
        return keras.ops.tanh(x)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX traces a block once for both ways")
def test_blocks_are_computed_twice_in_training_and_once_otherwise() -> None:
    inputs = keras.Input((8,))
    x = layers.Dense(8)(inputs)
    for _ in range(16):
        x = Counted()(x)
    model = keras.Model(inputs, layers.Dense(1)(x))
    rematerialise(model)
    model.compile("sgd", loss="mse", jit_compile=False)
    x, y = np.ones((2, 8), "float32"), np.ones((2, 1), "float32")
    model.train_on_batch(x, y)
    Counted.calls = 0
    model(x, training=False)
    assert Counted.calls == 16
    model.run_eagerly = True
    model.make_train_function(force=True)
    Counted.calls = 0
    model.train_on_batch(x, y)
    # The last block is needed at once: it is kept.
    assert 16 + 8 <= Counted.calls < 32


def test_what_is_saved_loads_without(tmp_path: Path) -> None:
    build, inputs = _NETWORKS["unet"]
    plain, model, x = build(), build(), inputs()
    rematerialise(model)
    assert list(network_identity(model).values()) == list(network_identity(plain).values())
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_networks_that_gain_nothing_are_named(caplog: pytest.LogCaptureFixture) -> None:
    integrated = models.MLPODE(states=2, name="field")
    inputs = keras.Input((3,))
    shallow = keras.Model(inputs, layers.Dense(1)(inputs), name="shallow")
    with caplog.at_level(logging.WARNING, "geodl"):
        rematerialise(integrated)
        rematerialise(shallow)
    told = [record.getMessage() for record in caplog.records]
    assert any("for field: what its integrator keeps follows from network.gradient" in line for line in told)
    assert any("for shallow: it has too few layers" in line for line in told)
