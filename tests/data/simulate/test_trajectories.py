"""Simulated trajectories: seeded, of the system that they are said to be of, and spoilt as asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from geodl.data.simulate.trajectories import simulate_trajectories
from geodl.errors import OptionError
from geodl.physics.systems import Lorenz63, Lorenz96, Rossler


def test_same_arguments_same_states_and_other_seeds_and_parts_others() -> None:
    one, same, other, held = (
        simulate_trajectories("lorenz63", 2, seed=seed, part=part, duration=0.1, transient=1.0)
        for seed, part in ((0, "train"), (0, "train"), (1, "train"), (0, "test"))
    )
    np.testing.assert_array_equal(one[1].states, same[1].states)
    starts = np.concatenate([[each.states[0] for each in each_set] for each_set in (one, other, held)])
    assert len(np.unique(starts, axis=0)) == 6
    assert [each.name for each in one + held] == [
        "lorenz63_train_0", "lorenz63_train_1", "lorenz63_test_0", "lorenz63_test_1"
    ]  # fmt: skip


@pytest.mark.parametrize("system", [Lorenz63(), Lorenz96(size=6), Rossler()], ids=lambda system: system.name)
def test_states_solve_the_system(system: Lorenz63) -> None:
    (found,) = simulate_trajectories(system, seed=3, duration=1.0, transient=2.0)
    exact = solve_ivp(
        lambda _, x: system(x), (0, 1), found.states[0], "Radau", found.times[[0, -1]], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(found.states[-1], exact.y[:, -1], atol=1e-5)
    assert found.variables == system.variables and found.regular
    assert found.step == pytest.approx(system.step) and found.times[-1] == pytest.approx(1.0)


def test_noise_has_the_share_that_it_says_and_the_truth_is_the_same_without_it() -> None:
    options = {"seed": 1, "duration": 20.0, "step": 0.1, "transient": 5.0, "rtol": 1e-9, "atol": 1e-9}
    (clean,) = simulate_trajectories("lorenz63", **options)
    (noisy,) = simulate_trajectories("lorenz63", noise=0.05, **options)
    share = (noisy.states - clean.states).std(0) / clean.states.std(0)
    np.testing.assert_allclose(share, 0.05, rtol=0.2)
    (gappy,) = simulate_trajectories("lorenz63", missing=0.3, **options)
    lost = np.isnan(gappy.states)
    assert lost.mean() == pytest.approx(0.3, abs=0.05) and not lost[0].any()
    assert (lost.any(1) & ~lost.all(1)).any()
    np.testing.assert_array_equal(gappy.states[~lost], clean.states[~lost])


def test_irregular_times_are_spread_and_their_states_true() -> None:
    (found,) = simulate_trajectories("rossler", seed=2, duration=4.0, step=0.2, transient=1.0, irregular=0.9)
    assert not found.regular and found.times[0] == 0
    off = found.times - 0.2 * np.arange(21)
    assert 0.05 < np.abs(off).max() <= 0.09
    exact = solve_ivp(lambda _, x: Rossler()(x), (0, 5), found.states[0], "LSODA", found.times, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.states, exact.y.T, atol=1e-6)


def test_without_a_transient_the_system_comes_back_to_its_attractor() -> None:
    found = np.stack([each.states for each in simulate_trajectories("lorenz63", 40, seed=0, duration=3.0, transient=0)])
    spread = found.std(0)
    assert spread[0, 2] > 1.3 * spread[-1, 2]


def test_only_observed_variables_are_there() -> None:
    both, one = (
        simulate_trajectories("lorenz63", seed=0, duration=0.1, transient=1.0, observed=observed)[0]
        for observed in (None, ("z",))
    )
    assert one.variables == ("z",)
    np.testing.assert_array_equal(one.states[:, 0], both.states[:, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"seed": -1},
        {"part": "training"},
        {"duration": 0.001},
        {"step": 0},
        {"transient": -1},
        {"irregular": 1},
        {"noise": -0.1},
        {"noise": float("nan")},
        {"missing": 1.5},
        {"observed": ("w",)},
        {"observed": ()},
        {"system": "lorenz"},
    ],
    ids=lambda options: "_".join(map(str, *options.items())).replace(".", "_"),
)
def test_what_cannot_be_is_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        simulate_trajectories(**{"system": "lorenz63", "seed": 0} | options)
