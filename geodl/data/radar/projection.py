"""Projections as radar files state them, in one line of text."""

from __future__ import annotations

import re
from functools import lru_cache

from pyproj import CRS
from pyproj.exceptions import CRSError

from geodl.errors import SourceUnreadable

__all__ = ("crs_of",)


def crs_of(projection: str, *, where: str) -> CRS:
    """Reads a projection.

    Args:
        projection: a text of PROJ, or another that names a CRS.
        where: for the message.

    Raises:
        SourceUnreadable: the text is not understood.

    Example:
        >>> crs_of("+proj=stere +lat_0=90 +lat_ts=60 +R=6371229", where="a.h5").ellipsoid.semi_major_metre
        6371229.0
    """
    try:
        return _crs_of(projection)
    except CRSError as error:
        raise SourceUnreadable(
            where, f"its projection {projection!r} is not understood ({error})", advice="Write it with another."
        ) from error


@lru_cache(maxsize=256)
def _crs_of(projection: str) -> CRS:
    """Cached: an ellipsoid without a name takes PROJ most of a second, and the files of a folder have the same."""
    if re.match(r"\s*\+?proj=", projection):
        # Some files lack the plus sign before a parameter, which PROJ then passes over.
        projection = re.sub(r"(?<!\S)(?=[A-Za-z])", "+", projection)
    return CRS.from_user_input(projection)
