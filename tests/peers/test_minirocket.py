"""MiniRocket as a baseline, live."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from geodl.baselines import Baseline
from geodl.baselines.minirocket import MiniRocketSeries
from tests.baselines.test_series import DAYS, Rows, crops

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _aeon() -> None:
    pytest.importorskip("aeon")


def test_its_answers_are_aeon_s() -> None:
    from aeon.classification.convolution_based import MiniRocketClassifier

    days = np.arange(8, 208, 16, dtype=np.float32)
    train, test = crops(0, days=days, noise=0.5), crops(1, days=days, noise=0.5)
    baseline = MiniRocketSeries(3, kernels=500).fit(train, seed=4)
    logits = baseline(test.x)
    assert isinstance(baseline, Baseline)
    assert logits.shape == (60, 3) and logits.dtype == np.float32
    order = np.random.default_rng([4, 0]).permutation(60)
    theirs = MiniRocketClassifier(500, random_state=4)
    theirs.fit(train.x["values"][order].swapaxes(1, 2), train.y[order])
    assert np.array_equal(logits.argmax(axis=-1), theirs.predict(test.x["values"].swapaxes(1, 2)))


@pytest.mark.parametrize("classes", [2, 4])
def test_few_dates_and_few_classes(classes: int) -> None:
    train, test = (_below(crops(seed), min(classes, 3)) for seed in (0, 1))
    baseline = MiniRocketSeries(classes, kernels=500).fit(train)
    assert np.array_equal(baseline.days, DAYS)
    logits = baseline(test.x)
    assert logits.shape == (len(test), classes) and np.isfinite(logits).all()
    assert (logits.argmax(axis=-1) == test.y).mean() > 0.95


def test_without_observation_the_most_frequent_class_answers() -> None:
    train = crops(0)
    answer = MiniRocketSeries(3, kernels=500).fit(train)({"values": np.full((1, 6, 2), np.nan), "days": DAYS[None]})
    assert np.allclose(softmax(answer[0]), np.bincount(train.y, minlength=3) / 60)


def _below(rows: Rows, classes: int) -> Rows:
    kept = rows.y < classes
    return Rows(rows.x["values"][kept], rows.x["days"][kept], rows.y[kept])
