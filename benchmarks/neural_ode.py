"""How fast a neural ODE is trained: against torchdiffeq and diffrax.

    python benchmarks/neural_ode.py [--quick] [--busy]

One training step: 64 trajectories of 3 variables, 50 steps of RK4 of 0.01, a field 3-64-64-3 of tanh, squared differences
at all 51 times, Adam, float32. `geodl.models.NeuralODE` on TensorFlow, with and without XLA, and on JAX; torchdiffeq's
`odeint` and `odeint_adjoint`, of which the faster counts; and diffrax at fixed steps, which has no RK4: Tsit5 and Bosh3, of
six and three evaluations of the field a step, so that it is compared by evaluations.

All run in turn, three rounds, each in a process of its own; the first steps, which trace and compile, do not count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
from apart import Apart
from harness import Check, Timing, begin, measure, parser, report, store

from geodl._quiet import load_backend

BATCH, STATES, WIDTH, STEP = 64, 3, 64, 0.01
PARAMETERS = 4_611
EVALUATIONS = {"rk4": 4, "Tsit5": 6, "Bosh3": 3}
"""Of the field in a step."""
WARM = 3

Run = Callable[[], float]


def _data(times: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First states, times and the trajectories to learn."""
    rng = np.random.default_rng(0)
    shapes = ((BATCH, STATES), (BATCH, times, STATES))
    first, truth = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return first, (np.arange(times) * STEP).astype(np.float32), truth


def prepare_keras(backend: str, jit: bool, times: int, steps: int) -> Run:
    """`NeuralODE` in a Functional model, as the recipes have it."""
    os.environ["KERAS_BACKEND"] = backend
    load_backend()
    import keras

    from geodl.models import MLPField, NeuralODE

    first, at, truth = _data(times)
    state, given = keras.Input((STATES,)), keras.Input((times,))
    flow = NeuralODE(MLPField(STATES, widths=(WIDTH, WIDTH)), solver="rk4", substeps=1)
    network = keras.Model([state, given], flow(state, given))
    assert network.count_params() == PARAMETERS
    network.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=jit)
    x = [first, np.broadcast_to(at, (BATCH, times))]
    return _timed(lambda: float(network.train_on_batch(x, truth)), steps)


def prepare_torch(adjoint: bool, times: int, steps: int) -> Run:
    """A plain loop in torch."""
    import torch
    from torchdiffeq import odeint, odeint_adjoint

    # At this size more threads only wait for each other.
    torch.set_num_threads(1)

    class Field(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [STATES, WIDTH, WIDTH, STATES]
            self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in pairwise(sizes))

        def forward(self, t: Any, x: Any) -> Any:
            for layer in self.layers[:-1]:
                x = torch.tanh(layer(x))
            return self.layers[-1](x)

    field = Field()
    assert sum(parameter.numel() for parameter in field.parameters()) == PARAMETERS
    optimizer = torch.optim.Adam(field.parameters(), 1e-3)
    first, at, truth = (torch.from_numpy(array) for array in _data(times))
    integrate = odeint_adjoint if adjoint else odeint

    def step() -> float:
        optimizer.zero_grad()
        found = integrate(field, first, at, method="rk4")
        loss = torch.nn.functional.mse_loss(found.transpose(0, 1), truth)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return _timed(step, steps)


def prepare_diffrax(solver: str, times: int, steps: int) -> Run:
    """A compiled step in JAX; the trajectories are one state of 64 × 3, which is faster there than vmap of solves."""
    import diffrax
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    field = eqx.nn.MLP(STATES, STATES, WIDTH, 2, jax.nn.tanh, key=jax.random.key(0))
    weights, rest = eqx.partition(field, eqx.is_array)
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == PARAMETERS
    first, at, truth = (jnp.asarray(array) for array in _data(times))

    def loss(weights: Any) -> Any:
        term = diffrax.ODETerm(lambda t, x, w: jax.vmap(eqx.combine(w, rest))(x))
        found = diffrax.diffeqsolve(
            term,
            getattr(diffrax, solver)(),
            at[0],
            at[-1],
            None,
            first,
            weights,
            saveat=diffrax.SaveAt(ts=at),
            stepsize_controller=diffrax.StepTo(at),
            max_steps=times,
        ).ys
        return jnp.mean((jnp.swapaxes(found, 0, 1) - truth) ** 2)

    @jax.jit
    def update(weights: Any, first: Any, second: Any, count: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradients)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
        return value, (weights, first, second, count + 1)

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state: Any = (weights, zeros, zeros, jnp.array(1.0))

    def step() -> float:
        nonlocal state
        value, state = update(*state)
        return float(value)

    return _timed(step, steps)


def _timed(step: Callable[[], float], steps: int) -> Run:
    for _ in range(WARM):
        step()

    def loop() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            assert np.isfinite(step())
        return time.perf_counter() - began

    return loop


def main() -> None:
    chosen = parser(__doc__).parse_args()
    origin = begin(chosen)
    times, steps = (6, 2) if chosen.quick else (51, 30)
    contestants: dict[str, tuple[Callable[..., Run], tuple[Any, ...]]] = {
        "geodl on TensorFlow, XLA": (prepare_keras, ("tensorflow", True)),
        "geodl on TensorFlow": (prepare_keras, ("tensorflow", False)),
        "geodl on JAX": (prepare_keras, ("jax", True)),
        "torchdiffeq": (prepare_torch, (False,)),
        "torchdiffeq, adjoint": (prepare_torch, (True,)),
        "diffrax Tsit5": (prepare_diffrax, ("Tsit5",)),
        "diffrax Bosh3": (prepare_diffrax, ("Bosh3",)),
    }
    with ExitStack() as running:
        contenders = {
            name: running.enter_context(Apart(prepare, *arguments, times, steps))
            for name, (prepare, arguments) in contestants.items()
        }
        found = measure(contenders, amounts=float(steps), unit="training steps", repeat=1 if chosen.quick else 5)
    xla, graph, jax, plain, adjoint, tsit5, bosh3 = found.values()

    def per_evaluation(timing: Timing, method: str) -> float:
        return timing.rate * EVALUATIONS[method]

    torch = max(plain.rate, adjoint.rate)
    diffrax = max(per_evaluation(tsit5, "Tsit5"), per_evaluation(bosh3, "Bosh3"))
    checks = [
        Check("training: geodl on JAX / torchdiffeq, the faster", jax.rate / torch, at_least=4.0),
        Check("training: geodl on TensorFlow, XLA / torchdiffeq, the faster", xla.rate / torch, at_least=3.0),
        Check("training: geodl on TensorFlow / torchdiffeq, the faster", graph.rate / torch),
        Check(
            "training: geodl on JAX / diffrax, the faster, by evaluations",
            per_evaluation(jax, "rk4") / diffrax,
            at_least=1.5,
        ),
        Check("training: geodl on TensorFlow, XLA / geodl on JAX", xla.rate / jax.rate, aim=1.0),
    ]
    protocol = (
        f"{BATCH} trajectories of {STATES} variables at {times} times, one step of {STEP} between two, field "
        f"{STATES}-{WIDTH}-{WIDTH}-{STATES} of tanh, float32, squared differences, Adam; RK4, for diffrax the method named"
    )
    result = report("Training of neural ODEs", protocol=protocol, timings=list(found.values()), checks=checks)
    store("neural-ode", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
