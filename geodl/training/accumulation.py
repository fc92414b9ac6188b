"""Gradient accumulation: a batch goes through the network in equal parts, and one update follows from all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops, tree

from geodl.errors import BackendUnavailable, RecipeError

__all__ = ("accumulate",)

_logger = logging.getLogger("geodl")


def accumulate(model: keras.Model, parts: int, *, batch_size: int, replicas: int = 1) -> None:
    """Lets each step of Keras `fit` do its batch in equal parts, one after the other, and change the weights once.

    Activations take about `parts` times less memory. The step stays one step: clipping, weight decay, schedules, moving
    averages, loss scales and checkpoints see the mean gradient of the whole batch, once. As `geodl.data.Batches`
    normalises weights over the batch, that is the gradient of the whole batch also where parts differ in valid pixels.
    Only what sees several samples at a time differs: `BatchNormalization` takes the statistics of a part, and updates
    its moving ones so many times a step.

    Part k holds the samples k, k + parts, … of the batch, or of a device's share of it.

    Args:
        model: a compiled network, its optimiser built.
        parts: how many; 1 leaves the network as it is.
        batch_size: samples in a batch, over all devices.
        replicas: devices among which a batch is shared.

    Raises:
        RecipeError: a device's share of the batch is not divisible by `parts`.
        BackendUnavailable: the backend is neither TensorFlow nor JAX.

    Example:
        >>> network.compile("sgd", loss=CrossEntropy())
        >>> network.optimizer.build(network.trainable_variables)
        >>> accumulate(network, 4, batch_size=16)
    """
    if parts == 1:
        return
    if batch_size % (parts * replicas):
        shared = f" on {replicas} devices" if replicas > 1 else ""
        raise RecipeError(
            "train.accumulate",
            f"expected a divisor of the {batch_size // replicas} samples that are a device's share of "
            f"train.batch_size: {batch_size}{shared}. Received: {parts}.",
        )
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers()):
        _logger.warning(
            "train.accumulate: BatchNormalization takes its statistics of %d samples at a time; others normalise alike "
            "(network.norm: group, where the network has it).",
            batch_size // (parts * replicas),
        )
    match keras.backend.backend():
        case "tensorflow":
            model.train_step = _tensorflow_step(model, parts, unrolled=replicas > 1)
        case "jax":
            model.make_train_function = _jax_function(model, parts)
        case backend:
            raise BackendUnavailable(
                f"train.accumulate: {parts}",
                f"this version of geodl takes batches apart with tensorflow and jax, not with {backend}",
                advice="Use a smaller train.batch_size.",
            )


class _Collector:
    """Stands in for an optimiser where a network's own `train_step` works: it keeps the gradients and changes nothing."""

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.gradients: list[Any] = []
        self._optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def apply_gradients(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.gradients = [gradient for gradient, _ in pairs]

    def stateless_apply(self, state: list[Any], gradients: list[Any], variables: list[Any]) -> tuple[Any, Any]:
        self.gradients = list(gradients)
        return variables, state


class _View:
    """A network in all but its optimiser: what its own `train_step` is given as `self`."""

    def __init__(self, model: keras.Model) -> None:
        object.__setattr__(self, "_model", model)
        object.__setattr__(self, "optimizer", _Collector(model.optimizer))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._model, name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._model(*arguments, **named)


def _part(batch: Any, number: Any, parts: int) -> Any:
    """Samples `number`, `number + parts`, …: of a batch shared among devices, so many of each device's share."""

    def part(array: Any) -> Any:
        folded = ops.reshape(array, (-1, parts, *ops.shape(array)[1:]))
        return ops.take(folded, number, axis=1)

    return tree.map_structure(part, batch)


def _tensorflow_step(model: keras.Model, parts: int, *, unrolled: bool) -> Callable[[Any], Any]:
    import tensorflow as tf

    own = type(model).train_step

    def gradients_of(batch: Any, number: Any) -> list[Any]:
        view = _View(model)
        own(view, _part(batch, number, parts))
        return [None if g is None else tf.convert_to_tensor(g) for g in view.optimizer.gradients]

    def step(batch: Any) -> dict[str, Any]:
        weights = model.trainable_weights
        without: set[int] = set()

        def body(number: Any, total: list[Any]) -> tuple[Any, list[Any]]:
            found = gradients_of(batch, number)
            without.update(index for index, gradient in enumerate(found) if gradient is None)
            return number + 1, [t if g is None else t + g for t, g in zip(total, found, strict=True)]

        total = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
        if unrolled:
            # Replicas cannot meet within a loop, as they do where a moving statistic is assigned.
            for number in range(parts):
                with tf.control_dependencies(total):
                    _, total = body(tf.constant(number), total)
        else:
            _, total = tf.while_loop(
                lambda number, _: number < parts, body, (tf.constant(0), total), parallel_iterations=1
            )
        mean = [None if index in without else gradient / parts for index, gradient in enumerate(total)]
        model.optimizer.apply_gradients(zip(mean, weights, strict=True))
        logs: dict[str, Any] = model.get_metrics_result()
        return logs

    return step


def _jax_function(model: keras.Model, parts: int) -> Callable[..., None]:
    """Compiles the gradient of one part, which is called for each: a loop within one compiled step is many times slower
    on processors, and XLA keeps the activations of parts that are written one after the other all at once."""
    import jax

    own = type(model).train_step

    def gradient(trainable: Any, optimizer: Any, others: Any, metrics: Any, total: Any, batch: Any, number: Any) -> Any:
        view = _View(model)
        state = (trainable, others, optimizer, metrics)
        logs, (_, others, _, metrics) = own(view, state, _part(batch, number, parts))
        return logs, others, metrics, [t + g for t, g in zip(total, view.optimizer.gradients, strict=True)]

    def update(trainable: Any, optimizer: Any, total: Any) -> Any:
        return model.optimizer.stateless_apply(optimizer, [t / parts for t in total], trainable)

    def zeros(trainable: Any) -> Any:
        return [ops.zeros(value.shape, value.dtype) for value in trainable]

    def make_train_function(force: bool = False) -> None:
        if model.train_function is not None and not force:
            return
        compiled: list[Callable[..., Any]] = []

        def train_function(state: Any, batches: Any) -> Any:
            trainable, others, optimizer, metrics = state
            if model.run_eagerly:
                compiled[:] = zeros, gradient, update
            elif not compiled:
                # Each array stays on the devices that it is on.
                own_places = keras.distribution.distribution() is not None
                place = jax.tree.map(lambda array: array.sharding if own_places else None, state)
                compiled[:] = (
                    jax.jit(zeros, out_shardings=place[0]),
                    jax.jit(gradient, donate_argnums=(2, 3, 4), out_shardings=(None, place[1], place[3], place[0])),
                    jax.jit(update, donate_argnums=(0, 1), out_shardings=(place[0], place[2])),
                )
            start, backward, forward = compiled
            batch, total, logs = next(batches), start(trainable), {}
            for number in range(parts):
                logs, others, metrics, total = backward(trainable, optimizer, others, metrics, total, batch, number)
            trainable, optimizer = forward(trainable, optimizer, total)
            return logs, (trainable, others, optimizer, metrics)

        model.train_function = train_function

    return make_train_function
