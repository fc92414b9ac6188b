"""Series of crops: BreizhCrops and PASTIS as long tables, a row for each parcel and date."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.cards.card import Card
from geodl.wholefile import whole_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("breizhcrops", "pastis")

_COLUMNS = {
    "L1C": [
        "B1",
        "B10",
        "B11",
        "B12",
        "B2",
        "B3",
        "B4",
        "B5",
        "B6",
        "B7",
        "B8",
        "B8A",
        "B9",
        "QA10",
        "QA20",
        "QA60",
        "doa",
    ],
    "L2A": ["B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12", "CLD", "EDG", "SAT", "doa"],
}
"""Of the arrays of BreizhCrops; `doa` is the date in nanoseconds since 1970."""
_AT_ONCE = 2000
"""Parcels that are held in memory."""
_VOID = (0, 19)
"""Of PASTIS: background, and parcels that lie mostly outside a patch."""
_PASTIS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
_FOLDS = {1: "train", 2: "train", 3: "train", 4: "validation", 5: "test"}
_TABLE = "series.parquet"


def breizhcrops(
    folder: Path,
    card: Card,
    *,
    level: str = "L1C",
    year: int = 2017,
    train: Sequence[str],
    validation: Sequence[str] = (),
    test: Sequence[str] = (),
) -> list[str]:
    """Writes the parcels of BreizhCrops whose crop has a class as `series.parquet`.

    Args:
        folder: holds `classmapping.csv`, and for each region `YEAR/LEVEL/REGION.csv` and `.h5`.
        card: of the data set.
        level: `L1C` or `L2A`.
        year: of the images.
        train, validation, test: regions of each part; the column `split` is there if there is more than one part.

    Returns:
        The table: columns `series`, `region`, `date`, the bands, `label` and, maybe, `split`.
    """
    import h5py
    import pandas as pd

    classes = pd.read_csv(folder / "classmapping.csv", index_col=0)
    named = dict(zip(classes["code"].astype(str), classes["classname"].astype(str), strict=True))
    names = _COLUMNS[level]
    parts = [
        (region, part)
        for part, regions in (("train", train), ("validation", validation), ("test", test))
        for region in regions
    ]

    def frames() -> Iterator[pd.DataFrame]:
        for region, part in parts:
            place = folder / str(year) / level / region
            index = pd.read_csv(place.with_suffix(".csv"), index_col=0)
            index = index[index["CODE_CULTU"].astype(str).isin(named)]
            with h5py.File(place.with_suffix(".h5")) as file:
                for begin in range(0, len(index), _AT_ONCE):
                    some = index.iloc[begin : begin + _AT_ONCE]
                    arrays = [np.asarray(file[path], np.float64) for path in some["path"]]
                    counts = [len(array) for array in arrays]
                    values = np.concatenate(arrays)
                    labels = [named[str(code)] for code in some["CODE_CULTU"]]
                    numbers = np.arange(begin, begin + len(some))
                    rows: dict[str, Any] = {
                        "series": np.repeat([f"{region}_{number}" for number in numbers], counts),
                        "region": region,
                        "date": values[:, names.index("doa")].astype("int64").astype("datetime64[ns]"),
                        **{name: values[:, k].astype(np.float32) for k, name in enumerate(names) if name != "doa"},
                        "label": np.repeat(labels, counts),
                    }
                    yield pd.DataFrame(rows | ({"split": part} if len({each for _, each in parts}) > 1 else {}))

    return _written(folder, frames())


def pastis(folder: Path, card: Card, *, within: str = "PASTIS") -> list[str]:
    """Writes the parcels of PASTIS as `series.parquet`: of each date the mean of a parcel's pixels.

    Args:
        folder: of the data set.
        card: its classes give the names.
        within: folder of the archive.

    Returns:
        The table: columns `series`, `patch`, `fold`, `date`, the bands, `label` and `split` (folds 1-3, 4 and 5).
    """
    import pandas as pd

    home = folder / within
    named = {entry.value: entry.name for entry in card.classes}
    patches = [feature["properties"] for feature in json.loads((home / "metadata.geojson").read_text())["features"]]

    def frames() -> Iterator[pd.DataFrame]:
        for about in patches:
            patch, fold = about["ID_PATCH"], int(about["Fold"])
            images = np.load(home / "DATA_S2" / f"S2_{patch}.npy", mmap_mode="r")
            target = np.load(home / "ANNOTATIONS" / f"TARGET_{patch}.npy")[0].ravel()
            parcel = np.load(home / "INSTANCE_ANNOTATIONS" / f"INSTANCES_{patch}.npy").ravel()
            stated = about["dates-S2"]
            stated = json.loads(stated) if isinstance(stated, str) else stated
            days = [str(stated[key]) for key in sorted(stated, key=int)]
            dates = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days], "datetime64[D]")
            means, numbers, labels = _parcels(np.asarray(images), target, parcel)
            kept = [k for k, label in enumerate(labels) if label not in _VOID]
            if not kept:
                continue
            values = means[kept]  # (parcel, date, band)
            count = len(dates)
            rows: dict[str, Any] = {
                "series": np.repeat([f"{patch}_{numbers[k]}" for k in kept], count),
                "patch": str(patch),
                "fold": fold,
                "date": np.tile(dates.astype("datetime64[ns]"), len(kept)),
                **{name: values[..., k].ravel() for k, name in enumerate(_PASTIS)},
                "label": np.repeat([named[int(labels[k])] for k in kept], count),
                "split": _FOLDS[fold],
            }
            yield pd.DataFrame(rows)

    return _written(folder, frames())


def _parcels(images: np.ndarray, target: np.ndarray, parcel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of the pixels of each parcel, its number, and the class of most of its pixels.

    Args:
        images: shape (date, band, y, x).
        target: class of each pixel, flat.
        parcel: number of each pixel's parcel, 0 for none, flat.

    Returns:
        Means (parcel, date, band), numbers and classes (parcel,).
    """
    numbers, of = np.unique(parcel, return_inverse=True)
    counts = np.bincount(of)
    layers = images.reshape(-1, parcel.size)
    sums = np.stack([np.bincount(of, layer, len(numbers)) for layer in layers])
    means = (sums / counts).reshape(*images.shape[:2], -1).transpose(2, 0, 1).astype(np.float32)
    votes = np.zeros((len(numbers), int(target.max()) + 1), np.int64)
    np.add.at(votes, (of, target), 1)
    real = numbers != 0
    return means[real], numbers[real], votes.argmax(1)[real]


def _written(folder: Path, frames: Iterator[pd.DataFrame]) -> list[str]:
    """Writes tables one below the other, so that never all are in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(frames)
    schema = pa.Schema.from_pandas(first, preserve_index=False)
    with whole_file(folder / _TABLE) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for frame in itertools.chain([first], frames):
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
    return [_TABLE]
