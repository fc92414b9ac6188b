"""`geodl predict` with a network for dynamics: from states, or observations, to a forecast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import geodl
from geodl.inference.analysis import Analysis
from geodl.inference.assimilation import Estimate
from geodl.inference.emulator import Emulator
from geodl.inference.statefile import Starts
from tests.inference import fakes
from tests.inference.dynamicsfakes import SpiralNetwork, make_contract, make_emulator, spiral
from tests.inference.rainfakes import WeightedFrames, make_forecaster
from tests.inference.rainfakes import make_contract as make_rain_contract


@pytest.fixture
def states(tmp_path: Path) -> Path:
    path = tmp_path / "states.csv"
    path.write_text("name,y,x\na,0,1\nb,-2,0\n")
    return path


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces what is loaded."""
    return lambda model: monkeypatch.setattr(geodl, "load", lambda run, *, runtime: model)


@pytest.fixture
def model(loaded: Callable[..., None]) -> Emulator:
    made = make_emulator(SpiralNetwork())
    loaded(made)
    return made


def test_a_table_of_states_becomes_a_forecast(geodl_cli: Callable[..., Any], model: Emulator, states: Path) -> None:
    target = states.parent / "forecast.nc"
    result = geodl_cli("predict", "runs/l63", states, target, "--steps", 50)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Forecast: {target} (50 steps, 5 time units, 2 states)\n"
    with xr.open_dataset(target) as made:
        assert made.x.dims == ("start", "time") and made.start.values.tolist() == ["a", "b"]
        expected = spiral(np.array([[1.0, 0.0], [0.0, -2.0]]), made.time.values)
        np.testing.assert_allclose(made.y.values, expected[..., 1], atol=1e-5)
    again = geodl_cli("predict", "runs/l63", states, target, "--steps", 50)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    result = geodl_cli("predict", "runs/l63", states, target, "--steps", 50, "--overwrite", "--quiet")
    assert result.output == f"{target}\n"


def test_ensembles_and_other_steps(geodl_cli: Callable[..., Any], model: Emulator, states: Path) -> None:
    target = states.parent / "forecast.nc"
    options = "--ensemble", 4, "--perturbation", 0.5, "--seed", 7, "--step", 0.5, "--memory", "1MB"
    result = geodl_cli("predict", "runs/l63", states, target, "--steps", 10, *options)
    assert result.exit_code == 0, result.output
    assert "(10 steps, 5 time units, 2 states, 4 members each)" in result.stdout
    with xr.open_dataset(target) as made:
        expected = model.predict(states, steps=10, members=4, perturbation=0.5, seed=7, step=0.5)
        xr.testing.assert_allclose(made.load(), expected, rtol=1e-5)


def test_observations_are_assimilated_first(
    geodl_cli: Callable[..., Any], model: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    estimate = Estimate(np.array([1.0, 4.0]), np.array([[1.0, 0.0], [0.0, 1.0]]), 3.0, 0.987, 2)
    starts = Starts("seen", estimate.states[-1:], np.array(["seen"]), np.array([4.0]), None, True)

    def assimilate(self: Emulator, observations: Any, **options: Any) -> Analysis:
        asked.append((observations, options))
        return Analysis(starts, (estimate,))

    monkeypatch.setattr(Emulator, "assimilate", assimilate)
    target, seen = tmp_path / "forecast.nc", tmp_path / "seen.csv"
    options = "--assimilate", "--observation-error", 0.05, "--window", 3
    result = geodl_cli("predict", "runs/l63", seen, target, "--steps", 3, *options)
    assert result.exit_code == 0, result.output
    assert asked == [(str(seen), {"error": 0.05, "window": 3.0})]
    assert result.stdout.splitlines() == [
        "seen: assimilated from 1 to 4, misfit 0.987 errors.",
        f"Forecast: {target} (3 steps, 0.3 time units)",
    ]
    with xr.open_dataset(target) as made:
        assert made.x.dims == ("time",) and made.time.values[0] == 4.0 and made.y.values[0] == 1.0
    asked.clear()
    result = geodl_cli("predict", "runs/l63", seen, seen, "--steps", 3, "--assimilate", "--overwrite")
    assert result.exit_code == 2 and not asked and "another file than that of the states" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "--steps: expected a number of steps (of 0.1 each). Received: None"),
        (("--steps", 5, "--perturbation", 0.1), "perturbation (--perturbation): expected an ensemble to perturb"),
        (("--steps", 5, "--ensemble", 2, "--perturbation", -1), "perturbation (--perturbation): expected a share of 0 or"),
        (("--steps", 5, "--step", 0), "step (--step): expected a time above 0"),
        (("--steps", 5, "--window", 3), "--window: expected --assimilate beside it. Received: 3.0"),
        (("--steps", 5, "--observation-error", 3), "--observation-error: expected --assimilate beside it"),
        (("--steps", 5, "--memory", "2"), "memory (--memory): expected at least"),
        (("--steps", 5, "--confidence"), "--confidence: expected a network that maps scenes"),
        (("--steps", 5, "--at", "noon"), "--at: expected a network for nowcasting"),
        (("--steps", 5, "--resample", "cubic"), "--resample: expected a network for scenes or radar frames"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_mistakes(
    geodl_cli: Callable[..., Any], model: Emulator, states: Path, options: tuple[Any, ...], sentence: str
) -> None:
    result = geodl_cli("predict", "runs/l63", states, states.parent / "forecast.nc", *options)
    # Some are found when the progress bar is there.
    assert result.exit_code == 2 and f"Error: {sentence}" in result.stderr, result.output
    assert not (states.parent / "forecast.nc").exists()


def test_one_file_of_states(geodl_cli: Callable[..., Any], model: Emulator, states: Path) -> None:
    result = geodl_cli("predict", "runs/l63", states, states, states.parent / "f.nc", "--steps", 2)
    assert result.exit_code == 2 and "expected one file of initial states" in result.stderr


@pytest.mark.parametrize("option", ["--steps", "--step", "--perturbation", "--observation-error", "--window"])
@pytest.mark.parametrize("kind", ["classes", "sequence"])
def test_others_have_no_use_for_its_options(
    geodl_cli: Callable[..., Any], loaded: Callable[..., None], option: str, kind: str
) -> None:
    rain = make_forecaster(WeightedFrames(), make_rain_contract())
    loaded(rain if kind == "sequence" else fakes.make_predictor(lambda inputs: inputs, fakes.make_contract()))
    result = geodl_cli("predict", "runs/a", "scene.tif", "map.tif", option, 1)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {option}: expected a network for dynamics. Received: ")
    assert f"output is of kind '{kind}'" in result.stderr


def test_what_it_needs_is_known_by_its_contract(geodl_cli: Callable[..., Any], loaded: Callable[..., None]) -> None:
    loaded(make_emulator(SpiralNetwork(), make_contract(time_unit="days")))
    result = geodl_cli("predict", "runs/a", "states.csv", "forecast.nc")
    assert "expected a number of steps (of 0.1 days each)" in result.stderr
