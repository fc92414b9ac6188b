"""Pictures of an emulator: its attractor, a forecast and its end, how long forecasts are valid, its climate."""

from __future__ import annotations

from typing import Any

import numpy as np

from geodl.contract import Contract
from geodl.data.segments import SegmentSamples
from geodl.inference.runtime import Call
from geodl.pipelines.evaluation import Evaluation
from geodl.report.attractor import attractor_figure
from geodl.report.climate import climate_figure
from geodl.report.dynamics import divergence_figure
from geodl.report.figures import to_png
from geodl.report.vpt import vpt_figure

__all__ = ("CEILINGS", "portraits")

CEILINGS = {"float32": 14.3, "float64": 33.0}
"""Lyapunov times after which two solutions of Lorenz-63 part that differ by the rounding of a type."""
_SPACE = 3
"""Most variables whose attractor is drawn as a line."""
_DRAWN = 4000
"""States of it, at most: lines stay lines."""
_STATISTICS = 2000
"""States that densities and spectra need."""


def portraits(
    call: Call,
    samples: SegmentSamples,
    evaluation: Evaluation,
    *,
    contract: Contract,
    spread: float,
    lyapunov_time: float | None,
    threshold: float,
    system: str | None,
    run: np.ndarray | None = None,
    truth: np.ndarray | None = None,
) -> dict[str, bytes]:
    """Draws what an emulator is looked at by.

    Args:
        call: the network.
        samples: held-out segments.
        evaluation: scores on them.
        contract: what the network eats and gives.
        spread: of the attractor.
        lyapunov_time: in time units; None: not known.
        threshold: of the valid prediction time, in spreads.
        system: name of the system, if it is a known one.
        run: states (time, variable) of a free run; None: none was made.
        truth: states of one as long of the system itself, or as much as there is.

    Returns:
        Caption → PNG.
    """
    step, unit = contract.input.dim("time").step or 1.0, contract.input.dim("time").unit
    size = len(contract.input.bands)
    names = [f"{band.name} ({band.unit})" if band.unit else band.name for band in contract.input.bands]
    details = evaluation.details
    drawn: dict[str, Any] = {}
    middle = int(np.argsort(details["vpt"])[len(details["vpt"]) // 2])
    x, y, _ = samples.read(middle, np.random.default_rng(0))
    forecast = call({key: values[None] for key, values in x.items()})[0, :, :size]
    if size > _SPACE:
        # Both start from one state, so that their difference tells something.
        drawn["The attractor"] = attractor_figure(y, forecast, variables=names, step=step, unit=unit)
    elif run is not None and truth is not None:
        shown = min(len(run), len(truth), _DRAWN)
        drawn["The attractor"] = attractor_figure(truth[:shown], run[:shown], variables=names, step=step, unit=unit)
    drawn[f"The forecast of median length: {samples.place(middle).name}"] = divergence_figure(
        x["times"],
        y,
        forecast,
        variables=names,
        spread=spread,
        lyapunov_time=lyapunov_time,
        threshold=threshold,
        unit=unit,
    )
    drawn["Valid prediction times"] = vpt_figure(
        {
            name: each.details["vpt"]
            for name, each in ({evaluation.pipeline: evaluation} | evaluation.baselines).items()
        },
        lyapunov_time=lyapunov_time,
        ceiling=CEILINGS.get(contract.input.dtype) if system == "lorenz63" else None,
        unit=unit,
    )
    if run is not None and truth is not None and min(len(run), len(truth)) >= _STATISTICS:
        found = details.get("lyapunov", {})
        drawn["The climate of a free run"] = climate_figure(
            truth,
            run,
            variables=names,
            step=step,
            exponents=found.get("exponents"),
            true_exponents=found.get("true"),
            errors=found.get("error"),
            unit=unit,
        )
    return {caption: to_png(figure) for caption, figure in drawn.items()}
