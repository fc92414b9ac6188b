"""`geodl predict` with a network for nowcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.cli.activity import progress_bar
from geodl.cli.terminal import Answer
from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.contract import Contract
    from geodl.inference.forecaster import Forecaster
    from geodl.inference.recent import Recent

__all__ = ("Asked", "forecast")


@dataclass(frozen=True)
class Asked:
    """What is asked of a forecast, as the command line has it."""

    geotiff: str | None
    members: int | None
    seed: int
    thresholds: str | None
    at: str | None
    any_resolution: bool
    resample: str | None
    memory: int | None
    overwrite: bool


def forecast(model: Forecaster, frames: Sequence[str], target: str, asked: Asked, *, answer: Answer) -> None:
    """Forecasts from radar frames to a file, and says what from and when for.

    Args:
        model: the network.
        frames: a folder, a glob, or files.
        target: the NetCDF file.
        asked: all else.
        answer: is told what was made.

    Raises:
        GeodlError: as `Forecaster.predict_file` raises.
    """
    if asked.resample not in (None, "average"):
        expected = "average: radar frames are averaged over whole blocks of pixels"
        raise OptionError("--resample", expected=expected, received=asked.resample)
    options: dict[str, Any] = {"members": asked.members, "overwrite": asked.overwrite, "seed": asked.seed}
    options["probabilities"] = None if asked.thresholds is None else _rates(asked.thresholds)
    options |= {} if asked.memory is None else {"memory": asked.memory}
    options |= {} if asked.geotiff is None else {"geotiff": asked.geotiff}
    recent = model.recent(
        frames[0] if len(frames) == 1 else list(frames),
        at=asked.at,
        any_resolution=asked.any_resolution,
        resample=asked.resample is not None,
    )
    answer.line(f"From {_described(recent)}.")
    if answer.quiet:
        made = model.predict_file(recent, target, **options)
    else:
        with progress_bar(Path(target).name) as progress:
            made = model.predict_file(recent, target, progress=progress, **options)
    answer.file("Forecast", made[0], f"{_leads(model.contract)}{_more(asked)}")
    if answer.quiet:
        for path in made[1:]:
            answer.file("GeoTIFF", path)
    elif len(made) > 1:
        answer.file("GeoTIFFs", asked.geotiff, f"{len(made) - 1} files")


def _rates(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise OptionError("--thresholds", expected="rain rates in mm/h, such as 0.5,1,5", received=text) from None


def _described(recent: Recent) -> str:
    """Which frames they are: 4 frames, 2016-09-28 15:30 to 16:00 UTC."""
    first, last = (str(time)[:16].replace("T", " ") for time in recent.times[[0, -1]])
    same_day = first[:10] == last[:10]
    return f"{len(recent.times)} frames of {recent.name}, {first} to {last[11:] if same_day else last} UTC"


def _leads(contract: Contract) -> str:
    minutes = (contract.input.dim("time").step or 0) / 60
    return f"{contract.output.leads} lead times, +{minutes:g} to +{minutes * contract.output.leads:g} minutes"


def _more(asked: Asked) -> str:
    members = "" if asked.members is None else f", {asked.members} members"
    return members + ("" if asked.thresholds is None else f", probabilities above {asked.thresholds} mm/h")
