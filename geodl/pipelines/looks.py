"""Scenes with a second look: another scene of the same place on the same grid, whose bands lie behind those of the first."""

from __future__ import annotations

from geodl.data.opening import open_source
from geodl.data.source import Source, one_time
from geodl.data.stacked import StackedSource

__all__ = ("open_look", "with_look")


def open_look(spec: str, first: Source) -> Source:
    """Opens a second look with the bands of the first: those of its names, or as many without them, in their order.

    Raises:
        BandMismatch: it has others.
    """
    second = one_time(open_source(spec, name=first.name))
    names, own = ([band.name for band in each.bands] for each in (first, second))
    return second.select(tuple(names)) if set(names) <= set(own) or len(own) != len(names) else second


def with_look(first: Source, second: Source) -> Source:
    """Puts the bands of a second look behind those of the first; they are called as these, with `.2` after it.

    Raises:
        GridMismatch: it lies elsewhere.
    """
    return StackedSource([first, second.rename([f"{band.name}.2" for band in second.bands])])
