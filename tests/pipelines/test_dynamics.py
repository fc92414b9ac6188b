"""The dynamics pipeline on short simulated trajectories: the walk, its scores, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

import geodl
from geodl.data.simulate import simulate_trajectories
from geodl.errors import BandMismatch, RecipeError, SourceUnreadable, TrainingDiverged, TrajectoryUnusable
from geodl.physics import Lorenz63, solve
from geodl.pipelines.dynamics import Dynamics
from geodl.pipelines.task import open_pipeline
from tests.pipeline_case import PipelineCase

SMALL: dict[str, Any] = {
    "simulation": {"duration": 8.0},
    "start": {"refine": False},
    "network": {"name": "bilinear", "solver": "rk4", "substeps": 2},
    "horizon": {"first": 1, "last": 2},
    "verification": {
        "states": 6,
        "duration": 4.0,
        "free_run": 20.0,
        "exponents": False,
        "baselines": ["persistence", "dmd"],
    },
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.batch_size": 8,
    "train.jit": False,
    "train.optimizer": {"name": "sgd", "learning_rate": 1e-6, "weight_decay": 0, "options": {}},
}
TABLE: dict[str, Any] = {
    **SMALL,
    "system": None,
    "verification": {**SMALL["verification"], "duration": None, "free_run": 2.0},
}


def write(path: Path, **options: Any) -> str:
    """A table of Lorenz-63, as a user has one."""
    settings = {"seed": 0, "duration": 12.0, **options}
    (trajectory,) = simulate_trajectories("lorenz63", **settings)
    table = np.column_stack([trajectory.times, trajectory.states])
    np.savetxt(path, table, delimiter=",", header="time,x,y,z", comments="", fmt="%.17g")
    return str(path)


def pipeline(**changes: Any) -> Dynamics:
    found = open_pipeline("dynamics", {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}})
    assert isinstance(found, Dynamics)
    return found


class TestWalk(PipelineCase):
    """Train, resume, save, load and predict; a trajectory is no map, so what is asked of it is other."""

    recipe: ClassVar[str] = "dynamics"
    quick: ClassVar[dict[str, Any]] = {**SMALL, "train.epochs": 2, "train.steps_per_epoch": 2}

    def data(self, folder: Path) -> dict[str, Any]:
        return {}

    def test_loaded_bundle_predicts_the_same(self, run: Any, tmp_path: Path) -> None:
        start = np.array([[1.0, 2.0, 20.0], [-3.0, -4.0, 25.0]])
        one = run[0].predictor.predict(start, steps=30)
        other = geodl.load(run[0].path).predict(start, steps=30)
        xr.testing.assert_identical(one, other)

    def test_map_lies_on_the_scene_and_keeps_nodata(self, run: Any, tmp_path: Path) -> None:
        table = tmp_path / "states.csv"
        table.write_text("z,y,x\n20,2,1\n25,-4,-3\n")
        geodl.load(run[0].path).predict_file(table, tmp_path / "forecast.nc", steps=50)
        with xr.open_dataset(tmp_path / "forecast.nc") as made:
            assert set(made.data_vars) == {"x", "y", "z"}
            truth = solve(Lorenz63(), np.array([[1.0, 2, 20], [-3, -4, 25]]), 0.01 * np.arange(51))
            found = np.stack([made[name].values for name in "xyz"], -1).reshape(2, 51, 3)
            np.testing.assert_allclose(found, truth, atol=0.05)

    def test_bundle_is_whole(self, run: Any) -> None:
        folder = run[0].path
        content = json.loads((folder / "metrics.json").read_text())
        assert content["metrics"]["vpt"] > 2
        assert content["protocol"]["dtype"] == "float32"
        assert "DOP853" in content["protocol"]["truth"]
        assert len(content["details"]["vpt"]) == 6
        assert set(content["baselines"]) == {"persistence", "dmd"}
        assert {path.name for path in folder.iterdir()} >= {
            "network.keras",
            "contract.json",
            "recipe.yaml",
            "report.html",
        }
        report = (folder / "report.html").read_text()
        for word in ("Valid prediction time", "The attractor", "The climate of a free run", "persistence"):
            assert word in report

    def test_held_out_states_are_drawn_from_the_seed(self, run: Any) -> None:
        other = geodl.evaluate(run[0].path, {"seed": 5})
        assert other.metrics["rmse_8"] != run[0].metrics["rmse_8"]

    def test_a_table_of_other_variables_does_not_fit_the_network(self, run: Any, tmp_path: Path) -> None:
        table = tmp_path / "other.csv"
        table.write_text("time,x,y,w\n0,1,2,3\n1,2,3,4\n2,3,4,6\n")
        with pytest.raises((BandMismatch, TrajectoryUnusable), match="z"):
            geodl.evaluate(run[0].path, {"data.trajectories": str(table)})


def test_parts_are_of_different_states_and_the_contract_says_what_they_are() -> None:
    parts = pipeline(train__precision="float64").samples()
    assert parts.input.dtype == "float64"
    assert [dim.name for dim in parts.input.dims] == ["time", "state"]
    assert parts.input.dim("time").step == pytest.approx(0.01)
    assert [band.name for band in parts.output.bands] == ["x", "y", "z"]
    states = [
        samples.read(k, np.random.default_rng(0))[0]["state"]
        for samples in (parts.validation, parts.test)
        if samples is not None
        for k in range(3)
    ]
    assert len(np.unique(np.round(states, 6), axis=0)) == 6


def test_segments_grow_with_the_training() -> None:
    samples = pipeline(horizon={"first": 2, "last": 6}, train__epochs=3, train__steps_per_epoch=3).samples().train
    assert [samples.at(step).horizon for step in (0, 2, 3, 5, 6, 8)] == [2, 2, 4, 4, 6, 6]  # type: ignore[attr-defined]


def test_a_table_is_split_in_time_and_scored_in_its_own_unit(tmp_path: Path) -> None:
    settings = {
        **TABLE,
        "data.trajectories": write(tmp_path / "l63.csv"),
        "data.split": {"validation": 0.25, "test": 0.25},
        "horizon": {"first": 2, "last": 2},
    }
    run = geodl.train("dynamics", settings, output=tmp_path / "run")
    assert run.evaluation is not None
    assert run.evaluation.protocol["Lyapunov time"] == "not known: times are in time units"
    assert run.metrics["vpt"] > 1
    other = geodl.evaluate(run.path, {"data.trajectories": write(tmp_path / "other.csv", seed=3, duration=6.0)})
    assert other.protocol["part"] == "all"
    assert other.metrics["vpt"] > 1


def test_no_epoch_is_chosen_on_a_fold(tmp_path: Path) -> None:
    settings = {**TABLE, "data.trajectories": write(tmp_path / "l63.csv")}
    parts = open_pipeline("dynamics", settings, fold=1).samples()
    assert parts.validation is None
    assert parts.test is not None


def test_channels_of_the_covariance_are_told_from_states() -> None:
    found = pipeline(network={"name": "bilinear", "head": "gaussian"})
    parts = found.samples()
    assert len(parts.output.bands) == 9
    metrics = found.metrics(parts.output)
    x, y, weight = parts.test.read(0, np.random.default_rng(0))  # type: ignore[union-attr]
    factor = np.broadcast_to(np.array([2.0, 0, 2, 0, 0, 2]), (*y.shape[:1], 6))
    metrics.update(y[None], np.concatenate([y, factor], axis=-1)[None], weight[None], x={"times": x["times"][None]})
    assert metrics.result()["coverage_90"] == 1
    assert metrics.result()["log_likelihood"] == pytest.approx(-3 * np.log(2 * np.sqrt(2 * np.pi)), rel=1e-5)


def test_noise_gaps_and_irregular_times_are_learnt_from() -> None:
    parts = pipeline(simulation={"duration": 8.0, "noise": 0.01, "missing": 0.02, "irregular": 0.3}).samples()
    _, y, weight = parts.train.read(0, np.random.default_rng(0))
    assert y.shape == (3, 3)
    assert weight.tolist()[0] == 0
    assert "irregular" in parts.tables[0].title
    assert parts.test is not None
    assert np.isfinite(parts.test.read(0, np.random.default_rng(0))[1]).all()


def test_a_field_that_diverges_in_training_is_told(tmp_path: Path) -> None:
    wild = {"name": "sgd", "learning_rate": 1e12, "weight_decay": 0, "options": {}}
    changes = {**SMALL, "start.method": "random", "train.optimizer": wild, "train.steps_per_epoch": 20}
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        geodl.train("dynamics", changes, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"name": "mlp"}}, "least_squares"),
        ({"network": {"name": "lstm"}}, "network.name"),
        ({"system": "lorenz64"}, "lorenz63"),
        ({"system": None}, "data.trajectories"),
        ({"data.images": "tests"}, "data.trajectories alone"),
        ({"horizon": {"first": 4, "last": 2}}, "first"),
        ({"loss": ["state_likelihood"]}, "gaussian"),
    ],
    ids=["start", "network", "system", "no data", "images", "horizon", "loss"],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        found = open_pipeline("dynamics", {**SMALL, **changes})
        parts = found.samples()
        found.loss()
        found.network(parts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,x\n0,1\n", "one"),
        ("time,x\n0,1\n0,2\n1,3\n", "twice|repeat|same"),
        ("time,x\n0,1\n2,2\n1,3\n", "sort|order"),
        ("time,x,y\n0,1,\n1,2,\n2,3,\n", "y"),
        ("time,x\n0,1\n1,1\n2,1\n3,1\n4,1\n5,1\n6,1\n7,1\n8,1\n9,1\n", "never changes"),
    ],
    ids=["one time", "duplicate", "unsorted", "never observed", "constant"],
)
def test_tables_that_nothing_can_be_learnt_from(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises((TrajectoryUnusable, SourceUnreadable), match=words):
        open_pipeline("dynamics", {**TABLE, "data.trajectories": str(table)}).samples()
