"""`geodl info` of radar sequences, and whether a network for nowcasting can forecast from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.cli.terminal import Answer
from geodl.errors import GeodlError

if TYPE_CHECKING:
    from geodl.contract import Contract

__all__ = ("print_sequence",)

_MINUTE = np.timedelta64(60, "s")


def print_sequence(to: Answer, name: str, spec: Any, contract: Contract, *, any_resolution: bool) -> bool:
    """Prints what a radar sequence is, and from which of its frames a forecast would be made.

    Args:
        to: where.
        name: of the sequence.
        spec: what `open_sequence` opens.
        contract: of a network for nowcasting.
        any_resolution: accept any pixel size.

    Returns:
        Whether a forecast can be made.
    """
    from geodl.data.radar import open_sequence
    from geodl.inference.recent import read_recent

    sequence = open_sequence(spec, name=name)
    grid, quantity = sequence.grid, sequence.quantity
    first, last = (str(time)[:16].replace("T", " ") for time in sequence.times[[0, -1]])
    step = "–" if np.isnat(sequence.step) else f"{sequence.step / _MINUTE:g} minutes"
    y, x = grid.resolution
    rows = [
        ("frames", f"{len(sequence.times)}, {first} to {last}"),
        ("step", step),
        ("missing", f"{len(sequence.missing)} frames"),
        ("stored as", quantity.unit + (f" in {quantity.minutes:g} minutes" if quantity.minutes else "")),
        ("size", f"{grid.width} × {grid.height} pixels"),
        ("pixel size", f"{x:.6g} × {y:.6g} {grid.unit or 'pixels'}"),
    ]
    to.table(name, ("property", "value"), rows, heading=False)
    try:
        recent = read_recent(sequence, contract, any_resolution=any_resolution)
    except GeodlError as error:
        to.line(f"Does not fit. {error}")
        return False
    begin, end = (str(time)[:16].replace("T", " ") for time in recent.times[[0, -1]])
    to.line(f"Fits: a forecast would be made from {len(recent.times)} frames, {begin} to {end}.")
    return True
