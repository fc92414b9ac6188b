"""Object storage in this process: fsspec's memory."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

__all__ = ("uploaded",)


def uploaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copies the files below a folder into a bucket, and returns the bucket's address with a slash at its end.

    The cache of what is fetched from there is a hidden folder in it.
    """
    monkeypatch.setenv("GEODL_CACHE", str(folder / ".cache"))
    files = fsspec.filesystem("memory")
    bucket = f"/{folder.parent.name}-{folder.name}"
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        files.pipe_file(f"{bucket}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory:/{bucket}/"
