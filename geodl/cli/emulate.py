"""`geodl predict` with a network for dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.cli.activity import progress_bar
from geodl.cli.terminal import Answer
from geodl.errors import OptionError

if TYPE_CHECKING:
    from geodl.inference.emulator import Emulator

__all__ = ("Asked", "emulate")


@dataclass(frozen=True)
class Asked:
    """What is asked of a forecast, as the command line has it."""

    steps: int | None
    step: float | None
    members: int | None
    perturbation: float | None
    seed: int
    assimilate: bool
    error: float | None
    window: float | None
    memory: int | None
    overwrite: bool


def emulate(model: Emulator, sources: Sequence[str], target: str, asked: Asked, *, answer: Answer) -> None:
    """Forecasts from states, or from observed trajectories, to a file, and says what from and how far.

    Args:
        model: the network.
        sources: the file of the states; or observations to assimilate.
        target: the NetCDF file or table.
        asked: all else.
        answer: is told what was made.

    Raises:
        GeodlError: as `Emulator.predict_file` and `Emulator.assimilate` raise.
    """
    if asked.steps is None:
        step = f"{model.step:g} {model.contract.input.dim('time').unit}".strip()
        raise OptionError("--steps", expected=f"a number of steps (of {step} each)", received=None)
    if not asked.assimilate:
        for option, given in (("--observation-error", asked.error), ("--window", asked.window)):
            if given is not None:
                raise OptionError(option, expected="--assimilate beside it", received=given)
    if len(sources) > 1 and not asked.assimilate:
        raise OptionError("geodl predict", expected="one file of initial states", received=" ".join(sources))
    options: dict[str, Any] = {"step": asked.step, "members": asked.members, "perturbation": asked.perturbation}
    options |= {} if asked.memory is None else {"memory": asked.memory}
    options |= {"steps": asked.steps, "seed": asked.seed, "overwrite": asked.overwrite}
    # Before the minutes that it may take to make it.
    model.check_target(target, sources, overwrite=asked.overwrite)
    starts = _assimilated(model, sources, asked, answer=answer) if asked.assimilate else model.starts(sources[0])
    if answer.quiet:
        made = model.predict_file(starts, target, **options)
    else:
        with progress_bar(Path(target).name, unit="states") as progress:
            made = model.predict_file(starts, target, progress=progress, **options)
    for path in made:
        answer.file("Forecast", path, _extent(model, len(starts.values), asked))


def _assimilated(model: Emulator, sources: Sequence[str], asked: Asked, *, answer: Answer) -> Any:
    """The states at the last observations."""
    given = {"error": asked.error, "window": asked.window}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    found = model.assimilate(sources[0] if len(sources) == 1 else list(sources), **options)
    for label, estimate in zip(found.starts.labels, found.estimates, strict=True):
        first, last = estimate.times[[0, -1]]
        answer.line(f"{label}: assimilated from {first:g} to {last:g}, misfit {estimate.misfit:.3g} errors.")
    return found.starts


def _extent(model: Emulator, starts: int, asked: Asked) -> str:
    """How much there is: 5000 steps to time 50, 3 states, 100 members each."""
    steps, unit = asked.steps or 0, model.contract.input.dim("time").unit
    parts = [f"{steps} steps, {steps * (asked.step or model.step):g} {unit or 'time units'}"]
    parts += [f"{starts} states"] if starts > 1 else []
    parts += [f"{asked.members} members" + (" each" if starts > 1 else "")] if asked.members else []
    return ", ".join(parts)
