"""Which classes occur in label files: their values, names and colours, and how often each occurs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from geodl.contract import ClassInfo
from geodl.data.labelfiles import LARGEST, label_file, labelled_values, read_stored
from geodl.data.legend import class_colour, colours_of, names_of
from geodl.data.rasterfile import RasterFile
from geodl.data.source import Window
from geodl.data.vectors import Layer, is_vector, read_layer
from geodl.errors import LabelsUnreadable, NoValidPixels

__all__ = ("infer_classes",)

_BLOCK_PIXELS = 1 << 22
_MOST_PIXELS = 1 << 26
"""Read at once, whatever a header says of the size of blocks."""
FilePath = str | os.PathLike[str]


def infer_classes(
    label_paths: Sequence[FilePath], *, column: str | None = None, ignore_label: int | None = None
) -> tuple[tuple[ClassInfo, ...], dict[int, int]]:
    """Finds the classes that occur in label files.

    Rasters are read whole, block by block: each value but nodata, `ignore_label` and negative ones is a class. Its
    name comes from the file's tags, category names or attribute table, else it is `class_<value>`; its colour from the
    colour table, else from `PALETTE`.

    In polygons a class is a value of `column`, by default the only column that can hold it or the one whose name says
    so (class, label, land cover, type, …), text before numbers. Numbers from 0 to 255 are values themselves; names take
    the numbers of a column that is one-to-one with theirs, if these are 0 to 255; all else is numbered from 1, sorted.

    Args:
        label_paths: rasters, or vector files; not both.
        column: column of the class in vector files.
        ignore_label: value that means unlabelled.

    Returns:
        The classes, sorted by value, and by value the number of pixels (rasters) or polygons (vectors).

    Raises:
        LabelsUnreadable: values beyond 255 or with fractions; rasters and polygons mixed; no such column.
        NoValidPixels: nothing is labelled.
    """
    paths = list(dict.fromkeys(os.fspath(path) for path in label_paths))
    vectors = [path for path in paths if is_vector(path)]
    if vectors and len(vectors) < len(paths):
        raise LabelsUnreadable(
            vectors[0], "the other labels are rasters", advice="Give labels of one kind, or state data.classes."
        )
    if vectors:
        return _classes_of_layers([read_layer(path) for path in vectors], column, ignore_label)
    counts: Counter[int] = Counter()
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    for path in paths:
        file = label_file(path)
        counts += _count(file, ignore_label)
        names, colours = {**names_of(file), **names}, {**colours_of(file), **colours}
    if not counts:
        raise NoValidPixels(_few(paths), "No pixel is labelled")
    values = sorted(counts)
    # Entries of a colour table that were never set are all black.
    shared = {colour for colour, times in Counter(colours.get(value) for value in values).items() if times > 1}
    colours = {value: colour for value, colour in colours.items() if colour not in shared}
    classes = tuple(
        ClassInfo(value, names.get(value, f"class_{value}"), colours.get(value, class_colour(k)))
        for k, value in enumerate(values)
    )
    return classes, {value: counts[value] for value in values}


def _count(file: RasterFile, ignore_label: int | None) -> Counter[int]:
    counts = np.zeros(LARGEST + 1, np.int64)
    for window in _strips(file):
        stored, labelled = read_stored(file, window, ignore_label)
        values = stored[labelled]
        wrong = values > LARGEST
        if values.dtype.kind == "f":
            wrong |= values != np.floor(values)
        if wrong.any():
            some = ", ".join(f"{value:g}" for value in np.unique(values[wrong])[:5])
            raise LabelsUnreadable(
                file.path, f"it holds values that are no whole numbers from 0 to {LARGEST} ({some})",
                advice="Renumber the classes, or set data.ignore_label if the value means unlabelled.",
            )  # fmt: skip
        counts += np.bincount(values.astype(np.uint8), minlength=LARGEST + 1)
    return Counter({value: int(count) for value, count in enumerate(counts) if count})


def _strips(file: RasterFile) -> Iterator[Window]:
    """Cuts a file into windows over whole rows of its blocks; into parts of rows where these are very long."""
    block, (height, width) = file.block[0], file.grid.shape
    rows = min(block * max(1, _BLOCK_PIXELS // (block * width)), _MOST_PIXELS)
    columns = max(1, _MOST_PIXELS // rows)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield Window(left, top, min(columns, width - left), min(rows, height - top))


def _classes_of_layers(
    layers: Sequence[Layer], column: str | None, ignore_label: int | None
) -> tuple[tuple[ClassInfo, ...], dict[int, int]]:
    counts: Counter[int | str] = Counter()
    codes: dict[int | str, int] = {}
    for layer in layers:
        chosen = column or layer.class_column()
        counts.update(value for value in labelled_values(layer, chosen, ignore_label) if value is not None)
        codes |= layer.codes(chosen)
    if not counts:
        raise NoValidPixels(_few([layer.path for layer in layers]), "No polygon is labelled")
    if len(counts) > LARGEST + 1:
        raise LabelsUnreadable(
            layers[0].path, f"column {column or layers[0].class_column()!r} holds {len(counts)} different values",
            advice="Expected at most 256 classes. Set data.label_column to the column that holds the class.",
        )  # fmt: skip
    found = sorted(counts, key=lambda value: (isinstance(value, str), value))
    numbers = {value: codes.get(value, value) for value in found}
    usable = {n for n in numbers.values() if isinstance(n, int) and 0 <= n <= LARGEST}
    if len(usable) < len(found):
        numbers = {value: k for k, value in enumerate(found, 1 if len(found) <= LARGEST else 0)}
        names = {value: str(value) for value in found}
    else:
        names = {value: value if isinstance(value, str) else f"class_{value}" for value in found}
    ordered = sorted(found, key=lambda value: int(numbers[value]))
    classes = tuple(ClassInfo(int(numbers[v]), names[v], class_colour(k)) for k, v in enumerate(ordered))
    return classes, {int(numbers[value]): counts[value] for value in ordered}


def _few(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{len(paths)} label files such as {paths[0]}"
