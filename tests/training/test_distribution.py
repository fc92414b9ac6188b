from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from geodl.errors import BackendUnavailable, RecipeError
from geodl.training import distribution
from geodl.training.distribution import replicas, resolve, seed_everything
from tests.training import tiny_run

_TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.mark.parametrize("strategy", ["auto", "single"])
def test_one_device(strategy: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(distribution, "accelerators", lambda: ("GPU:0",))
    devices = resolve(strategy)
    assert (devices.strategy, devices.names) == ("single", ("GPU:0",))
    with devices.scope():
        assert replicas() == 1
    assert not recwarn.list


def test_unused_accelerators_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "accelerators", lambda: ("GPU:0", "GPU:1", "GPU:2"))
    with pytest.warns(UserWarning, match=r"left unused: GPU:1, GPU:2\. Set distribution\.strategy: mirrored"):
        assert resolve("auto").names == ("GPU:0",)


@pytest.mark.parametrize("strategy", ["mirrored", "data_parallel", "multi_worker"])
def test_what_cannot_be_had_says_why(strategy: str) -> None:
    with pytest.raises(
        BackendUnavailable, match=rf"distribution\.strategy: {strategy} cannot be had: .*\. Use distribution"
    ):
        resolve(strategy)


def test_an_unknown_strategy() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'mirrored'\?"):
        resolve("miror")


def test_seeds_give_the_same_first_weights() -> None:
    drawn = []
    for seed in (5, 5, 6):
        seed_everything(seed)
        weights = np.concatenate([value.ravel() for value in tiny_run.arrays(tiny_run.network())])
        drawn.append((random.random(), np.random.default_rng().bit_generator is not None, weights.tobytes()))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


_TWO_DEVICES = """
import sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from geodl.training.compute import use_jit
from geodl.training.distribution import replicas, resolve, seed_everything
from tests.training import tiny_run

def network():
    seed_everything(3)
    inputs = keras.Input((None, None, 2))
    x = keras.layers.GroupNormalization(2)(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(keras.layers.ReLU()(x)))

config = tiny_run.train(optimizer={"name": "sgd", "learning_rate": 0.1, "ema": 0.5}, schedule={"name": "constant"})
class Killed(BaseException): pass
def kill(): raise Killed
ends = []
for strategy in ("single", "mirrored"):
    devices, folder = resolve(strategy), Path(sys.argv[1]) / strategy
    with devices.scope():
        assert replicas() == len(devices.names) == {"single": 1, "mirrored": 2}[strategy], devices
        try:
            tiny_run.run(folder, model=network(), config=config, callbacks=[tiny_run.At(8, kill)])
        except Killed:
            pass
        model = network()
        assert not use_jit(model)
        _, history = tiny_run.run(folder, model=model, config=config, keep="last")
        assert history.first_step == 6
        ends.append(tiny_run.arrays(model))
print(max(float(abs(a - b).max()) for a, b in zip(*ends)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not _TENSORFLOW, reason="tf.distribute")
def test_two_mirrored_devices_make_the_update_of_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _TWO_DEVICES, str(tmp_path)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 1e-5
