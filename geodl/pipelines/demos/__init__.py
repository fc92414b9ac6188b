"""Demonstrations: a pipeline trained on embedded data and shown on data that it never saw."""

from __future__ import annotations

import importlib
from pathlib import Path

from geodl.errors import OptionError
from geodl.pipelines.demos.result import DemoResult

__all__ = ("DemoResult", "demo")

_NAMES = ("segmentation", "denoising", "superresolution", "nowcasting", "dynamics", "crops")


def demo(
    name: str = "segmentation", *, output: str | Path = "geodl-demo", overwrite: bool = False, progress: bool = False
) -> DemoResult:
    """Shows a pipeline on embedded data, through the same functions that users call.

    Args:
        name: of the pipeline: `segmentation` (simulated scenes), `denoising` (an elevation model that comes with
            matplotlib), `superresolution` (photographs that come with scikit-learn), `nowcasting` (simulated rain),
            `dynamics` (the system of Lorenz 1963) or `crops` (simulated seasons).
        output: folder for data, run, maps and picture; a folder named after the pipeline is made in it.
        overwrite: replace the run, maps and picture of an earlier demonstration.
        progress: show progress in the terminal.

    Returns:
        Where everything lies, and the scores.

    Raises:
        OptionError: there is no such pipeline.
        OutputExists: an earlier demonstration is there.
    """
    if name not in _NAMES:
        raise OptionError("demo", expected=f"one of: {', '.join(_NAMES)}", received=name)
    module = importlib.import_module(f"geodl.pipelines.demos.{name}")
    return module.show(Path(output) / name, overwrite=overwrite, progress=progress)
