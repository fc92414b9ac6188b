"""Hidden folders beside a target, in which its file is made before it is given its name."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ("reserve", "scratch_folder")

_DAY = 86400
_NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Makes a folder beside a target for the time of the block, on the same file system.

    One that a killed process left is removed by the next run for the same target.

    Args:
        target: the file to be made. Missing folders above it are made; those still empty in the end are removed.

    Yields:
        The folder. Whatever is left in it goes with it.

    Raises:
        OSError: no permission, no space.

    Example:

    >>> with scratch_folder(Path("map.gpkg")) as folder:
    ...     write(folder / "map.gpkg")
    ...     os.replace(folder / "map.gpkg", "map.gpkg")
    """
    made = [folder for folder in target.parents if not folder.exists()]
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        folder = Path(tempfile.mkdtemp(prefix=f"{_prefix(target)}{os.getpid()}-", dir=target.parent))
        yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):  # The target is in it, or it could not be made.
                parent.rmdir()


def reserve(file: IO[bytes], size: int) -> None:
    """Gives a file its size, and its disk space where the system can: a full disk shows before any work is done.

    Raises:
        OSError: no space.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
    os.truncate(file.fileno(), size)


def _prefix(target: Path) -> str:
    return f".{target.name}.{socket.gethostname()}-"


def _remove_stale(target: Path) -> None:
    """Removes what processes that no longer live left for this target."""
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        pid = folder.name.removeprefix(_prefix(target)).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid), folder):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int, folder: Path) -> bool:
    if os.name == "nt":
        # There is no harmless way to ask for a process there, but a day without a change is an answer.
        return time.time() - folder.stat().st_mtime < _DAY
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
