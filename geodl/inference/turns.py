"""Test-time augmentation: a network sees each tile mirrored and turned as well, and its answers are averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import lcm
from typing import Literal

import numpy as np

from geodl.contract import Contract, OutputKind
from geodl.errors import ContractError, OptionError
from geodl.inference.converted import Call

__all__ = ("Turns", "with_turns")

Turns = Literal[1, 2, 4, 8]
"""How many turns are averaged: 1: none but the scene itself; 2: it and its mirror image, left and right exchanged;
4: left and right, top and bottom exchanged, or both, or neither; 8: these, and each with rows and columns exchanged:
all symmetries of the square."""

_ROWS = 128
"""Rows that are turned into probabilities at a time, to keep the temporaries small."""


def with_turns(call: Call, count: Turns, *, contract: Contract) -> Call:
    """Wraps a network so that each answer is the mean over mirrored and turned views of its input.

    Of classes the probabilities are averaged, and the logarithm of the mean is returned: the softmax of that is the
    mean itself. Of bands the values are averaged, in physical units; they must be such that turning the scene leaves
    them what they are, unlike the components of a velocity. It pays for networks that were trained on mirrored and
    turned samples (`Augmentation`), and takes `count` times as long.

    Tiling stays exact. Before it is turned, a tile is filled up with nodata, below and at the right, to a multiple of
    the network's lattice (its total stride), so that the cells of its poolings are, in every turn, those of the scene
    filled up alike; networks that fill up by themselves do the same, but in a turned tile at what was its top or its
    left. The receptive margin is the greatest of all sides and so holds in every turn. A tile that overlaps its
    neighbours by twice the margin thus gives what one whole pass of the scene, wrapped like this, gives.

    Args:
        call: the network: float (batch, height, width, band) to (batch, height * scale, width * scale, channel).
        count: see `Turns`; with 1, `call` itself is returned.
        contract: of the network: its lattice, its size rules and what its output means.

    Returns:
        A function like `call`, for any height and width that `call` takes, as safe to share between threads. One turn
        is worked on at a time; beyond what `call` needs, a copy of the input and of the output are kept.

    Raises:
        OptionError: another count; or 8 turns of a network whose fixed input is not square.
        ContractError: the output is no raster.

    Example:

    >>> call = with_turns(model.call, 4, contract=model.contract)
    >>> probabilities = softmax(call(tile[None]), axis=-1)
    """
    if count not in (1, 2, 4, 8):
        raise OptionError("turns (--tta)", expected="1, 2, 4 or 8", received=count)
    output = contract.output
    if output.kind not in _AVERAGED:
        raise ContractError(
            f"An output of kind {output.kind!r} cannot be turned. Expected one of: {', '.join(_AVERAGED)}."
        )
    axes = contract.input.dim("y"), contract.input.dim("x")
    sizes = axes[0].size, axes[1].size
    if count == 8 and sizes[0] != sizes[1]:
        expected = f"1, 2 or 4 for a network with a fixed input of {sizes}"
        raise OptionError("turns (--tta)", expected=expected, received=count)
    if count == 1:
        return call
    # Rows become columns and columns rows, so that both need what either asks for. A fixed size has to stay.
    multiple = lcm(*(axis.lattice for axis in axes), *(axis.multiple for axis in axes))
    multiples = (1 if sizes[0] else multiple, 1 if sizes[1] else multiple)
    return partial(_mean, call, _turns(count), multiples, output.scale, _AVERAGED[output.kind])


@dataclass(frozen=True)
class _Turn:
    """One symmetry of the square, of images (batch, height, width, channel)."""

    transposed: bool
    upside_down: bool
    mirrored: bool

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Returns a view: rows and columns exchanged, then mirrored."""
        turned = images.swapaxes(1, 2) if self.transposed else images
        return turned[:, :: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]

    def undo(self, images: np.ndarray) -> np.ndarray:
        """Returns a view of what `apply` was given."""
        straight = images[:, :: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return straight.swapaxes(1, 2) if self.transposed else straight


def _turns(count: int) -> tuple[_Turn, ...]:
    """The first `count` symmetries; those that keep the shape come first, so that it changes once only."""
    every = (_Turn(t, u, m) for t in (False, True) for u in (False, True) for m in (False, True))
    return tuple(every)[:count]


def _mean(
    call: Call,
    turns: tuple[_Turn, ...],
    multiples: tuple[int, int],
    scale: int,
    averaged: _Averaged,
    inputs: np.ndarray,
) -> np.ndarray:
    """Runs the network on all turns of the inputs; see `with_turns`."""
    height, width = inputs.shape[1:3]
    beyond = ((0, 0), *((0, -size % n) for size, n in zip((height, width), multiples, strict=True)), (0, 0))
    whole = np.pad(inputs, beyond, constant_values=np.nan) if np.any(beyond) else inputs
    total: np.ndarray | None = None
    for turn in turns:
        output = turn.undo(call(np.ascontiguousarray(turn.apply(whole))))[:, : height * scale, : width * scale]
        if total is None:
            total = np.zeros(output.shape, output.dtype)
        for k in range(len(total)):
            for begin in range(0, total.shape[1], _ROWS):
                rows = slice(begin, begin + _ROWS)
                total[k, rows] += averaged.of(output[k, rows])
        del output  # Not needed while the network works on the next turn.
    assert total is not None
    total /= len(turns)
    return averaged.back(total)


@dataclass(frozen=True)
class _Averaged:
    """The quantity that is averaged."""

    of: Callable[[np.ndarray], np.ndarray]
    """From some rows (height, width, channel) of what the network gives to the quantity."""
    back: Callable[[np.ndarray], np.ndarray]
    """From its mean (batch, height, width, channel) to what the network would have given; may work in place."""


def _probabilities(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    # With the channels first this takes a fifth of the time.
    return np.moveaxis(softmax(np.ascontiguousarray(np.moveaxis(logits, -1, 0)), axis=0), 0, -1)


def _logarithm(probabilities: np.ndarray) -> np.ndarray:
    # One too small for a float must not become minus infinity, of which blending would make not-a-number.
    np.maximum(probabilities, np.finfo(probabilities.dtype).tiny, out=probabilities)
    return np.log(probabilities, out=probabilities)


def _same(values: np.ndarray) -> np.ndarray:
    return values


_AVERAGED: dict[OutputKind, _Averaged] = {
    "classes": _Averaged(_probabilities, _logarithm),
    "bands": _Averaged(_same, _same),
}
