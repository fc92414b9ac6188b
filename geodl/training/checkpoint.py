"""Checkpoints: files that hold the whole state of training, each written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geodl.errors import CheckpointMismatch, OutputUnwritable

if TYPE_CHECKING:
    from geodl.storage import Storage

__all__ = ("Checkpoint", "Checkpoints")

_STATE = "state"
_NAME = re.compile(r"step-\d+\.npz")
_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Checkpoint:
    """What one file holds."""

    path: Path
    step: int
    """Steps done when it was written."""
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    """Everything that is no array, as JSON."""

    def require(self, identity: Mapping[str, Any]) -> None:
        """Checks that this checkpoint belongs to the run that wants to continue it.

        Args:
            identity: name of each field that makes the run what it is, to its value; JSON values.

        Raises:
            CheckpointMismatch: a field differs, is missing, or is new; the first one is named.
        """
        saved, asked = self.state["identity"], _as_json(identity)
        for field in [*asked, *(field for field in saved if field not in asked)]:
            before, now = saved.get(field, "nothing"), asked.get(field, "nothing")
            if before != now:
                raise CheckpointMismatch(self.path, field=field, expected=before, received=now)


class Checkpoints:
    """The checkpoints of one run: `step-00001234.npz` in one folder, the last few kept.

    A file is written under a temporary name, flushed to the disk and renamed; zip's checksums tell a damaged one. It is
    written by a thread of its own while training goes on; leaving the context waits for it.

    Of a run on object storage, what lies there counts: each checkpoint is uploaded once it is whole, and what another
    machine left is fetched. The folder is then a copy of it.

    Args:
        folder: is made when the first checkpoint is saved.
        keep: number of checkpoints kept.
        storage: where the run lives, if it does not live in the folder above.
        beside: names of files in the folder above, such as a log, that are uploaded with each checkpoint.

    Example:
        >>> with Checkpoints("run/checkpoints", keep=2) as store:
        ...     store.save(10, {"model/0": np.zeros(3)}, {"identity": {}})
        >>> store.latest().step
        10
    """

    def __init__(
        self, folder: str | Path, *, keep: int = 2, storage: Storage | None = None, beside: Sequence[str] = ()
    ) -> None:
        self.folder = Path(folder)
        self.keep = keep
        self._storage = storage
        self._beside = beside
        self._writer = ThreadPoolExecutor(1, "geodl-checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait()
        except OutputUnwritable:
            # What ended the training says more.
            if error is None or isinstance(error, SystemExit):
                raise
        finally:
            self._writer.shutdown()

    def save(self, step: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> Path:
        """Begins to write a checkpoint, once the one before is written; those that are too many are then removed.

        Args:
            step: steps done.
            arrays: what to store, by name; they may not change any more.
            state: JSON values, `identity` among them.

        Returns:
            The file that it will be.

        Raises:
            OutputUnwritable: the checkpoint *before* could not be written: no permission, disk full, no connection, …;
                older ones are left as they are.
        """
        self.wait()
        contents: dict[str, Any] = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays}
        path = self.folder / f"step-{step:08d}.npz"
        self._pending = self._writer.submit(self._write, path, contents)
        return path

    def wait(self) -> None:
        """Waits until the last checkpoint is written.

        Raises:
            OutputUnwritable: it could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def latest(self) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole; warns of damaged ones. None: there is none.

        Raises:
            SourceUnreadable: object storage cannot be reached.
        """
        self.wait()
        for path in self._paths() if self._storage is None else self._stored():
            try:
                if self._storage is not None and not path.is_file():
                    self._storage.fetch(f"{self.folder.name}/{path.name}", path)
                return _read(path)
            except _DAMAGE as error:
                warnings.warn(f"{path} is damaged ({error}); the checkpoint before it is used.", stacklevel=2)
        return None

    def clear(self) -> None:
        """Removes all checkpoints."""
        self.wait()
        if self._storage is not None:
            for path in self._stored():
                self._storage.remove(f"{self.folder.name}/{path.name}")
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _write(self, path: Path, contents: Mapping[str, Any]) -> None:
        """Runs in the writing thread."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # What a killed process left.
            for left in self.folder.glob(".step-*.partial"):
                left.unlink(missing_ok=True)
            with partial.open("wb") as file:
                np.savez(file, **contents)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            self._flush_folder()
            if self._storage is not None:
                self._upload(self._storage, path)
            for old in self._paths()[self.keep :]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _upload(self, storage: Storage, path: Path) -> None:
        storage.store(path, f"{self.folder.name}/{path.name}")
        for name in self._beside:
            if (self.folder.parent / name).is_file():
                storage.store(self.folder.parent / name, name)
        for old in self._stored()[self.keep :]:
            storage.remove(f"{self.folder.name}/{old.name}")

    def _stored(self) -> list[Path]:
        """Where the checkpoints on object storage are, or would be, kept here; newest first.

        A file here that is not there as well belongs to a run that is gone, or was not uploaded whole.
        """
        assert self._storage is not None
        begin = f"{self.folder.name}/"
        found = self._storage.sizes()
        sizes = {name.removeprefix(begin): size for name, size in found.items() if name.startswith(begin)}
        for path in self._paths():
            if path.stat().st_size != sizes.get(path.name):
                path.unlink(missing_ok=True)
        return _newest_first(self.folder / name for name in sizes)

    def _paths(self) -> list[Path]:
        """Those in the folder, newest first."""
        return _newest_first(self.folder.glob("step-*.npz"))

    def _flush_folder(self) -> None:
        """Makes a rename durable, where the system can."""
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted((path for path in paths if _NAME.fullmatch(path.name)), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _read(path: Path) -> Checkpoint:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    state = json.loads(arrays.pop(_STATE).tobytes())
    return Checkpoint(path, _step(path), arrays, state)


def _as_json(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Makes values comparable with those read back: tuples become lists, keys text."""
    comparable: dict[str, Any] = json.loads(json.dumps(identity, default=str))
    return comparable
