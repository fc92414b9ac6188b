"""Files that appear under their names only when they are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from geodl.errors import OutputUnwritable

__all__ = ("whole_file",)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; what is there takes the name of `path` once the block is done.

    Where it is not done, nothing is left, and an older file stays as it was.

    Raises:
        OutputUnwritable: no permission, disk full.

    Example:

    >>> with whole_file(Path("metrics.json")) as temporary:
    ...     temporary.write_text("{}")
    """
    # The suffix stays, by which writers know a format.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputUnwritable(path, error.strerror or error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
