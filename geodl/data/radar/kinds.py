"""Kinds of radar files that pysteps reads, known by their names, which also state the time."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from geodl.errors import SourceUnreadable

__all__ = ("KINDS", "Kind", "find_kind")


@dataclass(frozen=True)
class Kind:
    """Files that one importer reads: how their names look, and what the importer must be told."""

    importer: str
    """As pysteps calls it: `mch_gif`, `saf_crri`, …, or that of a plug-in."""
    names: str = r".*"
    """Regular expression of whole file names. A group `time` is the time; other groups are options of the importer."""
    time: str = ""
    """Format of the group `time`, as of `strptime`; empty: `YYYYMMDDHHMM` or `YYYYMMDD_HHMM` is looked for in the name."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further options of the importer."""
    unit: str = ""
    """Of the values, where the importer does not say: mm/h, mm or dBZ."""
    minutes: float | None = None
    """In which a depth in mm fell, where the importer does not say."""

    def read_name(self, path: str) -> tuple[np.datetime64, dict[str, Any]]:
        """Reads a file's name.

        Returns:
            The time, datetime64[ns], and all options of the importer.

        Raises:
            SourceUnreadable: the name is not that of such files, or states no time.
        """
        name = os.path.basename(path)
        found = re.fullmatch(self.names, name)
        if found is None:
            raise SourceUnreadable(
                path, f"its name is not that of {self.importer} files", advice="Choose another kind."
            )
        groups: dict[str, Any] = found.groupdict()
        stated = groups.pop("time", None)
        if stated is None and (digits := re.search(r"(?<!\d)(\d{8})[-_T]?(\d{4})(?:\d\d)?(?!\d)", name)):
            stated = digits[1] + digits[2]
        try:
            time = np.datetime64(datetime.strptime(stated or "", self.time or "%Y%m%d%H%M"), "ns")
        except ValueError:
            raise SourceUnreadable(
                path,
                "its name does not state its time",
                advice="Expected YYYYMMDDHHMM in it, or as its service names files.",
            ) from None
        if "accutime" in groups:
            groups["accutime"] = float(groups["accutime"])
        return time, {**dict(self.options), **groups}


KINDS: tuple[Kind, ...] = (
    Kind(
        "mch_gif",
        r"(?P<product>AQC|CPC|AZC)(?P<time>\d{9})[^_]*_(?P<accutime>\d{5})\..*gif",
        time="%y%j%H%M",
        options=(("unit", "mm"),),
    ),
    Kind(
        "mch_gif",
        r"(?P<product>RZC)(?P<time>\d{9})[^_]*_(?P<accutime>\d{5})\..*gif",
        time="%y%j%H%M",
        options=(("unit", "mm/h"),),
    ),
    Kind("fmi_pgm", r".*\.pgm", options=(("gzipped", False),)),
    Kind("fmi_pgm", r".*\.pgm\.gz", options=(("gzipped", True),)),
    Kind("mrms_grib", r".*PrecipRate.*\.grib2", options=(("window_size", 1),)),
    *(
        Kind(
            "dwd_radolan",
            rf"raa\d\d-{product.lower()}_\d+-(?P<time>\d{{10}})-dwd---bin",
            time="%y%m%d%H%M",
            options=(("product_name", product),),
            unit="mm",
            minutes=minutes,
        )
        for product, minutes in (("RW", 60.0), ("RY", 5.0))
    ),
)
"""The files that are known by their names; the first that fits is taken."""


def find_kind(path: str) -> Kind | None:
    """Returns the kind of file that `path` is by its name, None where pysteps is not needed or the kind is not known."""
    name = os.path.basename(path)
    return next((kind for kind in KINDS if re.fullmatch(kind.names, name)), None)
