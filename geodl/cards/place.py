"""Where data sets lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from geodl.cards.manifest import MANIFEST
from geodl.folders import cache_folder
from geodl.wholefile import whole_file

__all__ = ("default_folder", "find_folder", "remember_folder")


def default_folder(name: str) -> Path:
    """Returns where a data set is put: in `GEODL_DATASETS`, else in `datasets` of geodl's cache.

    Raises:
        OutputUnwritable: the user has no home, and neither GEODL_DATASETS nor GEODL_CACHE is set.
    """
    own = os.environ.get("GEODL_DATASETS")
    return (Path(own).expanduser() if own else cache_folder() / "datasets") / name


def find_folder(name: str) -> Path:
    """Returns where a data set is: its usual folder, or the one that it was last put into.

    The folder need not exist.
    """
    usual = default_folder(name)
    if (usual / MANIFEST).is_file():
        return usual
    try:
        other = Path(_note(usual).read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return usual
    return other if (other / MANIFEST).is_file() else usual


def remember_folder(name: str, folder: Path) -> None:
    """Notes that a data set was put into another folder than the usual one, so that recipes find it by name."""
    usual = default_folder(name)
    if folder.resolve() == usual.resolve():
        return
    with whole_file(_note(usual)) as temporary:
        temporary.write_text(f"{folder.resolve()}\n", "utf-8")


def _note(usual: Path) -> Path:
    return usual.with_name(f".{usual.name}.place")
