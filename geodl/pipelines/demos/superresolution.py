"""Demonstration of `superresolution`: photographs with pixels twice as fine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine

from geodl.baselines.filters import Bicubic
from geodl.data.opening import open_source
from geodl.data.source import Grid
from geodl.pipelines.base import train
from geodl.pipelines.demos.rasters import photographs, write_raster
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.demos.unseen import scored_sample
from geodl.pipelines.evaluation import evaluate
from geodl.report.figures import to_png
from geodl.report.restoration import superresolution_figure

__all__ = ("show",)


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on two photographs and makes a part never seen twice as fine; see `geodl.pipelines.demo`."""
    images, unknown = photographs(folder / "data")
    run = train(
        "superresolution-demo",
        {"data.images": str(images)},
        output=folder / "run",
        overwrite=overwrite,
        progress=progress,
    )
    unseen = {"data.images": str(unknown)}
    evaluation = evaluate(run.path, unseen, baselines=True, json=folder / "metrics.json")
    coarse, finer = folder / "low.tif", folder / "finer.tif"
    x, truth = scored_sample(run.path, unseen)
    bands = tuple(band.name for band in run.predictor.contract.output.bands)
    write_raster(coarse, x.astype(np.uint8), Grid(None, Affine.identity(), *x.shape[:2]), bands=bands)
    run.predictor.predict_file(coarse, finer, overwrite=overwrite)

    scale = run.predictor.contract.output.scale
    figure = superresolution_figure(
        [x],
        [Bicubic(scale)(x[None])[0]],
        [open_source(finer).read()[0]],
        [truth],
        scale=scale,
        bands=bands,
        names=["flower.jpg: vultilion, CC BY 2.0"],
        scores=[
            {
                "bicubic": {name: evaluation.baselines["bicubic"].metrics[name] for name in ("psnr", "ssim")},
                "restored": {name: evaluation.metrics[name] for name in ("psnr", "ssim")},
            }
        ],
    )
    drawing = folder / "picture.png"
    drawing.write_bytes(to_png(figure))
    paths = {
        "data": folder / "data",
        "run": run.path,
        "report": run.path / "report.html",
        "low": coarse,
        "map": finer,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)
