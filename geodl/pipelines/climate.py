"""What a long free run of an emulator shows: its invariant measure, spectra and Lyapunov exponents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from geodl.contract import Contract
from geodl.data.segments import SegmentSamples
from geodl.data.simulate.trajectories import simulate_trajectories
from geodl.inference.planning import DEFAULT_MEMORY
from geodl.inference.rollout import FreeRun
from geodl.inference.runtime import compile_network
from geodl.metrics.invariant import sampling_error, spectral_distance, wasserstein
from geodl.metrics.lyapunov import Spectrum, kaplan_yorke, lyapunov_spectrum
from geodl.models.tangent import tangent_flow
from geodl.physics.systems import System

__all__ = ("Climate", "climate")

_RUN = 4000
"""Steps of each of the runs of the truth that a free run is compared with: enough for an attractor and a spectrum."""
_TOLERANCE = 1e-8
"""Of these runs: their statistics are compared, not their states."""
_LEAST = 1000
"""States that statistics need."""
_EVERY = 5
"""Steps after which tangents are made orthonormal again."""
_FEW, _MANY = (64, 3000), (2, 300)
"""States that the Lyapunov spectrum is the mean over, and how often each one's tangents are made orthonormal: of systems
of few variables so often that λ₁ of Lorenz-63 is known to half a percent, of others what minutes allow."""
_SMALL = 8
"""Most variables of the former."""


@dataclass(frozen=True)
class Climate:
    """What a free run and the tangent of the flow show."""

    metrics: dict[str, float]
    """`free_run` (time units until it was no longer finite, else its duration), `wasserstein` and `wasserstein_limit`
    (what 95 % of equally long runs of the truth stay below, see `sampling_error`), `spectrum` (spectral distance of the
    last variable, decades), `lyapunov_1` to `lyapunov_3` and `kaplan_yorke`."""
    details: dict[str, Any]
    """`lyapunov`: exponents, their standard errors, and the true ones where they are published."""
    run: np.ndarray | None = None
    """States of the free run, (time, variable)."""
    truth: np.ndarray | None = None
    """States of the longest run of the truth, (time, variable)."""


def climate(
    network: keras.Model,
    contract: Contract,
    samples: SegmentSamples,
    *,
    system: System | None,
    duration: float,
    exponents: bool,
    seed: int,
) -> Climate:
    """Compares a free run of a network with the truth.

    Args:
        network: of a neural ODE, see `geodl.models.neural_ode`.
        contract: what it eats and gives.
        samples: held-out segments; the run starts from the first one's state.
        system: of which runs of the truth are simulated; None: the samples' own trajectories are the truth.
        duration: of the run, in time units; 0: none.
        exponents: whether the Lyapunov spectrum is measured.
        seed: of the truth's starts, the directions of distances and the first tangents.
    """
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    run = longest = None
    step = contract.input.dim("time").step or 1.0
    if duration > 0:
        run = _free_run(network, contract, samples, duration=duration)
        finite = np.isfinite(run).all(axis=1)
        metrics["free_run"] = float(step * (len(run) - 1 if finite.all() else max(int(finite.argmin()) - 1, 0)))
        truth = _true_runs(samples, system, duration=duration, step=step, seed=seed)
        longest = max(truth, key=len, default=None)
        metrics |= _compared(run, truth, step=step, seed=seed)
    if exponents:
        found = _learned_spectrum(network, contract, samples, seed=seed)
        metrics |= {f"lyapunov_{k + 1}": float(value) for k, value in enumerate(found.exponents[:3])}
        metrics["kaplan_yorke"] = kaplan_yorke(found.exponents)
        details["lyapunov"] = {
            "exponents": found.exponents.tolist(),
            "error": found.error.tolist(),
            "true": None if system is None or system.spectrum is None else list(system.spectrum),
        }
    return Climate(metrics, details, run, longest)


def _free_run(network: keras.Model, contract: Contract, samples: SegmentSamples, *, duration: float) -> np.ndarray:
    """Runs a network on from the first of the samples' states; see `climate`.

    Returns:
        States (time, state) at the contract's step; not-a-number from where they are no longer finite.
    """
    step, size = contract.input.dim("time").step or 1.0, len(contract.input.bands)
    state = samples.read(0, np.random.default_rng(0))[0]["state"][None].astype(contract.input.dtype)
    steps = max(round(duration / step), 1)
    channels = len(contract.output.bands)
    run = FreeRun(
        compile_network(network), state, steps=steps, step=step, longest=step, channels=channels, memory=DEFAULT_MEMORY
    )
    states = np.empty((steps + 1, size), state.dtype)
    for piece in run.pieces():
        states[piece.times] = piece.states[0]
    return states


def _true_runs(
    samples: SegmentSamples, system: System | None, *, duration: float, step: float, seed: int
) -> list[np.ndarray]:
    """Returns runs of the truth, each (time, state), that together are as long as a free run; of tables, what there is."""
    if system is None:
        return [one.states for one in samples.trajectories if one.regular and np.isfinite(one.states).all()]
    count = math.ceil(duration / (_RUN * step))
    simulated = simulate_trajectories(
        system,
        count,
        seed=seed,
        part="test",
        duration=max(duration / count, 16 * step),
        step=step,
        rtol=_TOLERANCE,
        atol=_TOLERANCE,
        observed=samples.trajectories[0].variables,
    )
    return [one.states for one in simulated]


def _learned_spectrum(network: keras.Model, contract: Contract, samples: SegmentSamples, *, seed: int) -> Spectrum:
    """Measures the Lyapunov spectrum of a network by the tangent of its flow, from held-out states."""
    step, size = contract.input.dim("time").step or 1.0, len(contract.input.bands)
    wanted, rounds = _FEW if size <= _SMALL else _MANY
    rng = np.random.default_rng(seed)
    starts = np.stack([samples.read(k, rng)[0]["state"] for k in range(min(wanted, len(samples)))])
    flow, scaling = network.get_layer("flow"), network.get_layer("normalisation")
    call = compile_network(tangent_flow(flow, states=size))
    times = step * np.arange(_EVERY + 1)

    def advance(states: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batch, _, kept = tangents.shape
        repeated = np.repeat(states[:, None], kept, axis=1)
        both = np.concatenate([repeated, np.moveaxis(tangents, 2, 1)], axis=2).reshape(batch * kept, 2 * size)
        later = call({"state": both, "times": np.broadcast_to(times, (len(both), len(times)))})[:, -1]
        later = later.reshape(batch, kept, 2 * size)
        return later[:, 0, :size], np.moveaxis(later[:, :, size:], 2, 1)

    standard = (starts - np.asarray(scaling.mean)) / np.asarray(scaling.std)
    return lyapunov_spectrum(
        advance,
        standard,
        step=_EVERY * step,
        steps=rounds,
        transient=rounds // 10,
        seed=seed,
    )


def _compared(run: np.ndarray, truth: list[np.ndarray], *, step: float, seed: int) -> dict[str, float]:
    """Distances of the invariant measure and of spectra; none where the truth is too short."""
    if sum(map(len, truth)) < _LEAST:
        return {}
    together = np.concatenate(truth)
    found = {"wasserstein": wasserstein(together, run, seed=seed)}
    found["wasserstein_limit"] = sampling_error(together, length=len(run), seed=seed).upper
    longest = max(truth, key=len)
    found["spectrum"] = spectral_distance(longest[:, -1], run[:, -1], step=step)
    return found
