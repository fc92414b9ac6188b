"""Emulator: a network with its contract, from states of a system to its trajectories."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.bundle import NETWORK, load_network
from geodl.contract import Contract
from geodl.errors import ContractError, OptionError
from geodl.inference.converted import Runtime
from geodl.inference.engine import Progress
from geodl.inference.loaded import Loaded
from geodl.inference.planning import DEFAULT_MEMORY

if TYPE_CHECKING:
    import keras
    import xarray as xr

    from geodl.inference.analysis import Analysis
    from geodl.inference.assimilation import Assimilator
    from geodl.inference.rollout import FreeRun
    from geodl.inference.statefile import Starts
    from geodl.inference.trajectoryfile import Frame

__all__ = ("ERROR", "PERTURBATION", "Emulator")

PERTURBATION = 1e-3
"""Standard deviation of the members' first states where nothing else is known, as a share of each variable's own."""

ERROR = 0.1
"""Standard deviation of errors of observation where nothing is said of them, as a share of each variable's own."""

_MEMBERS = "members (--ensemble)"
_PERTURBATION = "perturbation (--perturbation)"
_CELL = 64
"""Bytes that a number of a table takes while it is written."""
_TOLD = 3
"""Trajectories that diverged which are named."""

_log = logging.getLogger("geodl")


