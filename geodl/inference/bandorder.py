"""The bands of a network in what it is given: found by name, in its order, in its units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from geodl.contract import Band
from geodl.data.source import are_nameless
from geodl.errors import BandMismatch, UnitMismatch

__all__ = ("in_band_order",)

_Banded = TypeVar("_Banded", bound=Any)


def in_band_order(thing: _Banded, wanted: Sequence[Band]) -> _Banded:
    """Returns a source or a table with the bands of a network, in its order.

    They are found by name, whatever its case. Where the thing's or the network's bands have no names, their number must be
    the same, and their order is taken.

    Args:
        thing: has `name`, `bands` and `select`: a `Source`, or a `SeriesTable`.
        wanted: bands of the network.

    Raises:
        BandMismatch: a band is missing, or there are too few or too many without names.
        UnitMismatch: both state a unit for a band, and they differ.
    """
    own, names = ([band.name for band in bands] for bands in (thing.bands, wanted))
    folded = {name.casefold(): name for name in own}
    if len(folded) == len(own) and all(name.casefold() in folded for name in names):
        thing = thing.select(tuple(folded[name.casefold()] for name in names))
    elif not ((are_nameless(own) or are_nameless(names)) and len(own) == len(names)):
        raise BandMismatch(thing.name, expected=names, received=own)
    for band, asked in zip(thing.bands, wanted, strict=True):
        if band.unit and asked.unit and band.unit.casefold() != asked.unit.casefold():
            raise UnitMismatch(thing.name, band=asked.name, expected=asked.unit, received=band.unit)
    return thing
