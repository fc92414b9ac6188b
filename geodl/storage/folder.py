"""A folder on object storage."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from geodl.errors import OptionError, OutputUnwritable, SourceUnreadable
from geodl.storage.address import is_address, joined, parsed, shown
from geodl.storage.patience import Changed, Failure
from geodl.storage.service import Seen, Service, service_of
from geodl.wholefile import whole_file

__all__ = ("Storage", "download", "download_version", "settled", "unreadable")

_TURNS = 3
"""How often a file is read that changes meanwhile."""
_Result = TypeVar("_Result")


class Storage:
    """A folder at an address, such as `s3://bucket/run`: whole files come and go by their names in it.

    What fails and may pass (a server that is busy, a cut or stalled transfer) is tried again a few times with pauses;
    see docs/remote.md for the environment variables. What then still fails is one `SourceUnreadable` or
    `OutputUnwritable`. Threads may share it, and processes that were forked.

    Args:
        address: `s3://…` or `gs://…`; `https://…`, of which files can be fetched by name only.

    Raises:
        OptionError: it is no such address.
        BackendUnavailable: the package for it is not installed (`geodl[s3]`, `geodl[gcs]`).

    Example:

    >>> run = Storage("s3://bucket/runs/a")
    >>> run.store(Path("metrics.json"), "metrics.json")
    >>> run.names()
    ['metrics.json']
    """

    def __init__(self, address: str) -> None:
        if not is_address(address) or not parsed(address).place:
            raise OptionError("Storage", expected="an address such as s3://bucket/run", received=shown(address))
        self.address = address.rstrip("/")
        service_of(address)

    def __repr__(self) -> str:
        return f"Storage({shown(self.address)!r})"

    def names(self, *, deep: bool = True) -> list[str]:
        """Lists the files in it, sorted, by names such as `checkpoints/1.npz`.

        Args:
            deep: also those in its folders.

        Raises:
            SourceUnreadable: no such bucket, no access; an https:// address, which cannot be listed.
        """
        return sorted(self.sizes(deep=deep))

    def sizes(self, *, deep: bool = True) -> dict[str, int]:
        """Lists the files as `names` does, each with its size in bytes.

        Args:
            deep: also those in its folders.

        Raises:
            SourceUnreadable: as `names`.
        """
        return settled(self.address, lambda: service_of(self.address).sizes(self.address, deep=deep))

    def exists(self, name: str) -> bool:
        """Says whether there is such a file.

        Raises:
            SourceUnreadable: that cannot be known: no such bucket, no access, the service does not answer.
        """
        address = joined(self.address, name)
        try:
            service_of(address).look(address)
        except Failure as failure:
            if failure.missing:
                return False
            raise unreadable(address, failure) from failure
        return True

    def fetch(self, name: str, target: Path) -> None:
        """Downloads a file; it takes the name `target` when it is whole, and of one version.

        Args:
            name: of the file in this folder.
            target: local path; a file that is there is replaced, its folder is made if missing.

        Raises:
            SourceUnreadable: there is no such file, no access, or it did not come whole in several attempts.
            OutputUnwritable: the target cannot be written, or the disk is full.
        """
        download(joined(self.address, name), target)

    def store(self, path: Path, name: str) -> None:
        """Uploads a file whole: readers see the one that was there, or this one, and never a part of it.

        Args:
            path: of a local file.
            name: of the file in this folder.

        Raises:
            OutputUnwritable: no such bucket, no access, or it did not arrive in several attempts.
            SourceUnreadable: the local file cannot be read.
        """
        try:
            path.open("rb").close()
            self._writing(joined(self.address, name), lambda address: service_of(address).write(path, address))
        except OSError as error:
            raise SourceUnreadable(path, error.strerror or error) from error

    def remove(self, name: str) -> None:
        """Removes a file; that there is none is fine.

        Raises:
            OutputUnwritable: no such bucket, no access.
        """
        self._writing(joined(self.address, name), lambda address: service_of(address).remove(address))

    def check_writable(self) -> None:
        """Writes a small file and removes it: whether that can be done is better known before the work than after it.

        Raises:
            OutputUnwritable: no such bucket, no credentials, no permission to write or to remove.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe")
            path.write_bytes(b"geodl")
            name = f".geodl-{uuid.uuid4().hex}"

            def probe(address: str) -> None:
                service = service_of(address)
                service.write(path, joined(address, name))
                service.remove(joined(address, name))

            self._writing(self.address, probe)

    def _writing(self, address: str, attempt: Callable[[str], None]) -> None:
        try:
            attempt(address)
        except Failure as failure:
            raise _unwritable(address, failure) from failure


def download(address: str, target: Path) -> None:
    """Downloads one file whole.

    Args:
        address: of the file.
        target: local path; it appears there when it is whole.

    Raises:
        SourceUnreadable: it cannot be had, or changed each time that it was read.
        OutputUnwritable: the target cannot be written, or the disk is full.
    """
    settled(address, lambda: download_version(address, target, service_of(address).look(address)))


def download_version(address: str, target: Path, seen: Seen) -> None:
    """Downloads that version of a file which was seen.

    Raises:
        Failure: it cannot be had; `Changed` if there is another one by now.
        OutputUnwritable: the target cannot be written, or the disk is full.
    """
    service = service_of(address)
    with whole_file(target) as temporary, temporary.open("wb+") as file:
        first = _received(service, address, seen, file)
        if seen.md5 in (None, first):
            return
        # Some services call something else so: then the same comes twice.
        file.seek(0)
        if _received(service, address, seen, file) not in (first, seen.md5):
            raise Failure("what comes is not what the service's checksum says, and each time something else")


def settled(address: str, attempt: Callable[[], _Result]) -> _Result:
    """Makes an attempt to read, again from its start where the file changed meanwhile.

    Raises:
        SourceUnreadable: for what a `Failure` says, or because it keeps changing.
    """
    for turn in itertools.count(1):
        try:
            return attempt()
        except Changed as failure:
            if turn == _TURNS:
                raise unreadable(address, failure) from failure
        except Failure as failure:
            raise unreadable(address, failure) from failure
    raise AssertionError  # The loop ends by return or raise.


def unreadable(address: str, failure: Failure) -> SourceUnreadable:
    """The sentence of what could not be read."""
    return SourceUnreadable(shown(address), failure.cause, advice=failure.advice)


def _received(service: Service, address: str, seen: Seen, file: BinaryIO) -> str:
    """Reads a file and returns the MD5 of what came."""
    service.read(address, seen, file)
    file.truncate()
    if seen.size is not None and file.tell() != seen.size:
        raise Failure("it did not come whole")
    file.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    while seen.md5 and (chunk := file.read(1 << 20)):
        digest.update(chunk)
    return digest.hexdigest()


def _unwritable(address: str, failure: Failure) -> OutputUnwritable:
    return OutputUnwritable(shown(address), failure.cause, advice=failure.advice)
