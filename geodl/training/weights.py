"""The state of a network in training, as arrays: taken out, put back, averaged, and told from another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.errors import CheckpointMismatch

__all__ = ("averaged", "capture", "network_identity", "put_back", "values_of")


def values_of(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the variables' values, on the host."""
    return [np.array(variable.numpy()) for variable in variables]


def capture(model: keras.Model, *, metrics: bool = True) -> dict[str, np.ndarray]:
    """Returns the whole state of a compiled model.

    Args:
        model: its `variables` hold the weights, the moving statistics and the states of its seed generators;
            its optimiser has been built.
        metrics: whether the running loss is taken too.

    Returns:
        Copies on the host by name: `model/0`, …, `optimizer/0`, …, `metrics/0`, …
    """
    return {
        f"{group}/{number}": value
        for group, variables in _groups(model).items()
        if metrics or group != "metrics"
        for number, value in enumerate(values_of(variables))
    }


def put_back(model: keras.Model, arrays: Mapping[str, np.ndarray], *, path: str | Path = "") -> None:
    """Sets the weights and the optimiser to what `capture` returned.

    The running loss is left out: Keras resets it when an epoch begins, so it is put back after that.

    Args:
        model: compiled as the one that was captured, its optimiser built.
        arrays: names other than those of `capture` are ignored.
        path: where the arrays come from, for the message.

    Raises:
        CheckpointMismatch: there are more or fewer arrays, or one has another shape.
    """
    for group, variables in _groups(model).items():
        if group == "metrics":
            continue
        there = sum(name.startswith(f"{group}/") for name in arrays)
        if there != len(variables):
            field = f"the number of arrays of the {group}"
            raise CheckpointMismatch(path, field=field, expected=there, received=len(variables))
        for number, variable in enumerate(variables):
            value = arrays[f"{group}/{number}"]
            if tuple(variable.shape) != value.shape:
                field = f"the shape of {variable.path}"
                raise CheckpointMismatch(path, field=field, expected=value.shape, received=tuple(variable.shape))
            variable.assign(value)


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Gives a model the weights that its optimiser would end with, for a while.

    That is their moving average where the optimiser keeps one; else the model is left as it is. Afterwards the weights
    are exactly those of before.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    overridden = type(optimizer).finalize_variable_values is not keras.optimizers.Optimizer.finalize_variable_values
    if not (optimizer.use_ema or overridden):
        yield
        return
    raw = values_of(model.trainable_variables)
    try:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        yield
    finally:
        for variable, value in zip(model.trainable_variables, raw, strict=True):
            variable.assign(value)


def network_identity(model: keras.Model) -> dict[str, str]:
    """Returns one short hash per layer, by the layer's number and class; names that Keras counts up are left out."""
    return {
        f"network layer {number} ({type(layer).__name__})": hashlib.sha256(
            json.dumps(_without_names(layer.get_config()), sort_keys=True, default=str).encode()
        ).hexdigest()[:16]
        for number, layer in enumerate(model.layers)
    }


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {str(key): _without_names(value) for key, value in config.items() if key != "name"}
    if isinstance(config, list | tuple):
        return [_without_names(value) for value in config]
    return config.tolist() if isinstance(config, np.ndarray) else config


def _groups(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": model.metrics_variables}
