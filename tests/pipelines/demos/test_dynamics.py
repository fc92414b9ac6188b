"""The demonstration of dynamics: quickly with a stand-in for the network, slowly as users see it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib import image

from geodl.errors import OutputExists
from geodl.physics.systems import Lorenz63, solve
from geodl.pipelines import demo
from geodl.pipelines.demos import dynamics
from geodl.pipelines.evaluation import Evaluation

LYAPUNOV = 1.104
DETAILS = {"lyapunov_time": LYAPUNOV, "spread": 15.0, "threshold": 0.4}


class Almost:
    """Emulates a system that is a little another one."""

    step = 0.01
    contract = SimpleNamespace(input=SimpleNamespace(dtype="float32"))

    def predict_file(self, source: Path, target: Path, *, steps: int, overwrite: bool) -> list[Path]:
        states = np.loadtxt(source, delimiter=",", skiprows=1, ndmin=2)
        assert source.read_text().splitlines()[0] == "x,y,z"
        times = self.step * np.arange(steps + 1)
        found = solve(Lorenz63(rho=28.001), states, times, rtol=1e-8, atol=1e-8)
        columns = {name: (("start", "time"), found[..., k]) for k, name in enumerate("xyz")}
        xr.Dataset(columns, {"time": times}).to_netcdf(target)
        return [target]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the demonstration show a stand-in, for a short while."""
    found = Evaluation("dynamics", {"vpt": 9.0}, {}, {**DETAILS, "vpt": [8.0, 9.0, 10.0]})
    other = Evaluation("dynamics", {"vpt": 0.2}, {}, {**DETAILS, "vpt": [0.1, 0.2, 0.3]})
    evaluation = Evaluation("dynamics", found.metrics, {}, found.details, {"persistence": other})

    def train(recipe: str, overrides: dict[str, Any], *, output: Path, **options: Any) -> SimpleNamespace:
        assert (recipe, overrides) == ("dynamics-demo", {})
        output.mkdir(parents=True)
        return SimpleNamespace(path=output, predictor=Almost())

    def evaluate(run: Path, overrides: dict[str, Any], *, json: Path, **options: Any) -> Evaluation:
        json.write_text("{}")
        return evaluation

    monkeypatch.setattr(dynamics, "train", train)
    monkeypatch.setattr(dynamics, "evaluate", evaluate)
    monkeypatch.setattr(dynamics, "_DURATION", 8.0)


@pytest.mark.usefixtures("hurried")
def test_what_is_shown_is_a_forecast_from_a_state_of_the_attractor(tmp_path: Path) -> None:
    result = dynamics.show(tmp_path, overwrite=False, progress=False)
    assert {"run", "forecast", "picture", "metrics"} <= set(result.paths)
    with xr.open_dataset(result.paths["forecast"]) as made:
        assert made.x.shape == (1, 801)
        forecast = np.stack([made[name].values[0] for name in "xyz"], axis=-1)
    truth = solve(Lorenz63(), forecast[0], 0.01 * np.arange(101))[0]
    # The state that it starts from is written with all its digits.
    np.testing.assert_allclose(forecast[:101], truth, atol=0.05)
    assert 0 < forecast[0, 2] < 50
    height, width, _ = image.imread(result.paths["picture"]).shape
    assert width > 1000
    assert height > width
    assert result.evaluation.baselines["persistence"].metrics["vpt"] == 0.2


@pytest.mark.slow
def test_the_network_stays_valid_far_longer_than_its_baselines(tmp_path: Path) -> None:
    result = demo("dynamics", output=tmp_path)
    evaluation = result.evaluation
    assert evaluation.metrics["vpt"] > 5
    for name in ("persistence", "dmd"):
        assert evaluation.metrics["vpt"] > 3 * evaluation.baselines[name].metrics["vpt"]
    assert len(evaluation.details["vpt"]) >= 100
    with xr.open_dataset(result.paths["forecast"]) as made:
        run = np.stack([made[name].values[0] for name in "xyz"], axis=-1)
    # It stays on the attractor: as wide as that of the system, and about the same place.
    np.testing.assert_allclose(run[2000:].std(axis=0), [7.9, 9.0, 8.6], rtol=0.1)
    np.testing.assert_allclose(run[2000:, 2].mean(), 23.5, atol=1.5)
    assert json.loads(result.paths["metrics"].read_text())["pipeline"] == "dynamics"
    with pytest.raises(OutputExists):
        demo("dynamics", output=tmp_path)
