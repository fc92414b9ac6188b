"""The series that a recipe of crops names: read from tables, or taken out of a cube of dates, and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geodl.contract import ClassInfo, Contract
from geodl.data.folds import Part
from geodl.data.series import SeriesTable, extract_series, open_series, split_series, take_days
from geodl.data.timecube import open_time_cube
from geodl.errors import RecipeError
from geodl.pipelines.task import Table
from geodl.recipe import ClassEntry, Dates, Recipe, Split

__all__ = ("read_series", "series_tables", "split_by_recipe")

_LISTED = 24
"""Bands that are listed."""


def read_series(recipe: Recipe, *, contract: Contract | None = None) -> SeriesTable:
    """Reads the labelled series of `data.series`; with `data.labels`, takes them out of the cube that this then is.

    Args:
        recipe: what is read, and how.
        contract: of a trained network, whose bands and classes are read; None: the recipe's.

    Raises:
        RecipeError: nothing is named, or something that series have no use for.
        GeodlError: what is named cannot be read, or does not fit the contract.
    """
    data = recipe.data
    for key in ("images", "targets", "sequences", "trajectories", "dataset"):
        if getattr(data, key) is not None:
            raise RecipeError(f"data.{key}", "crops learns from data.series (with data.labels where that is a cube).")
    if data.series is None:
        problem = "no series given. Set it to a table, or to a cube of dates with data.labels (--set data.series=…)."
        raise RecipeError("data.series", problem)
    bands: Sequence[str] | None = None if data.bands == "auto" else data.bands
    classes: Any = None if data.classes == "auto" else data.classes
    if contract is not None:
        bands, classes = [band.name for band in contract.input.bands], contract.output.classes
    elif isinstance(classes, list) and any(isinstance(entry, ClassEntry) for entry in classes):
        classes = [_class_info(k, entry) for k, entry in enumerate(classes)]
    clouds: dict[str, Any] = {}
    if data.clouds is not None:
        clouds = {"cloud_band": data.clouds.band, "cloud_values": tuple(data.clouds.values)}
    # Dates are stated for a table that has none, and chosen of any other.
    stated = data.dates.model_dump() if isinstance(data.dates, Dates) else None
    chosen = data.dates if isinstance(data.dates, list) else None
    if data.labels is not None:
        cube = open_time_cube(data.series, bands=bands, scale=data.scale, **clouds)
        table = extract_series(
            cube,
            data.labels,
            label=data.label_column,
            members=data.members,
            series=data.series_column,
            classes=classes,
        )
    else:
        table = open_series(
            data.series,
            bands=bands,
            label=data.label_column,
            time=data.time,
            series=data.series_column,
            columns=data.columns,
            dates=stated,
            classes=classes,
            **clouds,
        )
    return table if chosen is None else take_days(table, chosen)


def split_by_recipe(recipe: Recipe, table: SeriesTable) -> Mapping[Part, SeriesTable]:
    """Splits by the recipe. A fold is reported only, so it becomes the test part: no epoch is chosen on it.

    Raises:
        SplitError: the series cannot be split like this.
    """
    asked = recipe.data.split if isinstance(recipe.data.split, Split) else Split()
    rule = {**asked.rule(), "column": asked.column, "degrees": asked.degrees}
    split = dict(split_series(table, seed=recipe.seed, **rule))
    if asked.fold is not None and "validation" in split:
        split["test"] = split.pop("validation")
    return split


def series_tables(split: Mapping[Part, SeriesTable], calendar: Sequence[float]) -> tuple[Table, ...]:
    """Tells what the series are, and how many of each class there are in each part."""
    first = next(iter(split.values()))
    values = np.concatenate([table.values.reshape(-1, len(table.bands)) for table in split.values()])
    dates = (
        f"{len(calendar)} dates in all series" if calendar else f"up to {first.length} dates, of each series its own"
    )
    bands = []
    for band, column in zip(first.bands[:_LISTED], values.T, strict=False):
        seen = column[np.isfinite(column)]
        found = (
            [f"{value:.4g}" for value in (seen.min(), seen.mean(), seen.max(), seen.std())] if len(seen) else ["–"] * 4
        )
        bands.append((band.name, band.unit or "–", *found))
    # What lies behind the end of shorter series was never there to be observed.
    there = np.concatenate([np.isfinite(table.days).ravel() for table in split.values()])
    missing = 1 - np.isfinite(values[there]).mean()
    counts = [table.counts for table in split.values()]
    rows = [(info.value, info.name, *(int(count[k]) for count in counts)) for k, info in enumerate(first.classes)] + [
        ("", "all", *(int(count.sum()) for count in counts))
    ]
    return (
        Table(
            f"Bands ({dates}; {missing:.1%} not observed)",
            ("band", "unit", "least", "mean", "greatest", "deviation"),
            tuple(bands),
        ),
        Table("Labelled series", ("value", "class", *split), tuple(rows)),
    )


def _class_info(position: int, entry: str | ClassEntry) -> ClassInfo:
    from geodl.data.legend import class_colour

    if isinstance(entry, str):
        return ClassInfo(position, entry, class_colour(position))
    return ClassInfo(entry.value, entry.name, entry.colour or class_colour(position))
