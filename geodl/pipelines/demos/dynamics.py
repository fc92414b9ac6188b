"""Demonstration of `dynamics`: Lorenz-63, learnt from one trajectory and emulated far beyond it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from geodl.data.simulate.trajectories import simulate_trajectories
from geodl.data.trajectories.trajectory import Trajectory
from geodl.pipelines.base import train
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.evaluation import Evaluation, evaluate
from geodl.pipelines.portraits import CEILINGS
from geodl.report.attractor import attractor_figure
from geodl.report.dynamics import divergence_figure
from geodl.report.figures import to_png
from geodl.report.joined import joined
from geodl.report.vpt import vpt_figure

__all__ = ("show",)

_SYSTEM = "lorenz63"
_SEED = 1
"""Of the state that is shown; as it is of the test part, no training has seen its trajectory."""
_DURATION = 100.0
"""Time units of the free run."""
_SHOWN = 20.0
"""Lyapunov times of it that are drawn beside the truth."""


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on a simulated trajectory and emulates another one; see `geodl.pipelines.demo`."""
    run = train("dynamics-demo", {}, output=folder / "run", overwrite=overwrite, progress=progress)
    evaluation = evaluate(run.path, {}, baselines=True, json=folder / "metrics.json")
    emulator = run.predictor
    (truth,) = simulate_trajectories(_SYSTEM, part="test", seed=_SEED, duration=_DURATION, step=emulator.step)
    start, made, drawing = folder / "initial_state.csv", folder / "forecast.nc", folder / "picture.png"
    np.savetxt(start, truth.states[:1], fmt="%.17g", delimiter=",", header=",".join(truth.variables), comments="")
    emulator.predict_file(start, made, steps=len(truth.times) - 1, overwrite=overwrite)
    with xr.open_dataset(made) as opened:
        forecast = np.stack([opened[name].values[0] for name in truth.variables], axis=-1)
    ceiling = CEILINGS[emulator.contract.input.dtype]
    drawing.write_bytes(_picture(truth, forecast, evaluation, ceiling))
    paths = {
        "run": run.path,
        "report": run.path / "report.html",
        "initial state": start,
        "forecast": made,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)


def _picture(truth: Trajectory, forecast: np.ndarray, evaluation: Evaluation, ceiling: float) -> bytes:
    """Draws where the system goes in the long run, when one forecast leaves the truth, and when many do."""
    details = evaluation.details
    attractor = attractor_figure(
        truth.states,
        forecast,
        variables=truth.variables,
        title=f"Lorenz-63, free run of {truth.times[-1] - truth.times[0]:g} time units",
    )
    shown = truth.times - truth.times[0] <= _SHOWN * details["lyapunov_time"]
    divergence = divergence_figure(
        truth.times[shown],
        truth.states[shown],
        forecast[shown],
        variables=truth.variables,
        spread=details["spread"],
        threshold=details["threshold"],
        lyapunov_time=details["lyapunov_time"],
        title="Its beginning, from a state never seen in training",
    )
    valid = {"network": details["vpt"]} | {name: other.details["vpt"] for name, other in evaluation.baselines.items()}
    times = vpt_figure(
        valid, lyapunov_time=details["lyapunov_time"], ceiling=ceiling, title="Forecasts from all held-out states"
    )
    return joined(*map(to_png, (attractor, divergence, times)))
