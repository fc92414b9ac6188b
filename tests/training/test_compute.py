from __future__ import annotations

import keras
import pytest

from geodl.errors import RecipeError
from geodl.training import compute
from geodl.training.compute import precision_scope, use_jit
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
