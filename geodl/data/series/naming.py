"""Which column of a table holds the label, the date, the series, the place and the part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodl.data.series.sheets import Sheet
from geodl.errors import SeriesUnusable, nearest

__all__ = (
    "GROUPS",
    "LABELS",
    "PART_WORDS",
    "SERIES",
    "Roles",
    "Wanted",
    "detect_label",
    "find_roles",
    "is_group",
    "official_parts",
)

LABELS = (
    "label", "class", "crop", "crop_type", "croptype", "crop_name", "class_name", "classname", "landcover", "land_cover",
    "landuse", "land_use", "lulc", "target",
)  # fmt: skip
"""What the column of the label is called, in lower case; also y, where there is no x."""
SERIES = (
    "series", "series_id", "sample_id", "sample", "pixel_id", "point_id", "id", "system:index", "plot_id", "parcel_id",
    "field_id", "parcel", "field", "plot", "point", "pixel", "station", "site", "fid", "uid",
)  # fmt: skip
"""What the column that tells series apart is called, the finest first."""
GROUPS = (
    "parcel",
    "field",
    "plot",
    "polygon",
    "region",
    "country",
    "district",
    "tile",
    "block",
    "year",
    "season",
    "fold",
)
"""Columns, as such or with _id behind, that are never bands unless they are named as such."""
_TIMES = (
    "date",
    "time",
    "datetime",
    "timestamp",
    "acquisition_date",
    "days_since_1970",
    "doy",
    "day_of_year",
    "day",
    "t",
)
_PARTS = ("split", "part", "set", "subset")
PART_WORDS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_COORDINATES = (("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"), ("long", "lat"), ("x", "y"))


@dataclass(frozen=True)
class Wanted:
    """What the user says of the columns; see `open_series`."""

    bands: tuple[str, ...] | None = None
    label: str | None = None
    time: str | None = None
    series: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    cloud_band: str = ""

    @property
    def read(self) -> tuple[str, ...] | None:
        """The bands and, behind them, that of the clouds; None: all."""
        if self.bands is None or not self.cloud_band or self.cloud_band in self.bands:
            return self.bands
        return (*self.bands, self.cloud_band)


@dataclass(frozen=True)
class Roles:
    """What columns are for."""

    label: str | None
    time: str | None
    series: tuple[str, ...]
    """Candidates, unless the user named them."""
    part: str | None
    coordinates: tuple[str, str] | None

    @property
    def named(self) -> set[str]:
        """Columns that are neither bands nor further columns."""
        return {name for name in (self.label, self.time, self.part, *(self.coordinates or ())) if name is not None}


def detect_label(names: Sequence[str], *, where: str) -> str | None:
    """Finds the column of the label by its name: label, class, crop, landcover, y, …; None where there is none.

    Raises:
        SeriesUnusable: several have such a name.
    """
    lower = {name.lower(): name for name in reversed(names)}
    found = [lower[name] for name in LABELS if name in lower]
    if not found and "y" in lower and "x" not in lower:
        return lower["y"]
    if len(found) > 1:
        raise SeriesUnusable(
            where,
            f"each of the columns {' and '.join(found)} may hold the label",
            advice="Say which (label); an empty text means none.",
        )
    return found[0] if found else None


def find_roles(sheet: Sheet, wanted: Wanted) -> Roles:
    """Finds what the columns of a sheet are for; those that are wanted as bands are nothing else.

    Raises:
        SeriesUnusable: there is no column as the user names, or several may hold the label.
    """
    names = sheet.names
    named = [wanted.label, wanted.time, *wanted.series, *wanted.columns]
    for name in named:
        if name and name not in names:
            shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
            raise SeriesUnusable(
                sheet.where, f"there is no column {name}", advice=f"Columns: {shown}.{nearest(name, names)}"
            )
    taken = {*(wanted.read or ()), *(name for name in named if name)}
    free = [name for name in names if name not in taken] if sheet.headed else []
    lower = {name.lower(): name for name in reversed(free)}
    label = wanted.label if wanted.label is not None else detect_label(free, where=sheet.where)
    pairs = [(lower[x], lower[y]) for x, y in _COORDINATES if x in lower and y in lower]
    parts = [lower[name] for name in _PARTS if name in lower]
    return Roles(
        label or None,
        wanted.time or next((lower[name] for name in _TIMES if name in lower and lower[name] != label), None),
        wanted.series or tuple(lower[name] for name in SERIES if name in lower and lower[name] != label),
        next((name for name in parts if _holds_parts(sheet, name)), None),
        pairs[0] if pairs else None,
    )


def is_group(name: str) -> bool:
    """Says whether a column is called as groups of series are: parcel, region, year, …, as such or with _id behind."""
    return name.lower().removesuffix("_id") in GROUPS


def official_parts(cells: np.ndarray, where: str, column: str) -> np.ndarray:
    """Returns train, validation or test for each cell of a column of parts.

    Raises:
        SeriesUnusable: a cell is empty.
    """
    words = [str(cell).strip().lower() for cell in cells]
    lost = next((k for k, word in enumerate(words) if word not in PART_WORDS), None)
    if lost is not None:
        raise SeriesUnusable(
            where,
            f"column {column} does not say of each series which part it belongs to (series {lost + 1} has none)",
            advice="Write train, validation or test into each row, or rename the column.",
        )
    return np.array([PART_WORDS[word] for word in words])


def _holds_parts(sheet: Sheet, name: str) -> bool:
    stated = {str(cell).strip().lower() for cell in sheet.frame[name].dropna().unique()}
    return bool(stated) and stated <= set(PART_WORDS)
