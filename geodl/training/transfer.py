"""Fine-tuning: the weights of a trained network, taken over by one for other bands or classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from geodl.errors import BundleError
from geodl.training.weights import values_of

__all__ = ("Transfer", "transfer")

_SIDE = 16
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


@dataclass(frozen=True)
class Transfer:
    """What was taken over."""

    copied: tuple[str, ...]
    """Layers whose weights were copied, those mapped by name among them."""
    fresh: tuple[str, ...]
    """Layers with weights that keep their first ones."""
    new_bands: tuple[str, ...]
    """Bands that the trained network did not have; their kernels are 0."""
    new_classes: tuple[str, ...]
    """Classes that the trained network did not have; their kernels are random."""

    def __str__(self) -> str:
        parts = [f"{len(self.copied)} of {len(self.copied) + len(self.fresh)} layers taken over"]
        parts += [f"new bands: {', '.join(self.new_bands)}"] if self.new_bands else []
        parts += [f"new classes: {', '.join(self.new_classes)}"] if self.new_classes else []
        parts += [f"untrained: {', '.join(self.fresh)}"] if self.fresh else []
        return "; ".join(parts)


def transfer(
    source: keras.Model,
    target: keras.Model,
    *,
    bands: tuple[Sequence[str], Sequence[str]],
    classes: tuple[Sequence[str], Sequence[str]],
) -> Transfer:
    """Copies weights between layers of one name and shape; input bands and output classes find theirs by name.

    The first layers' kernels are rearranged by band: a new band starts with zeros, so that the network gives at first
    what it gave without it, and learns to use it. The last layers' are rearranged by class: a new class starts with
    random weights. Statistics of normalisation inside the network stay those of the new data. Which channel of a layer
    belongs to which band or class is found by trying, through whatever lies between (padding, pixel unshuffling).

    Args:
        source: the trained functional network.
        target: the new one, of the same architecture; is changed.
        bands: names of the input bands, in order, of source and target.
        classes: names of the output classes, in order, of source and target; empty where outputs have no names.

    Returns:
        What was taken over.

    Raises:
        BundleError: the networks have nothing in common.

    Example:
        >>> report = transfer(bundle.network, network, bands=(["B02", "B03"], ["B03", "B08"]), classes=(old, new))
        >>> print(report)
        23 of 23 layers taken over; new bands: B08
    """
    pairs = _pairs(source, target)
    kernels = _band_maps(source, target, bands) if tuple(bands[0]) != tuple(bands[1]) else {}
    heads = _class_maps(source, target, classes) if tuple(classes[0]) != tuple(classes[1]) else {}
    copied: list[str] = []
    fresh: list[str] = []
    for new, old in pairs:
        done = old is not None and _copy(old, new, inputs=kernels.get(new.name), outputs=heads.get(new.name))
        (copied if done else fresh).append(new.name)
    if not copied:
        raise BundleError(
            "train.init",
            "none of its layers has a name and shape of the new network's",
            advice="Set `network` as in the recipe of that bundle.",
        )
    return Transfer(
        tuple(copied),
        tuple(fresh),
        tuple(name for name in bands[1] if name not in bands[0]),
        tuple(name for name in classes[1] if name not in classes[0]),
    )


def _pairs(source: keras.Model, target: keras.Model) -> list[tuple[keras.Layer, keras.Layer | None]]:
    """Pairs layers that have weights by name; by order where Keras alone has counted the names up."""
    new = [layer for layer in target.layers if layer.weights]
    old = [layer for layer in source.layers if layer.weights]
    names = {layer.name: layer for layer in old}
    strangers = not any(layer.name in names for layer in new)
    if strangers and [type(layer) for layer in new] == [type(layer) for layer in old]:
        return list(zip(new, old, strict=True))
    return [(layer, names.get(layer.name)) for layer in new]


_Map = list[int | None]
"""For each channel of the target's layer the source's channel, or None."""


def _copy(old: keras.Layer, new: keras.Layer, *, inputs: _Map | None, outputs: _Map | None) -> bool:
    """Copies one layer's weights, rearranged where there is a map; says whether it could."""
    if len(old.weights) != len(new.weights):
        return False
    values = values_of(old.weights)
    if inputs is not None:
        kernel = _position(new, _kernel(new))
        values[kernel] = _rearranged(values[kernel], np.zeros(new.weights[kernel].shape, "float32"), inputs, axis=-2)
    if outputs is not None:
        kernel, bias = _position(new, _kernel(new)), _position(new, new.bias)
        first = values_of(new.weights)
        axis = -2 if isinstance(new, _TRANSPOSED) else -1
        values[kernel] = _rearranged(values[kernel], first[kernel], outputs, axis=axis)
        values[bias] = _rearranged(values[bias], first[bias], outputs, axis=0)
    if any(value.shape != tuple(weight.shape) for value, weight in zip(values, new.weights, strict=True)):
        return False
    for value, weight in zip(values, new.weights, strict=True):
        weight.assign(value)
    return True


