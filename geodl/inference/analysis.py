"""Analyses: what a network makes of observed trajectories, and the states that forecasts start from after them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodl.contract import Contract
from geodl.data.trajectories import Trajectory, open_trajectories
from geodl.errors import OptionError, UnitMismatch
from geodl.inference.assimilation import Assimilator, Estimate
from geodl.inference.statefile import Starts, variable_names

__all__ = ("Analysis", "analyse", "read_observations")

_POOR = 2.0
"""Misfit from which on an estimate does not fit the observations."""

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class Analysis:
    """What assimilation made of observed trajectories."""

    starts: Starts
    """The states at the last times of the observations, from which forecasts go on."""
    estimates: tuple[Estimate, ...]
    """One per trajectory: its states at the times of the observations, and how well they fit."""


def read_observations(data: Any, contract: Contract) -> list[Trajectory]:
    """Opens observed trajectories; variables that they lack are not observed.

    Args:
        data: what `geodl.data.trajectories.open_trajectories` takes.
        contract: of the network.

    Returns:
        Those of the network's variables that there are, up to the last observation.

    Raises:
        OptionError: none of the network's variables is there.
        UnitMismatch: a variable, or the time, has another unit than in training.
        GeodlError: as `open_trajectories` raises.
    """
    names = variable_names(contract)
    opened = open_trajectories(data)
    held = [name for name in names if name in opened[0].variables]
    if not held:
        received = ", ".join(opened[0].variables)
        raise OptionError(
            opened[0].name, expected=f"one at least of the variables {', '.join(names)}", received=received
        )
    found = [trajectory.select(held) for trajectory in opened]
    units = {band.name: band.unit for band in contract.input.bands} | {"time": contract.input.dim("time").unit}
    for one in found:
        for name, unit in (*zip(one.variables, one.units, strict=True), ("time", one.time_unit)):
            if unit not in ("", "1") and units[name] not in ("", "1", unit):
                raise UnitMismatch(one.name, band=name, expected=units[name], received=unit)
        if np.isnan(one.states).all():
            raise OptionError(one.name, expected=f"observations of {', '.join(held)}", received="none")
    return found


def analyse(
    trajectories: Sequence[Trajectory],
    contract: Contract,
    assimilator: Assimilator,
    *,
    statistics: tuple[np.ndarray, np.ndarray],
    error: float,
    window: float | None,
    iterations: int,
) -> Analysis:
    """Estimates the trajectories behind observed ones.

    Args:
        trajectories: of `read_observations`.
        contract: of the network.
        assimilator: with the network's flow.
        statistics: mean and standard deviation of each variable in training, (state,) each: the background.
        error: standard deviation of the observations' errors, as a share of each variable's own.
        window: length of the end of each trajectory that is used; None: all of it.
        iterations: in each window of the search, at most.
    """
    names, longest = variable_names(contract), contract.input.dim("time").step
    estimates = []
    for one in trajectories:
        last = one.times[one.observed.any(1)][-1]
        kept = (one.times <= last) & (one.times >= (-np.inf if window is None else last - window))
        seen = np.full((int(kept.sum()), len(names)), np.nan)
        seen[:, [names.index(name) for name in one.variables]] = one.states[kept]
        found = assimilator.estimate(
            seen,
            one.times[kept],
            background=statistics,
            error=error * statistics[1],
            longest=longest,
            iterations=iterations,
        )
        if not found.misfit < _POOR:
            _log.warning(
                "%s: the trajectory found is %.3g errors of observation off the observations; about 1 was expected. Take "
                "a shorter end of them (window, --window), or state a larger error (--observation-error).",
                one.name,
                found.misfit,
            )
        estimates.append(found)
    return Analysis(_starts(trajectories, estimates), tuple(estimates))


def _starts(trajectories: Sequence[Trajectory], estimates: Sequence[Estimate]) -> Starts:
    origins = [one.origin for one in trajectories]
    origin = next((known for known in origins if known is not None), None)
    later = [0.0 if known is None or origin is None else (known - origin) / np.timedelta64(1, "D") for known in origins]
    return Starts(
        trajectories[0].name if len(trajectories) == 1 else f"{len(trajectories)} trajectories",
        np.stack([found.states[-1] for found in estimates]),
        np.array([one.name for one in trajectories]),
        np.array([found.times[-1] + more for found, more in zip(estimates, later, strict=True)]),
        origin,
        len(trajectories) == 1,
    )