class Emulator(Loaded):
    """Emulates a dynamical system with a trained network. `geodl.load` gives one.

    Only Keras runs such networks: the environment variable `GEODL_RUNTIME` is not asked.

    Args:
        network: a Keras model with inputs `state` (batch, state) and `times` (batch, time), output
            (batch, time, channel); None: that of the bundle, loaded when it is needed.
        contract: its variables, the time step it was trained with, its dtype.
        path: folder of its bundle, if it has one.
        runtime: None, `"auto"` or `"keras"`.

    Raises:
        OptionError: another runtime.
        ContractError: the contract states no time step.

    Example:

    >>> model = geodl.load("runs/l63")
    >>> trajectory = model.predict([1.0, 2.0, 20.0], steps=5000)
    >>> model.predict_file("states.csv", "forecast.nc", steps=5000, members=100)
    """

    def __init__(
        self,
        network: keras.Model | None,
        contract: Contract,
        path: str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        if runtime not in (None, "auto", "keras"):
            expected = "keras or auto: no other runtime knows networks that integrate over time"
            raise OptionError("runtime", expected=expected, received=runtime)
        super().__init__(network, contract, path, runtime="keras")
        self.step = contract.input.dim("time").step or 0.0
        """Time between states that the network was trained with, in the system's time unit."""
        if not (math.isfinite(self.step) and self.step > 0):
            raise ContractError(f"The contract's time step is {self.step!r}. Expected a number above 0.")

    def __repr__(self) -> str:
        unit = self.contract.input.dim("time").unit
        return (
            f"<Emulator {self.contract.pipeline}: {', '.join(self.variables)}, step {self.step:g} {unit}".rstrip() + ">"
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the state's components, in the network's order."""
        return tuple(band.name for band in self.contract.input.bands)

    def starts(self, data: Any) -> Starts:
        """Reads the states that forecasts start from, without loading the network.

        Args:
            data: an array (state,) or (start, state) in the network's order; a DataArray with a dim `variable` or
                `state` whose coordinate names the variables, in any order; a Dataset or a mapping with a variable for
                each; or the path of a table (.csv: a column per variable, a row per state), .nc or .npz file. A column
                or coordinate `time` says when a state holds, `name` what it is called.

        Returns:
            What `predict` and `predict_file` take, too.

        Raises:
            OptionError: a variable is missing, there is no state, or one is not finite.
            SourceUnreadable: the file is missing, damaged or of another kind.
        """
        from geodl.inference.statefile import read_starts

        return read_starts(data, self.contract)

    def predict(
        self,
        data: Any,
        *,
        steps: int,
        step: float | None = None,
        members: int | None = None,
        perturbation: float | None = None,
        seed: int = 0,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
    ) -> xr.Dataset:
        """Emulates trajectories in memory.

        Args:
            data: as of `starts`.
            steps: number of steps of each trajectory, 1 or more.
            step: time between two of its states, in the system's time unit. Default: that of training. The network is
                never asked for longer steps than those: states in between are left out.
            members: give an ensemble of so many for each state, from states that differ by normal noise.
            perturbation: standard deviation of this noise, as a share of each variable's standard deviation in training.
                Default: where the network tells the covariance of its errors (`network.head=gaussian`), noise of that
                which it tells of the first states; else 0.001.
            seed: of the noise.
            memory: bytes that may be taken beyond the backend, the states and the forecast. Default: 2 GiB.
            progress: called with the states done and in all.

        Returns:
            A Dataset with one variable per component of the state, in its unit and the network's dtype, dims
            ([member,] [start,] time): no `start` for one single state. The first time is that of the given state: its
            own, else 0. States from where a trajectory is no longer finite are not-a-number, and a warning says so.

        Raises:
            OptionError: an argument is out of range, or the memory does not hold the states of one step.
            GeodlError: as `starts` raises.

        Example:

        >>> forecast = model.predict("states.csv", steps=500, members=20)
        >>> forecast.x.mean("member").plot.line(x="time")
        """
        step = self._check(steps, step, members, perturbation)
        frame = self._frame(self.starts(data), steps, step, members, perturbation, seed)
        return frame.fill(self._run_whole(frame, perturbation, seed, memory, progress))

    def predict_file(
        self,
        source: Any,
        target: str | os.PathLike[str],
        *,
        steps: int,
        step: float | None = None,
        members: int | None = None,
        perturbation: float | None = None,
        seed: int = 0,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Emulates trajectories into a file, which appears under its name only when it is whole.

        Args:
            source: as of `starts`.
            target: path ending in `.nc`: NetCDF by CF conventions, written as it is made, so that a forecast may be
                larger than the memory; or in `.csv`: a table with a row per member, start and time.
            steps: as of `predict`.
            step: as of `predict`.
            members: as of `predict`.
            perturbation: as of `predict`.
            seed: as of `predict`.
            memory: bytes that may be taken beyond the backend and the states. Default: 2 GiB.
            progress: called with the states done and in all.
            overwrite: replace an existing file.

        Returns:
            The path of what was written, in a list.

        Raises:
            OptionError: as of `predict`; the target is of another kind or one of the sources, or a table would be larger
                than the memory.
            OutputExists: there is such a file.
            OutputUnwritable: no permission, disk full.
            GeodlError: as `starts` raises.
        """
        from geodl.inference.trajectoryfile import is_table, write_netcdf, write_table

        path = Path(target)
        step = self._check(steps, step, members, perturbation)
        self.check_target(path, overwrite=overwrite)
        starts = self.starts(source)
        self.check_target(path, starts.paths, overwrite=overwrite)
        frame = self._frame(starts, steps, step, members, perturbation, seed)
        if is_table(path):
            rows = math.prod(frame.shape)
            if rows * (len(self.variables) + 3) * _CELL > memory:
                received = f"{path}, of {rows} rows"
                raise OptionError("target", expected="a file that ends in .nc, for so many states", received=received)
            write_table(frame.fill(self._run_whole(frame, perturbation, seed, memory, progress)), path)
        else:
            run = self._free_run(frame, perturbation, seed, memory)
            write_netcdf(frame, run.pieces(progress), path)
            self._tell(frame, run.diverged)
        return [path]

    def check_target(
        self, target: str | os.PathLike[str], sources: Sequence[str] = (), *, overwrite: bool = False
    ) -> None:
        """Refuses a file that `predict_file` could not write, without reading anything.

        Args:
            target: of `predict_file`.
            sources: files that the forecast is made from, which are never overwritten.
            overwrite: replace an existing file.

        Raises:
            OptionError: the target is of another kind or one of the sources.
            OutputExists: there is such a file.
            OutputUnwritable: it is a folder.
        """
        from geodl.inference.trajectoryfile import check_target

        check_target(Path(target), sources, overwrite=overwrite)

    def forecast(
        self, states: np.ndarray, *, steps: int, step: float | None = None, memory: int = DEFAULT_MEMORY
    ) -> np.ndarray:
        """Emulates trajectories from plain arrays.

        Args:
            states: (start, state), finite, in the network's order.
            steps: as of `predict`.
            step: as of `predict`.
            memory: as of `predict`.

        Returns:
            (start, time, state), in the network's dtype; the first time is that of the given states.

        Raises:
            OptionError: as `predict` raises.
        """
        step = self._check(steps, step, None, None)
        frame = self._frame(self.starts(np.atleast_2d(states)), steps, step, None, None, 0)
        return self._run_whole(frame, None, 0, memory, None)[0]

    def assimilate(
        self, observations: Any, *, error: float = ERROR, window: float | None = None, iterations: int = 50
    ) -> Analysis:
        """Estimates the trajectories behind noisy, partial observations, through the network's gradient (4D-Var).

        Args:
            observations: what `geodl.data.trajectories.open_trajectories` takes: a table with times, NetCDF, arrays, a
                `Trajectory`. Variables that are not in it are not observed, nor is what is not-a-number.
            error: standard deviation of the observations' errors, as a share of each variable's standard deviation in
                training.
            window: length of the end of the observations that is used, in the system's time unit. Default: all of them.
                Flows that are learnt from noisy states, and float32, do not hold out as long as a good table.
            iterations: in each step of the search, at most.

        Returns:
            The estimates, and the states at the last observation: `model.predict(analysis.starts, steps=500)`.

        Raises:
            OptionError: an argument is out of range, or none of the network's variables is there.
            UnitMismatch: a variable, or the time, has another unit than in training.
            GeodlError: as `open_trajectories` raises.

        Example:

        >>> analysis = model.assimilate("observations.csv", error=0.05)
        >>> forecast = model.predict(analysis.starts, steps=500)
        """
        if not (math.isfinite(error) and error > 0):
            raise OptionError("error (--observation-error)", expected="a share above 0", received=error)
        if window is not None and not window > 0:
            raise OptionError("window (--window)", expected="a time above 0", received=window)
        from geodl._quiet import load_backend

        load_backend()
        from geodl.inference.analysis import analyse, read_observations

        return analyse(
            read_observations(observations, self.contract),
            self.contract,
            self._assimilator,
            statistics=self.statistics,
            error=error,
            window=window,
            iterations=iterations,
        )

    @cached_property
    def _assimilator(self) -> Assimilator:
        from geodl.inference.assimilation import Assimilator

        network, size = self.network, len(self.variables)

        def flow(state: Any, times: Any) -> Any:
            return network({"state": state, "times": times}, training=False)[..., :size]

        return Assimilator(flow, self.contract.input.dtype)

    @cached_property
    def network(self) -> keras.Model:
        """The Keras model."""
        assert self.path is not None
        if self.contract.input.dtype == "float64":
            from geodl._quiet import load_backend

            load_backend()
            from geodl.autodiff import enable_float64

            enable_float64()
        return load_network(self.path / NETWORK)

    def _check(self, steps: int, step: float | None, members: int | None, perturbation: float | None) -> float:
        """Refuses what cannot be, before anything is read; gives the time between two states."""
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
            raise OptionError("steps (--steps)", expected="a whole number, 1 or more", received=steps)
        if step is not None and not (math.isfinite(step) and step > 0):
            raise OptionError("step (--step)", expected="a time above 0", received=step)
        if members is not None and members < 1:
            raise OptionError(_MEMBERS, expected="1 or more", received=members)
        if perturbation is not None and members is None:
            raise OptionError(
                _PERTURBATION, expected="an ensemble to perturb (members, --ensemble)", received=perturbation
            )
        if perturbation is not None and not (math.isfinite(perturbation) and perturbation >= 0):
            raise OptionError(_PERTURBATION, expected="a share of 0 or more", received=perturbation)
        return self.step if step is None else float(step)

    def _frame(
        self, starts: Starts, steps: int, step: float, members: int | None, perturbation: float | None, seed: int
    ) -> Frame:
        from geodl.inference.trajectoryfile import Frame

        told = self._told_covariance and perturbation is None
        how = "as the network tells of its errors" if told else PERTURBATION if perturbation is None else perturbation
        return Frame(
            self.contract, starts, steps, step, members, {"perturbation": how, "seed": seed} if members else None
        )

    @property
    def _told_covariance(self) -> bool:
        return len(self.contract.output.bands) > len(self.variables)

    def _run_whole(
        self, frame: Frame, perturbation: float | None, seed: int, memory: int, progress: Progress | None
    ) -> np.ndarray:
        """All states: (member, start, time, state)."""
        run = self._free_run(frame, perturbation, seed, memory)
        members, starts, times = frame.shape
        states = np.empty((members * starts, times, len(self.variables)), self.contract.input.dtype)
        for piece in run.pieces(progress):
            states[piece.trajectories, piece.times] = piece.states
        self._tell(frame, run.diverged)
        return states.reshape(frame.shape + states.shape[-1:])

    def _free_run(self, frame: Frame, perturbation: float | None, seed: int, memory: int) -> FreeRun:
        from geodl.inference.perturbation import perturbed
        from geodl.inference.rollout import FreeRun

        states = frame.starts.values
        first = states[None]
        if frame.members is not None:
            factors = self._noise(states, perturbation)
            first = perturbed(states, factors, members=frame.members, seed=seed)
        return FreeRun(
            self.call,
            first.reshape(-1, states.shape[1]).astype(self.contract.input.dtype),
            steps=frame.steps,
            step=frame.step,
            longest=self.step,
            channels=len(self.contract.output.bands),
            group=len(states),
            memory=memory,
        )

    @cached_property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each variable in training, (state,) each, from the network's normalisation.

        Raises:
            OptionError: the network normalises nothing.
        """
        from geodl.models.scaling import Normalisation

        for layer in self.network.layers:
            if isinstance(layer, Normalisation) and len(layer.mean) == len(self.variables):
                return np.array(layer.mean), np.array(layer.std)
        expected = "a network with a layer Normalisation, which knows how much each variable varies"
        raise OptionError("statistics", expected=expected, received=self.network.name)

    def _noise(self, states: np.ndarray, perturbation: float | None) -> np.ndarray:
        """Factors (start, state, state) of the covariance of the members' noise."""
        from geodl.inference.perturbation import told_factors

        deviation = self.statistics[1]
        if perturbation is None and self._told_covariance:
            return told_factors(self.call, states, self.step)
        share = PERTURBATION if perturbation is None else perturbation
        return np.broadcast_to(share * np.diag(deviation), (len(states), *2 * deviation.shape))

    def _tell(self, frame: Frame, diverged: np.ndarray) -> None:
        """Says which trajectories are not finite from when on."""
        found = np.flatnonzero(diverged >= 0)
        if not len(found):
            return
        which = [f"{self._called(frame, k)} from time {diverged[k] * frame.step:g} on" for k in found[:_TOLD]]
        more = f", … ({len(found)} of {len(diverged)} in all)" if len(found) > _TOLD else ""
        _log.warning("Diverged, not-a-number since: %s%s.", ", ".join(which), more)

    def _called(self, frame: Frame, number: int) -> str:
        member, start = divmod(int(number), len(frame.starts.values))
        parts = [f"start {frame.starts.labels[start]}"] if not frame.starts.single else []
        parts += [f"member {member}"] if frame.members else []
        return " ".join(parts) or "the trajectory"
