"""Callbacks by import path, and trackers of experiments by name: MLflow and Weights & Biases."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import logging
import math
import os
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from geodl.errors import BackendUnavailable, OptionError, RecipeError, nearest
from geodl.wholefile import whole_file

__all__ = ("TRACKED", "TRACKERS", "Tracker", "build_callbacks", "tracker")

TRACKERS = ("mlflow", "wandb")

_logger = logging.getLogger("geodl")

TRACKED = "tracker.json"
"""Name of the file of a run that says which tracked run is its own."""
_LONGEST = 500
"""Characters of a parameter's value that every version of MLflow takes."""
_USUAL = (OSError, RuntimeError, ValueError)
_MOST = 100
"""Parameters that MLflow takes at a time."""


def build_callbacks(config: Sequence[Mapping[str, Any]], folder: str | Path) -> list[keras.callbacks.Callback]:
    """Makes the Keras callbacks that a recipe names.

    Args:
        config: of each callback the import path as `class` and its arguments as `options`.
        folder: of the run; takes the place of `{run}` in options, such as `filepath: "{run}/weights.h5"`.

    Raises:
        RecipeError: a path that leads to no Keras callback, or options that it refuses; the key is named.

    Example:
        >>> build_callbacks([{"class": "keras.callbacks.TerminateOnNaN"}], "runs/a")
    """
    return [_callback(f"train.callbacks.{number}", entry, Path(folder)) for number, entry in enumerate(config)]


def tracker(name: str, folder: str | Path, parameters: Mapping[str, Any]) -> Tracker:
    """Returns the callback that logs a training to a tracker of experiments.

    Where to is for the tracker's own settings to say: `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME`,
    `WANDB_PROJECT` and `WANDB_MODE`.

    Args:
        name: `mlflow` or `wandb`.
        folder: of the run; `tracker.json` in it holds the tracked run's identifier, so that a continued training goes
            on in the same one.
        parameters: of the run, such as the recipe's fields by dotted key.

    Raises:
        OptionError: there is no such tracker.
        BackendUnavailable: it is not installed.

    Example:
        >>> tracker("mlflow", "runs/a", recipe.flat())
    """
    kinds: dict[str, type[Tracker]] = {"mlflow": _MLflow, "wandb": _WandB}
    if name not in kinds:
        raise OptionError("train.tracker", expected=f"one of: {', '.join(TRACKERS)}", received=name)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        advice = f"Install it (pip install {name}), or leave train.tracker out."
        raise BackendUnavailable(f"train.tracker: {name}", f"{name} is not installed", advice=advice) from error
    return kinds[name](module, Path(folder), parameters)


class Tracker(keras.callbacks.Callback):
    """Logs parameters once and metrics at the end of each epoch, over the global step.

    A tracker that fails, as one whose server is down does, is warned of once and left alone for the rest of the training.

    Args:
        module: the tracker's package.
        folder: of the run.
        parameters: what is logged when the training begins.
    """

    def __init__(self, module: Any, folder: Path, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self._module = module
        self._file = folder / TRACKED
        self._name = folder.name
        self._parameters = dict(parameters)
        self._failed = False
        self._open = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts a tracked run, or takes up the one that the folder names."""

        def begin() -> None:
            known = self._identifier()
            self._write(self._begin(known))
            self._open = True
            self._log_parameters(self._parameters)

        self._try(begin)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Logs the epoch's metrics at the global step."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._log({**(logs or {}), "learning_rate": rate, "epoch": epoch + 1}, step=(epoch + 1) * self.params["steps"])

    def finish(self, metrics: Mapping[str, Any], *, step: int) -> None:
        """Logs the scores of the finished network and ends the tracked run.

        Args:
            metrics: by name; what is no number is left out.
            step: global step of the last update.
        """
        self._log({f"final_{name}": value for name, value in metrics.items()}, step=step)
        self.close(complete=True)

    def close(self, *, complete: bool = False) -> None:
        """Ends the tracked run; one that was not complete can be taken up again."""
        if self._open:
            self._open = False
            self._try(lambda: self._end(complete))

    @abstractmethod
    def _errors(self) -> tuple[type[Exception], ...]:
        """What the tracker raises when it fails: of its own, and of what it is made of."""

    @abstractmethod
    def _begin(self, known: str | None) -> str:
        """Starts a run, or continues the known one; returns its identifier."""

    @abstractmethod
    def _log_parameters(self, parameters: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def _log_metrics(self, metrics: dict[str, float], step: int) -> None: ...

    @abstractmethod
    def _end(self, complete: bool) -> None: ...

    def _log(self, metrics: Mapping[str, Any], *, step: int) -> None:
        numbers = {name: float(value) for name, value in metrics.items() if _is_number(value)}
        if self._open and numbers:
            self._try(lambda: self._log_metrics(numbers, step))

    def _try(self, action: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            action()
        except self._errors() as error:
            self._failed = True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            _logger.warning(
                "train.tracker: %s failed (%s); training goes on without it.", self._module.__name__, reason
            )

    def _identifier(self) -> str | None:
        """The tracked run of this folder, if it is this tracker's."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if content["tracker"] == self._module.__name__:
                return str(content["run"])
        return None

    def _write(self, identifier: str) -> None:
        with whole_file(self._file) as partial:
            partial.write_text(
                json.dumps({"tracker": self._module.__name__, "run": identifier}) + "\n", encoding="utf-8"
            )


class _MLflow(Tracker):
    """Through `MlflowClient`, so that a run that someone else has started in this process is left alone."""

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._module.exceptions.MlflowException, *_USUAL)

    def _begin(self, known: str | None) -> str:
        self._client = self._module.MlflowClient()
        if known is None:
            experiment = self._module.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or "geodl")
            known = self._client.create_run(experiment.experiment_id, run_name=self._name).info.run_id
        else:
            self._client.update_run(known, status="RUNNING")
        self._run = str(known)
        return self._run

    def _log_parameters(self, parameters: Mapping[str, Any]) -> None:
        # A parameter that is there must not change: what was logged when the run began stays.
        there = self._client.get_run(self._run).data.params
        kind = self._module.entities.Param
        new = [
            kind(key, str(value)[:_LONGEST]) for name, value in parameters.items() if (key := _key(name)) not in there
        ]
        for start in range(0, len(new), _MOST):
            self._client.log_batch(self._run, params=new[start : start + _MOST])

    def _log_metrics(self, metrics: dict[str, float], step: int) -> None:
        kind, now = self._module.entities.Metric, int(1000 * time.time())
        new = [kind(_key(name), value, now, step) for name, value in metrics.items()]
        for start in range(0, len(new), _MOST):
            self._client.log_batch(self._run, metrics=new[start : start + _MOST])

    def _end(self, complete: bool) -> None:
        self._client.set_terminated(self._run, status="FINISHED" if complete else "KILLED")


