"""`geodl info` of networks that emulate a system, and whether states fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geodl.cli.terminal import Answer
from geodl.errors import GeodlError

if TYPE_CHECKING:
    from geodl.contract import Contract

__all__ = ("print_emulator", "print_states")

_LISTED = 12
"""Variables, and states, that are listed."""


def print_emulator(to: Answer, name: str, contract: Contract) -> None:
    """Prints what system a network emulates.

    Args:
        to: where.
        name: of its bundle.
        contract: of the network.
    """
    time, bands = contract.input.dim("time"), contract.input.bands
    rows = [
        ("pipeline", contract.pipeline),
        ("geodl", contract.geodl_version or "–"),
        ("output", contract.output.kind),
        ("time step", f"{time.step:g} {time.unit or 'time units'}"),
        ("computes in", contract.input.dtype),
        ("tells errors", "their covariance" if len(contract.output.bands) > len(bands) else "no"),
    ]
    to.table(name, ("property", "value"), rows, heading=False)
    to.table("Variables", ("variable", "unit"), [(band.name, band.unit or "–") for band in bands[:_LISTED]])
    if len(bands) > _LISTED:
        to.line(f"… and {len(bands) - _LISTED} more variables.")


def print_states(to: Answer, path: str, contract: Contract) -> bool:
    """Prints the states of a file, and returns whether forecasts can start from them.

    Args:
        to: where.
        path: of the file, as `Emulator.predict` takes it.
        contract: of the network.
    """
    from geodl.inference.statefile import read_starts

    try:
        starts = read_starts(path, contract)
    except GeodlError as error:
        to.line(f"Does not fit. {error}")
        return False
    names = [band.name for band in contract.input.bands[:_LISTED]]
    rows = [
        (label, *(f"{value:.6g}" for value in state[: len(names)]))
        for label, state in zip(starts.labels[:_LISTED], starts.values)
    ]
    to.table(f"{path}: {len(starts.values)} states", ("start", *names), rows)
    to.line("Fits.")
    return True
