"""Lists that come with a data set: which files there are further, and which scene is of which official part."""

from __future__ import annotations

import csv
import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from geodl.cards.card import CardFile, CardIndex, OfficialPart, safe_path
from geodl.data.folds import Part
from geodl.errors import SourceUnreadable, SplitError

__all__ = ("indexed_files", "listed_names", "official_scenes")

_ADVICE = "The list is not what the data set's card says; tell the maintainers of geodl."


def indexed_files(index: CardIndex, folder: Path) -> list[CardFile]:
    """Returns the files that a list names.

    Args:
        index: of the card.
        folder: of the data set; the list is there.

    Raises:
        SourceUnreadable: the list cannot be read, has no such column, or names a file outside the folder.
    """
    found = {}
    for name in listed_names(folder / index.listing, index.column, index.pattern):
        for file in index.files:
            path = file.path.replace("{name}", name)
            try:
                safe_path(path)
            except ValueError as error:
                raise SourceUnreadable(folder / index.listing, str(error).rstrip("."), advice=_ADVICE) from None
            found[path] = CardFile(path=path, url=file.url.replace("{name}", name), part=file.part)
    return list(found.values())


def listed_names(path: Path, column: int | str, pattern: str | None) -> list[str]:
    """Returns what a column of a CSV file holds, each once, in order.

    Args:
        path: of the file; a text file with a name in each line is one, too.
        column: number from 0, of a file without headings, or a heading.
        pattern: regular expression whose group is taken of each cell; None: the whole cell.

    Raises:
        SourceUnreadable: it cannot be read, has no such column, or the pattern is in none of its cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            cells = list(_cells(csv.reader(file), column))
    except OSError as error:
        raise SourceUnreadable(path, error.strerror or error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceUnreadable(path, "it is no CSV file", advice=_ADVICE) from error
    except LookupError as error:
        raise SourceUnreadable(path, f"it has no column {column!r}", advice=_ADVICE) from error
    if pattern is not None:
        matches = [re.search(pattern, cell) for cell in cells]
        cells = [match.group(1) if match.re.groups else match.group() for match in matches if match]
    if not cells:
        raise SourceUnreadable(path, "it names nothing", advice=_ADVICE)
    return list(dict.fromkeys(cells))


def official_scenes(split: Mapping[Part, OfficialPart], folder: Path, scenes: Mapping[str, str]) -> dict[str, Part]:
    """Returns the official part of each scene.

    Args:
        split: of the card.
        folder: of the data set.
        scenes: name → path of each.

    Raises:
        SplitError: a scene is of two parts, or of none.
        SourceUnreadable: a list cannot be read.
    """
    parts: dict[str, Part] = {}
    for part, rule in split.items():
        listed: set[str] = set()
        if rule.listing is not None:
            names = listed_names(folder / rule.listing, rule.column, rule.pattern)
            listed = {rule.scene.replace("{name}", name) for name in names}
        for name, path in scenes.items():
            # Links stay links: the card's patterns are of names in the folder, wherever these lead.
            inside = PurePosixPath(Path(os.path.relpath(path, folder)).as_posix())
            by_pattern = any(fnmatch.fnmatchcase(str(inside), pattern) for pattern in rule.patterns)
            if by_pattern or inside.stem in listed or inside.name in listed or str(inside) in listed:
                if name in parts:
                    raise SplitError(f"scene {name} is of the parts {parts[name]} and {part}.", advice=_ADVICE)
                parts[name] = part
    return parts


def _cells(rows: Iterator[list[str]], column: int | str) -> Iterator[str]:
    if isinstance(column, str):
        headings = [heading.strip() for heading in next(rows, [])]
        if column not in headings:
            raise LookupError(column)
        column = headings.index(column)
    for row in rows:
        if any(cell.strip() for cell in row):
            yield row[column].strip()
