import numpy as np
import pytest
from scipy.special import softmax

from geodl.baselines import Baseline, PixelForest
from geodl.errors import NoValidPixels


class Pixels:
    """Samples held in memory; a stand-in for windows of scenes."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.x, self.y = x, y
        self.weight = (y >= 0).astype(np.float32) if weight is None else weight

    def __len__(self) -> int:
        return len(self.x)

    def read(self, index, rng):
        return self.x[index], self.y[index], self.weight[index]


def blobs(rng: np.random.Generator, classes: int = 3, count: int = 4, size: int = 24) -> Pixels:
    """Classes far apart in two bands."""
    y = rng.integers(0, classes, (count, size, size)).astype(np.int32)
    x = np.stack([10.0 * y, -10.0 * y], axis=-1) + rng.normal(size=(count, size, size, 2))
    return Pixels(x.astype(np.float32), y)


def test_separates_what_single_pixels_tell_apart():
    train, test = blobs(np.random.default_rng(0)), blobs(np.random.default_rng(1))
    baseline = PixelForest(3, trees=10).fit(train)
    logits = baseline(test.x)
    assert isinstance(baseline, Baseline)
    assert logits.shape == (4, 24, 24, 3) and logits.dtype == np.float32
    assert (logits.argmax(axis=-1) == test.y).mean() > 0.99
    assert np.allclose(softmax(logits, axis=-1).sum(axis=-1), 1)


def test_logits_are_the_forest_s_probabilities():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, (2, 32, 32)).astype(np.int32)
    x = (y[..., None] + rng.normal(0, 1, (*y.shape, 1))).astype(np.float32)
    baseline = PixelForest(2, trees=10).fit(Pixels(x, y))
    expected = baseline._forest.predict_proba(x.reshape(-1, 1)).reshape(*y.shape, 2)
    assert np.allclose(softmax(baseline(x), axis=-1), expected, atol=2e-6)


def test_invalid_and_ignored_pixels_teach_nothing_and_get_no_answer():
    rng = np.random.default_rng(3)
    samples = blobs(rng)
    clean = PixelForest(3, trees=5).fit(samples, seed=1)
    bad = rng.random(samples.y.shape) < 0.2
    y, weight, x = samples.y.copy(), samples.weight.copy(), samples.x.copy()
    unlabelled, unweighted, unseen = (bad & (rng.integers(0, 3, bad.shape) == kind) for kind in range(3))
    wrong = (y + 1) % 3
    y[unweighted], y[unseen], y[unlabelled] = wrong[unweighted], wrong[unseen], -1
    weight[unweighted] = 0
    x[unseen, 0] = np.nan
    poisoned = PixelForest(3, trees=5).fit(Pixels(x, y, weight), seed=1)
    assert (poisoned(samples.x).argmax(axis=-1) == samples.y).mean() > 0.99
    answer = clean(x)
    assert np.isnan(answer[unseen]).all()
    assert np.isfinite(answer[~unseen]).all()


def test_a_class_without_training_pixel_is_never_chosen():
    samples = blobs(np.random.default_rng(4), classes=2)
    logits = PixelForest(4, trees=5).fit(samples)(samples.x)
    assert logits.shape[-1] == 4
    assert np.isfinite(logits).all()
    assert logits.argmax(axis=-1).max() == 1


def test_the_same_seed_gives_the_same_forest():
    samples = blobs(np.random.default_rng(5))
    samples.x += np.random.default_rng(6).normal(0, 8, samples.x.shape).astype(np.float32)
    one, same, other = (PixelForest(3, trees=5, pixels=300).fit(samples, seed=seed)(samples.x) for seed in (7, 7, 8))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_rare_classes_are_drawn_as_often_as_common_ones():
    rng = np.random.default_rng(9)
    y = (rng.random((4, 64, 64)) < 0.05).astype(np.int32)
    x = rng.normal(0, 1, (*y.shape, 1)).astype(np.float32)
    baseline = PixelForest(2, trees=20, leaf=100, pixels=600).fit(Pixels(x, y))
    # The band says nothing, so all that is left is how often each class was drawn: 300 times each.
    assert softmax(baseline(x), axis=-1)[..., 1].mean() == pytest.approx(0.5, abs=0.05)


def test_nothing_to_learn_from_is_an_error():
    empty = Pixels(np.zeros((2, 4, 4, 2), np.float32), np.full((2, 4, 4), -1, np.int32))
    with pytest.raises(NoValidPixels, match="labelled"):
        PixelForest(2).fit(empty)
