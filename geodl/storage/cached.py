"""Local copies of remote files, in the user's cache: fetched once, and again when the service has another version."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from geodl.errors import OutputUnwritable
from geodl.folders import cache_folder
from geodl.storage.address import identity, joined, parsed
from geodl.storage.folder import download_version, settled
from geodl.storage.patience import Failure
from geodl.storage.service import Seen, service_of

__all__ = ("fetched", "fetched_folder", "working_folder")

_UNTOLD: set[Path] = set()
"""What this process has fetched; of services that tell no versions apart, it is fetched anew by each process."""


def fetched(address: str) -> Path:
    """Returns a local copy of one remote file, whose name it bears.

    The service is asked each time which version it has (by ETag, or size and time of change); only another one than was
    fetched before is downloaded. An old copy is never used because the service does not answer.

    Args:
        address: `s3://…`, `gs://…` or `https://…`.

    Raises:
        SourceUnreadable: there is no such file, no access, or the service does not answer.
        BackendUnavailable: the package for the service is not installed.
        OutputUnwritable: the cache cannot be written, or the disk is full.

    Example:

    >>> fetched("https://host/labels.gpkg").name
    'labels.gpkg'
    """

    def turn() -> Path:
        seen = service_of(address).look(address)
        folder = _folder(address, {"": seen})
        target = folder / (PurePosixPath(parsed(address).key).name or "file")
        _complete(folder, {target: (address, seen)})
        return target

    return settled(address, turn)


def fetched_folder(address: str, names: Collection[str], *, optional: Collection[str] = ()) -> Path:
    """Returns a local folder with copies of files of a remote one, all of the versions that were there at one time.

    Args:
        address: of the folder.
        names: of files in it; those that are not there are left out.
        optional: of further ones, left out as well where access is denied: so some services say that there is none.

    Raises:
        SourceUnreadable: no access, or the service does not answer.
        BackendUnavailable: the package for the service is not installed.
        OutputUnwritable: the cache cannot be written, or the disk is full.
    """

    def turn() -> Path:
        found = {}
        for name in (*names, *optional):
            try:
                found[name] = service_of(address).look(joined(address, name))
            except Failure as failure:
                if not failure.missing and (name in names or failure.passes):
                    raise
        folder = _folder(address, found)
        target = folder / (PurePosixPath(parsed(address).key).name or "folder")
        _complete(folder, {target / name: (joined(address, name), seen) for name, seen in found.items()})
        return target

    return settled(address, turn)


def working_folder(address: str) -> Path:
    """Returns the local folder in which a run at this address works: always the same one, in the user's cache.

    It is not made. A run that is continued after its machine is gone finds it empty.
    """
    _, place, key = parsed(address)
    name = PurePosixPath(key).name or place
    return cache_folder() / "runs" / f"{name}-{_digest(identity(address))}"


def _folder(address: str, seen: dict[str, Seen]) -> Path:
    """The folder of what was seen; where a service tells versions not apart, always the same one."""
    versions = [f"{name}\t{one.version}\t{one.size}" for name, one in sorted(seen.items())]
    return cache_folder() / "fetched" / _digest("\n".join([identity(address), *versions]))


def _complete(folder: Path, wanted: dict[Path, tuple[str, Seen]]) -> None:
    """Fetches those files that are not there, and keeps other processes from doing so at the same time."""
    # Without the lock first: what is there can be used where nothing may be written.
    if all(_is_there(target, seen) for target, (_, seen) in wanted.items()):
        return
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for target, (address, seen) in wanted.items():
                if not _is_there(target, seen):
                    download_version(address, target, seen)
                    _UNTOLD.add(target)
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error


def _is_there(target: Path, seen: Seen) -> bool:
    whole = target.is_file() and seen.size in (None, target.stat().st_size)
    return whole and (bool(seen.version) or target in _UNTOLD)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
