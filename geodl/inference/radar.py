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


def in_unit(network: Call, *, scene: Unit, own: Unit) -> Call:
    """Wraps a network so that it eats and gives values in the unit of a scene instead of its own."""
    return partial(_in_unit, network, scene, own)


def of_parts(network: Call) -> Call:
    """Wraps a network of half a look: both parts of complex data go through it, and its two answers are averaged."""
    return partial(_of_parts, network)


def _in_unit(network: Call, scene: Unit, own: Unit, inputs: np.ndarray) -> np.ndarray:
    # What has no logarithm is nodata or the network's floor; either is what the network makes of it.
    with np.errstate(divide="ignore", invalid="ignore"):
        output = network(from_intensity(to_intensity(inputs, scene), own).astype(np.float32))
        return from_intensity(to_intensity(output, own), scene).astype(np.float32)


def _of_parts(network: Call, inputs: np.ndarray) -> np.ndarray:
    squares = 2 * np.square(inputs)
    return 0.5 * (network(squares[..., :1]) + network(squares[..., 1:]))
