"""Which files a user means: one path, a folder, a glob or a list; and what to call what they hold."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from geodl.errors import EmptyDataset, SourceUnreadable
from geodl.storage.address import is_address, parsed, shown

__all__ = (
    "common_name",
    "distinct_names",
    "distinct_parts",
    "find_files",
    "is_local",
    "is_remote_folder",
    "local_copy",
    "stem",
)

_SIDECARS = (".aux.xml", ".ovr", ".msk")


def find_files(
    where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    extensions: Collection[str],
    what: str,
    folders: Callable[[str], bool] = lambda path: False,
) -> list[str]:
    """Lists the files that `where` means, sorted so that B2 comes before B10.

    Args:
        where: a file (also `s3://…`, `https://…`), a folder, a glob (`**` goes into subfolders), or a list of these,
            whose order is kept. Folders at addresses end in a slash: `s3://bucket/scenes/`.
        extensions: lower-case endings such as `.tif` that count in a folder. A file named outright is always taken.
        what: what is looked for, for the message, such as `images`.
        folders: says which folders count as one file.

    Raises:
        EmptyDataset: the folder, glob or list holds no such file.
        SourceUnreadable: there is no such file or folder; a folder at an https:// address, which cannot be listed.
        BackendUnavailable: the package for a remote folder is not installed.
    """
    if not isinstance(where, (str, os.PathLike)):
        each = (find_files(item, extensions=extensions, what=what, folders=folders) for item in where)
        found = [path for paths in each for path in paths]
        if not found:
            raise EmptyDataset(what, expected="at least one file", received="an empty list")
        return list(dict.fromkeys(found))
    text = os.fspath(where)
    if is_remote_folder(text):
        return _find_remote(text, extensions, what)
    if not is_local(text) or os.path.isfile(text) or folders(text):
        return [text]
    known = ", ".join(sorted(extensions))
    if os.path.isdir(text):
        entries = [os.path.join(text, entry) for entry in os.listdir(text)]
        found = [
            path for path in entries if (_counts(path) and Path(path).suffix.lower() in extensions) or folders(path)
        ]
        if not found:
            received = f"{len(entries)} other entries" if entries else "an empty folder"
            if any(map(os.path.isdir, entries)):
                received += "; to look into its subfolders, write it as a glob (…/**/*.tif)"
            raise EmptyDataset(text, expected=f"{what} ({known})", received=received)
    elif glob.has_magic(text):
        found = [path for path in glob.glob(text, recursive=True) if _counts(path) or folders(path)]
        if not found:
            raise EmptyDataset(text, expected=f"{what}: files that match the pattern")
    else:
        raise SourceUnreadable(text, _instead_of_a_file(text))
    return sorted(found, key=_natural)


def is_remote_folder(path: str) -> bool:
    """Says whether an address means the files of a folder or a glob: it ends in a slash, or has a star or a bracket.

    Example:

    >>> is_remote_folder("s3://bucket/scenes/"), is_remote_folder("s3://bucket/cube.zarr/")
    (True, False)
    """
    if not is_address(path):
        return False
    scheme, _, key = parsed(path)
    begin = path.partition("?")[0] if scheme in ("http", "https") else path
    return bool(re.search(r"[*\[]", key)) or (begin.endswith("/") and not key.lower().endswith(".zarr"))


def local_copy(path: str | os.PathLike[str]) -> str:
    """Returns the path itself, or of an address that of a copy in the user's cache: for readers of local files only.

    Raises:
        SourceUnreadable: it cannot be fetched.
        BackendUnavailable: the package for it is not installed.
        OutputUnwritable: the cache cannot be written.
    """
    text = os.fspath(path)
    if not is_address(text):
        return text
    from geodl.storage.cached import fetched

    return str(fetched(text))


def _find_remote(address: str, extensions: Collection[str], what: str) -> list[str]:
    from fsspec.utils import glob_translate

    from geodl.storage.folder import Storage

    scheme, place, key = parsed(address)
    pattern = re.search(r"[*\[]", key)
    folder = key[: pattern.start()].rpartition("/")[0] if pattern else key
    inside = key[len(folder) :].lstrip("/")
    base = f"{scheme}://{place}/{folder}".rstrip("/")
    names = [
        name for name in Storage(base).names(deep="/" in inside)
        if not PurePosixPath(name).name.startswith(".") and not name.lower().endswith(_SIDECARS)
    ]  # fmt: skip
    if pattern:
        matches = re.compile(glob_translate(inside)).match
        names = [name for name in names if matches(name)]
        expected = f"{what}: files that match the pattern"
    else:
        names = [name for name in names if PurePosixPath(name).suffix.lower() in extensions]
        expected = f"{what} ({', '.join(sorted(extensions))})"
    if not names:
        raise EmptyDataset(shown(address), expected=expected, received="nothing of that kind")
    return sorted((f"{base}/{name}" for name in names), key=_natural)


def _instead_of_a_file(path: str) -> str:
    if os.path.exists(path):
        return "it is neither a file nor a folder but a pipe, a device or the like"
    return "it is a link that leads nowhere" if os.path.islink(path) else "there is no such file or folder"


def is_local(path: str) -> bool:
    """Says whether `path` is a plain path of this machine (and not a URL or one of GDAL's own names)."""
    return not re.match(r"[A-Za-z][A-Za-z0-9+._-]+:|/vsi", path)


def stem(path: str | os.PathLike[str]) -> str:
    """Returns the file's name without folder and ending; for URLs too."""
    text = os.fspath(path).rstrip("/")
    return (PurePosixPath(text.partition("?")[0]) if not is_local(text) else Path(text)).stem


def common_name(paths: Sequence[str]) -> str:
    """Names a scene that is made of several files: what their names begin with, else the folder they are in."""
    if len(paths) == 1:
        return stem(paths[0])
    begin = _cut(_shared_start([stem(path) for path in paths])).strip("-_. ")
    return begin or Path(paths[0]).absolute().parent.name


def distinct_parts(names: Sequence[str]) -> list[str]:
    """Takes off what names, split at `-`, `_`, `.` and spaces, have in common at both ends.

    `T33_B02_10m`, `T33_B03_10m` become `B02`, `B03`. Names that would become empty or equal are returned as they are.
    """
    begin = len(_cut(_shared_start(names)))
    end = len(_cut(_shared_start([name[begin:][::-1] for name in names])))
    short = [name[begin : len(name) - end] for name in names]
    return short if all(short) and len(set(short)) == len(names) else list(names)


def distinct_names(paths: Sequence[str]) -> list[str]:
    """Returns a name for each path: its stem; where stems are equal, as many folders before it as tell them apart."""
    names = [stem(path) for path in paths]
    for depth in range(1, 9):
        repeated = {name for name, count in Counter(names).items() if count > 1}
        if not repeated:
            break
        folders = [PurePosixPath(path.replace(os.sep, "/")).parts[-1 - depth : -1] for path in paths]
        names = [
            "_".join([*folder, stem(path)]) if name in repeated else name
            for path, folder, name in zip(paths, folders, names)
        ]
    return names


def _shared_start(names: Sequence[str]) -> str:
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names))
    return "".join(letters[0] for letters in same)


def _cut(begin: str) -> str:
    """Cuts a common beginning after its last separator, so that no word is torn apart."""
    return begin[: max(begin.rfind(mark) for mark in "-_. ") + 1]


def _counts(path: str) -> bool:
    return not os.path.basename(path).startswith(".") and not path.lower().endswith(_SIDECARS) and os.path.isfile(path)


def _natural(path: str) -> list[tuple[int, str]]:
    parts: Iterable[str] = re.split(r"(\d+)", path)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
