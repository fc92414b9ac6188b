"""Series in the formats of the UCR archive: `.ts`, and pairs of files for training and test."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geodl.data.series.naming import PART_WORDS, Wanted
from geodl.data.series.records import Records
from geodl.data.series.sheets import refuse_absent
from geodl.errors import BandMismatch, SeriesUnusable, SourceUnreadable

__all__ = ("part_records", "parts_of_files", "ts_records", "with_siblings")

_PAIR = re.compile(r"(?P<stem>.+)_(?P<part>TRAIN|TEST)(?P<end>\.tsv?)", re.IGNORECASE)
_MISSING = ("?", "nan", "")


def with_siblings(paths: Sequence[str]) -> list[str]:
    """Adds to NAME_TRAIN the NAME_TEST that lies beside it, and the other way round; of `.ts` and `.tsv` files of one
    name leaves the first."""
    found: list[str] = []
    for path in paths:
        folder, name = os.path.split(path)
        match = _PAIR.fullmatch(name)
        if match is None:
            found.append(path)
            continue
        lower = match["part"].islower()
        pair = [f"{match['stem']}_{part.lower() if lower else part}{match['end']}" for part in ("TRAIN", "TEST")]
        both = [
            each for each in (os.path.join(folder, other) for other in pair) if os.path.isfile(each) or each == path
        ]
        other_end = ".tsv" if match["end"].lower() == ".ts" else ".ts"
        if not any(each[: -len(match["end"])] + other_end in found for each in both):
            found += both
    return list(dict.fromkeys(found))


def parts_of_files(paths: Sequence[str]) -> dict[str, str]:
    """Returns the official part of each file, if the name of each has one in it, such as train or TEST, and not all the
    same; otherwise nothing."""
    found = {}
    for path in paths:
        words = re.split(r"[-_. ]", os.path.basename(path).lower())
        parts = {PART_WORDS[word] for word in words if word in PART_WORDS}
        if len(parts) != 1:
            return {}
        found[path] = parts.pop()
    return found if len(set(found.values())) > 1 else {}


def ts_records(path: str, wanted: Wanted) -> Records:
    """Reads a `.ts` file: a header of lines with @, then a series in each line, its values separated by commas, its
    dimensions (bands) by colons, the label last. Series may differ in length; `?` and NaN are missing.

    Raises:
        SourceUnreadable: the file is missing, empty, no text, or a line is not as expected.
        BandMismatch: a wanted band is missing.
    """
    refuse_absent(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    except UnicodeDecodeError as error:
        raise SourceUnreadable(path, "it is no text in UTF-8", advice="Expected a .ts file as of aeon.") from error
    header: dict[str, list[str]] = {}
    begin = None
    for at, (_, line) in enumerate(lines):
        if line.lower() == "@data":
            begin = at + 1
            break
        if line.startswith("@"):
            key, *words = line[1:].split()
            header[key.lower()] = words
    if begin is None:
        raise SourceUnreadable(path, "it has no line @data", advice="Expected a .ts file as of aeon.")
    if (header.get("timestamps") or ["false"])[0].lower() == "true":
        raise SourceUnreadable(path, "its values carry time stamps", advice="Write it without, or as a long table.")
    if (header.get("targetlabel") or ["false"])[0].lower() == "true":
        raise SourceUnreadable(path, "its targets are numbers, not classes", advice="Expected @classLabel.")
    classes = header.get("classlabel", ["false"])
    labelled = classes[0].lower() == "true"
    series: list[np.ndarray] = []
    labels: list[int | str | None] = []
    for number, line in lines[begin:]:
        if not line or line.startswith("#"):
            continue
        *dims, last = line.split(":") if labelled else [*line.split(":"), ""]
        series.append(_series(path, number, dims, len(series[0]) if series else None))
        label = last.strip()
        if labelled and label not in (*classes[1:], "?", ""):
            raise SourceUnreadable(
                path, f"line {number} ends with the class {label[:40]!r}, and @classLabel states {', '.join(classes[1:])}",
                advice="Add it there.",
            )  # fmt: skip
        labels.append(None if label in ("?", "") else int(label) if re.fullmatch(r"-?\d+", label) else label)
    if not series:
        raise SourceUnreadable(path, "it holds no series", advice="Expected one in each line behind @data.")
    length = max(array.shape[1] for array in series)
    values = np.full((len(series), length, len(series[0])), np.nan, np.float32)
    times = np.full(values.shape[:2], np.nan)
    for k, array in enumerate(series):
        values[k, : array.shape[1]] = array.T
        times[k, : array.shape[1]] = np.arange(array.shape[1])
    count = values.shape[2]
    names = tuple(f"band_{k}" for k in range(1, count + 1))
    if wanted.read is not None and not set(wanted.read) <= set(names):
        if len(wanted.read) != count:
            raise BandMismatch(path, expected=wanted.read, received=names)
        names = wanted.read
    ids = np.arange(len(series)).astype(str)
    kept = np.array([*labels, None], object)[:-1] if labelled and wanted.label != "" else None
    records = Records(path, values, times, names, ids, dated=False, numbered=True, labels=kept)
    return records if wanted.read is None else records.select(wanted.read)


def part_records(records: Records, part: str | None) -> Records:
    """Returns records that all belong to one official part."""
    if part is None:
        return records
    if records.parts is not None:
        raise SeriesUnusable(
            records.where, "a column and the file's name both state the part", advice="Rename one of the two."
        )
    ids = np.array([f"{part}_{each}" for each in records.ids]) if records.numbered else records.ids
    return replace(records, parts=np.full(len(records), part), ids=ids)


def _series(path: str, number: int, dims: Sequence[str], expected: int | None) -> np.ndarray:
    """One series: (band, time)."""
    rows = []
    for dim in dims:
        cells = [cell.strip() for cell in dim.split(",")]
        try:
            rows.append([np.nan if cell.lower() in _MISSING else float(cell) for cell in cells])
        except ValueError as error:
            raise SourceUnreadable(
                path, f"line {number} is no series ({error})", advice="Expected numbers, ? where one is missing."
            ) from error
    if expected is not None and len(rows) != expected:
        raise SourceUnreadable(
            path, f"line {number} has {len(rows)} dimensions, and the first series has {expected}",
            advice="Expected the values of each dimension, separated by colons, and the class at the end.",
        )  # fmt: skip
    if not rows or len({len(row) for row in rows}) > 1:
        raise SourceUnreadable(
            path, f"line {number} has dimensions of the lengths {', '.join(str(len(row)) for row in rows) or 'none'}",
            advice="Expected one value of each dimension for each time.",
        )  # fmt: skip
    return np.array(rows, np.float32)
