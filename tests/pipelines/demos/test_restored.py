"""Demonstrations of restoration: quickly with hardly any training, slowly as users see them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from matplotlib import image
from rasterio.windows import Window

from geodl.baselines import filters
from geodl.data.source import Grid
from geodl.errors import OutputExists
from geodl.pipelines import base, demo
from geodl.pipelines.demos import rasters
from geodl.pipelines.demos.rasters import write_raster


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, Any]], None]:
    """Has a demonstration train next to nothing, on the upper left of its scenes."""

    def corner(path: Path, values: np.ndarray, grid: Grid, **options: Any) -> None:
        write_raster(path, values[:130, :127], grid.crop(Window(0, 0, 127, 130)), **options)

    def hurry(name: str, network: dict[str, Any]) -> None:
        module = importlib.import_module(f"geodl.pipelines.demos.{name}")
        monkeypatch.setattr(rasters, "write_raster", corner)
        # Baselines choose their strength on few pixels.
        monkeypatch.setattr(filters, "_PIXELS", 1)
        less = {"train.epochs": 1, "train.steps_per_epoch": 2, "train.batch_size": 2, "data.patch": 32}

        def train(recipe: str, overrides: dict[str, Any], **options: Any) -> base.Run:
            return base.train(recipe, {**overrides, **less, **network}, **options)

        monkeypatch.setattr(module, "train", train)

    return hurry


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1).astype(np.float64)


def test_what_is_shown_of_denoising_is_what_was_scored(
    tmp_path: Path, hurried: Callable[[str, dict[str, Any]], None]
) -> None:
    hurried("denoising", {"network.width": 4, "network.depth": 1})
    result = demo("denoising", output=tmp_path)
    noisy, clean, noise = (read(result.paths[name]) for name in ("noisy", "map", "noise"))
    truth = read(tmp_path / "denoising" / "data" / "test" / "east.tif")
    np.testing.assert_allclose(noise, noisy - clean, atol=1e-3)
    assert np.std(noisy - truth) == pytest.approx(10, rel=0.03)
    scores = json.loads(result.paths["metrics"].read_text())
    assert scores["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean((clean - truth) ** 2)), rel=1e-3)
    assert set(scores["baselines"]) == {"nlm", "tv"}
    with rasterio.open(result.paths["map"]) as file:
        assert (file.crs.to_epsg(), file.units, file.shape) == (4326, ("metre",), (130, 127))
    assert image.imread(result.paths["picture"]).shape[1] > 1000
    with pytest.raises(OutputExists):
        demo("denoising", output=tmp_path)


def test_what_is_shown_of_superresolution_is_what_was_scored(
    tmp_path: Path, hurried: Callable[[str, dict[str, Any]], None]
) -> None:
    hurried("superresolution", {"network.width": 4, "network.blocks": 1})
    result = demo("superresolution", output=tmp_path)
    low, finer = read(result.paths["low"]), read(result.paths["map"])
    truth = read(tmp_path / "superresolution" / "data" / "test" / "flower_right.tif")[:, :126]
    assert (low.shape, finer.shape) == ((65, 63, 3), (130, 126, 3))
    scores = json.loads(result.paths["metrics"].read_text())
    assert scores["metrics"]["rmse"] == pytest.approx(
        np.sqrt(np.mean((np.clip(np.rint(finer), 0, 255) - truth) ** 2)), rel=1e-3
    )
    assert set(scores["baselines"]) == {"bicubic"}
    assert image.imread(result.paths["picture"]).shape[1] > 1000


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gain"), [("denoising", 1.5), ("superresolution", 1.5)])
def test_demonstrations_beat_what_needs_no_learning(name: str, gain: float, tmp_path: Path) -> None:
    evaluation = demo(name, output=tmp_path).evaluation
    best = max(baseline.metrics["psnr"] for baseline in evaluation.baselines.values())
    assert evaluation.metrics["psnr"] > best + gain