def _rearranged(old: np.ndarray, filled: np.ndarray, channels: _Map, *, axis: int) -> np.ndarray:
    """Returns `filled` with the channels of `old` that the map names, or `old` where they do not fit."""
    moved, result = np.moveaxis(old, axis, 0), np.moveaxis(filled.copy(), axis, 0)
    known = [(here, there) for here, there in enumerate(channels) if there is not None]
    if not known or moved.shape[1:] != result.shape[1:] or len(channels) != len(result):
        return old
    for here, there in known:
        result[here] = moved[there]
    return np.moveaxis(result, 0, axis)


def _kernel(layer: keras.Layer) -> keras.Variable | None:
    """The variable that mixes a layer's input channels, its last axis but one."""
    kernel: keras.Variable | None = getattr(getattr(layer, "cell", layer), "kernel", None)
    return kernel


def _position(layer: keras.Layer, variable: keras.Variable | None) -> int:
    return [id(weight) for weight in layer.weights].index(id(variable))


def _band_maps(source: keras.Model, target: keras.Model, bands: tuple[Sequence[str], Sequence[str]]) -> dict[str, _Map]:
    """Maps of the input channels of the target's first layers."""
    old = [list(names) for names in _bands_of_first(source, bands[0]).values()]
    new = _bands_of_first(target, bands[1])
    return {name: _match(there, here) for (name, here), there in zip(new.items(), old, strict=False)}


def _bands_of_first(model: keras.Model, bands: Sequence[str]) -> dict[str, list[str]]:
    """Finds the layers that see the bands before any other has mixed them: name → band of each input channel."""
    pure = {id(tensor) for tensor in model.inputs}
    first: list[keras.Layer] = []
    for operation in model.operations:
        tensors = keras.tree.flatten(operation.input)
        if not all(id(tensor) in pure for tensor in tensors):
            continue
        if _kernel(operation) is not None:
            first.append(operation)
        elif not getattr(operation, "weights", ()):
            pure |= {id(tensor) for tensor in keras.tree.flatten(operation.output)}
    if not first:
        return {}
    probe = keras.Model(model.inputs[0], [layer.input for layer in first])
    shape = tuple(_SIDE if size is None else size for size in model.inputs[0].shape[1:])

    def respond(image: np.ndarray) -> list[np.ndarray]:
        outputs = probe(image[None], training=False)
        return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(outputs)]

    still = respond(np.zeros(shape, "float32"))
    names: list[list[str]] = [[""] * output.shape[-1] for output in still]
    for number, band in enumerate(bands):
        image = np.zeros(shape, "float32")
        image[..., number] = 1000.0
        for channels, before, after in zip(names, still, respond(image), strict=True):
            for channel in np.flatnonzero((before != after).reshape(-1, len(channels)).any(0)):
                channels[channel] = band
    return {layer.name: channels for layer, channels in zip(first, names, strict=True)}


def _class_maps(
    source: keras.Model, target: keras.Model, classes: tuple[Sequence[str], Sequence[str]]
) -> dict[str, _Map]:
    """Maps of the output channels of the target's last layers."""
    old = list(_classes_of_last(source, classes[0]).values())
    new = _classes_of_last(target, classes[1])
    return {name: _match(there, here) for (name, here), there in zip(new.items(), old, strict=False)}


def _classes_of_last(model: keras.Model, classes: Sequence[str]) -> dict[str, list[str]]:
    """Finds the layers after which nothing is learnt: name → class of each output channel."""
    late = {id(tensor) for tensor in model.outputs}
    last: list[keras.Layer] = []
    for operation in reversed(model.operations):
        if not any(id(tensor) in late for tensor in keras.tree.flatten(operation.output)):
            continue
        if _kernel(operation) is not None:
            if getattr(operation, "bias", None) is not None:
                last.append(operation)
        elif not getattr(operation, "weights", ()):
            late |= {id(tensor) for tensor in keras.tree.flatten(operation.input)}
    shape = tuple(_SIDE if size is None else size for size in model.inputs[0].shape[1:])
    return {
        layer.name: _classes_by_bias(layer, lambda: model(np.zeros((1, *shape), "float32"), training=False), classes)
        for layer in last
    }


def _classes_by_bias(layer: keras.Layer, respond: Callable[[], object], classes: Sequence[str]) -> list[str]:
    """Gives each bias a number of its own and reads those numbers off the classes that they reach."""
    kernel, bias = _kernel(layer), layer.bias
    assert kernel is not None
    before = values_of([kernel, bias])
    names = [""] * bias.shape[0]
    try:
        kernel.assign(np.zeros(kernel.shape, "float32"))
        bias.assign(np.arange(1, len(names) + 1, dtype="float32"))
        output = np.asarray(keras.ops.convert_to_numpy(respond()))
    finally:
        kernel.assign(before[0])
        bias.assign(before[1])
    for number, name in enumerate(classes):
        for channel in np.unique(output[..., number]):
            if 1 <= channel <= len(names) and channel == round(float(channel)):
                names[int(channel) - 1] = name
    return names


def _match(old: Sequence[str], new: Sequence[str]) -> _Map:
    """For each new channel the old one of the same name; the second of a name is matched with the second."""
    places: dict[tuple[str, int], int] = {}
    for place, name in enumerate(old):
        places[name, list(old[:place]).count(name)] = place
    return [places.get((name, list(new[:place]).count(name))) if name else None for place, name in enumerate(new)]
