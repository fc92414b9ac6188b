"""Whether a data set's folder still holds what was fetched, and what its card says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from geodl.cards.card import Card, list_cards, load_card
from geodl.cards.manifest import MANIFEST, Manifest, own_files, sha256_of
from geodl.errors import SourceUnreadable

__all__ = ("check_folder",)


def check_folder(
    folder: str | os.PathLike[str], *, progress: Callable[[str, int, int | None], None] | None = None
) -> list[str]:
    """Compares a data set's folder with its manifest and its card; every byte is read.

    Args:
        folder: that `get` wrote.
        progress: is told the name of a file, how many were compared, and how many there are.

    Returns:
        What is wrong, a sentence each: files that are missing, of another size or content, or not of the data set. Empty:
        all is as it came.

    Raises:
        SourceUnreadable: the folder holds no data set.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    if manifest is None:
        problem = f"it holds no data set ({MANIFEST} is missing)"
        raise SourceUnreadable(folder, problem, advice="Give the folder that geodl data get wrote to.")
    return list(_problems(folder, manifest, progress))


def _problems(
    folder: Path, manifest: Manifest, progress: Callable[[str, int, int | None], None] | None
) -> Iterator[str]:
    again = f"geodl data get {manifest.name}"
    if not manifest.complete:
        yield f"It is not complete: run {again} again."
    if manifest.name in list_cards():
        yield from _against(load_card(manifest.name), manifest, again)
    else:
        yield f"No card has the name {manifest.name!r}: it is compared with what was fetched alone."
    for count, (path, found) in enumerate(manifest.files.items(), 1):
        there = folder / path
        if progress is not None:
            progress(path, count, len(manifest.files))
        if not there.is_file() or there.is_symlink():
            yield f"{path} is missing."
        elif there.stat().st_size != found.bytes:
            yield f"{path} has {there.stat().st_size:,} bytes. Expected {found.bytes:,}."
        elif sha256_of(there) != found.sha256:
            yield f"{path} has another content than when it was fetched: its SHA-256 differs."
    for path in own_files(folder):
        if path not in manifest.files:
            yield f"{path} is not of the data set."


def _against(card: Card, manifest: Manifest, again: str) -> Iterator[str]:
    """Compares what was fetched with what the card states now."""
    for file in card.files:
        known = manifest.fetched.get(file.path)
        if known is None:
            asked = manifest.parts is None or file.part is None or file.part in manifest.parts
            if manifest.complete and asked:
                yield f"{file.path} was not fetched, and the card has it by now: run {again} again."
            continue
        algorithm, _, stated = (file.checksum or "").partition(":")
        if file.bytes not in (None, known.bytes) or (algorithm == "sha256" and stated != known.sha256):
            yield f"{file.path} is another file by now, as the card says: run {again} again."
