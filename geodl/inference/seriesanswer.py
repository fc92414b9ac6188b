"""What a network says of series, as columns of a table beside what the table has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from geodl.contract import ClassInfo
from geodl.data.series.table import SeriesTable

__all__ = ("Answer", "answer_of", "parcel_frame", "table_frame")

_PROBABILITY = "probability_"


@dataclass(frozen=True)
class Answer:
    """Probabilities of the classes."""

    classes: tuple[ClassInfo, ...]
    probabilities: np.ndarray
    """float32 (series, class); not-a-number where nothing was observed."""

    @property
    def observed(self) -> np.ndarray:
        """Whether anything was observed: bool (series,)."""
        return np.isfinite(self.probabilities[:, 0])

    @property
    def labels(self) -> np.ndarray:
        """int64 (series,): position of the likeliest class, −1 where nothing was observed."""
        return np.where(self.observed, np.argmax(np.nan_to_num(self.probabilities), axis=1), -1)

    def columns(self, *, probabilities: bool = False, entropy: bool = False) -> dict[str, np.ndarray]:
        """Returns `class` (name, missing where nothing was observed), `confidence` and, on request, `entropy` (0 to 1) and
        `probability_NAME` for each class."""
        names = np.array([*(each.name for each in self.classes), None], object)
        found: dict[str, np.ndarray] = {"class": names[self.labels], "confidence": self.probabilities.max(axis=1)}
        if entropy:
            logs = np.log(np.maximum(self.probabilities, np.finfo(np.float32).tiny))
            uncertain = -(self.probabilities * logs).sum(axis=1) / np.log(max(len(self.classes), 2))
            found["entropy"] = np.clip(uncertain, 0, 1).astype(np.float32)
        if probabilities:
            for k, each in enumerate(self.classes):
                found[_PROBABILITY + each.name] = self.probabilities[:, k]
        return found


def answer_of(logits: np.ndarray, observed: np.ndarray, classes: Sequence[ClassInfo]) -> Answer:
    """Turns logits (series, classes) into an answer; `observed`: bool (series,)."""
    from scipy.special import softmax

    probabilities = softmax(logits.astype(np.float32, copy=False), axis=1)
    probabilities[~observed] = np.nan
    return Answer(tuple(classes), probabilities)


def table_frame(table: SeriesTable, answers: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Puts answers beside what a table says of its series.

    Args:
        table: the series.
        answers: columns (series,); they replace columns of their name.

    Returns:
        Columns `id`, those of the table, `year`, `part` and `label` where it has them, and the answers; a `GeoDataFrame`
        where the table says where its series are.
    """
    columns: dict[str, Any] = {"id": table.ids, **table.columns}
    if table.years is not None:
        columns.setdefault("year", table.years)
    if table.parts is not None:
        columns["part"] = table.parts
    if table.labels is not None:
        names = np.array([*(each.name for each in table.classes), None], object)
        columns["label"] = names[table.labels]
    frame = pd.DataFrame({**columns, **answers})
    if table.geometry is None:
        return frame
    import geopandas

    return geopandas.GeoDataFrame(frame, geometry=geopandas.GeoSeries(table.geometry), crs=table.crs)


def parcel_frame(parcels: pd.DataFrame, answers: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Puts answers beside the columns of parcels, whose geometry stays the last column."""
    geometry = parcels.geometry.name  # type: ignore[attr-defined]
    columns = [name for name in parcels.columns if name != geometry and name not in answers]
    return parcels[[*columns, geometry]].assign(**answers)[[*columns, *answers, geometry]]
