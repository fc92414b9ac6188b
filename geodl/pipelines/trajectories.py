"""The trajectories that a recipe of dynamics names: simulated, or read from tables and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from geodl.data.folds import Part
from geodl.data.simulate.trajectories import simulate_trajectories
from geodl.data.trajectories import Trajectory, open_trajectories, split_trajectories
from geodl.physics.systems import System
from geodl.pipelines.task import Table
from geodl.recipe import DynamicsRecipe, Split

__all__ = ("simulated", "tables", "trajectory_tables")

_LISTED = 12
"""Variables that are listed."""


def simulated(recipe: DynamicsRecipe, system: System, part: Part, count: int, duration: float) -> list[Trajectory]:
    """Simulates a part: observations to train on, true states on the attractor to be scored on.

    Args:
        recipe: its `simulation` and `seed`.
        system: what is simulated.
        part: each has starts of its own.
        count: trajectories.
        duration: time units of each.
    """
    asked, learnt = recipe.simulation, part == "train"
    return simulate_trajectories(
        system,
        count,
        seed=recipe.seed,
        part=part,
        duration=duration,
        step=asked.step,
        observed=None if asked.observed is None else tuple(asked.observed),
        rtol=asked.tolerance,
        atol=asked.tolerance,
        transient=asked.transient if learnt else None,
        irregular=asked.irregular if learnt else 0,
        noise=asked.noise if learnt else 0,
        missing=asked.missing if learnt else 0,
    )


def tables(
    recipe: DynamicsRecipe, *, variables: Sequence[str] | None = None, whole: bool = False
) -> Mapping[Part, list[Trajectory]]:
    """Reads the tables of `data.trajectories` and splits them as `data.split` says.

    Args:
        recipe: what is read, and how.
        variables: those of a trained network; None: the recipe's.
        whole: all is for testing, whatever the recipe's split.
    """
    data = recipe.data
    named = None if data.bands == "auto" else tuple(data.bands)
    found = open_trajectories(data.trajectories, variables=variables or named, time=data.time)
    if whole:
        return {"test": found}
    asked = data.split if isinstance(data.split, Split) else Split()
    split = dict(split_trajectories(found, seed=recipe.seed, **asked.rule()))
    if asked.fold is not None and "validation" in split:
        # A fold is reported only: no epoch is chosen on it.
        split["test"] = split.pop("validation")
    return split


def trajectory_tables(split: Mapping[Part, Sequence[Trajectory]]) -> tuple[Table, Table]:
    """Tells what the trajectories are, and what each part holds."""
    train = split["train"]
    rows = []
    for part, trajectories in split.items():
        values = np.concatenate([one.states.ravel() for one in trajectories])
        duration = sum(float(one.times[-1] - one.times[0]) for one in trajectories)
        rows.append(
            (
                part,
                len(trajectories),
                sum(len(one.times) for one in trajectories),
                f"{duration:.6g}",
                f"{np.isnan(values).mean():.1%}",
            )
        )
    observed = np.concatenate([one.states for one in train])
    ranges = []
    for name, unit, column in zip(train[0].variables, train[0].units, observed.T, strict=True):
        found = np.nanmin(column), np.nanmean(column), np.nanmax(column), np.nanstd(column)
        ranges.append((name, unit or "–", *(f"{value:.4g}" for value in found)))
    step = f"{np.median([one.step for one in train]):.6g} {train[0].time_unit}".rstrip()
    kind = "" if all(one.regular for one in train) else ", irregular"
    return (
        Table(
            f"Trajectories (step {step}{kind})",
            ("part", "trajectories", "states", train[0].time_unit or "time units", "not observed"),
            tuple(rows),
        ),
        Table("Variables", ("variable", "unit", "least", "mean", "greatest", "deviation"), tuple(ranges[:_LISTED])),
    )
