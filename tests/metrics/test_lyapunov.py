"""Lyapunov exponents, against a linear system, and published ones of Lorenz' systems."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import expm

from geodl.errors import OptionError
from geodl.metrics.lyapunov import Advance, kaplan_yorke, lyapunov_spectrum

Field = Callable[[np.ndarray], np.ndarray]


def _runge_kutta(field: Field, jacobian: Field, step: float) -> Advance:
    """A step of the field and its tangents together, by the classical method."""

    def slope(state: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return field(state), jacobian(state) @ tangents

    def advance(state: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one = slope(state, tangents)
        two = slope(state + step / 2 * one[0], tangents + step / 2 * one[1])
        three = slope(state + step / 2 * two[0], tangents + step / 2 * two[1])
        four = slope(state + step * three[0], tangents + step * three[1])
        sums = [one[k] + 2 * two[k] + 2 * three[k] + four[k] for k in range(2)]
        return state + step / 6 * sums[0], tangents + step / 6 * sums[1]

    return advance


def _lorenz63(state: np.ndarray) -> np.ndarray:
    x, y, z = state.T
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=-1)


def _lorenz63_jacobian(state: np.ndarray) -> np.ndarray:
    x, y, z = state.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = [[-10 * one, 10 * one, zero], [28 - z, -one, -x], [y, x, -8 / 3 * one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def test_a_linear_system_has_the_real_parts_of_its_eigenvalues() -> None:
    turn = np.array([[0.3, 1.0, 0.2, 0.0], [-1.0, 0.3, 0.0, 0.5], [0, 0, -0.4, 1.0], [0, 0, 0, -2.0]])
    step = expm(turn * 0.1)
    spectrum = lyapunov_spectrum(
        lambda state, tangents: (state @ step.T * 0, step @ tangents), np.ones(4), step=0.1, steps=4000, transient=400
    )
    np.testing.assert_allclose(spectrum.exponents, [0.3, 0.3, -0.4, -2.0], atol=1e-3)
    assert spectrum.dimension == pytest.approx(3 + 0.2 / 2.0, abs=2e-3)
    assert (spectrum.runs, spectrum.diverged) == (1, 0)
    assert spectrum.times.shape == (200,) and spectrum.times[-1] == pytest.approx(400)
    np.testing.assert_allclose(spectrum.convergence[-1], spectrum.exponents)


def test_lorenz_63() -> None:
    states = np.random.default_rng(0).normal([0, 0, 25], [8, 9, 8], size=(128, 3))
    advance = _runge_kutta(_lorenz63, _lorenz63_jacobian, 0.02)
    spectrum = lyapunov_spectrum(advance, states, step=0.02, steps=800, transient=800)
    # Sprott (2003), Chaos and Time-Series Analysis: 0.9056, 0, -14.5723; dimension 2.06215.
    exact = np.array([0.9056, 0.0, -14.5723])
    away = np.abs(spectrum.exponents - exact)
    assert np.all(away < 3 * spectrum.error + 2e-3)
    assert np.all(spectrum.error < [0.015, 0.01, 0.015])
    assert spectrum.dimension == pytest.approx(2.062, abs=0.005)
    # The divergence of the flow is the same everywhere; a step of 0.02 has a little of its own.
    assert spectrum.exponents.sum() == pytest.approx(-(10 + 1 + 8 / 3), abs=5e-3)


def test_lorenz_96_loses_volume_as_its_friction_says() -> None:
    variables = 40
    eye = np.eye(variables)

    def field(state: np.ndarray) -> np.ndarray:
        ahead, back, two = (np.roll(state, shift, axis=-1) for shift in (-1, 1, 2))
        return (ahead - two) * back - state + 8

    def jacobian(state: np.ndarray) -> np.ndarray:
        ahead, back, two = (np.roll(state, shift, axis=-1)[..., None] for shift in (-1, 1, 2))
        plus, minus, second = (np.roll(eye, shift, axis=1) for shift in (1, -1, -2))
        return back * (plus - second) + (ahead - two) * minus - eye

    states = 8 + np.random.default_rng(1).normal(size=(4, variables))
    spectrum = lyapunov_spectrum(_runge_kutta(field, jacobian, 0.05), states, step=0.05, steps=600, transient=100)
    assert spectrum.exponents.sum() == pytest.approx(-40, abs=0.05)
    # Lorenz & Emanuel (1998): errors double in 2.1 days, of which 5 are a time unit; 13 exponents are positive.
    assert spectrum.exponents[0] == pytest.approx(np.log(2) * 5 / 2.1, abs=0.15)
    assert 11 <= np.sum(spectrum.exponents > 0.02) <= 14
    assert spectrum.dimension == pytest.approx(27, abs=1.5)


def test_only_the_largest_ones_are_the_same_and_the_seed_fixes_all() -> None:
    states = np.random.default_rng(0).normal([0, 0, 25], 8, size=(2, 3))
    advance = _runge_kutta(_lorenz63, _lorenz63_jacobian, 0.02)
    options = {"step": 0.02, "steps": 200, "transient": 500}
    whole = lyapunov_spectrum(advance, states, **options)
    one = lyapunov_spectrum(advance, states, exponents=1, seed=5, **options)
    np.testing.assert_allclose(one.exponents, whole.exponents[:1], atol=1e-3)
    again = lyapunov_spectrum(advance, states, **options)
    np.testing.assert_array_equal(again.convergence, whole.convergence)


def test_a_run_that_does_not_stay_finite_is_left_out() -> None:
    def advance(state: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.where(np.abs(state) > 1, np.inf, state), tangents * 2

    found = lyapunov_spectrum(advance, np.array([[0.0], [2.0]]), step=1.0, steps=10)
    assert (found.runs, found.diverged) == (1, 1)
    assert found.exponents == pytest.approx([np.log(2)])
    lost = lyapunov_spectrum(advance, np.array([2.0]), step=1.0, steps=10)
    assert (lost.runs, lost.diverged) == (0, 1)
    assert np.isnan(lost.exponents).all() and np.isnan(lost.dimension)


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [
        ([0.906, 0.0, -14.572], 2 + 0.906 / 14.572),
        ([0.0, -1.0], 1.0),
        ([-0.5, -1.0], 0.0),
        ([-2.0, 1.0], 1.5),
        ([0.5, 0.1], 2.0),
    ],
    ids=["lorenz63", "cycle", "point", "unsorted", "all grow"],
)
def test_kaplan_yorke(exponents: list[float], dimension: float) -> None:
    assert kaplan_yorke(np.array(exponents)) == pytest.approx(dimension)


@pytest.mark.parametrize(
    "options",
    [{"steps": 0}, {"step": 0.0}, {"exponents": 3}, {"transient": -1}],
    ids=["no steps", "no step", "more than variables", "negative transient"],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    arguments = {"step": 0.1, "steps": 5} | options
    with pytest.raises(OptionError):
        lyapunov_spectrum(lambda state, tangents: (state, tangents), np.zeros(2), **arguments)  # type: ignore[arg-type]
