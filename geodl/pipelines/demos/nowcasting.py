"""Demonstration of `nowcasting`: simulated rain that moves, grows and decays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from geodl.data.radar import RadarSequence, open_sequence
from geodl.metrics.bootstrap import intervals
from geodl.physics.advection import advected
from geodl.pipelines.base import train
from geodl.pipelines.demos.events import events
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.evaluation import Evaluation, evaluate
from geodl.report.animation import animate
from geodl.report.figures import to_png
from geodl.report.joined import joined
from geodl.report.nowcast import csi_figure
from geodl.report.rain import forecast_figure

__all__ = ("show",)

_ANALYSIS = 0.5
"""Where in the unseen event the forecast that is shown starts: share of its length."""


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on simulated events and forecasts one that it never saw; see `geodl.pipelines.demo`."""
    known, unknown = events(folder / "data")
    run = train(
        "nowcasting-demo",
        {"data.sequences": str(known)},
        output=folder / "run",
        overwrite=overwrite,
        progress=progress,
    )
    unseen = {"data.sequences": str(unknown), "verification.stride": 1}
    evaluation = evaluate(run.path, unseen, json=folder / "metrics.json")

    event = open_sequence(unknown)
    contract = run.predictor.contract
    frames, leads = contract.input.dim("time").size or 1, contract.output.leads
    analysis = min(max(int(_ANALYSIS * len(event.times)), frames - 1), len(event.times) - leads - 1)
    made, moving, drawing = folder / "forecast.nc", folder / "forecast.gif", folder / "picture.png"
    run.predictor.predict_file(unknown, made, at=event.times[analysis], overwrite=overwrite)
    with xr.open_dataset(made) as opened:
        forecast = opened.rain_rate.values

    part = slice(analysis - frames + 1, analysis + leads + 1)
    observed = event.read(None, part)[0][..., 0]
    animate(
        observed, forecast, times=event.times[part], path=moving, grid=event.grid, title="Rain never seen in training"
    )
    drawing.write_bytes(_picture(event, observed, forecast, evaluation))
    paths = {
        "data": folder / "data",
        "run": run.path,
        "report": run.path / "report.html",
        "forecast": made,
        "animation": moving,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)


def _picture(event: RadarSequence, observed: np.ndarray, forecast: np.ndarray, evaluation: Evaluation) -> bytes:
    """Draws a forecast beside what came, and below it how good all forecasts of the event are."""
    frames = len(observed) - len(forecast)
    carried_on = advected(observed[:frames], len(forecast))
    minutes = evaluation.details["lead_minutes"]
    fields = forecast_figure(
        observed[frames:],
        {"network": forecast, "advection": carried_on},
        lead_minutes=minutes,
        grid=event.grid,
        last=observed[frames - 1],
        title="Simulated rain, never seen in training",
    )
    scores = csi_figure(
        evaluation.details,
        {name: baseline.details for name, baseline in evaluation.baselines.items()},
        intervals=intervals(evaluation.details),
        title="All forecasts of the event",
    )
    return joined(to_png(fields), to_png(scores))
