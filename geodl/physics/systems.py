"""Chaotic systems that emulators are tried on: Lorenz-63, Lorenz-96 and Rössler, with what is published of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from scipy import integrate

from geodl.errors import OptionError, StepUnderflow, nearest

__all__ = ("SYSTEMS", "Lorenz63", "Lorenz96", "Rossler", "System", "find_system", "solve")

Method = Literal["RK23", "RK45", "DOP853"]

_MOST_STEPS = 10_000
"""Between two times: a system that runs away becomes so stiff that the solver would go on for hours."""


class System(ABC):
    """An autonomous system dX/dt = F(X); calling it gives F. Times are in its own unit, which has no name."""

    name: ClassVar[str]
    step: ClassVar[float]
    """Usual time between samples."""
    transient: ClassVar[float]
    """Time after which a state of `start` is on the attractor."""

    @property
    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """Names of the components of the state."""

    @property
    @abstractmethod
    def spectrum(self) -> tuple[float, ...] | None:
        """Published Lyapunov exponents per time unit, largest first; None where these parameters have none."""

    @property
    def lyapunov(self) -> float | None:
        """Published largest Lyapunov exponent per time unit; None where these parameters have none."""
        return None if self.spectrum is None else self.spectrum[0]

    @abstractmethod
    def __call__(self, state: np.ndarray) -> np.ndarray:
        """Returns the derivative, of the shape (…, variables) and dtype of `state`, which is floating point."""

    @abstractmethod
    def jacobian(self, state: np.ndarray) -> np.ndarray:
        """Returns dF/dX of shape (…, variables, variables) at states (…, variables): row i is of component i of F."""

    @abstractmethod
    def start(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws states (count, variables) around the attractor and off it, from all of which the system comes to it."""


