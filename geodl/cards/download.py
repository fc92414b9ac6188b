"""Fetching one file of a data set: resumed where it broke off, from mirrors in turn, verified before it has its name."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from geodl.errors import GeodlError, OutputUnwritable, SourceUnreadable
from geodl.storage.address import parsed, shown
from geodl.storage.patience import Changed, Failure
from geodl.storage.service import Seen, service_of

__all__ = ("Progress", "Wanted", "download")

Progress = Callable[[str, int, int | None], None]
"""Is told the name of a file, how many of its bytes are here, and how many there are, or None where that is not known."""
_TURNS = 3
"""How often a file is read that changes meanwhile."""


@dataclass(frozen=True)
class Wanted:
    """A file that is to be fetched."""

    path: str
    """In the data set's folder."""
    urls: tuple[str, ...]
    """Addresses of the same bytes, the publisher's own first."""
    checksum: str | None
    """`sha256:…` or `md5:…`; None: unknown."""
    bytes: int | None
    """Size; None: unknown."""

    @property
    def key(self) -> str:
        """A name for what is kept of it until it is whole."""
        said = "\n".join((self.path, self.checksum or "", str(self.bytes), *self.urls))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def download(wanted: Wanted, folder: Path, *, homepage: str = "", progress: Progress | None = None) -> tuple[Path, str]:
    """Fetches a file into a folder of unfinished ones.

    A transfer that was broken off, also by the end of the process, goes on where it stopped if the server has the same
    version still and can do that; else it begins anew.

    Args:
        wanted: what, and from where.
        folder: for what is not whole yet; the same one when it is tried again.
        homepage: of the data set, for the message where the file is gone.
        progress: is told what has come.

    Returns:
        The whole, verified file in that folder, and the address that it came from.

    Raises:
        SourceUnreadable: no address has it, or what comes from all of them is not what the card says.
        BackendUnavailable: the package for s3:// or gs:// is not installed.
        OutputUnwritable: the folder cannot be written, or the disk is full.
    """
    import pooch

    # It speaks of hashes at every file; geodl says once which are unverified.
    pooch.get_logger().setLevel(logging.WARNING)
    failures: list[str] = []
    advice = ""
    for url in wanted.urls:
        mark = hashlib.sha256(url.encode()).hexdigest()[:8]
        fetch = _Resuming(wanted, folder / f"{wanted.key}.{mark}.part", progress)
        try:
            for _ in range(2):
                try:
                    whole = pooch.retrieve(
                        url, wanted.checksum, fname=f"{wanted.key}.whole", path=folder, downloader=fetch
                    )
                    fetch.forget()
                    return Path(whole), url
                except ValueError:
                    failure, again = fetch.mismatch(), fetch.resumed
                    fetch.forget()
                    # The beginning may have been that of something else: all of it is read once more.
                    if not again:
                        raise failure from None
            raise failure
        except Failure as failed:
            failures.append(f"{failed.cause} ({shown(url)})" if failures else failed.cause)
            if len(failures) == 1:
                advice = failed.advice
            if failed.missing and homepage:
                advice = f"Look whether the publisher moved it: {homepage}."
        except GeodlError:
            raise
        except OSError as error:
            raise OutputUnwritable(folder, error.strerror or error) from error
    raise SourceUnreadable(shown(wanted.urls[0]), "; nor from a mirror: ".join(failures), advice=advice)


class _Resuming:
    """A downloader for pooch that goes on with what is there.

    Args:
        wanted: what is fetched.
        part: file that holds what has come, whose name says what of.
        progress: is told.
    """

    def __init__(self, wanted: Wanted, part: Path, progress: Progress | None) -> None:
        self._wanted = wanted
        self._part = part
        self._note = part.with_suffix(".json")
        self._progress = progress
        self.resumed = False
        """Whether the last call went on with what was there."""

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Makes the part whole, and gives its content to `output_file` as well."""
        for turn in range(1, _TURNS + 1):
            try:
                self._complete(url)
                break
            except Changed:
                self.forget()
                if turn == _TURNS:
                    raise
        os.remove(output_file)
        try:
            # Both names: a process that is killed while the checksum is computed has lost nothing.
            os.link(self._part, output_file)
        except OSError:
            os.replace(self._part, output_file)

    def forget(self) -> None:
        """Removes what is there."""
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def mismatch(self) -> Failure:
        """Says that what came has not the checksum of the card."""
        import pooch

        algorithm, _, expected = str(self._wanted.checksum).partition(":")
        received = pooch.file_hash(str(self._part), alg=algorithm) if self._part.is_file() else "another one"
        return Failure(
            f"what came is not the published file: expected {algorithm} {expected}, received {received}",
            advice="It may have been replaced, or damaged on its way; look at the data set's homepage.",
        )

    def _complete(self, url: str) -> None:
        service = service_of(url)
        seen = service.look(url)
        wanted = self._wanted.bytes
        if None not in (seen.size, wanted) and seen.size != wanted:
            raise Failure(
                f"the server has {seen.size:,} bytes, and the card says {wanted:,}",
                advice="The publisher may have replaced it: look at the data set's homepage.",
            )
        start = self._start(url, seen)
        self.resumed = start > 0
        self._part.parent.mkdir(parents=True, exist_ok=True)
        if not start:
            self._note.write_text(json.dumps({"version": seen.version, "size": seen.size}), "utf-8")
        with self._part.open("r+b" if start else "wb+") as file:
            file.seek(start)
            counted = _Counted(file, self._wanted, seen.size, self._progress)
            service.read(url, seen, cast(BinaryIO, counted))
            file.truncate()
            if seen.size is not None and file.tell() != seen.size:
                raise Failure("it did not come whole")

    def _start(self, url: str, seen: Seen) -> int:
        """Returns how many bytes are there of the version that was seen; 0 where it must begin anew."""
        try:
            note = json.loads(self._note.read_text("utf-8"))
            there = self._part.stat().st_size
        except (OSError, ValueError):
            return 0
        same = note == {"version": seen.version, "size": seen.size}
        # Where versions cannot be told apart, the checksum will tell.
        known = bool(seen.version) or self._wanted.checksum is not None
        can = parsed(url).scheme in ("http", "https") and seen.parts and there <= (seen.size or 0)
        return there if same and known and can else 0


class _Counted:
    """A file that tells how much is in it, and takes no more than was announced."""

    def __init__(self, file: BinaryIO, wanted: Wanted, size: int | None, progress: Progress | None) -> None:
        self._file = file
        self._path = wanted.path
        self._size = wanted.bytes if size is None else size
        self._progress = progress

    def write(self, chunk: bytes) -> int:
        count = self._file.write(chunk)
        done = self._file.tell()
        if self._size is not None and done > self._size:
            raise Failure(f"more comes than the {self._size:,} bytes that were announced", advice="Try again later.")
        if self._progress is not None:
            self._progress(self._path, done, self._size)
        return count

    def seek(self, position: int, whence: int = 0) -> int:
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)
