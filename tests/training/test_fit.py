from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from geodl.errors import BackendUnavailable, CheckpointMismatch, OptionError, SourceUnreadable, TrainingDiverged
from geodl.recipe import Optimizer, Train
from geodl.training.checkpoint import Checkpoints
from geodl.training.fit import first_weights, fit, is_unfinished
from geodl.training.weights import values_of
from tests.training import tiny_run
from tests.training.tiny_run import At, Batches, arrays, run, train


class _Killed(BaseException):
    """Leaves a run as abruptly as a signal does, within this process."""


def _kill() -> None:
    raise _Killed


def _run_killed(folder: Path, step: int, **arguments: object) -> None:
    with pytest.raises(_Killed):
        run(folder, callbacks=[At(step, _kill)], **arguments)


def _program(folder: Path, *options: str, backend: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = Path(__file__).parents[2]
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.training.tiny_run", str(folder), *options]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def _equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model, object]:
    """A run that is never killed and ends with its last weights."""
    folder = tmp_path_factory.mktemp("whole")
    return (folder, *run(folder, keep="last"))


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_run_killed_by_the_system_ends_with_the_arrays_of_one_never_killed(tmp_path: Path, backend: str) -> None:
    killed = _program(tmp_path, "--signal", "SIGKILL", "--at", "8", backend=backend)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    continued = _program(tmp_path, "--keep", "last", "--reference", backend=backend)
    assert continued.returncode == 0, continued.stderr
    told = json.loads(continued.stdout)
    assert (told["first_step"], told["executed"], told["step"]) == (6, 9, 15)
    assert "Continues at step 6 of 15." in (tmp_path / "training.log").read_text()
    with np.load(tmp_path / "final.npz") as ours, np.load(tmp_path / "reference.npz") as reference:
        assert _equal(list(ours.values()), list(reference.values()))


@pytest.mark.parametrize(("step", "checkpoint"), [(2, 0), (10, 9), (11, 10)])
def test_killed_elsewhere(tmp_path: Path, whole: tuple, step: int, checkpoint: int) -> None:
    _run_killed(tmp_path, step)
    model, history = run(tmp_path, keep="last")
    assert (history.first_step, history.executed) == (checkpoint, 15 - checkpoint)
    assert _equal(arrays(model), arrays(whole[1]))
    without_time = [[{**row, "seconds": 0} for row in rows] for rows in (history.rows, whole[2].rows)]
    assert without_time[0] == without_time[1]


def test_killed_twice_and_by_time(tmp_path: Path, whole: tuple) -> None:
    config = train(checkpoint={"minutes": 1e-9, "keep": 1})
    _run_killed(tmp_path, 4, config=config)
    _run_killed(tmp_path, 8, config=config)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000007.npz"]
    model, history = run(tmp_path, keep="last", config=config)
    assert history.first_step == 7
    assert _equal(arrays(model), arrays(whole[1]))


def test_a_finished_run_does_nothing_more(tmp_path: Path, whole: tuple) -> None:
    folder, model, _ = whole
    for keep, expected in (("last", model), ("best", None)):
        again, history = run(folder, keep=keep)
        assert history.executed == 0
        if expected is not None:
            assert _equal(arrays(again), arrays(expected))


def test_random_layers_went_on_in_the_whole_run(whole: tuple) -> None:
    states = [variable for variable in whole[1].variables if "seed_generator" in variable.path]
    assert len(states) == 1
    assert keras.ops.convert_to_numpy(states[0])[1] == 15


def test_table_and_rows(whole: tuple) -> None:
    folder, model, history = whole
    with (folder / "log.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert [row["step"] for row in table] == ["5", "10", "15"]
    assert [float(row["val_accuracy"]) for row in table] == [row["val_accuracy"] for row in history.rows]
    assert history.rows[-1]["learning_rate"] == pytest.approx(0.01 * 0.01, rel=1e-5)
    assert history.best_value == max(row["val_accuracy"] for row in history.rows)
    assert tiny_run.evaluate(model)["accuracy"] == history.rows[-1]["val_accuracy"]


def test_rows_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    _run_killed(tmp_path, 12)
    for path in (tmp_path / "checkpoints").iterdir():
        if path.name != "step-00000010.npz":
            path.unlink()
    table = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(table + "3,15,0.1,9.9,0.5,0.5,0.5\n")
    run(tmp_path)
    with (tmp_path / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def _scores(values: list[float]) -> tuple[object, list[list[np.ndarray]]]:
    """An evaluation that says what it is told, and keeps the weights it was called with."""
    seen: list[list[np.ndarray]] = []

    def evaluate(model: keras.Model) -> dict[str, float]:
        seen.append(values_of(model.trainable_variables))
        return {"score": values[len(seen) - 1]}

    return evaluate, seen


def test_the_best_epoch_is_kept_and_patience_ends_training(tmp_path: Path) -> None:
    evaluate, seen = _scores([0.1, float("nan"), 0.9, 0.8, 0.9, 1.0])
    config = train(epochs=6, steps_per_epoch=2, early_stopping=2)
    model, history = run(tmp_path, evaluate=evaluate, monitor="score", config=config)
    assert (history.best_epoch, history.best_value, history.stopped, history.step) == (3, 0.9, True, 10)
    assert _equal(values_of(model.trainable_variables), seen[2])
    assert not is_unfinished(tmp_path)
    again, history = run(tmp_path, evaluate=evaluate, monitor="score", config=config)
    assert (history.executed, history.stopped) == (0, True)
    assert _equal(values_of(again.trainable_variables), seen[2])


def test_less_is_better(tmp_path: Path) -> None:
    evaluate, seen = _scores([0.5, 0.2, 0.3])
    model, history = run(tmp_path, evaluate=evaluate, monitor="score", mode="min", config=train(steps_per_epoch=2))
    assert history.best_epoch == 2
    assert _equal(values_of(model.trainable_variables), seen[1])


def test_averaged_weights_are_evaluated_and_the_others_trained_on(tmp_path: Path) -> None:
    """The moving average is computed here from the weights after each step."""
    trained: list[list[np.ndarray]] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            trained.append(values_of(self.model.trainable_variables))

    evaluate, seen = _scores([0.1, 0.2])
    config = train(epochs=2, steps_per_epoch=2)
    model, _ = run(tmp_path, evaluate=evaluate, monitor="score", callbacks=[Watch()], config=config, keep="last")
    average = trained[0]
    for number, weights in enumerate(trained[1:], start=2):
        average = [0.5 * old + 0.5 * new for old, new in zip(average, weights, strict=True)]
        if number == 2:
            first = average
    for expected, received in ((first, seen[0]), (average, seen[1]), (average, values_of(model.trainable_variables))):
        assert all(np.allclose(a, b, atol=1e-7) for a, b in zip(expected, received, strict=True))


def test_a_changed_recipe_or_network_is_refused_by_name(tmp_path: Path) -> None:
    _run_killed(tmp_path, 4)
    with pytest.raises(CheckpointMismatch, match=r"because seed has changed\. Expected 3\. Received: 4"):
        run(tmp_path, identity={"seed": 4})
    with pytest.raises(CheckpointMismatch, match=r"network layer 1 \(Conv2D\) has changed"):
        run(tmp_path, model=tiny_run.network(width=8))
    with pytest.raises(CheckpointMismatch, match="data.images has changed"):
        run(tmp_path, identity={"seed": 3, "data.images": "a"})


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, whole: tuple) -> None:
    _run_killed(tmp_path, 8)
    newest = tmp_path / "checkpoints" / "step-00000006.npz"
    newest.write_bytes(newest.read_bytes()[:-300])
    with pytest.warns(UserWarning, match="step-00000006.npz is damaged"):
        model, history = run(tmp_path, keep="last")
    assert history.first_step == 5
    assert _equal(arrays(model), arrays(whole[1]))


def test_a_loss_that_is_no_number_ends_training(tmp_path: Path) -> None:
    class Poisoned(Batches):
        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            x, y, weight = super().__getitem__(index)
            return x, y, weight * (np.nan if self.start + index == 6 else 1)

    with pytest.raises(TrainingDiverged, match=r"the loss is nan at step 7\..*learning_rate"):
        fit(tiny_run.network(), Poisoned, loss=tiny_run.loss(), config=train(), folder=tmp_path, progress=False)
    latest = Checkpoints(tmp_path / "checkpoints").latest()
    assert latest is not None
    assert latest.step == 6
    assert all(np.isfinite(value).all() for value in latest.arrays.values())


def test_a_mistake_in_the_data_comes_out_as_itself(tmp_path: Path) -> None:
    class Broken(Batches):
        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            if self.start + index == 3:
                raise SourceUnreadable("scene.tif", "truncated")
            return super().__getitem__(index)

    with pytest.raises(SourceUnreadable, match=r"Cannot read scene.tif: truncated\."):
        fit(tiny_run.network(), Broken, loss=tiny_run.loss(), config=train(), folder=tmp_path, progress=False)


def test_a_metric_that_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="monitor: expected one of: accuracy, mean"):
        run(tmp_path, monitor="miou")


@pytest.fixture
def _hears_ctrl_c() -> object:
    """A process started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_ctrl_c_ends_with_the_best_epoch_and_the_run_can_go_on(
    tmp_path: Path, whole: tuple, capsys: pytest.CaptureFixture
) -> None:
    at = At(8, lambda: signal.raise_signal(signal.SIGINT))
    model, history = run(tmp_path, callbacks=[at], progress=True)
    assert (history.interrupted, history.step, history.best_epoch, len(history.rows)) == (True, 8, 1, 1)
    assert tiny_run.evaluate(model)["accuracy"] == history.best_value
    assert "Ctrl-C: training ends at step 8, from which it can be continued." in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert is_unfinished(tmp_path)
    model, history = run(tmp_path, keep="last")
    assert not is_unfinished(tmp_path)
    assert (history.first_step, history.interrupted) == (8, False)
    assert _equal(arrays(model), arrays(whole[1]))


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_ctrl_c_before_the_first_epoch_ends_keeps_the_present_weights(tmp_path: Path) -> None:
    before = arrays(tiny_run.network())
    model, history = run(tmp_path, callbacks=[At(2, lambda: signal.raise_signal(signal.SIGINT))])
    assert (history.interrupted, history.best_epoch) == (True, None)
    assert not _equal(arrays(model), before)


def test_sigterm_writes_a_checkpoint_and_exits_with_143(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(tmp_path, callbacks=[At(4, lambda: signal.raise_signal(signal.SIGTERM))])
    assert exit_.value.code == 143
    assert is_unfinished(tmp_path)
    assert not is_unfinished(tmp_path / "elsewhere")
    assert (tmp_path / "checkpoints" / "step-00000004.npz").is_file()


def test_stock_callbacks_see_one_run(tmp_path: Path) -> None:
    """In a continued run too: one beginning, batches numbered within their epoch, one end."""

    class Watch(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[object] = []

        def on_train_begin(self, logs: object = None) -> None:
            self.seen.append("begin")

        def on_train_end(self, logs: object = None) -> None:
            self.seen.append("end")

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.seen.append(f"epoch {epoch}")

        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            self.seen.append(batch)

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seen.append(sorted(logs))

    _run_killed(tmp_path, 8)
    watch = Watch()
    stop = keras.callbacks.EarlyStopping("val_mean", mode="max", patience=5)
    run(tmp_path, callbacks=[watch, stop])
    logs = ["loss", "val_accuracy", "val_mean"]
    assert watch.seen == ["begin", "epoch 1", 1, 2, 3, 4, logs, "epoch 2", 0, 1, 2, 3, 4, logs, "end"]


def test_without_validation_the_loss_says_which_epoch_is_best(tmp_path: Path) -> None:
    _, history = run(tmp_path, evaluate=None, monitor="loss", mode="min", config=train(steps_per_epoch=2))
    losses = [row["loss"] for row in history.rows]
    assert history.best_epoch == 1 + losses.index(min(losses))


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = train(epochs=1, steps_per_epoch=2, tensorboard=True)
    pytest.importorskip("tensorboard")
    run(tmp_path / "a", config=config)
    assert list((tmp_path / "a" / "tensorboard" / "validation").glob("events*"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"train.tensorboard cannot be had.*geodl\[tensorboard\]"):
        run(tmp_path / "b", config=config)


def test_half_precision_scales_the_loss(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny_run.network()
    finally:
        keras.config.set_dtype_policy("float32")
    _, history = run(tmp_path, model=model, config=train(epochs=1, steps_per_epoch=2))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(history.rows[0]["loss"])


def test_the_first_weights_share_in_the_average_is_that_of_the_recursion() -> None:
    config = Train(epochs=2, steps_per_epoch=60, optimizer=Optimizer(name="sgd", learning_rate=0.1, ema=0.99))
    average, weights = 1.0, [1.0] + [0.0] * 119  # Keras begins the average with the first step's weights.
    for weight in weights[1:]:
        average = 0.99 * average + 0.01 * weight
    assert first_weights(config) == pytest.approx(average)
    assert first_weights(config.model_copy(update={"optimizer": Optimizer(name="sgd", learning_rate=0.1)})) == 0
