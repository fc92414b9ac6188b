"""Scores of emulators in tables that fit a terminal: for how long forecasts are valid, and what the flow is like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geodl.pipelines.evaluation import Evaluation
from geodl.pipelines.task import Table

__all__ = ("validity_tables",)

_TOLD = ("dtype", "truth", "ceilings (LT)", "Lyapunov time")
"""What of the protocol a valid prediction time means nothing without."""
_EXPONENTS = 6
"""Lyapunov exponents that are listed."""


def validity_tables(evaluation: Evaluation) -> tuple[Table, ...]:
    """Lays out valid prediction times by method, and the Lyapunov exponents of the learned flow.

    Args:
        evaluation: with the details of `geodl.metrics.dynamics.TrajectoryMetrics`, those of the baselines, and what
            `geodl.pipelines.climate.climate` adds.

    Returns:
        The tables; a star marks the best of each column.
    """
    details = evaluation.details
    methods = {evaluation.pipeline: evaluation, **evaluation.baselines}
    unit = details["unit"] or "time units"
    longest = max(details["vpt"], default=0.0)
    held = f", {details['censored']} valid to the end ({longest:.3g})" if details["censored"] else ""
    valid = {"vpt": "median", "vpt_q25": "lower quartile", "vpt_q75": "upper quartile"}
    told = [(name, str(evaluation.protocol[name])) for name in _TOLD if name in evaluation.protocol]
    tables = [
        _compared(f"Valid prediction time in {unit} ({details['forecasts']} forecasts{held})", methods, valid),
        Table("Known by", ("what", "is"), tuple(told)),
    ]
    if "lyapunov" in details:
        tables.append(_exponents(details["lyapunov"]))
    return tuple(tables)


def _compared(title: str, methods: Mapping[str, Evaluation], columns: Mapping[str, str]) -> Table:
    rows: list[tuple[object, ...]] = []
    for name, scored in methods.items():
        row: list[object] = [name]
        for key in columns:
            value = scored.metrics[key]
            best = all(value >= other.metrics[key] for other in methods.values())
            row.append(f"{value:.3g}" + ("*" if best else ""))
        rows.append((*row,))
    return Table(f"{title}; * best", ("method", *columns.values()), tuple(rows))


def _exponents(found: Mapping[str, Any]) -> Table:
    true = found["true"] or []
    rows = [
        (f"λ{number + 1}", f"{value:.4f}", f"{error:.4f}", f"{true[number]:.4f}" if number < len(true) else "–")
        for number, (value, error) in enumerate(zip(found["exponents"], found["error"], strict=True))
    ]
    return Table(
        "Lyapunov exponents per time unit", ("exponent", "learned", "standard error", "true"), tuple(rows[:_EXPONENTS])
    )
