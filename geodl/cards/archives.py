"""Unpacking what was fetched: nothing leaves the folder, and nothing grows beyond what was announced or what can be."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from geodl.errors import OutputUnwritable, SourceUnreadable

__all__ = ("member_path", "unpack", "unpack_nested")

_MOST_FILES = 2_000_000
_FREE = 1 << 30
"""Bytes that any archive may hold, however small it is."""
_RATIO = 120
"""Bytes that may come of each byte of an archive beyond that. Label rasters shrink to a fiftieth; bombs to a thousandth."""
_CHUNK = 1 << 20
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ADVICE = "It was not unpacked. Ask the publisher of the data set."
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Member(NamedTuple):
    path: str
    size: int | None
    """Announced bytes; None: not announced."""
    open: Callable[[], IO[bytes] | None]


def member_path(name: str) -> str:
    """Returns where a member of an archive goes: a relative path with slashes; empty for the folder itself.

    Args:
        name: as the archive has it.

    Raises:
        ValueError: it would leave the folder, or no file system can hold it: absolute, `..`, a drive, a backslash, a control
            character, a part too long.

    Example:
        >>> member_path("./data/a.tif")
        'data/a.tif'
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if name.startswith("/") or drive or "\\" in name or ".." in parts:
        raise ValueError("that would be written outside the folder")
    if not all(character.isprintable() for character in name):
        raise ValueError("that name has a character that cannot be shown")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise ValueError("that name is too long")
    if parts and parts[0].startswith(".geodl"):
        raise ValueError("that name is one that geodl keeps for itself")
    return "/".join(parts)


def unpack(archive: Path, folder: Path, *, name: str, announced: int | None = None) -> list[str]:
    """Unpacks a zip, a tar (also of gzip, bzip2 or xz) or one gzipped file.

    Only files and folders are made, with the permissions of new ones; members of macOS (`__MACOSX`) are left out.

    Args:
        archive: the file.
        folder: an empty one to unpack into.
        name: what the archive is called, for messages; a gzipped file loses its `.gz`.
        announced: bytes that the card says are in it; None: at most 120 times its own size, or 1 GiB.

    Returns:
        The files, in the archive's order: relative paths with slashes.

    Raises:
        SourceUnreadable: it is no such archive, or is damaged or encrypted; it holds a path that leaves the folder, a link or
            a device, the same file twice, or more bytes than can be honest.
        OutputUnwritable: no permission, or there is not enough space.
    """
    size = archive.stat().st_size
    most = max(_FREE, _RATIO * size) if announced is None else announced
    folder.mkdir(parents=True, exist_ok=True)
    room = shutil.disk_usage(folder).free
    made: dict[str, str] = {}
    done = 0
    try:
        for member in _members(archive, name, min(most, room), room < most):
            path = _checked(member.path, made, name)
            if not path:
                continue
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            opened = member.open()
            if opened is None:
                continue
            with opened as source, target.open("xb") as file:
                limit = most - done if member.size is None else min(member.size, most - done)
                done += _copy(source, file, limit, name)
    except _BROKEN as error:
        said = str(error)
        encrypted = "password" in said or "encrypted" in said
        raise SourceUnreadable(name, "it is encrypted" if encrypted else "it is damaged", advice=_ADVICE) from error
    except OSError as error:
        # So bz2 says that its data is wrong, and zipfile that it looks before the beginning.
        if error.errno in (None, errno.EINVAL):
            raise SourceUnreadable(name, "it is damaged", advice=_ADVICE) from error
        raise OutputUnwritable(folder, error.strerror or error) from error
    if not made:
        raise SourceUnreadable(name, "it holds no file", advice=_ADVICE)
    return list(made.values())


def unpack_nested(archive: Path, folder: Path, *, name: str, announced: int | None = None) -> list[str]:
    """Unpacks an archive, and the archives in it where they lie, which are then removed; see `unpack`.

    Args:
        archive, folder, name: as of `unpack`.
        announced: bytes that the card says are in it, archives included.

    Returns:
        The files: relative paths with slashes.

    Raises:
        SourceUnreadable, OutputUnwritable: as `unpack`.
    """
    found: dict[str, str] = {}
    for path in unpack(archive, folder, name=name, announced=announced):
        whole = folder / path
        if not path.lower().endswith(_ARCHIVES):
            found[path.casefold()] = path
            continue
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            for inner in unpack(whole, Path(beside), name=f"{name}: {path}"):
                target = whole.parent / inner
                inside = target.relative_to(folder).as_posix()
                if inside.casefold() in found or target.exists():
                    raise _refusal(f"{name}: {path}", inner, "that twice")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(beside, inner), target)
                found[inside.casefold()] = inside
        whole.unlink()
    return list(found.values())


