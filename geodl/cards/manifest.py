"""What was found when a data set was fetched: a file with the size and the checksum of each of its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geodl.errors import SourceUnreadable
from geodl.wholefile import whole_file

__all__ = ("MANIFEST", "FetchedFile", "FoundFile", "Manifest", "own_files", "sha256_of")

MANIFEST = ".geodl-dataset.json"
"""Its name in the data set's folder."""
_OWN = ".geodl"
"""What names begin with that belong to geodl, not to the data set."""
_VERSION = 1


@dataclass(frozen=True)
class FetchedFile:
    """A file of the card as it came."""

    url: str
    """Which of its addresses it came from; empty: it was there."""
    sha256: str
    bytes: int
    verified: bool
    """Whether it was compared with a checksum of the card."""


@dataclass(frozen=True)
class FoundFile:
    """A file in the data set's folder."""

    sha256: str
    bytes: int
    source: str
    """The card's file that it is, or was unpacked from; `adapter` or `simulator` where these made it."""


@dataclass
class Manifest:
    """What a folder holds of a data set."""

    name: str
    """Of the card."""
    version: str = ""
    """Of the card."""
    parts: list[str] | None = None
    """Which parts were asked for; None: all."""
    complete: bool = False
    """Whether everything is there that was asked for."""
    fetched: dict[str, FetchedFile] = field(default_factory=dict)
    """By path, as in the card, archives that were unpacked too."""
    files: dict[str, FoundFile] = field(default_factory=dict)
    """By path in the folder."""

    def of(self, source: str) -> list[str]:
        """Returns the files that came from one source."""
        return [path for path, found in self.files.items() if found.source == source]

    def write(self, folder: Path) -> None:
        """Writes it into the data set's folder.

        Raises:
            OutputUnwritable: no permission, disk full.
        """
        with whole_file(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps({"format_version": _VERSION, **asdict(self)}, indent=1), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Reads that of a folder; None where there is none.

        Raises:
            SourceUnreadable: it is damaged, or of a newer geodl.
        """
        path = folder / MANIFEST
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if content.pop("format_version") != _VERSION:
                raise SourceUnreadable(path, "it is of another version of geodl", advice="Update geodl.")
            fetched = {name: FetchedFile(**each) for name, each in content.pop("fetched").items()}
            files = {name: FoundFile(**each) for name, each in content.pop("files").items()}
            return cls(**content, fetched=fetched, files=files)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            advice = "Remove this file, and fetch the data set again."
            raise SourceUnreadable(path, "it is damaged", advice=advice) from error


def own_files(folder: Path) -> list[str]:
    """Lists the files of a data set's folder, sorted, without geodl's own: relative paths with slashes."""
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if not inside.parts[0].startswith(_OWN) and (path.is_symlink() or not path.is_dir()):
            found.append(inside.as_posix())
    return sorted(found)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    import pooch

    return str(pooch.file_hash(str(path), alg="sha256"))
