"""Maps that a run may leave unfinished, and the next one goes on with: their folder, and what is written down in it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from geodl.errors import NoValidPixels, OutputUnwritable
from geodl.inference.seams import Frame
from geodl.wholefile import whole_file

__all__ = ("FinishedMap", "Journal", "held_bytes", "remove_unfinished", "unfinished_folder")

_KEY, _LOCK, _JOURNAL, _FRAMES = "key", ".lock", "journal", "frames"
_SYNC = 5.0
"""Seconds after which what was written is brought to the disk."""

_log = logging.getLogger("geodl")


class Blocks(Protocol):
    """Where the finished pixels are written; see `MapWriter.flush`."""

    def flush(self, *, to_disk: bool = False) -> None:
        """Hands what was written to the system, or to the disk."""
        ...


@contextmanager
def unfinished_folder(target: Path, *, key: str) -> Iterator[Path]:
    """Gives the hidden folder beside a target in which its map is made, with what an earlier run left in it.

    It goes when the block ends without an error, or because there is nothing to map. Otherwise it stays, for the next run.

    Args:
        target: the map. Missing folders above it are made.
        key: of the work. What another work left is removed.

    Yields:
        The folder.

    Raises:
        OutputUnwritable: another process works on it.
        OSError: no permission, no space.
    """
    from filelock import FileLock, Timeout

    folder = _folder(target)
    made = [parent for parent in target.parents if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputUnwritable(target, "another process is mapping to it") from error
    try:
        if not (folder / _KEY).is_file() or (folder / _KEY).read_text(encoding="utf-8") != key:
            _empty(folder)
            with whole_file(folder / _KEY) as written:
                written.write_text(key, encoding="utf-8")
        yield folder
    except NoValidPixels:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        if (folder / _FRAMES).is_dir() and any((folder / _FRAMES).iterdir()):
            _log.warning("%s is unfinished. What is done of it is kept: the same command goes on with it.", target)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
        for parent in made:
            with suppress(OSError):  # The map is in it, or what there is of it.
                parent.rmdir()


def held_bytes(target: Path) -> int:
    """Returns what an earlier run left on the disk beside a target; it is gone on with, or removed."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in _folder(target).rglob("*"))
    return 0


def remove_unfinished(target: Path) -> None:
    """Removes what an earlier run left beside a target that is whole now, unless another process works on it."""
    from filelock import FileLock, Timeout

    folder = _folder(target)
    if folder.is_dir():
        with suppress(Timeout, OSError), FileLock(folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)


class Journal:
    """What is written down of an unfinished map: which tiles are done, and the frames that still wait for neighbours.

    Each line follows what it tells of, so that nothing is told too early, wherever the process is killed. Where the machine
    goes down, what was told since the disk had it all counts for nothing.

    Args:
        folder: of the map.
        blocks: where the finished pixels are written.
        fresh: whether these are new, so that whatever is told of them is wrong.
    """

    def __init__(self, folder: Path, blocks: Blocks, *, fresh: bool) -> None:
        self._folder, self._blocks = folder / _FRAMES, blocks
        self.valid: dict[int, int] = {}
        """Numbers of the tiles that are done, and how many valid pixels each has."""
        self.merged = 0
        """How many of them, from the first on, have been added up with their neighbours."""
        path = folder / _JOURNAL
        if fresh:
            path.unlink(missing_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        lines = _certain(path)
        for line in lines:
            word, *numbers = line.split()
            if word == "tile":
                self.valid[int(numbers[0])] = int(numbers[1])
            elif word == "merged":
                self.merged = int(numbers[0])
        with whole_file(path) as written:
            written.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self._file: IO[bytes] = open(path, "ab", buffering=0)  # noqa: SIM115
        self._write(f"boot {_boot()}")
        self._synced = time.monotonic()
        self._new: list[Path] = []

    def add(self, number: int, valid: int, frame: Frame) -> None:
        """Notes a tile whose inner part has been written.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        try:
            np.savez(self._path(number), **frame.arrays())  # type: ignore[arg-type]
        except OSError as error:
            raise OutputUnwritable(self._folder, error.strerror or error) from error
        self._new.append(self._path(number))
        self._blocks.flush()
        self.valid[number] = valid
        self._write(f"tile {number} {valid}")

    def frame(self, number: int) -> Frame:
        """Returns the frame of a tile that is done."""
        with np.load(self._path(number), allow_pickle=False) as arrays:
            return Frame(**arrays)

    def merge(self, count: int, needed: int) -> None:
        """Notes that tiles have been added up with their neighbours, and the pixels that this finished been written.

        Args:
            count: how many, from the first one on.
            needed: number of the first one whose frame will be asked for again.
        """
        self._blocks.flush()
        self.merged = count
        self._write(f"merged {count}")
        if time.monotonic() - self._synced > _SYNC:
            self.sync(needed)

    def sync(self, needed: int = 0) -> None:
        """Waits until the disk has all of it, and removes the frames that nobody needs any more.

        Raises:
            OutputUnwritable: disk full, or gone.
        """
        self._blocks.flush(to_disk=True)
        try:
            for path in self._new:
                with suppress(FileNotFoundError), open(path, "rb") as file:
                    os.fsync(file.fileno())
            self._write("synced")
            os.fsync(self._file.fileno())
            for path in self._folder.iterdir():
                if int(path.stem) < needed:
                    path.unlink()
        except OSError as error:
            raise OutputUnwritable(self._folder, error.strerror or error) from error
        self._new.clear()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.npz"

    def _write(self, line: str) -> None:
        try:
            self._file.write(f"{line}\n".encode())
        except OSError as error:
            raise OutputUnwritable(self._folder, error.strerror or error) from error


class FinishedMap:
    """A note beside a map that it is finished, while others of the same run are not.

    Args:
        target: path of the map.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._path = target, target.with_name(f".{target.name}.finished")

    def exists(self) -> bool:
        """Says whether there is one."""
        return self._path.is_file()

    def holds(self, key: str) -> bool:
        """Says whether the map there is still the one that a run with the same work finished."""
        try:
            return bool(json.loads(self._path.read_text(encoding="utf-8")) == self._content(key))
        except (OSError, ValueError):
            return False

    def note(self, key: str) -> None:
        """Notes that the map is finished."""
        with whole_file(self._path) as written:
            written.write_text(json.dumps(self._content(key)), encoding="utf-8")

    def remove(self) -> None:
        """Removes the note."""
        self._path.unlink(missing_ok=True)

    def _content(self, key: str) -> list[object]:
        status = self._target.stat()
        return [key, status.st_size, status.st_mtime_ns]


def _folder(target: Path) -> Path:
    return target.with_name(f".{target.name}.unfinished")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def _certain(path: Path) -> list[str]:
    """The lines of a journal that hold: those that the disk had, and what this run of the machine wrote since."""
    try:
        # The last one may be half of a line.
        *lines, _ = path.read_text(encoding="ascii").split("\n")
    except FileNotFoundError:
        return []
    synced = max((k for k, line in enumerate(lines) if line == "synced"), default=-1)
    boots = [line for line in lines if line.startswith("boot ")]
    return lines if _boot() and boots[-1:] == [f"boot {_boot()}"] else lines[: synced + 1]


def _boot() -> str:
    """What tells this run of the machine from others; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
