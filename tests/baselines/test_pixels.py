import numpy as np
from scipy.special import softmax

from geodl.baselines.pixels import labelled_pixels, log_probability, stratified_pixels


class Numbered:
    """Each pixel's value is its own number."""

    def __init__(self, y: np.ndarray) -> None:
        self.y = y
        self.x = np.arange(y.size, dtype=np.float32).reshape(*y.shape, 1)

    def __len__(self) -> int:
        return len(self.y)

    def read(self, index, rng):
        return self.x[index], self.y[index], (self.y[index] >= 0).astype(np.float32)


def test_every_labelled_pixel_is_yielded_once():
    y = np.random.default_rng(0).integers(-1, 3, (5, 6, 7)).astype(np.int32)
    samples = Numbered(y)
    found = list(labelled_pixels(samples, seed=1))
    values = np.concatenate([x[:, 0] for x, _ in found])
    assert sorted(values) == sorted(samples.x[y >= 0][:, 0])
    assert np.array_equal(np.concatenate([labels for _, labels in found]), y.ravel()[values.astype(int)])
    assert len(list(labelled_pixels(samples, seed=1, most=2))) == 2


def test_draws_equally_many_of_each_class_without_repetition():
    y = (np.random.default_rng(1).random((6, 40, 40)) < 0.02).astype(np.int32)
    x, labels = stratified_pixels(Numbered(y), classes=3, pixels=300, seed=0)
    assert np.bincount(labels, minlength=3).tolist() == [100, min(100, int(y.sum())), 0]
    assert len(np.unique(x)) == len(x)
    assert np.array_equal(y.ravel()[x[:, 0].astype(int)], labels)


def test_every_pixel_is_equally_likely():
    samples = Numbered(np.zeros((4, 5, 5), np.int32))
    counts = np.zeros(100)
    for seed in range(400):
        x, _ = stratified_pixels(samples, classes=1, pixels=20, seed=seed)
        counts[x[:, 0].astype(int)] += 1
    # 400 draws of a share of 0.2: 80 each, with a standard deviation of 8.
    assert abs(counts - 80).max() < 5 * 8
    assert counts.std() < 2 * 8


def test_logits_give_the_probabilities_back():
    probability = np.array([[0.7, 0.3, 0.0], [1.0, 0.0, 0.0]], np.float32)
    assert np.allclose(softmax(log_probability(probability), axis=-1), probability, atol=3e-6)
