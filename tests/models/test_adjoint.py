"""The continuous adjoint: against a closed form and the solver's own gradient, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops, tree

from geodl.autodiff import value_and_gradient
from geodl.models import adjoint, fixedstep
from geodl.models.adjoint import integrate_adjoint
from geodl.models.fixedstep import integrate_fixed
from geodl.models.tableaus import TABLEAUS
from tests.compiled import compiled, numbers, tensor

pytestmark = pytest.mark.usefixtures("float64")

BACKEND = keras.backend.backend()


def test_closed_form_of_growth_forward_and_backward() -> None:
    rates, start = np.array([0.7, -0.4]), np.array([[1.0, 2.0], [0.5, 3.0]])
    times = np.array([[0.0, 0.5, 1.2], [0.0, -0.3, -1.0]])
    shares = np.random.default_rng(0).normal(size=(2, 3, 2))

    def total(given: Any) -> Any:
        state, rates = given
        states = integrate_adjoint(
            lambda parameters, x: x * parameters[0],
            state,
            tensor(np.diff(times)),
            parameters=[rates],
            tableau=TABLEAUS["rk4"],
            substeps=20,
        )
        return ops.sum(states * tensor(shares))

    value, (of_state, of_rates) = compiled(lambda given: value_and_gradient(total, given))(
        [tensor(start), tensor(rates)]
    )
    growth = np.exp(times[:, :, None] * rates)
    assert float(value) == pytest.approx((start[:, None] * growth * shares).sum(), rel=1e-7)
    np.testing.assert_allclose(numbers(of_state), (growth * shares).sum(axis=1), rtol=1e-7)
    expected = (start[:, None] * times[:, :, None] * growth * shares).sum(axis=(0, 1))
    np.testing.assert_allclose(numbers(of_rates), expected, rtol=1e-7)


RNG = np.random.default_rng(0)
GIVEN = [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=(3, 3))]
INTERVALS = RNG.uniform(0.1, 0.4, (4, 3))
SHARES = RNG.normal(size=(4, 4, 3))


def _network(parameters: Any, x: Any) -> Any:
    scales, weights = parameters
    return ops.tanh(ops.matmul(x, weights)) * scales


def test_comes_nearer_to_the_solvers_gradient_with_its_order_and_xla_compiles_it() -> None:
    def derived(integrate: Callable[..., Any], substeps: int) -> list[Any]:
        def total(given: Any) -> Any:
            state, *parameters = given
            states = integrate(
                _network,
                state,
                tensor(INTERVALS),
                parameters=parameters,
                tableau=TABLEAUS["euler"],
                substeps=substeps,
            )
            return ops.sum(ops.sin(states) * tensor(SHARES))

        return value_and_gradient(total, [tensor(g) for g in GIVEN])[1]

    def run(_: Any) -> Any:
        return [derived(integrate, n) for n in (30, 60) for integrate in (integrate_adjoint, integrate_fixed)]

    coarse, coarse_truth, fine, fine_truth = compiled(run, xla=True)(tensor(0.0))
    for a, b, c, d in zip(coarse, coarse_truth, fine, fine_truth, strict=True):
        far, near = (np.abs(numbers(x) - numbers(y)).max() for x, y in [(a, b), (c, d)])
        assert near < 0.1
        assert np.log2(far / near) == pytest.approx(1, abs=0.2)


def _field_of_nothing(_: Any, x: Any) -> Any:
    return ops.zeros_like(x)


def test_keeps_the_result_alone_however_many_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []

    def spy(forward: Callable[..., Any], backward: Any) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            output, stored = forward(*arguments)
            kept.append(sum(int(np.prod(part.shape)) for part in tree.flatten(stored)))
            return output

        return run

    for module in (adjoint, fixedstep):
        monkeypatch.setattr(module, "with_gradient", spy)
    for integrate in (integrate_adjoint, integrate_fixed):
        for substeps in (3, 300):
            run = compiled(
                lambda x, integrate=integrate, substeps=substeps: integrate(
                    _field_of_nothing, x, tensor([0.1, 0.2]), tableau=TABLEAUS["euler"], substeps=substeps
                )
            )
            run(tensor(GIVEN[0]))
    few, many, *others = kept
    # Three states of 4 × 3 numbers and two intervals.
    assert few == many == 3 * 12 + 2
    assert others == [(2 * 3 + 1) * 12 + 2, (2 * 300 + 1) * 12 + 2]


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX tells what a compiled function allocates")
def test_compiled_memory_does_not_grow_with_the_steps() -> None:
    import jax

    def allocated(gradient: str, substeps: int) -> int:
        integrate = integrate_adjoint if gradient == "adjoint" else integrate_fixed
        more = {} if gradient == "adjoint" else {"gradient": gradient}

        def total(state: Any) -> Any:
            intervals = tensor([0.1, 0.2])
            states = integrate(
                lambda _, x: ops.sin(x), state, intervals, tableau=TABLEAUS["heun"], substeps=substeps, **more
            )
            return ops.sum(states)

        compilation = jax.jit(jax.grad(total)).lower(tensor(np.ones((50, 10)))).compile()
        return int(compilation.memory_analysis().temp_size_in_bytes)

    state, steps = 50 * 10 * 8, 2 * 2000
    assert allocated("adjoint", 2000) <= allocated("adjoint", 20) + 4 * state
    assert allocated("adjoint", 2000) < 40 * state
    assert allocated("rematerialised", 2000) < 8 * np.sqrt(steps) * state
    assert allocated("solver", 2000) > steps * state


def test_one_time_is_the_state_itself() -> None:
    found = integrate_adjoint(_network, tensor(GIVEN[0]), tensor(np.zeros((4, 0))), tableau=TABLEAUS["rk4"])
    np.testing.assert_array_equal(numbers(found), GIVEN[0][:, None])
