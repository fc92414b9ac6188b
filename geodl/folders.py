"""Where geodl keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

from geodl.errors import OutputUnwritable

__all__ = ("cache_folder",)


def cache_folder() -> Path:
    """Returns the folder of what can be made again: `GEODL_CACHE`, else `geodl` in the user's cache folder.

    Raises:
        OutputUnwritable: neither is set, and the user has no home, as in some containers.
    """
    own = os.environ.get("GEODL_CACHE")
    if own:
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geodl"
    except RuntimeError as error:
        raise OutputUnwritable("the cache", "the user has no home folder, and GEODL_CACHE names no other") from error
