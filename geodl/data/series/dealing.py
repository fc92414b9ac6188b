"""Groups of series dealt to parts such that each class is everywhere where it can be."""

from __future__ import annotations

import numpy as np

from geodl.data.folds import Rule, best, stratified

__all__ = ("deal_groups", "deal_singles")

_TEST = -1
_MOST = 20_000
"""Groups that are dealt one by one; more are dealt by their commonest class, which then comes to the same."""
_DEALS = 4_000
"""Groups times random deals."""
_RARE = 3
"""A class is rare while it has fewer groups than this many for each part."""


def deal_groups(counts: np.ndarray, rule: Rule) -> np.ndarray | None:
    """Deals groups of unlike sizes and mixtures of classes.

    Of several random deals the best is taken: no class is missing from a part though enough groups hold it, and the shares
    and mixtures are near those asked for. Each goes on as Sechidis, Tsoumakas & Vlahavas do, On the Stratification of
    Multi-label Data (ECML PKDD 2011), section 3.2: groups of rare classes first, each to the part that needs it most; here
    a part that has none of the class, training before the others, goes before need.

    Args:
        counts: series of each class in each group, (groups, classes); the last column: those without a label.
        rule: what is held out.

    Returns:
        The hand of each group (see `Rule`), int (groups,); a class that one group alone holds stays in training where
        there are no folds, or where that group holds nothing else. None where there are too few groups.
    """
    groups = len(counts)
    shares = _shares(rule)
    if groups < len(shares):
        return None
    if rule.folds and groups - (max(1, round(rule.test * groups)) if rule.test else 0) == rule.folds:
        # Each group is a fold: they come in their order.
        return _of(best(rule, lambda rng: rule.deal(groups, rng), stratified(counts[:, :-1])))
    if groups > _MOST:
        return deal_singles(np.where(counts[:, :-1].any(1), counts[:, :-1].argmax(1), -1), rule)
    balance = stratified(counts[:, :-1])
    sizes, total = counts.sum(1), counts.sum()

    def cost(parts: np.ndarray) -> np.ndarray:
        missing, mismatch = balance(parts)
        held = np.bincount(parts, weights=sizes, minlength=3) / total
        wanted = (0, 1 / rule.folds * (1 - rule.test) if rule.folds else rule.validation, rule.test)
        return np.array([missing, mismatch + np.abs(held - wanted)[1:].sum()])

    trials = int(np.clip(_DEALS / groups, 4, 32))
    return _of(best(rule, lambda rng: _deal(counts, shares, rule, rng), cost, trials=trials))


def deal_singles(kinds: np.ndarray, rule: Rule) -> np.ndarray:
    """Deals units of one class each: of each class the shares that are asked for, rounded up.

    Args:
        kinds: the class of each unit, int (units,); −1: without a label, always trained on.
        rule: what is held out.

    Returns:
        The hand of each unit, int (units,).
    """
    hands = np.full(len(kinds), rule.hands)
    labelled = kinds >= 0
    hands[labelled] = rule.deal_each(kinds[labelled], np.random.default_rng([rule.seed, 0]))
    return hands


def _of(dealt: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray | None:
    return None if dealt is None else dealt[0]


def _shares(rule: Rule) -> dict[int, float]:
    """Returns the share of each hand, training first: what goes before where a class is rare."""
    shares = {}
    if rule.folds:
        shares = dict.fromkeys(range(rule.folds), (1 - rule.test) / rule.folds)
    else:
        shares[rule.hands] = 1 - rule.validation - rule.test
        if rule.validation:
            shares[0] = rule.validation
    if rule.test:
        shares[_TEST] = rule.test
    return shares


def _deal(counts: np.ndarray, shares: dict[int, float], rule: Rule, rng: np.random.Generator) -> np.ndarray:
    hands, share = np.array(list(shares)), np.array(list(shares.values()))
    # All series of a group come last: hands shall be as large as they should, too, and every hand gets a group.
    columns = np.column_stack([counts[:, :-1], counts.sum(1)])
    columns = columns / np.maximum(columns.sum(0), 1)
    holding = columns > 0
    groups_of = holding.sum(0)
    needs, lacking = np.repeat(share[:, None], columns.shape[1], axis=1), np.ones((len(hands), columns.shape[1]), bool)
    dealt, turn = np.full(len(counts), rule.hands), np.ones(len(counts), bool)
    if rule.folds:
        lonely = groups_of[:-1] == 1
        alone = (holding[:, :-1] <= lonely).all(1) & holding[:, :-1].any(1)
        if (~alone).sum() >= len(hands):
            turn[alone] = False
    # Groups of rare classes come first, while every part can still get one; of others the large ones, since small ones
    # then fill what is left.
    rarest = np.argmin(np.where(holding, groups_of, len(counts) + 1), axis=1)
    rank = np.minimum(groups_of[rarest], _RARE * len(hands))
    size = np.log(columns[:, -1] + 1e-12) + 0.3 * rng.standard_normal(len(counts))
    for unit in np.lexsort((-size, rank)):
        if not turn[unit]:
            continue
        without = lacking[:, rarest[unit]]
        # The hand for which the squares of what all still need become least.
        gain = needs @ columns[unit]
        if without.any():
            hand = int(np.argmax(np.where(without, gain, -np.inf) if rule.folds else without))
        else:
            hand = int(np.argmax(gain))
        dealt[unit] = hands[hand]
        needs[hand] -= columns[unit]
        lacking[hand] &= ~holding[unit]
    return dealt
