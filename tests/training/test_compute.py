from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl import models
from geodl.errors import RecipeError
from geodl.training import compute
from geodl.training.compute import precision_scope, use_jit
from geodl.training.fit import compile_for_training
from geodl.training.weights import capture, put_back
from tests.training import tiny_run


def _recurrent() -> keras.Model:
    inputs = keras.Input((4, 8, 8, 1))
    inner = keras.Sequential([keras.layers.ConvLSTM2D(2, 3, padding="same")])
    return keras.Model(inputs, inner(inputs))


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_networks_built_inside_have_the_precision(name: str) -> None:
    with precision_scope(name):
        model = tiny_run.network()
    assert model.get_layer("stem").compute_dtype == name.removeprefix("mixed_")
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    assert model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_is_restored_after_a_mistake() -> None:
    with pytest.raises(ZeroDivisionError), precision_scope("mixed_bfloat16"):
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"
    with (
        pytest.raises(RecipeError, match=r"train\.precision: .* Did you mean 'mixed_bfloat16'\?"),
        precision_scope("mixed_bfloat"),
    ):
        pass


def test_what_is_asked_is_done() -> None:
    for asked in (True, False):
        assert use_jit(tiny_run.network(), asked) is asked


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="decisions for TensorFlow")
def test_processors_accelerators_loops_and_strategies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not use_jit(tiny_run.network())
    monkeypatch.setattr(compute, "accelerators", lambda: ("GPU:0",))
    assert use_jit(tiny_run.network())
    assert not use_jit(_recurrent())
    monkeypatch.setattr(compute, "replicas", lambda: 2)
    assert not use_jit(tiny_run.network())


def test_physical_units_are_standardised_before_they_are_rounded_to_16_bits() -> None:
    values = np.array([[[[9991.0], [9993.0]], [[9995.0], [9997.0]]]], "float32")
    for name, bits in (("mixed_bfloat16", 8), ("mixed_float16", 11)):
        with precision_scope(name):
            model = models.UNet(channels=1, classes=2, mean=[9994.0], std=[2.0])
        inner = keras.Model(model.input, model.get_layer("normalisation").output)
        assert keras.backend.standardize_dtype(inner(values).dtype) == "float32"
        rounded = keras.ops.convert_to_numpy(
            keras.ops.cast(keras.Model(model.input, model.get_layer("pad").output)(values), "float32")
        )
        np.testing.assert_allclose(rounded[0, :2, :2, 0], (values[0, ..., 0] - 9994) / 2, rtol=2.0**-bits)


def test_the_state_of_loss_scaling_is_captured_and_put_back() -> None:
    def compiled() -> keras.Model:
        with precision_scope("mixed_float16"):
            model = tiny_run.network()
        compile_for_training(model, tiny_run.loss(), tiny_run.train(precision="mixed_float16"))
        return model

    model, other = compiled(), compiled()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.optimizer.dynamic_scale.assign(2.0**7)
    model.optimizer.step_counter.assign(1234)
    model.optimizer.inner_optimizer._iterations.assign(77)
    put_back(other, capture(model))
    assert float(other.optimizer.dynamic_scale.numpy()) == 2.0**7
    assert int(other.optimizer.step_counter.numpy()) == 1234
    assert int(other.optimizer.iterations.numpy()) == 77


def _series() -> dict[str, np.ndarray]:
    days = np.tile(np.arange(23, dtype="float32") * 16 + 1, (2, 1))
    return {"values": 3000 + 2000 * np.random.default_rng(0).normal(size=(2, 23, 3)).astype("float32"), "days": days}


def _images(*, steps: int | None = None, channels: int = 3) -> np.ndarray:
    shape = (2, 16, 16, channels) if steps is None else (2, steps, 16, 16, 1)
    return 10_000 * np.random.default_rng(0).random(shape).astype("float32")


_SCALE = {"mean": [3000.0] * 3, "std": [2000.0] * 3}
_NETWORKS: dict[str, tuple[Any, Any]] = {
    "unet": (lambda: models.UNet(3, 4, width=8, depth=2, **_SCALE), _images),
    "ffdnet": (lambda: models.FFDNet(3, **_SCALE), lambda: _images(channels=4)),
    "residual_unet": (lambda: models.ResidualUNet(3, **_SCALE), _images),
    "edsr": (lambda: models.EDSR(3, scale=2, **_SCALE), _images),
    "rcan": (lambda: models.RCAN(3, scale=2, **_SCALE), _images),
    "convlstm": (lambda: models.EncoderForecaster(3, 2, widths=(8, 8)), lambda: _images(steps=3) / 100),
    "rainnet": (lambda: models.RainNet(3, 1), lambda: _images(steps=3) / 100),
    "lstm": (lambda: models.SeriesLSTM(3, 5, **_SCALE), _series),
    "tempcnn": (lambda: models.TempCNN(3, 5, length=23, **_SCALE), _series),
    "inception": (lambda: models.InceptionTime(3, 5, **_SCALE), _series),
    "transformer": (lambda: models.SeriesTransformer(3, 5, **_SCALE), _series),
    "ltae": (lambda: models.LTAE(3, 5, **_SCALE), _series),
    "mlp_ode": (
        lambda: models.MLPODE(3, mean=[0.0, 0.0, 25.0], std=[8.0, 9.0, 8.0], substeps=1),
        lambda: {
            "state": np.ones((2, 3), "float32"),
            "times": np.tile(np.linspace(0, 0.1, 3, dtype="float32"), (2, 1)),
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", _NETWORKS)
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_every_kind_of_network_takes_a_step_in_mixed_precision(name: str, precision: str) -> None:
    build, inputs = _NETWORKS[name]
    outputs = {}
    for kind in ("float32", precision):
        keras.utils.set_random_seed(0)
        with precision_scope(kind):
            model = build()
        outputs[kind] = keras.ops.convert_to_numpy(model(inputs()))
    assert outputs[precision].dtype == np.float32
    largest = np.abs(outputs["float32"]).max()
    np.testing.assert_allclose(outputs[precision], outputs["float32"], atol=0.02 * largest)
    compile_for_training(model, keras.losses.MeanSquaredError(), tiny_run.train(precision=precision))
    logs = model.train_on_batch(inputs(), np.zeros_like(outputs[precision]), return_dict=True)
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables)
