from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import f1_score, jaccard_score, log_loss

from geodl import losses
from geodl.errors import OptionError

CLASSES = 4
EVERY = [
    losses.CrossEntropy(class_weights=[1, 2, 0.5, 1], label_smoothing=0.1),
    losses.Focal(gamma=0.5, class_weights=[1, 2, 0.5, 1]),
    losses.Dice(),
    losses.Tversky(alpha=0.2, beta=0.9),
    losses.Lovasz(),
    losses.Sum([(2.0, losses.CrossEntropy()), (0.5, losses.Lovasz())]),
]
every = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: loss.name)


@pytest.fixture
def truth() -> np.ndarray:
    y = np.random.default_rng(0).integers(-1, CLASSES, size=(3, 5, 6)).astype("int32")
    y[1][y[1] == 2] = 0  # a sample without class 2
    return y


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(1).normal(scale=2, size=(3, 5, 6, CLASSES)).astype("float32")


def call(loss: keras.losses.Loss, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(z)))


def certain(labels: np.ndarray) -> np.ndarray:
    """Logits so large that the probabilities are 0 and 1."""
    return (np.eye(CLASSES)[labels] * 200 - 100).astype("float32")


def test_cross_entropy_is_that_of_scikit_learn(truth: np.ndarray, logits: np.ndarray) -> None:
    valid = truth >= 0
    values = call(losses.CrossEntropy(), truth, logits)
    expected = log_loss(truth[valid], softmax(logits[valid].astype(float), axis=-1), labels=range(CLASSES))
    assert values[valid].mean() == pytest.approx(expected, rel=1e-5)
    weights = (valid * valid.size / valid.sum()).astype("float32")
    assert float(losses.CrossEntropy()(truth, logits, weights)) == pytest.approx(expected, rel=1e-5)


def test_class_weights(truth: np.ndarray, logits: np.ndarray) -> None:
    valid, factors = truth >= 0, np.array([0.5, 1.0, 3.0, 0.0])
    p = softmax(logits[valid].astype(float), axis=-1)
    expected = log_loss(truth[valid], p, labels=range(CLASSES), sample_weight=factors[truth[valid]], normalize=False)
    values = call(losses.CrossEntropy(class_weights=list(factors)), truth, logits)
    assert values.sum() == pytest.approx(expected, rel=1e-5)


def test_label_smoothing(truth: np.ndarray, logits: np.ndarray) -> None:
    valid = truth >= 0
    target = 0.8 * np.eye(CLASSES)[truth[valid]] + 0.2 / CLASSES
    expected = -(target * log_softmax(logits[valid].astype(float), axis=-1)).sum(-1)
    np.testing.assert_allclose(
        call(losses.CrossEntropy(label_smoothing=0.2), truth, logits)[valid], expected, rtol=1e-4
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(gamma: float, truth: np.ndarray, logits: np.ndarray) -> None:
    valid, factors = truth >= 0, np.array([0.25, 0.75, 1.0, 2.0])
    p = np.take_along_axis(softmax(logits[valid].astype(float), axis=-1), truth[valid][:, None], axis=-1)[:, 0]
    expected = -factors[truth[valid]] * (1 - p) ** gamma * np.log(p)
    values = call(losses.Focal(gamma, class_weights=list(factors)), truth, logits)
    np.testing.assert_allclose(values[valid], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1.0, 1.0)])
def test_tversky(alpha: float, beta: float, truth: np.ndarray, logits: np.ndarray) -> None:
    values = call(losses.Tversky(alpha, beta), truth, logits)
    for y, z, value in zip(truth, logits.astype(float), values):
        valid = y >= 0
        p, per_class = softmax(z[valid], axis=-1), []
        for c in np.unique(y[valid]):
            hit = p[y[valid] == c, c].sum()
            wrong, missed = p[y[valid] != c, c].sum(), (1 - p[y[valid] == c, c]).sum()
            per_class.append(1 - hit / (hit + alpha * wrong + beta * missed))
        np.testing.assert_allclose(value[valid], np.mean(per_class), rtol=1e-5)
    if alpha == beta == 0.5:
        np.testing.assert_allclose(call(losses.Dice(), truth, logits), values, rtol=1e-5)


