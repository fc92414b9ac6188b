from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.folds import PARTS, Rule, best, stratified
from geodl.errors import SplitError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 1.0}, "validation is 1.0"),
        ({"test": -0.1}, "test is -0.1"),
        ({"validation": 0.5, "test": 0.5}, "nothing to train on"),
        ({"fold": 1}, "of how many"),
        ({"folds": 5}, "fold is None"),
        ({"folds": 5, "fold": 5}, "fold is 5"),
        ({"folds": 1, "fold": 0}, "folds is 1"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        Rule(**options)


@settings(deadline=None)
@given(st.integers(0, 40), st.sampled_from([0, 0.1, 0.2, 0.5]), st.sampled_from([0, 0.1, 0.3]), st.integers(0, 5))
def test_a_deal_gives_each_part_its_share(units: int, validation: float, test: float, seed: int) -> None:
    rule = Rule(seed, validation, test)
    hands = rule.deal(units, np.random.default_rng(seed))
    sizes = [max(1, round(share * units)) if share else 0 for share in (validation, test)]
    if sum(sizes) >= units:
        assert hands is None
        return
    assert hands is not None
    assert np.bincount(rule.parts(hands), minlength=3).tolist() == [units - sum(sizes), *sizes]


@settings(deadline=None)
@given(st.integers(2, 30), st.integers(2, 8), st.sampled_from([0, 0.2]), st.integers(0, 5))
def test_folds_validate_each_unit_once_and_the_test_part_stays(units: int, folds: int, test: float, seed: int) -> None:
    dealt = [
        (rule, best(rule, lambda rng, rule=rule: rule.deal(units, rng), None))
        for rule in (Rule(seed, test=test, folds=folds, fold=fold) for fold in range(folds))
    ]
    if dealt[0][1] is None:
        assert folds > units - (max(1, round(test * units)) if test else 0)
        return
    parts = np.array([rule.parts(found[0]) for rule, found in dealt])
    tested = (parts == 2).all(0)
    assert ((parts == 2).any(0) == tested).all()
    assert ((parts == 1).sum(0) == ~tested).all()
    sizes = (parts == 1).sum(1)
    assert sizes.max() - sizes.min() <= 1


def test_with_as_many_folds_as_units_unit_k_is_fold_k() -> None:
    for seed in range(3):
        assert Rule(seed, folds=4, fold=0).deal(4, np.random.default_rng(seed)).tolist() == [0, 1, 2, 3]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=25), st.sampled_from([0.2, 0.5]), st.sampled_from([0, 0.2]), st.integers(0, 9)
)
def test_dealing_each_kind_rounds_up_and_always_leaves_one(
    kinds: list[int], validation: float, test: float, seed: int
) -> None:
    rule = Rule(seed, validation, test)
    parts = rule.parts(rule.deal_each(np.array(kinds, int), np.random.default_rng(seed)))
    for kind in set(kinds):
        train, validated, tested = np.bincount(parts[np.array(kinds) == kind], minlength=3)
        number = kinds.count(kind)
        assert train >= 1
        assert validated == min(math.ceil(validation * number), number - 1)
        assert tested == min(math.ceil(test * number), number - 1 - validated)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=25), st.integers(2, 6), st.integers(0, 9))
def test_folds_of_each_kind_leave_one_to_train_on(kinds: list[int], folds: int, seed: int) -> None:
    rule = Rule(seed, folds=folds, fold=0)
    hands = rule.deal_each(np.array(kinds, int), np.random.default_rng(seed))
    parts = np.array([rule.parts(hands, fold) for fold in range(folds)])
    for kind in set(kinds):
        mine = parts[:, np.array(kinds) == kind]
        assert ((mine == 0).sum(1) >= 1).all()
        assert ((mine == 1).sum(0) == (1 if kinds.count(kind) > 1 else 0)).all()


def test_the_best_deal_has_every_class_on_both_sides() -> None:
    # Two of twenty units hold class 1: one deal in five has it on both sides.
    counts = np.zeros((20, 2), int)
    counts[:, 0] = 10
    counts[[3, 17], 1] = 10
    for seed in range(10):
        rule = Rule(seed, validation=0.2)
        hands, cost = best(rule, lambda rng, rule=rule: rule.deal(20, rng), stratified(counts))
        parts = rule.parts(hands)
        assert counts[parts == 1, 1].sum() == counts[parts == 0, 1].sum() == 10
        assert cost[0] == 0


def test_stratified_counts_missing_classes_and_measures_the_mismatch() -> None:
    counts = np.array([[8, 0], [8, 4], [0, 4], [0, 0]])
    cost = stratified(counts)
    assert cost(np.array([0, 1, 0, 0])).tolist() == [0, pytest.approx(0.0)]
    assert cost(np.array([0, 0, 1, 0])).tolist() == [1, pytest.approx(2 / 3)]


def test_parts_are_named_in_order() -> None:
    assert PARTS == ("train", "validation", "test")
