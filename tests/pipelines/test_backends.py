"""A bundle trained on one backend predicts the same on another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import rasterio

from geodl.data.simulate.scenes import simulate_scene, write_scene

TRAIN = """
import sys, geodl
quick = {"train.epochs": 1, "train.steps_per_epoch": 2, "train.batch_size": 2, "data.patch": 32}
small = {"network.width": 4, "network.depth": 2, "network.stem": 1}
data = {"data.images": sys.argv[1] + "/images", "data.labels": sys.argv[1] + "/labels"}
geodl.train("segmentation", {**data, **quick, **small}, output=sys.argv[2])
"""
MAP = """
import sys, geodl
geodl.load(sys.argv[1]).predict_file(sys.argv[2], sys.argv[3], probabilities=True)
"""


def run(backend: str, program: str, *arguments: object) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], env=environment, check=True, timeout=280)


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
    run(trained_on, TRAIN, data, tmp_path / "run")
    for backend in (trained_on, mapped_on):
        run(backend, MAP, tmp_path / "run", data / "images/0.tif", tmp_path / f"{backend}.tif")
    with (
        rasterio.open(tmp_path / f"{trained_on}.probabilities.tif") as one,
        rasterio.open(tmp_path / f"{mapped_on}.probabilities.tif") as other,
    ):
        np.testing.assert_allclose(other.read(masked=True), one.read(masked=True), atol=1e-4)
