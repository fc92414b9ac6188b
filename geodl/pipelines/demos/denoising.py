"""Demonstration of `denoising`: an elevation model, and white noise of ten metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geodl.data.opening import open_source
from geodl.pipelines.base import train
from geodl.pipelines.demos.rasters import elevation, write_raster
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.demos.unseen import scored_sample
from geodl.pipelines.evaluation import evaluate
from geodl.report.figures import to_png
from geodl.report.relief import relief_figure

__all__ = ("show",)


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on the west of an elevation model and takes the noise out of its east; see `geodl.pipelines.demo`."""
    west, east = elevation(folder / "data")
    run = train(
        "denoising-demo",
        {"data.images": str(west)},
        output=folder / "run",
        overwrite=overwrite,
        progress=progress,
    )
    unseen = {"data.images": str(east)}
    evaluation = evaluate(run.path, unseen, baselines=True, json=folder / "metrics.json")
    noisy, clean, residual = (folder / f"{name}.tif" for name in ("noisy", "clean", "noise"))
    x, truth = scored_sample(run.path, unseen)
    source = open_source(east)
    (band,) = source.bands
    write_raster(noisy, x, source.grid, bands=(band.name,), unit=band.unit)
    run.predictor.predict_file(noisy, clean, residual=residual, overwrite=overwrite)

    restored = open_source(clean).read()[0]
    filters = {scores.metrics["rmse"]: name for name, scores in evaluation.baselines.items()}
    best = min(filters)
    figure = relief_figure(
        {
            f"noisy: RMSE {np.sqrt(np.mean(np.square(x - truth))):.1f} m": x[..., 0],
            f"denoised: RMSE {evaluation.metrics['rmse']:.1f} m": restored[..., 0],
            "truth": truth[..., 0],
        },
        {"taken away: noisy − denoised": (x - restored)[..., 0], "left: denoised − truth": (restored - truth)[..., 0]},
        grid=source.grid,
        title=f"Elevation, never seen in training (the better classical filter, {filters[best]}: RMSE {best:.1f} m)",
    )
    drawing = folder / "picture.png"
    drawing.write_bytes(to_png(figure))
    paths = {
        "data": folder / "data",
        "run": run.path,
        "report": run.path / "report.html",
        "noisy": noisy,
        "map": clean,
        "noise": residual,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)
