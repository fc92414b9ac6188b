"""A bundle trained on one backend predicts the same on another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import rasterio

import geodl
from geodl.data.simulate.scenes import simulate_scene, write_scene

pytestmark = pytest.mark.usefixtures("small_forest")


def train(data: str, target: str) -> None:
    settings = {
        "data.images": f"{data}/images",
        "data.labels": f"{data}/labels",
        "data.patch": 32,
        "network.width": 4,
        "network.depth": 2,
        "network.stem": 1,
        "train.epochs": 1,
        "train.steps_per_epoch": 2,
        "train.batch_size": 2,
    }
    geodl.train("segmentation", settings, output=target)


def draw_map(bundle: str, scene: str, target: str) -> None:
    geodl.load(bundle).predict_file(scene, target, probabilities=True)


def run(backend: str, function: Callable[..., None], *arguments: Path) -> None:
    """Calls a function of this module: here if this session runs that backend, else in a process which does."""
    if backend == keras.backend.backend():
        return function(*map(str, arguments))
    program = f"import sys; from {__name__} import {function.__name__} as function; function(*sys.argv[1:])"
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, timeout=280)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for seed in range(5):
        write_scene(
            simulate_scene(seed, height=64, width=64), folder / f"images/{seed}.tif", folder / f"labels/{seed}.tif"
        )
    return folder


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one session compares both backends")
@pytest.mark.parametrize(
    ("trained_on", "mapped_on"), [("tensorflow", "jax"), pytest.param("jax", "tensorflow", marks=pytest.mark.slow)]
)
def test_same_probabilities(data: Path, tmp_path: Path, trained_on: str, mapped_on: str) -> None:
    run(trained_on, train, data, tmp_path / "run")
    for backend in (trained_on, mapped_on):
        run(backend, draw_map, tmp_path / "run", data / "images/0.tif", tmp_path / f"{backend}.tif")
    with (
        rasterio.open(tmp_path / f"{trained_on}.probabilities.tif") as one,
        rasterio.open(tmp_path / f"{mapped_on}.probabilities.tif") as other,
    ):
        np.testing.assert_allclose(other.read(masked=True), one.read(masked=True), atol=1e-4)
