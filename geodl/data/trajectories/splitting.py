"""Splits of trajectories into training, validation and test parts: in time, by trajectory or by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from geodl.data.folds import PARTS, Part
from geodl.data.holdouts import By
from geodl.data.timesplit import split_sequences
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import SplitError

__all__ = ("split_trajectories",)

_SECOND = np.timedelta64(1, "s")
_ORIGIN = np.datetime64(0, "s")


def split_trajectories(
    trajectories: Sequence[Trajectory], *, by: By = "auto", seed: int = 0, **rule: Any
) -> dict[Part, list[Trajectory]]:
    """Splits trajectories so that nothing held out is trained on.

    Args:
        trajectories: whose names differ.
        by: what is held out; see `geodl.data.timesplit.split_sequences`. In `time`, of each trajectory the first rows
            train, those behind them validate, the last ones test; with folds, blocks of rows one after the other. `auto`:
            by group where there is a `pattern`, by trajectory (`file`) from five on, else in time.
        seed: of the random choice.
        **rule: `validation`, `test`, `folds`, `fold`, `pattern` and `divide`, as there.

    Returns:
        The trajectories of each part, `train` first; parts that hold nothing are not there. Cut ones keep their names.

    Raises:
        SplitError: the trajectories cannot be split like this.
        TrajectoryUnusable: a part of a trajectory would have no observed state.

    Example:

    >>> parts = split_trajectories(simulate_trajectories("lorenz63", seed=0), validation=0.2)
    >>> [len(parts["train"][0]), len(parts["validation"][0])]
    [1601, 400]
    """
    # Sequences are split by their dates, to the second; here a second stands for a row.
    spans = [(each.name, (_ORIGIN, _ORIGIN + len(each) * _SECOND)) for each in trajectories]
    found: dict[Part, list[Trajectory]] = {}
    for trajectory, split in zip(trajectories, split_sequences(spans, by=by, seed=seed, **rule), strict=True):
        for part in PARTS:
            for interval in split.intervals.get(part, ()):
                first, end = (int((moment - _ORIGIN) / _SECOND) for moment in interval)
                piece = replace(trajectory, group=split.group or trajectory.group)
                if (first, end) != (0, len(trajectory)):
                    piece = _rows(piece, first, end, part)
                found.setdefault(part, []).append(piece)
    return {part: found[part] for part in PARTS if part in found}


def _rows(trajectory: Trajectory, first: int, end: int, part: Part) -> Trajectory:
    if end - first < 2:
        raise SplitError(
            f"{trajectory.name} has {len(trajectory)} times, of which {max(end - first, 0)} would be for {part}.",
            advice="Give longer trajectories, more of them (by: file), or other shares.",
        )
    times = trajectory.times
    return trajectory.between(float(times[first]), float(times[end]) if end < len(times) else np.inf)
