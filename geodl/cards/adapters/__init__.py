"""Laying out what was fetched where no reader of geodl takes it as it is: each adapter writes files that one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geodl.cards.adapters.crops import breizhcrops, pastis
from geodl.cards.adapters.radar import meteonet
from geodl.cards.adapters.scenes import dsen2
from geodl.cards.card import Card
from geodl.errors import OptionError, SourceUnreadable, nearest

__all__ = ("ADAPTERS", "adapt")

ADAPTERS: dict[str, Callable[..., list[str]]] = {
    "breizhcrops": breizhcrops,
    "dsen2": dsen2,
    "meteonet": meteonet,
    "pastis": pastis,
}
"""By name: functions of the data set's folder, the card and its options, which return the files that they made."""


def adapt(card: Card, folder: Path) -> list[str]:
    """Runs a card's adapter.

    Args:
        card: it names one.
        folder: of the data set.

    Returns:
        The files that it made: relative paths with slashes.

    Raises:
        OptionError: there is no such adapter, or it has no such option.
        SourceUnreadable: a file is not what the adapter expects.
    """
    assert card.adapter is not None
    name, options = card.adapter.name, card.adapter.options
    if name not in ADAPTERS:
        expected = f"one of {', '.join(ADAPTERS)}.{nearest(name, ADAPTERS)}"
        raise OptionError("adapter", expected=expected, received=name)
    try:
        return ADAPTERS[name](folder, card, **options)
    except (KeyError, IndexError, ValueError, FileNotFoundError) as error:
        problem = f"its files are not laid out as the adapter {name} expects ({type(error).__name__}: {error})"
        raise SourceUnreadable(folder, problem, advice="The publisher may have changed them.") from error
