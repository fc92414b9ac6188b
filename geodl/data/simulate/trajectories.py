"""Simulated trajectories: states of a chaotic system, as exact as the solver can be, spoilt as observations are."""

from __future__ import annotations

import numpy as np

from geodl.data.folds import PARTS, Part
from geodl.data.trajectories.trajectory import Trajectory
from geodl.errors import OptionError
from geodl.physics.systems import System, find_system, solve

__all__ = ("simulate_trajectories",)

_START, _TIMES, _NOISE, _MISSING = range(4)
_LOOSE = 1e-8
"""Tolerance until the system is on its attractor: any state there will do."""
_STRETCH = 10.0
"""Time that is solved at once until then; the solver's steps in one stretch are bounded."""


def simulate_trajectories(
    system: str | System,
    count: int = 1,
    *,
    seed: int,
    part: Part = "train",
    duration: float = 20.0,
    step: float | None = None,
    transient: float | None = None,
    irregular: float = 0.0,
    noise: float = 0.0,
    missing: float = 0.0,
    observed: tuple[str, ...] | None = None,
    rtol: float = 1e-13,
    atol: float = 1e-13,
) -> list[Trajectory]:
    """Simulates trajectories by scipy's DOP853 in float64; see `geodl.physics.systems.solve`.

    They start at different states, drawn from the seed and the part. Noise and gaps have streams of their own: without
    them, the same arguments give the true states of what was observed with them.

    Args:
        system: name in `geodl.physics.systems.SYSTEMS`, or a system.
        count: how many trajectories, at least 1.
        seed: at least 0; the same arguments give the same trajectories.
        part: each part has its own starts, which no other part has whatever its count, and its own names.
        duration: from the first time, which is 0, to the last, in the system's time unit.
        step: between times; default: the system's usual one.
        transient: time that passes before the first one; default: until the system is on its attractor. With 0, each
            trajectory starts off the attractor: many short ones show how the system comes back to it.
        irregular: share of the step, from 0 and below 1, over which each time but the first is spread at random.
        noise: standard deviation of white Gaussian noise, as a share of that of each variable over all trajectories.
        missing: share of the values, from 0 and below 1, each alone, that are not observed, but those of the first time.
        observed: variables that are observed, others are left out; default: all.
        rtol, atol: relative and absolute tolerance of the solver.

    Returns:
        The trajectories, of equal length.

    Raises:
        OptionError: an argument is out of range.
        StepUnderflow: the system diverges.

    Example:
        >>> trajectory, = simulate_trajectories("lorenz63", seed=0, duration=1.0, noise=0.01)
        >>> trajectory.states.shape
        (101, 3)
    """
    system = find_system(system)
    step = system.step if step is None else step
    transient = system.transient if transient is None else transient
    _check(count=count, seed=seed, duration=duration, step=step, transient=transient, noise=noise)
    for name, share in (("irregular", irregular), ("missing", missing)):
        if not 0 <= share < 1:
            raise OptionError(name, expected="a share, at least 0 and below 1", received=share)
    if part not in PARTS:
        raise OptionError("part", expected=", ".join(PARTS), received=part)
    kept = _positions(system, observed)

    def chance(what: int) -> np.random.Generator:
        return np.random.default_rng([seed, PARTS.index(part), what])

    start = system.start(chance(_START), count)
    if transient:
        until = np.linspace(0, transient, 1 + int(np.ceil(transient / _STRETCH)))
        start = solve(system, start, until, rtol=_LOOSE, atol=_LOOSE)[:, -1]
    times = step * np.arange(round(duration / step) + 1)
    # One set of times for all, so that they are solved together.
    times[1:] += irregular * step * (chance(_TIMES).random(len(times) - 1) - 0.5)
    states = solve(system, start, times, rtol=rtol, atol=atol)[..., kept]
    states += noise * states.std((0, 1)) * chance(_NOISE).standard_normal(states.shape)
    lost = chance(_MISSING).random(states.shape) < missing
    lost[:, 0] = False
    states[lost] = np.nan
    variables = tuple(system.variables[k] for k in kept)
    return [Trajectory(f"{system.name}_{part}_{k}", times, each, variables) for k, each in enumerate(states)]


def _check(*, count: int, seed: int, duration: float, step: float, transient: float, noise: float) -> None:
    for name, number, least in (
        ("count", count, 1),
        ("seed", seed, 0),
        ("transient", transient, 0),
        ("noise", noise, 0),
    ):
        if not (number >= least and np.isfinite(number)):
            raise OptionError(name, expected=f"at least {least}", received=number)
    if not (step > 0 and np.isfinite(step)):
        raise OptionError("step", expected="above 0", received=step)
    if not (duration >= step and np.isfinite(duration)):
        raise OptionError("duration", expected=f"at least one step, {step:g}", received=duration)


def _positions(system: System, observed: tuple[str, ...] | None) -> list[int]:
    known = system.variables
    if observed is None:
        return list(range(len(known)))
    if not observed or not set(observed) <= set(known) or len(set(observed)) < len(observed):
        raise OptionError("observed", expected=f"some of {', '.join(known)}, each once", received=observed)
    return [known.index(name) for name in observed]
