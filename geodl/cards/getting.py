"""Getting a data set: fetched file by file, or computed; continued where it stopped."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from geodl.activity import stage
from geodl.cards.adapters import adapt
from geodl.cards.archives import unpack, unpack_nested
from geodl.cards.card import Card, CardFile, load_card
from geodl.cards.download import Progress, Wanted, download
from geodl.cards.listing import indexed_files
from geodl.cards.manifest import FetchedFile, FoundFile, Manifest, sha256_of
from geodl.cards.place import find_folder, remember_folder
from geodl.cards.simulated import planned_files, simulate_files
from geodl.errors import OptionError, OutputUnwritable, SourceUnreadable

__all__ = ("Fetched", "get", "is_here")

_PARTIAL, _LOCK = ".geodl-partial", ".geodl-lock"
_AT_ONCE = 4
"""Files of a list that are fetched at the same time."""
_EVERY = 50
"""Files after which the manifest is written; those since then are looked at again after an interruption."""

_LOG = logging.getLogger("geodl")


@dataclass(frozen=True)
class Fetched:
    """A data set that is here."""

    name: str
    folder: Path
    new: tuple[str, ...]
    """Files that were not here before, as the card names them; of a simulated set as they are called."""
    unverified: tuple[str, ...]
    """Files that could be compared with no checksum, as the card knows none."""


def get(
    name: str,
    to: str | os.PathLike[str] | None = None,
    *,
    accept_licence: bool = False,
    parts: Collection[str] | None = None,
    progress: Progress | None = None,
    remember: bool = True,
) -> Fetched:
    """Fetches a data set, or computes a simulated one. What is here stays; what was interrupted is continued.

    Nothing has its name before it is whole and compared with the card's size and checksum, as far as these are known.

    Args:
        name: of the card.
        to: folder; default: `NAME` in `GEODL_DATASETS`, else in `datasets` of geodl's cache.
        accept_licence: needed where the terms are restrictive; says that they were read and hold.
        parts: names of parts of the set (`Card.parts`); default: all.
        progress: is told the name of a file, its bytes that are here and all of them.
        remember: let recipes find the set in this folder by its name.

    Returns:
        The folder, and what is unverified.

    Raises:
        RecipeError: no card has this name.
        OptionError: restrictive terms were not accepted; an unknown part; a folder that holds another data set.
        SourceUnreadable: a file cannot be had, is not the published one, or is an archive that is not safe.
        OutputUnwritable: no permission, or too little space.

    Example:
        >>> get("simulated-lorenz63").folder.name
        'simulated-lorenz63'
    """
    card = load_card(name)
    if card.restrictive and not accept_licence:
        terms = card.licence_url or card.homepage
        expected = f"true, as the terms of {name} are restrictive: {card.reason} Read them first: {terms}"
        raise OptionError("accept_licence (--accept-licence)", expected=expected.rstrip("."), received=False)
    unknown = sorted(set(parts or ()) - set(card.parts))
    if unknown:
        expected = f"some of {', '.join(card.parts)}" if card.parts else f"none, as {name} has no parts"
        raise OptionError("parts (--part)", expected=expected, received=unknown[0])
    folder = find_folder(name) if to is None else Path(to).expanduser()
    with _locked(folder, name):
        manifest = Manifest.read(folder) or Manifest(name)
        if manifest.name != name:
            expected = f"a folder of its own: this one holds {manifest.name}"
            raise OptionError("to (--to)", expected=expected, received=str(folder))
        work = _Getting(card, folder, manifest, progress)
        new = work.simulate() if card.simulator is not None else work.fetch(parts)
        work.finish(parts)
        shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    if remember:
        remember_folder(name, folder)
    unverified = tuple(path for path, one in manifest.fetched.items() if not one.verified)
    return Fetched(name, folder, tuple(new), unverified)


def is_here(name: str) -> bool:
    """Says whether a data set was fetched, or computed, whole: all of its parts, or those that were asked for."""
    try:
        manifest = Manifest.read(find_folder(name))
    except SourceUnreadable:
        return False
    return manifest is not None and manifest.complete


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _LOG.warning("Another process is getting %s: waiting for it.", name)
            lock.acquire()
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Getting:
    """One call of `get`, for a folder that nobody else writes to meanwhile."""

    card: Card
    folder: Path
    manifest: Manifest
    progress: Progress | None
    new: list[str] = field(default_factory=list)
    before: list[str] | None = field(init=False)
    """Which parts were here; None: all."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.before = self.manifest.parts if self.manifest.complete else []

    def simulate(self) -> list[str]:
        """Computes what is missing."""
        assert self.card.simulator is not None
        self.new = simulate_files(self.card.simulator, self.folder, progress=self.progress)
        for path in planned_files(self.card.simulator):
            if path in self.new or path not in self.manifest.files:
                self._note(path, "simulator")
        return self.new

    def fetch(self, parts: Collection[str] | None) -> list[str]:
        """Fetches what is missing of the parts that were asked for."""

        def asked(file: CardFile) -> bool:
            return parts is None or file.part is None or file.part in parts

        self._fetch_all([file for file in self.card.files if asked(file)])
        for index in self.card.index:
            self._fetch_all([file for file in indexed_files(index, self.folder) if asked(file)])
        if self.card.adapter is not None:
            made = self.manifest.of("adapter")
            if self.new or not made or not all(self._stands(path) for path in made):
                with stage(f"Laying out {self.manifest.name}"):
                    made = adapt(self.card, self.folder)
                for path in made:
                    self._note(path, "adapter")
        return self.new

    def finish(self, parts: Collection[str] | None) -> None:
        """Says in the manifest that all is there; where nothing changed it is not written, as others may own the folder."""
        whole = parts is None or self.before is None
        asked = None if whole else sorted({*(self.before or ()), *(parts or ())})
        state = (asked, True, self.card.version)
        if self.new or state != (self.manifest.parts, self.manifest.complete, self.manifest.version):
            self.manifest.parts, self.manifest.complete, self.manifest.version = state
            self.manifest.write(self.folder)

    def _fetch_all(self, files: Sequence[CardFile]) -> None:
        missing = [file for file in files if not self._is_done(file)]
        self._refuse_too_large(missing)
        if missing and self.manifest.complete:
            self.manifest.complete = False
            self.manifest.write(self.folder)
        few = [file for file in missing if file.unpack] or len(missing) < _AT_ONCE
        with ThreadPoolExecutor(1 if few else _AT_ONCE) as pool:
            try:
                for count, _ in enumerate(pool.map(self._fetch_one, missing), 1):
                    if few or count % _EVERY == 0:
                        with self._lock:
                            self.manifest.write(self.folder)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if missing:
            self.manifest.write(self.folder)

    def _fetch_one(self, file: CardFile) -> None:
        target, partial = self.folder / file.path, self.folder / _PARTIAL
        by_hand = target.is_file() and file.path not in self.manifest.fetched
        if file.url is None and not by_hand:
            raise SourceUnreadable(
                target,
                "geodl cannot fetch it",
                advice=f"{self.card.manual} Put it there, and run the same command again.",
            )
        urls = tuple(dict.fromkeys([*([file.url] if file.url else []), *file.mirrors]))
        wanted = Wanted(file.path, urls, file.checksum, file.bytes)
        if by_hand:
            _refuse_other(target, file)
            whole, url = target, ""
        else:
            whole, url = download(wanted, partial, homepage=self.card.homepage or "", progress=self.progress)
        size = whole.stat().st_size
        algorithm, _, stated = (file.checksum or "").partition(":")
        sha256 = stated if algorithm == "sha256" else sha256_of(whole)
        if file.unpack:
            self._unpack(file, whole)
            if not by_hand:
                whole.unlink()
        elif not by_hand:
            _move(whole, target)
        with self._lock:
            self.manifest.fetched[file.path] = FetchedFile(url, sha256, size, verified=file.checksum is not None)
            if by_hand or not file.unpack:
                self.manifest.files[file.path] = FoundFile(sha256, size, file.path)
            self.new.append(file.path)

    def _unpack(self, file: CardFile, whole: Path) -> None:
        """Unpacks beside, then moves each file to its place."""
        into = self.folder / (file.to or str(Path(file.path).parent))
        partial = self.folder / _PARTIAL
        partial.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=partial) as beside:
            taken = unpack_nested if file.unpack == "nested" else unpack
            with stage(f"Unpacking {file.path}"):
                found = taken(whole, Path(beside), name=file.path, announced=file.unpacked_bytes)
            for path in found:
                made, target = Path(beside, path), into / path
                inside = target.relative_to(self.folder).as_posix()
                sha256, size = sha256_of(made), made.stat().st_size
                # What is there may be of an interrupted call, or not of the data set.
                foreign = target.exists() and inside not in self.manifest.files
                if foreign and (not target.is_file() or sha256_of(target) != sha256):
                    raise _in_the_way(target)
                _move(made, target)
                self.manifest.files[inside] = FoundFile(sha256, size, file.path)

    def _is_done(self, file: CardFile) -> bool:
        """Says whether a file came, and what came of it still stands."""
        known = self.manifest.fetched.get(file.path)
        made = self.manifest.of(file.path)
        if known is None or not made or not all(self._stands(path) for path in made):
            return False
        stated = file.checksum if file.checksum and file.checksum.startswith("sha256:") else None
        return stated in (None, f"sha256:{known.sha256}") and file.bytes in (None, known.bytes)

    def _stands(self, path: str) -> bool:
        there = self.folder / path
        return there.is_file() and there.stat().st_size == self.manifest.files[path].bytes

    def _note(self, path: str, source: str) -> None:
        there = self.folder / path
        self.manifest.files[path] = FoundFile(sha256_of(there), there.stat().st_size, source)

    def _refuse_too_large(self, files: Sequence[CardFile]) -> None:
        needed = sum((file.bytes or 0) + (file.unpacked_bytes or 0) for file in files)
        partial = self.folder / _PARTIAL
        there = sum(path.stat().st_size for path in partial.glob("*.part")) if partial.is_dir() else 0
        free = shutil.disk_usage(self.folder).free
        if needed - there > free:
            cause = f"{needed - there:,} bytes are needed, and {free:,} are free"
            raise OutputUnwritable(self.folder, cause, advice="Make room, or choose another folder (--to).")


def _refuse_other(there: Path, file: CardFile) -> None:
    """Refuses a file that was put there and is not the one of the card."""
    import pooch

    algorithm, _, stated = (file.checksum or "").partition(":")
    same = file.bytes in (None, there.stat().st_size)
    if not same or (stated and pooch.file_hash(str(there), alg=algorithm) != stated):
        raise _in_the_way(there)


def _in_the_way(there: Path) -> SourceUnreadable:
    return SourceUnreadable(
        there, "it is there, but is not the file of the data set", advice="Remove it, or choose another folder (--to)."
    )


def _move(made: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made, target)
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error
