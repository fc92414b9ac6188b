"""How far a network sees: its receptive margin and its total stride, read exactly from its graph.

The input pixels that an output pixel depends on are traced back through the graph, layer by layer and axis by axis, for
every output pixel within one period of the network's lattice. Strides, pooling phases, dilation and uneven padding are
thereby exact. The margin is structural: that a weight may be zero is not considered.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import keras
import numpy as np

from geodl.errors import OptionError
from geodl.models.taps import NOTHING, POINTWISE, Everything, Taps, layer_taps

__all__ = ("receptive_margin", "total_stride")

_logger = logging.getLogger(__name__)

_Tensor = tuple[int, ...]
"""A tensor of the graph: the ids of the calls of nested models that it lies in, then its own."""


def receptive_margin(model: keras.Model) -> int | None:
    """Returns how far an output pixel of a network sees.

    Two inputs that agree within the margin of a pixel give the same output there, however the rest differs, if both are
    cut at multiples of `total_stride(model)` or where the scene itself ends.

    Args:
        model: a functional or sequential Keras model on tensors `(batch, height, width, channels)`, as in inference.

    Returns:
        Greatest distance, in input pixels along y or x, of any output pixel to an input pixel that it depends on; None
        where it depends on the whole input (global pooling, group normalisation, attention, …) or on a layer that is
        not known here. The log (level info) names that layer.

    Raises:
        OptionError: the model has no graph (a subclassed model).

    Example:
        >>> image = keras.Input((None, None, 1))
        >>> receptive_margin(keras.Model(image, keras.layers.Conv2D(1, 5, padding="same")(image)))
        2
    """
    margins = [_margin(model, axis) for axis in (0, 1)]
    known = [margin for margin in margins if margin is not None]
    return max(known) if len(known) == len(margins) else None


def total_stride(model: keras.Model) -> int:
    """Returns the period of a network's lattice in input pixels: tiles must start at multiples of it.

    Shifting the input by that much shifts the output alike. A U-Net with four poolings has 16. Layers that see the
    whole input, or are not known, are taken to keep its resolution.
    """
    return math.lcm(*(_lattice(_steps(model, list(_edges(model, axis)))) for axis in (0, 1)))


@dataclass(frozen=True)
class _Edge:
    """Tensor `target` depends on tensor `source`."""

    source: _Tensor
    target: _Tensor
    taps: Taps


def _edges(model: keras.Model, axis: int, within: _Tensor = ()) -> Iterator[_Edge]:
    """Yields all edges between the model's tensors, sources first, nested models unfolded."""
    graph = _graph(model)
    if graph is None:
        raise OptionError("model", expected="a functional or a built sequential Keras model", received=model)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            sources = [(*within, id(tensor)) for tensor in node.input_tensors]
            targets = [(*within, id(tensor)) for tensor in node.output_tensors]
            if sources and _graph(node.operation) is not None:
                call = (*within, id(node))
                yield from (_Edge(s, (*call, id(t)), POINTWISE) for s, t in zip(sources, node.operation.inputs))
                yield from _edges(node.operation, axis, call)
                yield from (_Edge((*call, id(s)), t, POINTWISE) for s, t in zip(node.operation.outputs, targets))
            elif sources:
                taps = layer_taps(node.operation, axis, len(sources))
                yield from (_Edge(s, target, tap) for target in targets for s, tap in zip(sources, taps))


def _graph(operation: Any) -> Any:
    """Returns what holds the nodes of a functional or sequential model; None of anything else."""
    graph = getattr(operation, "_functional", None) or operation
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _steps(model: keras.Model, edges: list[_Edge]) -> dict[_Tensor, Fraction]:
    """Returns the input pixels per pixel of every tensor."""
    steps: dict[_Tensor, Fraction] = {(id(tensor),): Fraction(1) for tensor in model.inputs}
    for edge in edges:
        if edge.taps != NOTHING and edge.source in steps:
            steps.setdefault(edge.target, steps[edge.source] * edge.taps.step)
    return steps


def _lattice(steps: dict[_Tensor, Fraction]) -> int:
    """Returns the smallest number of input pixels that is a whole number of pixels in every tensor."""
    return math.lcm(*(step.numerator for step in steps.values()))


def _margin(model: keras.Model, axis: int) -> int | None:
    edges = list(_edges(model, axis))
    steps = _steps(model, edges)
    margin = 0
    for tensor in model.outputs:
        if len(tensor.shape) != 4:
            _logger.info("%s has no finite receptive margin: its output %s is no image.", model.name, tensor.shape)
            return None
        output = (id(tensor),)
        for pixel in range(int(_lattice(steps) / steps[output])):
            seen = _seen(output, pixel, edges)
            if isinstance(seen, Everything):
                _logger.info("%s has no finite receptive margin: %s.", model.name, seen.reason)
                return None
            # An output pixel lies over the input pixels first … last (one and the same at equal resolution).
            first, last = math.floor(pixel * steps[output]), math.ceil((pixel + 1) * steps[output]) - 1
            inputs = [seen[id(tensor),] for tensor in model.inputs if (id(tensor),) in seen]
            margin = max([margin, *(first - int(i.min()) for i in inputs), *(int(i.max()) - last for i in inputs)])
    return margin


def _seen(output: _Tensor, pixel: int, edges: list[_Edge]) -> dict[_Tensor, np.ndarray] | Everything:
    """Returns the indices in every tensor that one output pixel depends on, or the layer that sees everything."""
    seen = {output: np.array([pixel])}
    for edge in reversed(edges):
        if edge.target not in seen or edge.taps == NOTHING:
            continue
        if isinstance(edge.taps, Everything):
            return edge.taps
        sources = edge.taps.sources(seen[edge.target])
        if sources.size:
            seen[edge.source] = np.union1d(seen[edge.source], sources) if edge.source in seen else sources
    return seen
