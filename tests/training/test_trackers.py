from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import BackendUnavailable, OptionError, RecipeError
from geodl.training.trackers import Tracker, build_callbacks, tracker


class Noted(keras.callbacks.Callback):
    """A callback of a user."""

    def __init__(self, path: str, times: int = 1) -> None:
        super().__init__()
        self.path, self.times = path, times


def test_callbacks_come_from_their_import_paths(tmp_path: Path) -> None:
    own, theirs = build_callbacks(
        [
            {"class": f"{__name__}.Noted", "options": {"path": "{run}/notes", "times": 3}},
            {"class": "keras.callbacks.TerminateOnNaN"},
        ],
        tmp_path,
    )
    assert isinstance(own, Noted)
    assert (own.path, own.times) == (f"{tmp_path}/notes", 3)
    assert isinstance(theirs, keras.callbacks.TerminateOnNaN)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param({"class": "no.such.Thing"}, r"0\.class: .* no\.such cannot be imported", id="module"),
        pytest.param({"class": "Thing"}, r"0\.class: expected .* package\.module\.Name\. Received: 'Thing'", id="bare"),
        pytest.param({}, r"0\.class: expected .* Received: None", id="missing"),
        pytest.param(
            {"class": "keras.callbacks.EarlyStoping"},
            r"0\.class: .* has no EarlyStoping\. Did you mean 'EarlyStopping'\?",
            id="name",
        ),
        pytest.param({"class": "pathlib.Path"}, r"0\.class: .* no subclass of keras\.callbacks\.Callback", id="kind"),
        pytest.param(
            {"class": f"{__name__}.Noted", "options": {"path": "a", "time": 3}},
            r"0\.options: .* refuses them .* Expected: path, times\. Did you mean 'times'\?",
            id="options",
        ),
        pytest.param({"class": "a.B", "optoins": {}}, r"0\.optoins: unknown key\. Did you mean 'options'\?", id="key"),
        pytest.param({"class": "a.B", "options": [1]}, r"0\.options: expected a mapping", id="list"),
    ],
)
def test_mistakes_name_the_key(entry: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=rf"train\.callbacks\.{message}"):
        build_callbacks([entry], tmp_path)


def _mlflow() -> tuple[ModuleType, dict[str, Any]]:
    """As much of MLflow's tracking interface as is used, over a dictionary."""
    runs: dict[str, Any] = {}
    module = ModuleType("mlflow")

    class MlflowException(Exception):
        pass

    class Param:
        def __init__(self, key: str, value: str) -> None:
            self.key, self.value = key, value

    class Metric:
        def __init__(self, key: str, value: float, timestamp: int, step: int) -> None:
            self.key, self.value, self.timestamp, self.step = key, value, timestamp, step

    class MlflowClient:
        def create_run(
            self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
        ) -> Any:
            name = f"run{len(runs)}"
            runs[name] = {"params": {}, "metrics": [], "status": "RUNNING", "name": run_name, "in": experiment_id}
            return SimpleNamespace(info=SimpleNamespace(run_id=name))

        def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
            runs[run_id]["status"] = status

        def get_run(self, run_id: str) -> Any:
            return SimpleNamespace(data=SimpleNamespace(params=dict(runs[run_id]["params"])))

        def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
            if len(params) > 100:
                raise MlflowException("at most 100 params")
            for param in params:
                if param.key in runs[run_id]["params"] or len(param.value) > 500:
                    raise MlflowException(f"changing param {param.key}")
                runs[run_id]["params"][param.key] = param.value
            runs[run_id]["metrics"] += [(metric.key, metric.value, metric.step) for metric in metrics]

        def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
            runs[run_id]["status"] = status

    def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Any:
        return SimpleNamespace(experiment_id=f"id of {experiment_name}")

    module.exceptions = SimpleNamespace(MlflowException=MlflowException)
    module.entities = SimpleNamespace(Param=Param, Metric=Metric)
    module.MlflowClient, module.set_experiment = MlflowClient, set_experiment
    return module, runs


def _wandb() -> tuple[ModuleType, dict[str, Any]]:
    """As much of Weights & Biases as is used, over a dictionary."""
    runs: dict[str, Any] = {}
    module = ModuleType("wandb")

    class Error(Exception):
        pass

    class Config(dict):
        def update(self, d: dict, allow_val_change: bool | None = None) -> None:
            assert allow_val_change
            super().update(d)

    class Run:
        def __init__(self, name: str) -> None:
            self.id, self.config = name, Config()

        def log(self, data: dict, step: int | None = None, commit: bool | None = None) -> None:
            runs[self.id]["metrics"] += [(key, value, step) for key, value in data.items()]
            runs[self.id]["params"] |= self.config

        def finish(self, exit_code: int | None = None) -> None:
            runs[self.id]["status"] = {0: "FINISHED", 1: "KILLED"}[exit_code or 0]

    def init(*, project: str, dir: str, id: str | None, name: str, resume: str) -> Run:
        assert (resume, Path(dir).is_dir()) == ("allow", True)
        name_ = id or f"run{len(runs)}"
        runs.setdefault(name_, {"params": {}, "metrics": [], "name": name, "in": f"id of {project}"})
        runs[name_]["status"] = "RUNNING"
        return Run(name_)

    module.init, module.errors = init, SimpleNamespace(Error=Error)
    return module, runs


