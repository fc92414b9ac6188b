"""Data sets with a card: what they are, fetching them, and whether what lies here is what was published."""

from geodl.cards.card import Card, list_cards, load_card
from geodl.cards.checking import check_folder
from geodl.cards.getting import Fetched, get, is_here
from geodl.cards.place import default_folder, find_folder

__all__ = (
    "Card",
    "Fetched",
    "check_folder",
    "default_folder",
    "find_folder",
    "get",
    "is_here",
    "list_cards",
    "load_card",
)
