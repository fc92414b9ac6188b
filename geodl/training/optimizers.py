"""Optimisers by name: those of Keras, and SOAP."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from geodl.errors import RecipeError
from geodl.training.distribution import over_replicas
from geodl.training.soap import SOAP

__all__ = ("build_optimizer", "names")

_NOT_BY_NAME = ("lossscaleoptimizer", "multioptimizer", "optimizer", "optimizermap")


def _classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    found = {
        name.lower(): value
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value) and issubclass(value, keras.optimizers.Optimizer) and name.lower() not in _NOT_BY_NAME
    }
    return {**found, "soap": SOAP}


def names() -> tuple[str, ...]:
    """Returns the names of all optimisers."""
    return tuple(sorted(_classes()))


def build_optimizer(
    name: str,
    *,
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | float,
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    ema: float | None = None,
    options: Mapping[str, Any] | None = None,
    variables: Sequence[keras.Variable] = (),
) -> keras.optimizers.Optimizer:
    """Returns an optimiser of Keras.

    Args:
        name: as in Keras; case and underscores do not matter: `adamw`, `adam_w`, `AdamW`.
        learning_rate: a number or a schedule.
        weight_decay: decoupled, relative to the learning rate (Loshchilov & Hutter 2019); biases and the scales and
            offsets of normalisation are left out. None or 0: none.
        clip_norm: greatest norm of all gradients together.
        ema: momentum of the moving average of weights, 0 to 1; None: none is kept.
        options: further arguments of the Keras class, such as `momentum`.
        variables: trainable variables of the network: those with fewer than two axes are not decayed.

    Raises:
        RecipeError: no such optimiser (the nearest name is given), or it has no such option.

    Example:
        >>> build_optimizer("sgd", learning_rate=0.1, options={"momentum": 0.9})
    """
    classes = _classes()
    found = classes.get(name.lower().replace("_", ""))
    if found is None:
        problem = f"expected one of: {', '.join(sorted(classes))}. Received: {name!r}."
        raise RecipeError("train.optimizer.name", problem, valid=classes, nearest_to=name)
    known = {*inspect.signature(found).parameters, *inspect.signature(keras.optimizers.Optimizer).parameters}
    # Where Keras has a decay by default, None is refused and only 0 turns it off.
    none = None if inspect.signature(found).parameters["weight_decay"].default is None else 0.0
    settled = {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay or none,
        "global_clipnorm": clip_norm,
        "use_ema": ema is not None,
        **({"ema_momentum": ema} if ema is not None else {}),
    }
    for option in options or {}:
        key = f"train.optimizer.options.{option}"
        if option not in known - {"kwargs"}:
            raise RecipeError(key, f"{found.__name__} has no such argument.", valid=known, nearest_to=option)
        if option in settled:
            raise RecipeError(key, "expected as a key of train.optimizer itself.")
    try:
        optimizer = over_replicas(found)(**settled, **(options or {}))
    except (TypeError, ValueError) as error:
        raise RecipeError("train.optimizer", f"{found.__name__} refuses: {error}") from error
    small = [variable for variable in variables if len(variable.shape) < 2]
    if weight_decay and small:
        optimizer.exclude_from_weight_decay(var_list=small)
    return optimizer
