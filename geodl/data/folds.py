"""Which units (blocks, files, groups, polygons, years) are held out: random, seeded, stratified, once or in k folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from geodl.errors import SplitError

__all__ = ("PARTS", "Cost", "Part", "Rule", "best", "stratified")

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
Cost = Callable[[np.ndarray], np.ndarray]
"""Given the part of each unit (a position in `PARTS`), what is wrong with that: lexicographic, less is better."""

_TEST = -1


@dataclass(frozen=True)
class Rule:
    """How much is held out, and which of it now.

    Units are dealt into hands: -1 is the test part; hand `fold` (without folds, 0) is validation; the others train.

    Raises:
        SplitError: these numbers contradict one another.
    """

    seed: int = 0
    validation: float = 0.2
    """Share of the units, 0-1; of no effect with folds."""
    test: float = 0.0
    """Share of the units, 0-1; the same units whatever the fold."""
    folds: int | None = None
    """How many folds, or None for one split by `validation`."""
    fold: int | None = None
    """Which of them is validated now, from 0."""

    def __post_init__(self) -> None:
        for name, share in (("validation", self.validation), ("test", self.test)):
            if not 0 <= share < 1:
                raise SplitError(f"{name} is {share}.", advice="Expected a share of at least 0 and less than 1.")
        if self.folds is None and self.validation + self.test >= 1:
            raise SplitError("validation and test leave nothing to train on.", advice="Their sum must be less than 1.")
        if self.fold is not None and self.folds is None:
            raise SplitError(f"fold is {self.fold}, but of how many?", advice="Set folds too.")
        if self.folds is not None and (self.folds < 2 or self.fold is None or not 0 <= self.fold < self.folds):
            raise SplitError(
                f"fold is {self.fold} and folds is {self.folds}.",
                advice="Expected at least 2 folds, and a fold of at least 0 and less than folds.",
            )

    def __str__(self) -> str:
        wanted = f"{self.folds} folds" if self.folds else f"validation {self.validation:g}" if self.validation else ""
        return " and ".join(filter(None, (wanted, f"test {self.test:g}" if self.test else "")))

    @property
    def hands(self) -> int:
        """How many hands are validated in turn: the folds, or 1. A unit in a later hand always trains."""
        return self.folds or 1

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.validation or self.test or self.folds)

    def parts(self, hands: np.ndarray, fold: int | None = None) -> np.ndarray:
        """Returns the part of each unit (a position in `PARTS`), given its hand, in `fold` (default: the rule's)."""
        fold = (self.fold or 0) if fold is None else fold
        return np.where(hands == _TEST, 2, np.where(hands == fold, 1, 0))

    def deal(self, units: int, rng: np.random.Generator) -> np.ndarray | None:
        """Deals units at random; at least one into each part that is asked for.

        With as many folds as units, unit k is hand k.

        Returns:
            The hand of each unit, int64 of shape (units,), or None where there are too few.
        """
        test = max(1, round(self.test * units)) if self.test else 0
        hands, rest = np.full(units, _TEST), rng.permutation(units)[test:]
        if self.folds is None:
            held = max(1, round(self.validation * units)) if self.validation else 0
            hands[rest] = np.arange(len(rest)) >= held
            return hands if len(rest) > held else None
        if len(rest) == self.folds:
            rest = np.sort(rest)
        hands[rest] = np.arange(len(rest)) % self.folds
        return hands if len(rest) >= self.folds else None

    def deal_each(self, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Deals the units of each kind by themselves: shares are rounded up, but one of each kind always trains.

        Args:
            kinds: int of shape (units,).
            rng: the source of chance.

        Returns:
            The hand of each unit, int64 of shape (units,).
        """
        hands = np.full(len(kinds), self.hands)
        for kind in np.unique(kinds):
            members = rng.permutation(np.flatnonzero(kinds == kind))
            spare = len(members) - 1
            held = 0 if self.folds else min(math.ceil(self.validation * len(members)), spare)
            test = min(math.ceil(self.test * len(members)), spare - held)
            hands[members[:test]] = _TEST
            hands[members[test : test + held]] = 0
            if self.folds and len(members) - test > 1:
                hands[members[test:]] = (rng.integers(self.folds) + np.arange(len(members) - test)) % self.folds
        return hands


def best(
    rule: Rule,
    deal: Callable[[np.random.Generator], np.ndarray | None],
    cost: Cost | None,
    *,
    stream: int = 0,
    trials: int = 128,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the best of several random deals.

    Args:
        rule: says what the hands mean; the deals depend on its seed only.
        deal: makes one deal.
        cost: what is wrong with a choice of parts, summed over all folds; None: the first deal is taken.
        stream: number that tells apart deals of one seed.
        trials: how many are compared.

    Returns:
        The hands and their cost (empty without `cost`), or None where the units are too few.
    """
    rng = np.random.default_rng([rule.seed, stream])
    found: tuple[np.ndarray, np.ndarray] | None = None
    for _ in range(trials if cost else 1):
        hands = deal(rng)
        if hands is None:
            return None
        price = sum((cost(rule.parts(hands, fold)) for fold in range(rule.hands)), np.zeros(1)) if cost else np.empty(0)
        if found is None or tuple(price) < tuple(found[1]):
            found = hands, price
    return found


def stratified(counts: np.ndarray) -> Cost:
    """Returns a cost: classes missing from a part though enough units have them, then how far held-out shares are off.

    Args:
        counts: what each unit holds of each class, of shape (units, classes).
    """
    having, overall = (counts > 0).sum(0), counts.sum(0) / max(counts.sum(), 1)

    def cost(parts: np.ndarray) -> np.ndarray:
        present = np.unique(parts)
        missing = sum(((counts[parts == part].sum(0) == 0) & (having >= len(present))).sum() for part in present)
        held = counts[parts > 0].sum(0)
        return np.array([missing, np.abs(held / max(held.sum(), 1) - overall).sum() / 2])

    return cost