class _WandB(Tracker):
    """Through the run that `wandb.init` returns."""

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._module.errors.Error, *_USUAL)

    def _begin(self, known: str | None) -> str:
        self._run = self._module.init(
            project=os.environ.get("WANDB_PROJECT") or "geodl",
            dir=str(self._file.parent),
            id=known,
            name=self._name,
            resume="allow",
        )
        return str(self._run.id)

    def _log_parameters(self, parameters: Mapping[str, Any]) -> None:
        self._run.config.update(dict(parameters), allow_val_change=True)

    def _log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self._run.log(metrics, step=step)

    def _end(self, complete: bool) -> None:
        self._run.finish(exit_code=0 if complete else 1)


def _callback(key: str, entry: Mapping[str, Any], folder: Path) -> keras.callbacks.Callback:
    for unknown in entry.keys() - {"class", "options"}:
        raise RecipeError(f"{key}.{unknown}", "unknown key.", valid=("class", "options"))
    path, options = entry.get("class"), entry.get("options") or {}
    if not isinstance(options, Mapping):
        raise RecipeError(f"{key}.options", f"expected a mapping of arguments. Received: {options!r}.")
    kind = _imported(f"{key}.class", path)
    placed = {
        name: value.replace("{run}", str(folder)) if isinstance(value, str) else value
        for name, value in options.items()
    }
    try:
        return kind(**placed)
    except (TypeError, ValueError) as error:
        names = [name for name in inspect.signature(kind).parameters if name not in ("args", "kwargs")]
        asked = next((name for name in placed if name not in names), "")
        problem = f"{path} refuses them ({error}). Expected: {', '.join(names) or 'none'}.{nearest(asked, names)}"
        raise RecipeError(f"{key}.options", problem) from error


def _imported(key: str, path: Any) -> type[keras.callbacks.Callback]:
    expected = "expected the import path of a Keras callback, package.module.Name"
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    if not module:
        raise RecipeError(key, f"{expected}. Received: {path!r}.")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise RecipeError(
            key, f"{expected}. Received: {path!r}, of which {module} cannot be imported ({error})."
        ) from error
    if found is None:
        names = [other for other, value in vars(importlib.import_module(module)).items() if _is_callback(value)]
        raise RecipeError(
            key, f"{expected}. Received: {path!r}, but {module} has no {name}.", valid=names, nearest_to=name
        )
    if not _is_callback(found):
        raise RecipeError(key, f"{expected}. Received: {path!r}, which is no subclass of keras.callbacks.Callback.")
    kind: type[keras.callbacks.Callback] = found
    return kind


def _is_callback(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, keras.callbacks.Callback)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(name: str) -> str:
    """A name of letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name)
