"""Which devices train; and that however many they are, they train what one does."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from geodl.errors import BackendUnavailable, RecipeError, WorkersDiffer
from geodl.training import distribution
from geodl.training.distribution import Devices, Workers, replicas, resolve, seed_everything, workers
from geodl.training.globalmean import GlobalMean
from tests.training import tiny_run

_BACKEND = keras.backend.backend()


@pytest.mark.parametrize("strategy", ["auto", "single"])
def test_one_device(strategy: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(distribution, "accelerators", lambda: ("GPU:0",))
    devices = resolve(strategy)
    assert (devices.strategy, devices.names, devices.replicas) == ("single", ("GPU:0",), 1)
    with devices.scope():
        assert replicas() == 1
        assert workers() == Workers(0, 1)
    assert not recwarn.list


def test_one_of_several_accelerators_names_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "accelerators", lambda: ("GPU:0", "GPU:1", "GPU:2"))
    with pytest.warns(UserWarning, match=r"left unused: GPU:1, GPU:2\. Set distribution\.strategy: auto"):
        assert resolve("single").names == ("GPU:0",)


@pytest.mark.parametrize(
    ("batch_size", "taken", "unused"), [(12, 4, ""), (None, 4, ""), (6, 3, "GPU:3"), (7, 1, "GPU:1, GPU:2, GPU:3")]
)
def test_auto_takes_as_many_as_divide_the_batch(
    batch_size: int | None, taken: int, unused: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    names = ("GPU:0", "GPU:1", "GPU:2", "GPU:3")
    monkeypatch.setattr(distribution, "accelerators", lambda: names)
    monkeypatch.setattr(distribution, "_on_one_machine", lambda names: Devices("many", names, len(names)))
    found = resolve("auto", batch_size=batch_size)
    assert (found.names, found.replicas) == (names[:taken], taken)
    warned = [str(warning.message) for warning in recwarn.list]
    assert len(warned) == bool(unused)
    assert all(f"left unused: {unused}. Set train.batch_size, {batch_size} now" in text for text in warned)


@pytest.mark.parametrize("strategy", ["mirrored", "data_parallel", "model_parallel", "multi_worker"])
def test_what_cannot_be_had_says_why(strategy: str) -> None:
    with pytest.raises(
        BackendUnavailable,
        match=rf"distribution\.strategy: {strategy} cannot be had: .*\. (Use distribution|See docs/cloud|Set KERAS_B)",
    ):
        resolve(strategy)


def test_an_unknown_strategy() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'mirrored'\?"):
        resolve("miror")


def test_workers_that_the_environment_tells_of_are_not_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would train alone, to the same folder."""
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(BackendUnavailable, match=r"multi_worker cannot be had: .*"):
        resolve("auto")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "two")
    with pytest.raises(BackendUnavailable, match=r"KERAS_DISTRIBUTION_NUM_PROCESSES cannot be read.*single"):
        resolve("auto")
    monkeypatch.delenv("KERAS_DISTRIBUTION_NUM_PROCESSES")
    cluster = {"cluster": {"worker": ["one:1", "two:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(BackendUnavailable, match="multi_worker cannot be had"):
        resolve("auto")
    assert resolve("single").strategy == "single"


def test_workers_that_differ_are_told_in_what() -> None:
    class Two(Workers):
        def _gather(self, array: np.ndarray) -> np.ndarray:
            other = array.copy()
            if array.ndim == 2:
                other[1] = np.frombuffer(b"99".ljust(64), np.uint8)
            return np.stack([array, other])

    Workers(0, 1).agree({"samples": 3})
    with pytest.raises(
        WorkersDiffer, match=r"samples differs\. Expected, of worker 0: 120\. Received, of worker 1: 99\."
    ):
        Two(0, 2).agree({"seed": 5, "samples": 120})
    assert not Two(0, 2).any(False)
    assert Two(0, 2).any(True)


def test_weights_are_normalised_over_the_global_batch() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.normal(size=(2, 6, 5)).astype("float32")
    weight = rng.uniform(size=(6, 5)).astype("float32") * (rng.random((6, 5)) < 0.5)
    loss = GlobalMean(_Squared())
    expected = ((truth - guess) ** 2 * weight).sum() / weight.sum()
    assert float(loss(truth, guess, weight)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(truth, guess, 0 * weight)) == 0


class _Squared(keras.losses.Loss):
    def call(self, y_true: object, y_pred: object) -> object:
        return keras.ops.square(y_true - y_pred)


def test_seeds_give_the_same_first_weights() -> None:
    drawn = []
    for seed in (5, 5, 6):
        seed_everything(seed)
        weights = np.concatenate([value.ravel() for value in tiny_run.arrays(tiny_run.network())])
        drawn.append((random.random(), np.random.default_rng().bit_generator is not None, weights.tobytes()))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def _program(folder: Path, *options: str, backend: str, **environment: str) -> subprocess.Popen[str]:
    quiet = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "GEODL_RUNTIME": "keras"}
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.six_pipelines", str(folder), *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "KERAS_BACKEND": backend, **quiet, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(program: subprocess.Popen[str]) -> str:
    out, err = program.communicate()
    assert program.returncode == 0, err
    return out


def _apart(folder: Path, name: str, strategy: str, *, file: str = "final-0.npz") -> float:
    """By how much the arrays of a run differ from those of one device, at most."""
    paths = folder / f"run-{name}-single" / "final-0.npz", folder / f"run-{name}-{strategy}" / file
    with np.load(paths[0]) as one, np.load(paths[1]) as other:
        assert one.files == other.files != []
        pairs = [(one[key].astype("float64"), other[key].astype("float64")) for key in one.files]
    return max(float(abs(a - b).max()) for a, b in pairs if a.size)


_QUICK = ["denoising", "superresolution"]
_SLOW = ["segmentation", "nowcasting", "dynamics", "crops"]
_REPLICATED = {"tensorflow": "mirrored", "jax": "data_parallel"}


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        pytest.param("tensorflow", _QUICK, id="tensorflow"),
        pytest.param("jax", _QUICK[:1], id="jax"),
        pytest.param("tensorflow", _SLOW, id="tensorflow-more", marks=pytest.mark.slow),
        pytest.param("jax", [*_QUICK[1:], *_SLOW], id="jax-more", marks=pytest.mark.slow),
    ],
)
def test_two_replicas_make_the_weights_of_one(tmp_path: Path, backend: str, names: list[str]) -> None:
    strategy = _REPLICATED[backend]
    _end(_program(tmp_path, "--names", *names, "--strategies", "single", strategy, backend=backend))
    for name in names:
        assert _apart(tmp_path, name, strategy) < 1e-5, name


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_batch_statistics_are_those_of_the_whole_batch(tmp_path: Path, backend: str) -> None:
    """With weights that stand still the moving statistics are all that changes."""
    changes = {"network.norm": '"batch"', "train.optimizer.learning_rate": "1e-12"}
    options = [part for key, value in changes.items() for part in ("--set", key, value)]
    strategy = _REPLICATED[backend]
    names = ("--names", "segmentation", "--strategies", "single", strategy)
    _end(_program(tmp_path, *names, *options, backend=backend))
    assert _apart(tmp_path, "segmentation", strategy) < 1e-5


@pytest.mark.slow
def test_weights_shared_among_devices_become_those_of_one(tmp_path: Path) -> None:
    names = ["segmentation", "nowcasting", "denoising"]
    _end(_program(tmp_path, "--names", *names, "--strategies", "single", "model_parallel", backend="jax"))
    for name in names:
        assert _apart(tmp_path, name, "model_parallel") < 1e-5, name


def _two_workers(folder: Path, *options: str, **environment: tuple[str, str]) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    told = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    return [
        _program(
            folder,
            *options,
            backend="jax",
            KERAS_DISTRIBUTION_PROCESS_ID=str(index),
            **told,
            **{name: values[index] for name, values in environment.items()},
        )
        for index in range(2)
    ]


@pytest.mark.slow
def test_two_workers_make_the_weights_of_one(tmp_path: Path) -> None:
    names = [*_QUICK, *_SLOW]
    _end(_program(tmp_path, "--names", *names, "--strategies", "single", backend="jax"))
    for worker in _two_workers(tmp_path, "--names", *names, "--strategies", "multi_worker"):
        _end(worker)
    for name in names:
        for index in range(2):
            assert _apart(tmp_path, name, "multi_worker", file=f"final-{index}.npz") < 1e-5, (name, index)
