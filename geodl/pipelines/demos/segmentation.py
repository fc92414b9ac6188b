"""Demonstration of `segmentation`: land cover of simulated scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from geodl.contract import Contract
from geodl.data.labels import open_labels
from geodl.data.opening import open_source
from geodl.pipelines.base import train
from geodl.pipelines.datasets import laid_out
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.evaluation import evaluate
from geodl.report.figures import map_figure, picture, to_png

__all__ = ("show",)


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on six simulated scenes of 512 × 512 pixels and maps a larger one; see `geodl.pipelines.demo`."""
    files = laid_out("simulated-landcover", folder / "data")
    run = train(
        "segmentation-demo",
        {"data.images": str(files["train"].images), "data.labels": str(files["train"].labels)},
        output=folder / "run",
        overwrite=overwrite,
        progress=progress,
    )
    scene = next(files["test"].images.glob("*.tif"))
    target = folder / "map.tif"
    truth = files["test"].labels / scene.name
    run.predictor.predict_file(scene, target, confidence=True, overwrite=overwrite)
    unseen = {"data.images": str(scene), "data.labels": str(truth)}
    evaluation = evaluate(run.path, unseen, baselines=True, json=folder / "metrics.json")
    drawing = folder / "map.png"
    _draw(scene, truth, target, drawing, run.predictor.contract)
    paths = {
        "data": folder / "data",
        "run": run.path,
        "report": run.path / "report.html",
        "map": target,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)


def _draw(scene: Path, labels: Path, made: Path, drawing: Path, contract: Contract) -> None:
    """Draws input | truth | map | confidence of a mapped scene."""
    source = open_source(scene)
    truth = open_labels(labels, source.grid, classes=contract.output.classes).read()
    found = open_labels(made, source.grid, classes=contract.output.classes).read()
    with rasterio.open(made.with_suffix(".confidence.tif")) as file:
        confidence = file.read(1, masked=True).filled(np.nan)
    figure = map_figure(
        picture(source.read()[0], [band.name for band in source.bands]),
        found,
        classes=contract.output.classes,
        grid=source.grid,
        truth=truth,
        confidence=confidence,
        title=f"{scene.stem}, never seen in training",
    )
    drawing.write_bytes(to_png(figure))
