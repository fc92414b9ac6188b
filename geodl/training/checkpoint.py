"""Checkpoints: files that hold the whole state of training, each written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodl.errors import CheckpointMismatch, OutputUnwritable

__all__ = ("Checkpoint", "Checkpoints")

_STATE = "state"
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

    A file is written under a temporary name, flushed to the disk and renamed; zip's checksums tell a damaged one.

    Args:
        folder: is made when the first checkpoint is saved.
        keep: number of checkpoints kept.

    Example:
        >>> store = Checkpoints("run/checkpoints", keep=2)
        >>> store.save(10, {"model/0": np.zeros(3)}, {"identity": {}})
        >>> store.latest().step
        10
    """

    def __init__(self, folder: str | Path, *, keep: int = 2) -> None:
        self.folder = Path(folder)
        self.keep = keep

    def save(self, step: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> Path:
        """Writes a checkpoint and removes those that are too many.

        Args:
            step: steps done.
            arrays: what to store, by name.
            state: JSON values, `identity` among them.

        Raises:
            OutputUnwritable: no permission, disk full, …; the checkpoints before are left as they are.
        """
        path = self.folder / f"step-{step:08d}.npz"
        partial = path.with_name(f".{path.name}.partial")
        contents: dict[str, Any] = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(file, **contents)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            self._flush_folder()
            for old in self._paths()[self.keep :]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole; warns of damaged ones. None: there is none."""
        for path in self._paths():
            try:
                return _read(path)
            except _DAMAGE as error:
                warnings.warn(f"{path} is damaged ({error}); the checkpoint before it is used.", stacklevel=2)
        return None

    def clear(self) -> None:
        """Removes all checkpoints."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """Newest first."""
        return sorted(
            (path for path in self.folder.glob("step-*.npz") if re.fullmatch(r"step-\d+\.npz", path.name)),
            key=_step,
            reverse=True,
        )

    def _flush_folder(self) -> None:
        """Makes a rename durable, where the system can."""
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


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
