"""Time series: from tables (CSV, Parquet, npz, UCR), and from cubes with labelled points or polygons."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from geodl.data.series.table import SeriesTable

if TYPE_CHECKING:
    from geodl.data.series.augmentation import SeriesAugmentation
    from geodl.data.series.calendar import common_days, fit_days, take_days
    from geodl.data.series.extraction import extract_series
    from geodl.data.series.gaps import fill_gaps
    from geodl.data.series.opening import open_series
    from geodl.data.series.samples import SeriesSamples
    from geodl.data.series.splitting import split_series

_MODULES = {
    "augmentation": ("SeriesAugmentation",),
    "calendar": ("common_days", "fit_days", "take_days"),
    "extraction": ("extract_series",),
    "gaps": ("fill_gaps",),
    "opening": ("open_series",),
    "samples": ("SeriesSamples",),
    "splitting": ("split_series",),
}
_NAMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = (
    "SeriesAugmentation",
    "SeriesSamples",
    "SeriesTable",
    "common_days",
    "extract_series",
    "fill_gaps",
    "fit_days",
    "open_series",
    "split_series",
    "take_days",
)


def __getattr__(name: str) -> Any:
    """Loads what is asked for: reading tables takes pandas, which is slow to import."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"geodl.data.series.{_NAMES[name]}"), name)
