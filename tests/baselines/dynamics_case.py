"""Samples, as far as baselines look at them, and batches of Lorenz-63 and linear systems to forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp


@dataclass
class Trajectory:
    times: np.ndarray
    states: np.ndarray


class Segments:
    """Samples of which only the trajectories are asked for."""

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        self.trajectories = list(trajectories)

    def __len__(self) -> int:
        return 1


def lorenz63(_: float, state: np.ndarray) -> list[float]:
    x, y, z = state
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]


def lorenz63_run(times: np.ndarray, *, method: str = "DOP853", tolerance: float = 1e-9) -> np.ndarray:
    """States of a run from Gauthier's starting point, which is on the attractor."""
    start = [17.67715816276679, 12.931379185960404, 43.91404334248268]
    solution = solve_ivp(
        lorenz63, (0, times[-1]), start, t_eval=times, method=method, rtol=tolerance, atol=tolerance / 10
    )
    return solution.y.T


def batch(
    states: np.ndarray, starts: Sequence[int], *, step: float, horizon: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and truth of forecasts from some states of a regular run."""
    y = np.stack([states[start : start + horizon + 1] for start in starts])
    past = np.stack([states[start - 8 : start] for start in starts])
    times = np.tile(np.arange(horizon + 1) * step, (len(y), 1))
    return {"state": y[:, 0], "times": times, "past": past}, y