@pytest.fixture(params=["mlflow", "wandb"])
def runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs of a stand-in for a tracker, with its name and module."""
    for variable in ("MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    module, kept = {"mlflow": _mlflow, "wandb": _wandb}[request.param]()
    monkeypatch.setitem(sys.modules, request.param, module)
    return {"name": request.param, "module": module, "runs": kept}


_PARAMETERS = {"train.epochs": 2, "data.images": "x" * 900, **{f"many.{k}": k for k in range(120)}}


def _fit(callback: Tracker, *, first: int = 0, epochs: int = 2) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.125), loss="mse")
    x = np.ones((6, 2), "float32")
    options = {"batch_size": 2, "verbose": 0, "initial_epoch": first, "epochs": epochs}
    model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), callbacks=[callback], **options)


def test_parameters_metrics_and_scores_are_logged_over_the_global_step(runs: dict, tmp_path: Path) -> None:
    callback = tracker(runs["name"], tmp_path, _PARAMETERS)
    _fit(callback)
    callback.finish({"miou": 0.5, "classes": "none", "iou": float("nan")}, step=6)
    (run,) = runs["runs"].values()
    assert (run["in"], run["name"], run["status"]) == ("id of geodl", tmp_path.name, "FINISHED")
    assert len(run["params"]) == len(_PARAMETERS)
    assert str(run["params"]["train.epochs"]) == "2"
    logged = {(name, step): value for name, value, step in run["metrics"]}
    assert {step for name, step in logged if name == "val_loss"} == {3, 6}
    assert logged["learning_rate", 3] == 0.125
    assert logged["final_miou", 6] == 0.5
    assert not any(name in ("final_classes", "final_iou") for name, _ in logged)


def test_a_continued_training_goes_on_in_the_same_tracked_run(runs: dict, tmp_path: Path) -> None:
    first = tracker(runs["name"], tmp_path, _PARAMETERS)
    _fit(first, epochs=1)
    first.close()
    (run,) = runs["runs"].values()
    assert run["status"] == "KILLED"
    assert json.loads((tmp_path / "tracker.json").read_text()) == {"tracker": runs["name"], "run": "run0"}
    second = tracker(runs["name"], tmp_path, {**_PARAMETERS, "train.epochs": 3})
    _fit(second, first=1, epochs=2)
    second.finish({"miou": 0.5}, step=6)
    assert list(runs["runs"]) == ["run0"]
    assert [step for name, _, step in run["metrics"] if name == "val_loss"] == [3, 6]
    assert run["status"] == "FINISHED"


def test_a_tracker_that_fails_is_warned_of_once_and_training_goes_on(
    runs: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    callback = tracker(runs["name"], tmp_path, _PARAMETERS)

    def down(*arguments: Any, **named: Any) -> None:
        raise ConnectionError("the server is down\nTraceback …")

    def refused(*arguments: Any, **named: Any) -> None:
        errors = getattr(runs["module"], "exceptions", None) or runs["module"].errors
        raise next(iter(vars(errors).values()))("the server is down")

    for failing in (down, refused):
        caplog.clear()
        where = runs["module"].MlflowClient if runs["name"] == "mlflow" else runs["module"]
        monkeypatch.setattr(where, "get_run" if runs["name"] == "mlflow" else "init", failing)
        callback = tracker(runs["name"], tmp_path, _PARAMETERS)
        with caplog.at_level(logging.WARNING, "geodl"):
            _fit(callback)
            callback.finish({"miou": 0.5}, step=6)
        (record,) = caplog.records
        assert record.getMessage() == (
            f"train.tracker: {runs['name']} failed (the server is down); training goes on without it."
        )


@pytest.mark.parametrize("content", ["", "[]", '{"run": 1}', '{"tracker": "another", "run": "run7"}'])
def test_a_file_that_names_no_run_of_this_tracker_starts_a_new_one(runs: dict, tmp_path: Path, content: str) -> None:
    (tmp_path / "tracker.json").write_text(content)
    callback = tracker(runs["name"], tmp_path, {})
    callback.on_train_begin()
    assert list(runs["runs"]) == ["run0"]


def test_a_tracker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(BackendUnavailable, match=r"wandb cannot be had: wandb is not installed\. .*pip install wandb"):
        tracker("wandb", tmp_path, {})
    with pytest.raises(OptionError, match=r"train\.tracker: expected one of: mlflow, wandb\. Received: 'mlfow'"):
        tracker("mlfow", tmp_path, {})