def lovasz_extension(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Lovász-softmax of one sample from its definition: equations 5, 8 and 9 of Berman et al. 2018, by sets."""
    per_class = []
    for c in sorted(set(y)):
        here = {i for i, label in enumerate(y) if label == c}
        errors = [1 - p[c] if i in here else p[c] for i, p in enumerate(probabilities)]
        order = sorted(range(len(y)), key=lambda i: -errors[i])
        jaccard = [0.0] + [len(set(order[:n])) / len(here | set(order[:n])) for n in range(1, len(y) + 1)]
        per_class.append(sum(errors[i] * (after - before) for i, (before, after) in zip(order, pairwise(jaccard))))
    return float(np.mean(per_class))


def test_lovasz_is_its_definition(truth: np.ndarray, logits: np.ndarray) -> None:
    values = call(losses.Lovasz(), truth, logits)
    for y, z, value in zip(truth, logits.astype(float), values):
        expected = lovasz_extension(softmax(z[y >= 0], axis=-1), y[y >= 0])
        np.testing.assert_allclose(value[y >= 0], expected, rtol=1e-5)


def test_region_losses_of_certain_predictions_are_scores(truth: np.ndarray) -> None:
    predicted = np.random.default_rng(2).integers(0, CLASSES, size=truth.shape)
    for i, (y, guess) in enumerate(zip(truth, predicted)):
        valid = y >= 0
        present = np.unique(y[valid])
        options = {"labels": present, "average": "macro", "zero_division": 0}
        dice, lovasz = (call(loss, truth, certain(predicted))[i][valid] for loss in (losses.Dice(), losses.Lovasz()))
        np.testing.assert_allclose(dice, 1 - f1_score(y[valid], guess[valid], **options), rtol=1e-5)
        np.testing.assert_allclose(lovasz, 1 - jaccard_score(y[valid], guess[valid], **options), rtol=1e-5)


@every
def test_ignored_pixels_are_zero_and_without_influence(
    loss: keras.losses.Loss, truth: np.ndarray, logits: np.ndarray
) -> None:
    ignored = truth < 0
    values = call(loss, truth, logits)
    assert values.shape == truth.shape
    assert not values[ignored].any() and (values[~ignored] > 0).all()
    other = logits.copy()
    other[ignored] = [np.nan, np.inf, -np.inf, 1e30]
    np.testing.assert_array_equal(call(loss, truth, other), values)


@every
def test_samples_are_independent(loss: keras.losses.Loss, truth: np.ndarray, logits: np.ndarray) -> None:
    together = call(loss, truth, logits)
    for i in range(len(truth)):
        # Among copies of itself, so that JAX need not compile for another shape.
        alone = call(loss, truth[[i] * len(truth)], logits[[i] * len(truth)])
        np.testing.assert_allclose(alone, np.stack([together[i]] * len(truth)), rtol=1e-5)


@every
def test_gradients_are_finite_and_descend(loss: keras.losses.Loss, truth: np.ndarray) -> None:
    y = truth.copy()
    y[0] = -1
    features = np.random.default_rng(3).normal(size=(*truth.shape, 5)).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, None, 5)), keras.layers.Dense(CLASSES)])
    model.compile(keras.optimizers.SGD(0.5), loss)
    steps = [model.train_on_batch(features, y) for _ in range(10)]
    assert np.isfinite(steps).all() and steps[-1] < steps[0]

    before = model.get_weights()
    assert model.train_on_batch(features, np.full_like(y, -1)) == 0  # nothing but ignored pixels
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)

    model.set_weights([1e4 * w for w in before])  # certain pixels, right and wrong
    assert np.isfinite(model.train_on_batch(features, y))
    assert all(np.isfinite(w).all() for w in model.get_weights())


@every
def test_config_gives_the_loss_again(loss: keras.losses.Loss, truth: np.ndarray, logits: np.ndarray) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    np.testing.assert_array_equal(call(again, truth, logits), call(loss, truth, logits))


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: losses.CrossEntropy(label_smoothing=1.0), "label_smoothing"),
        (lambda: losses.CrossEntropy(class_weights=[0.0, 0.0]), "class_weights"),
        (lambda: losses.Focal(gamma=-1), "gamma"),
        (lambda: losses.Tversky(alpha=-0.1), "alpha"),
        (
            lambda: call(losses.CrossEntropy([1, 2]), np.zeros((1, 1, 1), int), np.zeros((1, 1, 1, 3), "f4")),
            "class_weights",
        ),
    ],
)
def test_says_which_option_is_wrong(make: Any, option: str) -> None:
    with pytest.raises(OptionError, match=f"^{option}: expected"):
        make()