def _members(archive: Path, name: str, most: int, small: bool) -> Iterator[_Member]:
    """Yields the files of an archive; what it announces is looked at first."""
    if _is_tar(archive):
        with tarfile.open(archive) as tar:
            yield from _of_tar(tar, name, most, small)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield from _of_zip(packed, name, most, small)
    else:
        with archive.open("rb") as file:
            magic = file.read(2)
        if magic != b"\x1f\x8b":
            raise SourceUnreadable(name, "it is neither zip nor tar nor gzip", advice=_ADVICE)
        plain = Path(name).name.removesuffix(".gz")
        yield _Member(plain, None, lambda: cast(IO[bytes], gzip.GzipFile(archive)))


def _is_tar(archive: Path) -> bool:
    """Says whether it is a tar with something in it: zeros alone, which one gzipped file may begin with, are no tar."""
    try:
        with tarfile.open(archive) as tar:
            return tar.next() is not None
    except (*_BROKEN, OSError):
        return False


def _of_zip(packed: zipfile.ZipFile, name: str, most: int, small: bool) -> Iterator[_Member]:
    entries = packed.infolist()
    _refuse_excess(len(entries), sum(entry.file_size for entry in entries), name, most, small)
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or entry.filename.startswith("__MACOSX/"):
            _safe(entry.filename, name)
            continue
        if kind not in (0, stat.S_IFREG):
            raise _refusal(name, entry.filename, "that is a link or a device")
        yield _Member(entry.filename, entry.file_size, lambda entry=entry: packed.open(entry))  # type: ignore[misc]


def _of_tar(tar: tarfile.TarFile, name: str, most: int, small: bool) -> Iterator[_Member]:
    count = total = 0
    # One after the other, as they come: to list them first would read a packed file twice.
    for entry in tar:
        count, total = count + 1, total + max(entry.size, 0)
        _refuse_excess(count, total, name, most, small)
        if entry.isdir() or entry.name.startswith("__MACOSX/"):
            _safe(entry.name, name)
            continue
        if not entry.isreg():
            raise _refusal(name, entry.name, "that is a link or a device")
        yield _Member(entry.name, entry.size, lambda entry=entry: tar.extractfile(entry))  # type: ignore[misc]


def _checked(path: str, made: dict[str, str], name: str) -> str:
    safe = _safe(path, name)
    # Not all file systems tell them apart.
    key = safe.casefold()
    if key in made:
        raise _refusal(name, path, "that twice")
    if safe:
        made[key] = safe
    return safe


def _safe(path: str, name: str) -> str:
    try:
        return member_path(path)
    except ValueError as error:
        raise _refusal(name, path, str(error)) from None


def _copy(source: IO[bytes], target: IO[bytes], limit: int, name: str) -> int:
    """Copies a member; returns its bytes."""
    done = 0
    while chunk := source.read(_CHUNK):
        done += len(chunk)
        if done > limit:
            raise SourceUnreadable(name, "it holds more than it announces, or than can be honest", advice=_ADVICE)
        target.write(chunk)
    return done


def _refuse_excess(count: int, total: int, name: str, most: int, small: bool) -> None:
    if count > _MOST_FILES:
        raise SourceUnreadable(name, f"it holds more than {_MOST_FILES:,} files", advice=_ADVICE)
    if total > most and small:
        raise OutputUnwritable(name, f"it unpacks to at least {total:,} bytes, and {most:,} are free")
    if total > most:
        problem = f"it would unpack to at least {total:,} bytes, and {most:,} are the most that can be honest"
        raise SourceUnreadable(name, problem, advice=_ADVICE)


def _refusal(name: str, member: str, why: str) -> SourceUnreadable:
    return SourceUnreadable(name, f"it holds {member!r}, and {why}", advice=_ADVICE)
