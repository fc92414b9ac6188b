"""Warnings of the process outlive scikit-learn's threads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from geodl.baselines.threads import own_warnings


def test_filters_are_those_of_before_whatever_the_threads_did() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a text of this test")
        before = list(warnings.filters)
        for _ in range(5):
            with own_warnings():
                RandomForestClassifier(40, n_jobs=8, random_state=0).fit(x, y).predict_proba(x)
                warnings.resetwarnings()  # as a thread does that loses the race
        assert list(warnings.filters) == before


def test_only_the_warning_of_the_race_is_kept_back() -> None:
    with pytest.warns(RuntimeWarning, match="of the block") as told, own_warnings():
        warnings.warn("`sklearn.utils.parallel.delayed` should be used with …", UserWarning, stacklevel=1)
        warnings.warn("of the block", RuntimeWarning, stacklevel=1)
    assert len(told) == 1
