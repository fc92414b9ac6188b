"""Networks for radar, given scenes in another unit than theirs, or single-look complex data."""

from __future__ import annotations

from functools import partial

import numpy as np

from geodl.inference.converted import Call
from geodl.physics.speckle import Unit, from_intensity, to_intensity

__all__ = ("HALF_LOOK", "PARTS", "in_unit", "of_parts")

HALF_LOOK = "half_look"
"""Band of a network that learnt from one part of complex data (MERLIN): the square of the real or of the imaginary part,
doubled, which is the intensity with the speckle of half a look."""
PARTS = ("real", "imaginary")
"""Bands of a scene that is complex data."""


def in_unit(network: Call, *, scene: Unit, own: Unit, back: bool) -> Call:
    """Wraps a network so that it eats values in the unit of a scene instead of its own.

    Args:
        network: eats values in its `own` unit.
        scene: unit of what the result eats.
        own: unit of the network.
        back: whether what it gives is in its own unit too, and is converted to the scene's; not so of classes.
    """
    return partial(_in_unit, network, scene, own, back)


def of_parts(network: Call) -> Call:
    """Wraps a network of half a look: both parts of complex data go through it, and its two answers are averaged."""
    return partial(_of_parts, network)


def _in_unit(network: Call, scene: Unit, own: Unit, back: bool, inputs: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        # Noise that was subtracted leaves negative values: no intensity, as a network in the scene's unit would take them.
        possible = inputs if scene == "dB" else np.maximum(inputs, 0)
        output = network(from_intensity(to_intensity(possible, scene), own).astype(np.float32))
        return from_intensity(to_intensity(output, own), scene).astype(np.float32) if back else output


def _of_parts(network: Call, inputs: np.ndarray) -> np.ndarray:
    squares = 2 * np.square(inputs)
    return 0.5 * (network(squares[..., :1]) + network(squares[..., 1:]))
