"""How a user says which NetCDF file or Zarr store is meant, and what of it.

One word says what is meant, for recipes and the command line alike: `rain.nc` (all variables over the same y and x),
`rain.nc:pr` or `rain.nc:pr,tas` (these), `rain.nc:model/pr` (in a group), `rain.nc@1999-03` and `rain.nc:pr@1999-03`
(one time of several: how it begins, or its position, `@0`, `@-1`). The colon counts behind the ending only, so that
`C:\\data\\rain.nc:pr` means what it should.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from geodl.data.files import is_local, stem

__all__ = ("CUBE_EXTENSIONS", "CubeWord")

CUBE_EXTENSIONS = (".nc", ".nc4", ".cdf", ".netcdf", ".zarr")
"""What counts as a NetCDF file or a Zarr store."""

_WORD = re.compile(
    r"(?P<path>.+?(?:\.nc4?|\.cdf|\.netcdf|\.zarr)(?P<query>\?[^:@]*)?)/?(?::(?P<names>[^@]+))?(?:@(?P<time>.+))?",
    re.IGNORECASE,
)
_ZARR = ("zarr.json", ".zgroup", ".zmetadata")


@dataclass(frozen=True)
class CubeWord:
    """What a user's word for a NetCDF file or a Zarr store means."""

    path: str
    group: str = ""
    variables: tuple[str, ...] = ()
    """Empty: all."""
    time: str = ""
    """How the time begins, or its position; empty: all."""

    @classmethod
    def read(cls, word: str | os.PathLike[str]) -> CubeWord | None:
        """Takes a word apart; None where it means no NetCDF file or Zarr store.

        Example:

        >>> CubeWord.read("C:/rain.nc:pr,tas@1999-03")
        CubeWord(path='C:/rain.nc', group='', variables=('pr', 'tas'), time='1999-03')
        """
        text = os.fspath(word)
        if is_local(text) and os.path.isdir(text) and any(os.path.isfile(os.path.join(text, name)) for name in _ZARR):
            return cls(text)
        match = _WORD.fullmatch(text)
        if match is None:
            return None
        query = match["query"] or ""
        # In an address a question mark begins the query; in a path it is part of a pattern.
        if "?" in match["path"].removesuffix(query) if "://" in text else query:
            return None
        group, slash, names = (match["names"] or "").rpartition("/")
        variables = tuple(name.strip() for name in names.split(",") if name.strip())
        return cls(match["path"], group if slash else "", variables, match["time"] or "")

    @property
    def name(self) -> str:
        """Name of the scene: the file's stem, and what was chosen of it."""
        chosen = [*self.variables, self.time] if self.time else self.variables
        return "_".join([stem(self.path), *(re.sub(r"[^\w.-]+", "-", part) for part in chosen)])

    def __str__(self) -> str:
        names = ",".join(self.variables)
        group = f"{self.group}/" if self.group else ""
        return self.path + (f":{group}{names}" if group or names else "") + (f"@{self.time}" if self.time else "")
