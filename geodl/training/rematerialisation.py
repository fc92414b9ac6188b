"""Rematerialisation: blocks of a network are computed anew on the way back, instead of kept since the way forward."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import tree

from geodl.models.convlstm import ConvLSTM2D
from geodl.models.neural_ode import integrates
from geodl.training.distribution import accelerators

__all__ = ("rematerialise",)

_logger = logging.getLogger("geodl")

_SIDE = 128
"""Length that open axes are given to compare the sizes of tensors."""
_WITHIN_STEPS = 10.0
"""What recurrent layers make within, gates and cells, for each value that they give."""
_BUDGETS = 24
"""How many sizes of blocks are compared."""


def rematerialise(model: keras.Model) -> None:
    """Lets a network keep, in training, only what passes from block to block (Chen et al. 2016, "Training Deep Nets with
    Sublinear Memory Cost", section 4.2).

    Blocks are consecutive layers of the network's graph, cut such that what is kept and the largest block together are
    least. Each is computed a second time when its gradient is due, with the same random numbers: gradients are those
    without. Weights, layers and what is saved are left as they are, and so is inference.

    Networks that integrate a differential equation, and those that are no graph of layers, are left alone with a
    warning that names them. With JAX on processors no memory is saved, for XLA undoes it there: a warning says so.

    Args:
        model: a built functional or sequential network; those nested in it are taken apart, too.

    Example:
        >>> network = geodl.models.UNet(channels=4, classes=5)
        >>> rematerialise(network)
        >>> network.compile("adamw", loss=geodl.losses.CrossEntropy())
    """
    if integrates(model):
        _logger.warning(
            "train.rematerialise does nothing for %s: what its integrator keeps follows from network.gradient.",
            model.name,
        )
        return
    graph = _graph(model)
    if graph is None:
        _logger.warning("train.rematerialise does nothing for %s: it is no graph of layers.", model.name)
        return
    nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
    nodes = [node for node in nodes if not node.is_input]
    nested = {id(operation): operation for node in nodes if _graph(operation := node.operation) is not None}
    for operation in nested.values():
        rematerialise(operation)
    blocks = _blocks(graph, nodes, alone=set(nested))
    if len(blocks) < 2 and not nested:
        _logger.warning("train.rematerialise does nothing for %s: it has too few layers.", model.name)
        return
    if keras.backend.backend() == "jax" and not accelerators():
        _logger.warning(
            "train.rematerialise saves no memory with jax on a processor, where XLA computes blocks once after all; "
            "train.accumulate does."
        )
    graph.call = _call(graph, blocks, alone=set(nested))


def _graph(operation: Any) -> Any:
    """Returns what holds the nodes of a functional or sequential model; None of anything else."""
    graph = getattr(operation, "_functional", None) or operation
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _blocks(graph: Any, nodes: Sequence[Any], *, alone: set[int]) -> list[list[Any]]:
    """Cuts a list of nodes where the least has to be kept, for the size of block with which the whole is least."""
    made = {id(tensor): number for number, node in enumerate(nodes) for tensor in node.output_tensors}
    last = np.arange(len(nodes))
    for number, node in enumerate(nodes):
        for tensor in node.input_tensors:
            if id(tensor) in made:
                last[made[id(tensor)]] = number
    for tensor in graph.outputs:
        if id(tensor) in made:
            last[made[id(tensor)]] = len(nodes)
    sizes = _sizes(graph, nodes)
    count = len(nodes)
    # kept[i, j]: what nodes i … j - 1 make and later ones need.
    kept = np.zeros((count + 1, count + 1))
    for end in range(1, count + 1):
        needed = np.where(last[:end] >= end, sizes[:end], 0.0)
        kept[:end, end] = np.cumsum(needed[::-1])[::-1]
    recurrent = [isinstance(node.operation, ConvLSTM2D | keras.layers.RNN) for node in nodes]
    total = np.concatenate([[0.0], np.cumsum(np.where(recurrent, _WITHIN_STEPS, 1.0) * sizes)])
    # Keras's masks travel on tensors, and are lost where a block ends; a nested network has blocks of its own.
    closed = {made[id(t)] for t in _tensors(nodes) if getattr(t, "_keras_mask", None) is not None}
    can_end = np.array([not any(n < end <= last[n] for n in closed) for end in range(count + 1)])
    single = np.array([id(node.operation) in alone for node in nodes])
    best: tuple[float, list[int]] = (math.inf, [])
    for budget in np.geomspace(max(np.diff(total).max(), 1.0), max(total[-1], 1.0), _BUDGETS):
        cost, came = np.full(count + 1, math.inf), np.zeros(count + 1, int)
        cost[0] = 0.0
        for end in range(1, count + 1):
            if not can_end[end] and end < count:
                continue
            allowed = (total[end] - total[:end] <= budget) | (np.arange(end) == end - 1)
            wall = np.flatnonzero(single[:end])
            if wall.size:
                allowed &= np.arange(end) >= (wall[-1] if wall[-1] == end - 1 else wall[-1] + 1)
            each = np.where(allowed, cost[:end] + kept[:end, end], math.inf)
            came[end] = int(each.argmin())
            cost[end] = each[came[end]]
        ends = [count]
        while ends[-1] > 0 and math.isfinite(cost[count]):
            ends.append(int(came[ends[-1]]))
        largest = max((total[end] - total[start] for end, start in pairwise(ends)), default=math.inf)
        best = min(best, (cost[count] + largest, ends))
    cuts = best[1][::-1]
    return [list(nodes[start:end]) for start, end in pairwise(cuts)]


def _tensors(nodes: Sequence[Any]) -> list[Any]:
    return [tensor for node in nodes for tensor in node.output_tensors]


def _sizes(graph: Any, nodes: Sequence[Any]) -> np.ndarray:
    """Values that each node makes, for a sample whose open axes are `_SIDE` long."""
    tensors = _tensors(nodes)
    given = [
        keras.KerasTensor((1, *(_SIDE if side is None else side for side in tensor.shape[1:])), tensor.dtype)
        for tensor in graph.inputs
    ]
    found = iter(tree.flatten(keras.Function(graph.inputs, tensors).compute_output_spec(given)))
    values = [math.prod(side or 1 for side in next(found).shape) for _ in tensors]
    ends = np.cumsum([len(node.output_tensors) for node in nodes])
    return np.array([sum(part) for part in np.split(np.array(values, float), ends[:-1])])


def _call(graph: Any, blocks: list[list[Any]], *, alone: set[int]) -> Callable[..., Any]:
    """Makes what takes the place of a network's `call`."""
    plain, plans = graph.call, []
    for number, block in enumerate(blocks):
        inside = {id(tensor) for tensor in _tensors(block)}
        later = {id(tensor) for other in blocks[number + 1 :] for node in other for tensor in node.input_tensors}
        later |= {id(tensor) for tensor in graph.outputs}
        needed = {id(t): t for node in block for t in node.input_tensors if id(t) not in inside}
        given = {id(t): t for t in _tensors(block) if id(t) in later}
        plans.append((block, list(needed), list(given), *_variables(block)))

    def call(inputs: Any, training: bool | None = None, mask: Any = None, **others: Any) -> Any:
        if not training or any(isinstance(value, keras.KerasTensor) for value in tree.flatten(inputs)):
            return plain(inputs, training=training, mask=mask, **others)
        standard = graph._standardize_inputs(inputs)
        values = dict(zip((id(tensor) for tensor in graph.inputs), standard, strict=True))
        for block, needed, given, trained, kept in plans:
            if block is blocks[-1] or id(block[0].operation) in alone:
                _run(block, values, training)
            else:
                _run_block(block, needed, given, trained, kept, values, training)
        outputs = [values[id(tensor)] for tensor in graph.outputs]
        return tree.pack_sequence_as(graph._outputs_struct, outputs)

    return call


def _variables(block: list[Any]) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """Those that are trained, and the others: moving statistics and seeds."""
    owners = [node.operation for node in block if isinstance(node.operation, keras.layers.Layer)]
    trained = {id(variable): variable for owner in owners for variable in owner.trainable_variables}
    kept = {id(variable): variable for owner in owners for variable in owner.non_trainable_variables}
    return list(trained.values()), list(kept.values())


def _run(block: list[Any], values: dict[int, Any], training: bool) -> None:
    for node in block:
        arguments, named = node.arguments.fill_in(values)
        if isinstance(node.operation, keras.layers.Layer):
            named = {**named, "training": training}
        outputs = tree.flatten(node.operation(*arguments, **named))
        values.update(zip((id(tensor) for tensor in node.output_tensors), outputs, strict=True))


def _run_block(
    block: list[Any],
    needed: list[int],
    given: list[int],
    trained: list[keras.Variable],
    kept: list[keras.Variable],
    values: dict[int, Any],
    training: bool,
) -> None:
    """Runs a block as a pure function of tensors, weights and states, whose gradient computes it anew."""
    variables = [*trained, *kept]
    # Copies: on the way back the variables are no longer what they were.
    states = [keras.ops.copy(variable) for variable in variables]
    flat = [*(values[tensor] for tensor in needed), *states]
    # Only these may have a gradient; masks and seeds are closed over.
    floating = [number for number, value in enumerate(flat) if _is_floating(value)]
    masks: set[int] = set()

    def pure(*arguments: Any) -> tuple[Any, ...]:
        placed = list(flat)
        for number, value in zip(floating, arguments, strict=True):
            placed[number] = value
        inside = dict(zip(needed, placed))
        with keras.StatelessScope(state_mapping=list(zip(variables, placed[len(needed) :], strict=True))) as scope:
            _run(block, inside, training)
        masks.update(tensor for tensor in given if keras.backend.standardize_dtype(inside[tensor].dtype) == "bool")
        # TensorFlow makes zeros as the gradients of whole numbers, and fails with booleans.
        outputs = (keras.ops.cast(inside[t], "float32") if t in masks else inside[t] for t in given)
        return (*outputs, *(scope.get_current_value(variable) for variable in kept))

    results = keras.remat(pure)(*(flat[number] for number in floating))
    for tensor, value in zip(given, results):
        values[tensor] = keras.ops.cast(value, "bool") if tensor in masks else value
    for variable, value in zip(kept, results[len(given) :], strict=True):
        variable.assign(value)


def _is_floating(value: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(value.dtype)