@dataclass(frozen=True)
class Lorenz63(System):
    """Convection in three variables (Lorenz 1963, "Deterministic nonperiodic flow"); exponents: Sprott 2003, table A.5.

    Example:
        >>> Lorenz63()(np.array([1.0, 2.0, 3.0]))
        array([10., 23., -6.])
    """

    name: ClassVar[str] = "lorenz63"
    step: ClassVar[float] = 0.01
    transient: ClassVar[float] = 20.0
    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8 / 3

    @property
    def variables(self) -> tuple[str, ...]:
        """x, y and z."""
        return ("x", "y", "z")

    @property
    def spectrum(self) -> tuple[float, ...] | None:
        """0.9056, 0 and -14.5723 (their sum is -sigma - 1 - beta), for the default parameters."""
        return (0.9056, 0.0, -14.5723) if self == Lorenz63() else None

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        x, y, z = state[..., 0], state[..., 1], state[..., 2]
        found = np.empty_like(state)
        found[..., 0] = self.sigma * (y - x)
        found[..., 1] = x * (self.rho - z) - y
        found[..., 2] = x * y - self.beta * z
        return found

    def jacobian(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        x, y, z = np.moveaxis(state, -1, 0)
        found = np.zeros((*np.shape(x), 3, 3))
        found[..., 0, 0], found[..., 0, 1] = -self.sigma, self.sigma
        found[..., 1, 0], found[..., 1, 1], found[..., 1, 2] = self.rho - z, -1, -x
        found[..., 2, 0], found[..., 2, 1], found[..., 2, 2] = y, x, -self.beta
        return found

    def start(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws states about one and a half times as far around as the attractor; see `System`."""
        return rng.normal((0, 0, 24), (12, 14, 13), (count, 3))


@dataclass(frozen=True)
class Lorenz96(System):
    """A ring of variables like those along a circle of latitude (Lorenz 1996, "Predictability: a problem partly solved").

    The largest exponent is that of Vlachas et al. 2020, "Backpropagation algorithms and reservoir computing in recurrent
    neural networks for the forecasting of complex spatiotemporal dynamics".

    Args:
        size: number of variables, at least 4.
        forcing: F.

    Raises:
        OptionError: `size` is below 4.
    """

    name: ClassVar[str] = "lorenz96"
    step: ClassVar[float] = 0.05
    transient: ClassVar[float] = 30.0
    size: int = 40
    forcing: float = 8.0

    def __post_init__(self) -> None:
        if self.size < 4:
            raise OptionError("size", expected="at least 4 variables", received=self.size)

    @property
    def variables(self) -> tuple[str, ...]:
        """x1 to x40, say."""
        return tuple(f"x{k}" for k in range(1, self.size + 1))

    @property
    def spectrum(self) -> tuple[float, ...] | None:
        """None: the whole spectrum is not tabulated anywhere."""
        return None

    @property
    def lyapunov(self) -> float | None:
        """1.68, for the default parameters."""
        return 1.68 if self == Lorenz96() else None

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        # The ring is closed once, so that its shifted copies are views.
        ring = np.concatenate([state[..., -2:], state, state[..., :1]], -1)
        return (ring[..., 3:] - ring[..., :-3]) * ring[..., 1:-2] - state + self.forcing

    def jacobian(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        here = np.arange(self.size)
        before, twice, after = (here - 1) % self.size, (here - 2) % self.size, (here + 1) % self.size
        found = np.zeros((*np.shape(state), self.size))
        found[..., here, after] = state[..., before]
        found[..., here, twice] -= state[..., before]
        found[..., here, before] = state[..., after] - state[..., twice]
        found[..., here, here] -= 1
        return found

    def start(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws states about one and a half times as far around as the attractor; see `System`."""
        return rng.normal(2.5, 5.5, (count, self.size))


@dataclass(frozen=True)
class Rossler(System):
    """A band that folds over once in each turn (Rössler 1976, "An equation for continuous chaos").

    Exponents: Sprott 2003, "Chaos and Time-Series Analysis", table A.5.
    """

    name: ClassVar[str] = "rossler"
    step: ClassVar[float] = 0.05
    transient: ClassVar[float] = 100.0
    a: float = 0.2
    b: float = 0.2
    c: float = 5.7

    @property
    def variables(self) -> tuple[str, ...]:
        """x, y and z."""
        return ("x", "y", "z")

    @property
    def spectrum(self) -> tuple[float, ...] | None:
        """0.0714, 0 and -5.3943, for the default parameters."""
        return (0.0714, 0.0, -5.3943) if self == Rossler() else None

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        x, y, z = state[..., 0], state[..., 1], state[..., 2]
        found = np.empty_like(state)
        found[..., 0] = -y - z
        found[..., 1] = x + self.a * y
        found[..., 2] = self.b + z * (x - self.c)
        return found

    def jacobian(self, state: np.ndarray) -> np.ndarray:
        """See `System`."""
        x, _, z = np.moveaxis(state, -1, 0)
        found = np.zeros((*np.shape(x), 3, 3))
        found[..., 0, 1:] = -1
        found[..., 1, 0], found[..., 1, 1] = 1, self.a
        found[..., 2, 0], found[..., 2, 2] = z, x - self.c
        return found

    def start(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws states within the attractor's radius, up to its usual height: farther out some never return."""
        x, y = rng.normal(0, 4, (2, count))
        return np.stack([x, y, rng.uniform(0, 5, count)], -1)


SYSTEMS: dict[str, type[System]] = {kind.name: kind for kind in (Lorenz63, Lorenz96, Rossler)}
"""By name."""


def find_system(system: str | System) -> System:
    """Returns the system of this name with its default parameters; a system is returned as it is.

    Raises:
        OptionError: there is no such system.
    """
    if isinstance(system, System):
        return system
    if system not in SYSTEMS:
        known = ", ".join(SYSTEMS)
        raise OptionError("system", expected=f"one of {known}.{nearest(str(system), SYSTEMS)}", received=system)
    return SYSTEMS[system]()


def solve(
    system: System,
    start: np.ndarray,
    times: np.ndarray | Sequence[float],
    *,
    method: Method = "DOP853",
    rtol: float = 1e-13,
    atol: float = 1e-13,
) -> np.ndarray:
    """Solves a system by scipy, in float64.

    The solver steps onto each of the times. scipy's `t_eval` would interpolate between its steps, which is a hundred
    times less exact than DOP853 itself: data would then hold that error, and no network could see beyond it.

    Args:
        system: see `System`.
        start: states (variables,) or (count, variables) at the first time. Several are solved together, with one step
            size for all: how many there are changes the last digits of each.
        times: strictly increasing, at least two.
        method: Runge-Kutta pair.
        rtol, atol: relative and absolute tolerance of a step, rms over all variables; rtol at least 3e-14.

    Returns:
        States (count, time, variables), the first of them `start`; count is 1 where `start` is one state.

    Raises:
        OptionError: the times do not increase, or `start` has another number of variables.
        StepUnderflow: the system diverges, the tolerances cannot be held, or two times are 10,000 steps apart.

    Example:
        >>> solve(Lorenz63(), np.array([1.0, 1.0, 20.0]), [0, 0.5, 1]).shape
        (1, 3, 3)
    """
    states, moments = np.atleast_2d(np.asarray(start, float)), np.asarray(times, float)
    size = len(system.variables)
    if states.ndim != 2 or states.shape[1] != size:
        raise OptionError("start", expected=f"shape (count, {size})", received=np.shape(start))
    if moments.ndim != 1 or len(moments) < 2 or not (np.diff(moments) > 0).all():
        raise OptionError("times", expected="at least two, strictly increasing", received=times)
    kind = {"RK23": integrate.RK23, "RK45": integrate.RK45, "DOP853": integrate.DOP853}[method]

    def derivative(_: float, flat: np.ndarray) -> np.ndarray:
        return system(flat.reshape(states.shape)).ravel()

    found = np.empty((len(moments), states.size))
    found[0] = states.ravel()
    ahead: float | None = None
    with np.errstate(over="ignore", invalid="ignore"):
        for k, (begin, end) in enumerate(pairwise(moments)):
            first = None if ahead is None else min(ahead, end - begin)
            solver = kind(derivative, begin, found[k], end, rtol=rtol, atol=atol, first_step=first)
            for _ in range(_MOST_STEPS):
                solver.step()
                if solver.status != "running":
                    break
            else:
                why = f"{_MOST_STEPS} steps were taken from time {begin:g} on"
                raise StepUnderflow(float(solver.t), float(solver.h_abs), solver=method, why=why)
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                raise StepUnderflow(float(solver.t), float(solver.h_abs), solver=method)
            found[k + 1], ahead = solver.y, float(solver.h_abs)
    return np.moveaxis(found.reshape(len(moments), *states.shape), 0, 1)
