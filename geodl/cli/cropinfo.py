"""`geodl info` of networks for time series, and whether cubes and tables fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.cli.terminal import Answer
from geodl.errors import GeodlError

if TYPE_CHECKING:
    from geodl.contract import Contract

__all__ = ("print_classifier", "print_series")

_LISTED = 256
"""Bands that are listed."""


def print_classifier(to: Answer, name: str, contract: Contract) -> None:
    """Prints what series a network eats, and what it tells apart.

    Args:
        to: where.
        name: of its bundle.
        contract: of the network.
    """
    eaten, time = contract.input, contract.input.dim("time")
    rows = [
        ("pipeline", contract.pipeline),
        ("geodl", contract.geodl_version or "–"),
        ("output", contract.output.kind),
        ("dates", "any number" if time.size is None else f"{time.size}"),
        ("calendar", _days(eaten.days, time.unit) if eaten.days else "none: trained on series of various dates"),
    ]
    if time.step is not None:
        rows.append(("time step", f"{time.step:g} {time.unit}".strip() + " (median)"))
    if eaten.cloud_band:
        values = ", ".join(f"{value:g}" for value in eaten.cloud_values)
        rows.append(("clouds", f"where {eaten.cloud_band} is {values}"))
    to.table(name, ("property", "value"), rows, heading=False)
    to.table("Bands", ("band", "unit"), [(band.name, band.unit or "–") for band in eaten.bands[:_LISTED]])
    if len(eaten.bands) > _LISTED:
        to.line(f"… and {len(eaten.bands) - _LISTED} more bands.")
    classes = [(c.value, c.name, c.colour) for c in contract.output.classes]
    to.table("Classes", ("value", "name", "colour"), classes)


def print_series(to: Answer, source: Any, contract: Contract) -> bool:
    """Prints what a cube or a table holds, and returns whether a network can be given it.

    Args:
        to: where.
        source: as `SeriesClassifier.predict` takes it.
        contract: of the network.
    """
    from geodl.inference.seriestable import is_table

    name = source if isinstance(source, str) else f"{source[0]} and {len(source) - 1} more"
    try:
        rows = _of_table(source, contract) if is_table(source) else _of_cube(source, contract)
    except GeodlError as error:
        to.line(f"{name}: does not fit. {error}")
        return False
    to.table(name, ("property", "value"), rows, heading=False)
    to.line("Fits.")
    return True


def _of_cube(source: Any, contract: Contract) -> list[tuple[str, str]]:
    from geodl.inference.pixelseries import PixelSeries, series_cube

    series = PixelSeries(series_cube(source, contract), contract.input)
    grid, dates = series.grid, series.dates
    y, x = grid.resolution
    return [
        ("size", f"{grid.width} × {grid.height} pixels"),
        ("pixel size", f"{x:.6g} × {y:.6g} {grid.unit or 'pixels'}"),
        ("dates", _span(series.cube.times)),
        ("dates used", f"{int((dates >= 0).sum())} of {len(dates)} that the network gets"),
        ("bands", ", ".join(band.name for band in series.cube.bands)),
    ]


def _of_table(source: Any, contract: Contract) -> list[tuple[str, str]]:
    from geodl.data.series.calendar import fit_days
    from geodl.inference.pixelseries import own_days
    from geodl.inference.seriestable import read_table

    table, eaten = read_table(source, contract), contract.input
    days = own_days(table.days, dated=table.dated, where=table.name, eaten=eaten)
    values, _ = fit_days(table.values, days, eaten.days, fixed=eaten.dim("time").size, name=table.name)
    rows = [
        ("series", f"{len(table)}" + (f" ({n} without an observation)" if (n := int((~table.observed).sum())) else "")),
        ("dates", f"up to {table.length}, day {np.nanmin(table.days):g} to {np.nanmax(table.days):g}"),
        (
            "dates used",
            f"up to {int(np.isfinite(values).any(2).sum(1).max())} of {values.shape[1]} that the network gets",
        ),
        ("bands", ", ".join(band.name for band in table.bands)),
    ]
    return rows + ([("columns", ", ".join(table.columns))] if table.columns else [])


def _days(days: tuple[float, ...], unit: str) -> str:
    return f"{len(days)} dates" + (f", day {days[0]:g} to {days[-1]:g} of the year" if unit else " without days")


def _span(times: np.ndarray | None) -> str:
    from geodl.data.source import time_span

    assert times is not None
    span = time_span(times)
    return f"{len(times)}" + (f", {span[0]} to {span[1]}" if span else ", not stated")
