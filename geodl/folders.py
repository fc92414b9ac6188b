"""Where geodl keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ("cache_folder",)


def cache_folder() -> Path:
    """Returns the folder of what can be made again: `GEODL_CACHE`, else `geodl` in the user's cache folder."""
    home = os.environ.get("GEODL_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geodl"
    return Path(home)
