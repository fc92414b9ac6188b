"""What the data of a recipe are known by: a digest that is the same wherever the same files lie."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geodl.cards import load_card
from geodl.data.cubeword import CubeWord
from geodl.data.files import is_local
from geodl.recipe import Data
from geodl.storage.address import shown

__all__ = ("DataIdentity", "data_identity")

_KEYS = ("images", "labels", "targets", "sequences", "series", "trajectories")
_WHOLE = 1 << 30
"""Bytes of all files together up to which they are read whole."""
_END = 1 << 20
"""Bytes read of the begin and of the end of a file where they are not."""
_SIDECARS = (".aux.xml", ".ovr")
"""Files that programs leave beside others whenever they like."""


@dataclass(frozen=True)
class DataIdentity:
    """What training data are known by."""

    sha256: str
    """Of what `covers` says; empty where there is nothing to take it of."""
    files: int
    """Local files."""
    bytes: int
    """Their sizes, added."""
    covers: str
    """What the digest was taken of, in words."""

    def to_json(self) -> dict[str, Any]:
        """Returns what `metrics.json` holds of it."""
        return asdict(self)


def data_identity(data: Data) -> DataIdentity:
    """Takes a digest of the data that a recipe names.

    It covers, key by key of the recipe (`images`, `labels`, …), each local file: its name relative to the folder that
    all files of the key have in common, its size, and its content; of more than 1 GiB in all the first and the last
    MiB of each file only. Hidden files and the sidecars `.aux.xml` and `.ovr` are left out, as programs write them
    unasked; of files that may not be read the name and the size count. Files at addresses and STAC searches are
    covered by their words alone, without keys and signatures. A data set named by its card is covered by the card,
    which holds the digests of its files, or the seeds that it is computed from.

    Args:
        data: section of a recipe.

    Returns:
        The identity. It is the same on two machines with the same files, whatever folders they lie in.

    Example:
        >>> data_identity(Data()).covers
        'nothing: the recipe computes its data'
    """
    named = {key: list(_named(getattr(data, key))) for key in _KEYS if getattr(data, key) is not None}
    local = {key: sorted(path for item in items for path in _files(item)) for key, items in named.items()}
    words = {key: sorted(item for item in items if not is_local(item)) for key, items in named.items()}
    sizes = {path: os.path.getsize(path) for paths in local.values() for path in paths}
    whole = sum(sizes.values()) <= _WHOLE
    digest, covers = hashlib.sha256(), []
    for key in named:
        base = _common_folder(local[key])
        for name, path in sorted((_relative(path, base), path) for path in local[key]):
            _add(digest, "file", key, name, str(sizes[path]), _content(path, whole=whole))
        for word in words[key]:
            _add(digest, "word", key, shown(word))
    if sizes:
        covers.append("names, sizes and contents" if whole else "names, sizes, first and last MiB")
    if any(words.values()):
        covers.append("addresses and searches by their words")
    if data.dataset is not None:
        _add(digest, "card", data.dataset, load_card(data.dataset).model_dump_json())
        covers.append(f"the card {data.dataset}")
    known = digest.hexdigest() if covers else ""
    said = "; ".join(covers) or "nothing: the recipe computes its data"
    return DataIdentity(known, len(sizes), sum(sizes.values()), said)


def _named(where: Any) -> Iterator[str]:
    """Paths, addresses and searches (as JSON) of a value of the recipe."""
    if isinstance(where, dict) and "stac" in where:
        yield "stac:" + json.dumps({**where, "stac": shown(str(where["stac"]))}, sort_keys=True, default=str)
    elif isinstance(where, dict):
        for item in where.values():
            yield from _named(item)
    elif isinstance(where, (list, tuple)):
        for item in where:
            yield from _named(item)
    elif where is not None:
        word = CubeWord.read(where)
        yield where if word is None else word.path


def _files(item: str) -> Iterator[str]:
    """Local files that are meant by a path, a folder or a glob; those of folders with all below them."""
    if not is_local(item):
        return
    for path in [item] if os.path.exists(item) else glob.glob(item, recursive=True):
        if os.path.isfile(path):
            yield os.path.abspath(path)
        for folder, inner, names in os.walk(path):
            # Zarr stores keep their headers in hidden files.
            everything = any(part.lower().endswith(".zarr") for part in Path(folder).parts)
            inner[:] = [name for name in inner if everything or not name.startswith(".")]
            for name in names:
                whole = os.path.abspath(os.path.join(folder, name))
                counts = everything or not (name.startswith(".") or name.lower().endswith(_SIDECARS))
                if counts and os.path.isfile(whole):
                    yield whole


def _common_folder(paths: list[str]) -> str:
    return os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""


def _relative(path: str, base: str) -> str:
    return unicodedata.normalize("NFC", Path(os.path.relpath(path, base)).as_posix())


def _content(path: str, *, whole: bool) -> str:
    try:
        with open(path, "rb") as file:
            if whole:
                return hashlib.file_digest(file, "sha256").hexdigest()
            digest = hashlib.sha256(file.read(_END))
            file.seek(max(os.path.getsize(path) - _END, 0))
            digest.update(file.read(_END))
            return digest.hexdigest()
    except PermissionError:
        # What was learnt from could be read; a stranger in its folder must not spoil a finished training.
        return "unreadable"


def _add(digest: Any, *words: str) -> None:
    """Adds words, each with its length, so that none can take over letters of the next."""
    for word in words:
        raw = word.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big") + raw)
