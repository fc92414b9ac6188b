"""One generic test for every pipeline: fit, resume, save, load, predict a ragged scene with nodata.

A pipeline's test is a subclass that says which recipe, which small data and which scene.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import rasterio

import geodl
from geodl.errors import CheckpointMismatch, OutputExists


class PipelineCase:
    """Subclass, name it `Test…`, and fill in what is abstract here."""

    recipe: ClassVar[str]
    quick: ClassVar[dict[str, Any]] = {"train.epochs": 2, "train.steps_per_epoch": 2, "train.batch_size": 2}

    def data(self, folder: Path) -> dict[str, Any]:
        """Writes small training data into `folder` and returns the overrides that name it."""
        raise NotImplementedError

    def scene(self, folder: Path) -> Any:
        """Writes a scene of odd size, with CRS, whose upper-left 5 × 7 pixels are nodata.

        Returns:
            Its path; or {band: path}, of which the first lies on the grid of the map.
        """
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory: pytest.TempPathFactory) -> Any:
        folder = tmp_path_factory.mktemp(cls.recipe)
        settings = {**cls().data(folder), **cls.quick}
        return geodl.train(cls.recipe, settings, output=folder / "run"), settings

    def test_bundle_is_whole(self, run: Any) -> None:
        folder = run[0].path
        content = json.loads((folder / "metrics.json").read_text())
        assert content["pipeline"] == run[0].predictor.contract.pipeline
        assert content["metrics"].keys() == run[0].metrics.keys() != set()
        assert content["protocol"]["part"] in ("validation", "test")
        assert {path.name for path in folder.iterdir()} >= {
            "network.keras",
            "contract.json",
            "recipe.yaml",
            "mlm.json",
            "report.html",
        }

    def test_loaded_bundle_predicts_the_same(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        run[0].predictor.predict_file(scene, tmp_path / "one.tif")
        geodl.load(run[0].path).predict_file(scene, tmp_path / "other.tif")
        with rasterio.open(tmp_path / "one.tif") as one, rasterio.open(tmp_path / "other.tif") as other:
            np.testing.assert_array_equal(one.read(), other.read())

    def test_map_lies_on_the_scene_and_keeps_nodata(self, run: Any, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        geodl.load(run[0].path).predict_file(scene, tmp_path / "map.tif")
        first = next(iter(scene.values())) if isinstance(scene, dict) else scene
        with rasterio.open(first) as given, rasterio.open(tmp_path / "map.tif") as made:
            scale = run[0].predictor.contract.output.scale
            assert made.crs == given.crs
            assert made.shape == (given.height * scale, given.width * scale)
            assert made.transform.almost_equals(given.transform @ rasterio.Affine.scale(1 / scale))
            mask = made.dataset_mask()
            assert not mask[: 5 * scale, : 7 * scale].any()
            assert mask[5 * scale :, 7 * scale :].all()

    def test_evaluate_repeats_the_score_of_training(self, run: Any) -> None:
        again = geodl.evaluate(run[0].path)
        assert again.metrics.keys() == run[0].metrics.keys()
        for name, value in run[0].metrics.items():
            assert again.metrics[name] == pytest.approx(value, abs=1e-4, nan_ok=True), name

    def test_finished_run_is_not_overwritten_unasked(self, run: Any) -> None:
        with pytest.raises(OutputExists, match="overwrite"):
            geodl.train(self.recipe, run[1], output=run[0].path)

    @pytest.mark.usefixtures("unscored")
    def test_interrupted_run_continues_and_ends_the_same(
        self, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class PowerCut(Exception):
            pass

        class Cut(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                if epoch == 1:
                    raise PowerCut

        from geodl.pipelines import base

        whole = base.fit
        settings = {**run[1], "train.checkpoint.steps": 1}
        monkeypatch.setattr(base, "fit", lambda *a, **k: whole(*a, **{**k, "callbacks": [Cut()]}))
        with pytest.raises(PowerCut):
            geodl.train(self.recipe, settings, output=tmp_path / "run")
        monkeypatch.setattr(base, "fit", whole)
        with pytest.raises(CheckpointMismatch, match="seed"):
            geodl.train(self.recipe, {**settings, "seed": 7}, output=tmp_path / "run")
        continued = geodl.train(self.recipe, settings, output=tmp_path / "run")
        for one, other in zip(continued.predictor.network.weights, run[0].predictor.network.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
