"""Pixels that look like nodata in scenes that state no nodata value."""

from __future__ import annotations

import logging

import numpy as np

from geodl.data.source import Source, Window

__all__ = ("look_for_nodata", "warn_of_nodata")

_PLACES = 6
"""Along y and along x, at which a scene is looked at."""
_SIDE = 24
"""Pixels of each look."""
_SHARE = 0.03
"""Of the pixels looked at, from which it is worth a word."""

_log = logging.getLogger("geodl")


def look_for_nodata(source: Source) -> tuple[int, float] | None:
    """Looks at a few places of a scene for pixels that hold the least or the greatest stored value in all bands.

    Args:
        source: scene of whole numbers; of others nothing is looked at, and neither of one that states nodata.

    Returns:
        The value, and the share of the pixels looked at that hold it in all bands; None where there are few such.
    """
    dtypes = {np.dtype(band.dtype) for band in source.bands}
    stated = any(band.nodata is not None for band in source.bands)
    if stated or len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    if not np.issubdtype(dtype, np.integer):
        return None
    limit = np.iinfo(dtype)
    scale, offset = (np.array([getattr(band, name) for band in source.bands]) for name in ("scale", "offset"))
    found = dict.fromkeys(sorted({0, int(limit.min), int(limit.max)}), 0)
    seen = 0
    for window in _windows(source.grid.shape):
        values, valid = source.read(window)
        if not np.all(valid):
            return None  # A mask says what is no data.
        stored = np.rint((values - offset) / scale)
        seen += stored.shape[0] * stored.shape[1]
        for value in found:
            found[value] += int((stored == value).all(-1).sum())
    value = max(found, key=lambda candidate: found[candidate])
    return (value, found[value] / seen) if found[value] >= _SHARE * seen else None


def warn_of_nodata(source: Source) -> None:
    """Warns where a scene states no nodata value and many of its pixels look like it."""
    found = look_for_nodata(source)
    if found is not None:
        value, share = found
        _log.warning(
            "%s: %.0f %% of the pixels looked at are %d%s, and the file states no nodata value; they are taken "
            "for data. If they are none, say so, in a copy where the file must stay as it is: rio edit-info --nodata %d FILE.",
            source.name,
            100 * share,
            value,
            " in all bands" if len(source.bands) > 1 else "",
            value,
        )


def _windows(shape: tuple[int, int]) -> list[Window]:
    """Small windows, each in the middle of a cell of a lattice: together they see a fair share of the scene."""
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    starts = [np.unique((places * size - _SIDE / 2).clip(0, max(0, size - _SIDE)).astype(int)) for size in shape]
    height, width = (min(size, _SIDE) for size in shape)
    return [Window(int(column), int(row), width, height) for row in starts[0] for column in starts[1]]
