"""Groups dealt to parts, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from geodl.data.folds import Rule
from geodl.data.series.dealing import deal_groups, deal_singles


def tally(groups: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((groups.max() + 1, classes + 1))
    np.add.at(counts, (groups, labels), 1)
    return counts


@settings(max_examples=40)
@given(st.integers(0, 300), st.sampled_from([(0.2, 0.0), (0.2, 0.2), (0.0, 0.3)]), st.integers(2, 6))
def test_pure_groups_bring_each_class_to_as_many_parts_as_it_has_groups(
    seed: int, shares: tuple[float, float], classes: int
) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(classes), rng.integers(1, 6, classes))
    counts = np.zeros((len(kinds), classes + 1))
    counts[np.arange(len(kinds)), kinds] = rng.integers(1, 30, len(kinds))
    rule = Rule(seed, *shares)
    hands = deal_groups(counts, rule)
    parts = 1 + sum(share > 0 for share in shares)
    if hands is None:
        assert len(kinds) < parts
        return
    for kind in range(classes):
        members = hands[kinds == kind]
        assert len(set(members)) == min(parts, len(members))
        assert (members == rule.hands).any()


def test_a_rare_class_is_on_both_sides_though_random_deals_would_miss_it() -> None:
    # Ten classes of two groups each, among a hundred groups of a common class.
    counts = np.zeros((120, 12))
    counts[:, 0] = 20
    for kind in range(1, 11):
        counts[[10 * kind, 10 * kind + 5], kind] = 3
    hands = deal_groups(counts, Rule(seed=0, validation=0.2))
    assert hands is not None
    for part in (0, 1):
        assert (counts[hands == part].sum(0)[:11] > 0).all()
    assert counts[hands == 0].sum() / counts.sum() == pytest.approx(0.2, abs=0.02)


def test_folds_are_as_even_as_those_of_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), rng.integers(1, 40, 60))
        taste = rng.dirichlet(np.full(5, 0.5), 60)
        labels = np.array([rng.choice(5, p=taste[group]) for group in groups])
        hands = deal_groups(tally(groups, labels, 5), Rule(seed, folds=5, fold=0))
        assert hands is not None
        ours.append(uneven(labels, [np.flatnonzero(hands[groups] == fold) for fold in range(5)]))
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        theirs.append(uneven(labels, [held for _, held in folds]))
    assert np.mean(ours) <= np.mean(theirs) < 0.02


def uneven(labels: np.ndarray, folds: list[np.ndarray]) -> float:
    """How far the share of each class that a fold has is from a fifth."""
    shares = [np.bincount(labels[fold], minlength=5) / np.bincount(labels) for fold in folds]
    return float(np.abs(np.array(shares) - 0.2).mean())


def test_as_many_folds_as_groups_come_in_their_order() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (4, 4)).astype(float) + 1
    assert deal_groups(counts, Rule(folds=4, fold=2)).tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]
    hands = deal_groups(np.vstack([counts, counts[:1]]), Rule(test=0.2, folds=4, fold=2))
    assert hands is not None and sorted(hands) == [-1, 0, 1, 2, 3] and (np.diff(hands[hands >= 0]) > 0).all()
    assert deal_groups(counts, Rule(folds=5, fold=2)) is None
    assert deal_groups(counts[:1], Rule(validation=0.5)) is None


def test_groups_without_labels_are_dealt_and_such_series_always_train() -> None:
    counts = np.zeros((10, 2))
    counts[:, 1] = 5
    hands = deal_groups(counts, Rule(validation=0.2))
    assert hands is not None and (hands == 0).sum() == 2
    kinds = np.array([-1, 0, 0, 0, 0, 0, 1, 1, -1])
    singles = deal_singles(kinds, Rule(validation=0.2))
    assert singles[[0, 8]].tolist() == [1, 1]
    assert [(singles[kinds == kind] == 0).sum() for kind in (0, 1)] == [1, 1]
