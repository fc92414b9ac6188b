from __future__ import annotations

import numpy as np
import pytest

from geodl.models.weakform import bump, difference_noise, integrals, lattices, library, rows_within
from tests.model_case import once

pytestmark = once


def test_library_holds_every_product_once() -> None:
    np.testing.assert_array_equal(library(np.array([2.0, 3.0, 5.0])), [1, 2, 3, 5, 4, 6, 10, 9, 15, 25])


def test_the_slope_of_a_bump_is_its_derivative() -> None:
    value, slope = bump(200, 0.01)
    np.testing.assert_allclose(np.gradient(value, 0.01), slope, atol=1e-3 * slope.max())


def test_the_weak_form_of_decay() -> None:
    times = np.arange(200) * 0.02
    (piece,) = lattices(times, np.exp(-1.5 * times)[:, None], bridge=False)
    weak = integrals([piece], 0.4, overlap=4, most=1000)
    np.testing.assert_allclose(weak.left[:, 1:2] * -1.5, weak.right, rtol=1e-11, atol=0)


def test_white_noise_gains_what_is_said() -> None:
    noise = np.random.default_rng(0).normal(size=(20_000, 1))
    (piece,) = lattices(np.arange(20_000) * 0.1, noise, bridge=False)
    weak = integrals([piece], 1.6, overlap=4, most=100_000)
    assert weak.right.std() == pytest.approx(weak.gain, rel=0.05)


def test_lattices_keep_gaps_and_cut_long_ones() -> None:
    times = np.concatenate([np.arange(20), np.arange(22, 50), np.arange(500, 520)]) * 0.1
    states = np.stack([times, 2 * times], axis=1)
    states[5, 1] = np.nan
    first, second = lattices(times, states, bridge=False)
    assert len(first.states) == 50 and len(second.states) == 20
    assert np.isnan(first.states[[5, 20, 21]]).any(axis=1).all() and first.step == pytest.approx(0.1)
    np.testing.assert_array_equal(rows_within(first, 8, 1), [*range(22, 34)])
    bridged = lattices(times, states, bridge=True)[0].states
    np.testing.assert_allclose(bridged[:, 1], 2 * np.arange(50) * 0.1, atol=1e-9)


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 0.1], ids=str)
def test_noise_is_told_from_the_curve(noise: float) -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 20, 3000))
    states = np.sin(times)[:, None] + noise * rng.normal(size=(3000, 2)) * [1, 2]
    states[::50, 0] = np.nan
    np.testing.assert_allclose(difference_noise(times, states), [noise, 2 * noise], rtol=0.15)
