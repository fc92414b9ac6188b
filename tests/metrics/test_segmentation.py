import itertools
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, special

from geodl.errors import LabelsOutOfRange, OptionError
from geodl.metrics import SegmentationMetrics

NAMES = ("water", "forest", "field", "town")


def one_hot(classes: np.ndarray, n: int) -> np.ndarray:
    return np.eye(n, dtype=np.float32)[classes]


def scored(y: np.ndarray, predicted: np.ndarray, n: int = 4, **options: float) -> SegmentationMetrics:
    metrics = SegmentationMetrics(NAMES[:n], **options)
    metrics.update(y, one_hot(predicted, n))
    return metrics


def same(ours: float, theirs: float) -> bool:
    return bool(np.isclose(ours, theirs, rtol=0, atol=1e-12, equal_nan=True))


def check_against_scikit_learn(y: np.ndarray, predicted: np.ndarray, n: int) -> None:
    metrics = scored(y, predicted, n)
    result = metrics.result()
    truth, guess = y[y >= 0], predicted[y >= 0]
    if truth.size == 0:
        assert all(math.isnan(value) for value in result.values())
        return
    labels = list(range(n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(metrics.confusion, reference.confusion_matrix(truth, guess, labels=labels))
        assert same(result["accuracy"], reference.accuracy_score(truth, guess))
        assert same(result["kappa"], reference.cohen_kappa_score(truth, guess, labels=labels))
        options = {"labels": labels, "average": None, "zero_division": np.nan}
        precision, recall, f1, _ = reference.precision_recall_fscore_support(truth, guess, **options)
        present = np.isin(labels, np.union1d(truth, guess))
        jaccard = reference.jaccard_score(truth, guess, labels=labels, average=None, zero_division=0)
    jaccard = np.where(present, jaccard, np.nan)
    for index, name in enumerate(NAMES[:n]):
        assert same(result[f"precision/{name}"], precision[index])
        assert same(result[f"recall/{name}"], recall[index])
        assert same(result[f"f1/{name}"], f1[index])
        assert same(result[f"iou/{name}"], jaccard[index])
    assert same(result["miou"], np.nanmean(jaccard))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_scikit_learn(data):
    n = data.draw(st.integers(1, 4))
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    y = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(-1, n - 1)))
    predicted = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(0, n - 1)))
    check_against_scikit_learn(y, predicted, n)


@pytest.mark.parametrize(
    ("y", "predicted"),
    [
        ([0, 0, 1, 1], [0, 1, 1, 0]),  # two classes absent everywhere
        ([0, 0, 0, 0], [2, 2, 2, 2]),  # nothing right
        ([3, 3, 3, 3], [3, 3, 3, 3]),  # a single class, all right
        ([-1, -1, -1, -1], [0, 1, 2, 3]),  # everything ignored
        ([0, 1, 2, 2], [0, 0, 2, 2]),  # a class in the labels, never predicted
    ],
)
def test_edge_cases_equal_scikit_learn(y, predicted):
    check_against_scikit_learn(np.array(y).reshape(1, 2, 2), np.array(predicted).reshape(1, 2, 2), 4)


def test_weight_zero_does_not_count_and_other_weights_count_once():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 4, (2, 3, 8, 8))
    weight = rng.integers(0, 3, y.shape).astype(np.float32) * 1.7
    metrics = SegmentationMetrics(NAMES)
    metrics.update(y, one_hot(predicted, 4), weight=weight)
    assert np.array_equal(metrics.confusion, reference.confusion_matrix(y[weight > 0], predicted[weight > 0]))


def test_pixels_without_finite_prediction_are_wrong():
    y = np.array([[[0, 0, 1, 1]]])
    prediction = one_hot(y, 2)
    prediction[0, 0, 3] = np.nan
    metrics = SegmentationMetrics(("a", "b"))
    metrics.update(y, prediction)
    # scikit-learn's answer when "no prediction" is a third class that the labels never hold.
    truth, guess = [0, 0, 1, 1], [0, 0, 1, 2]
    result = metrics.result()
    assert metrics.unpredicted.tolist() == [0, 1]
    assert result["accuracy"] == 0.75
    assert same(result["iou/b"], 0.5)
    assert same(result["recall/b"], 0.5)
    assert same(result["precision/b"], 1.0)
    assert same(result["kappa"], reference.cohen_kappa_score(truth, guess))


def test_logits_and_their_softmax_score_alike():
    rng = np.random.default_rng(1)
    y = rng.integers(-1, 4, (2, 16, 16))
    logits = rng.normal(0, 3, (2, 16, 16, 4)).astype(np.float32)
    one, other = SegmentationMetrics(NAMES, logits=True), SegmentationMetrics(NAMES)
    one.update(y, logits)
    other.update(y, special.softmax(logits.astype(np.float64), axis=-1))
    assert one.result() == pytest.approx(other.result(), abs=1e-6)
    huge = SegmentationMetrics(NAMES, logits=True)
    huge.update(y, logits * 1e6)
    assert np.array_equal(huge.confusion, one.confusion)
    assert math.isfinite(huge.result()["ece"])


def direct_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return error


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_equals_its_definition(bins):
    rng = np.random.default_rng(2)
    y = rng.integers(-1, 4, (3, 20, 20))
    probabilities = special.softmax(rng.normal(0, 2, (3, 20, 20, 4)), axis=-1).astype(np.float32)
    metrics = SegmentationMetrics(NAMES, bins=bins)
    for truth, guess in zip(y, probabilities, strict=True):
        metrics.update(truth, guess)
    counted = y >= 0
    confidence, right = probabilities.max(axis=-1)[counted], (probabilities.argmax(axis=-1) == y)[counted]
    expected = direct_calibration_error(confidence.astype(np.float64), right, bins)
    assert metrics.result()["ece"] == pytest.approx(expected, abs=1e-9)


def test_calibration_error_of_certain_answers():
    y, predicted = np.zeros((1, 2, 2), int), np.array([[[0, 0], [0, 1]]])
    assert scored(y, predicted).result()["ece"] == pytest.approx(0.25)


def brute_force_boundary_f1(y: np.ndarray, predicted: np.ndarray, n: int, tolerance: float) -> float:
    """Pixel by pixel, distance by distance."""
    scores = []
    height, width = y.shape

    def boundary(classes, index):
        found = []
        for row, column in itertools.product(range(height), range(width)):
            if classes[row, column] != index or y[row, column] < 0:
                continue
            around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            inside = [p for p in around if 0 <= p[0] < height and 0 <= p[1] < width and y[p] >= 0]
            if any(classes[p] != index for p in inside):
                found.append((row, column))
        return found

    def share(ones, others):
        near = [any(math.dist(one, other) <= tolerance for other in others) for one in ones]
        return sum(near) / len(near) if near else 0.0

    for index in range(n):
        truth, found = boundary(y, index), boundary(predicted, index)
        if truth or found:
            precision, recall = share(found, truth), share(truth, found)
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(scores)) if scores else math.nan


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tolerance=st.sampled_from([0, 1, 1.5, 2, 3]))
def test_boundary_f1_equals_brute_force(seed, tolerance):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 14, 2)
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, height, width)), (0, 1.5, 1.5))
    y = smooth.argmax(axis=0)
    predicted = (smooth + rng.normal(0, 0.1, smooth.shape)).argmax(axis=0)
    y[rng.random(y.shape) < 0.1] = -1
    expected = brute_force_boundary_f1(y, predicted, 3, tolerance)
    assert same(scored(y, predicted, 3, boundary=tolerance).result()["boundary_f1"], expected)


def test_boundary_f1_of_a_shifted_edge():
    y = np.zeros((20, 20), int)
    y[:, 10:] = 1
    for shift, expected in ((0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0)):
        predicted = np.roll(y, shift, axis=1)
        predicted[:, :5] = 0
        # Beyond the tolerance of 2, one of the two edge columns of each class still lies within it or not at all.
        value = scored(y, predicted, 2).result()["boundary_f1"]
        assert value == pytest.approx(expected)


def test_windows_with_context_give_what_the_whole_gives():
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, 48, 64)), (0, 3, 3))
    y = smooth.argmax(axis=0)
    predicted = (smooth + ndimage.gaussian_filter(rng.normal(size=smooth.shape), (0, 2, 2)) * 0.3).argmax(axis=0)
    whole = scored(y, predicted)
    windows = SegmentationMetrics(NAMES)
    for row, column in itertools.product(range(0, 48, 16), range(0, 64, 16)):
        rows, columns = slice(max(row - 4, 0), row + 20), slice(max(column - 4, 0), column + 20)
        core = np.zeros(y.shape, np.float32)
        core[row : row + 16, column : column + 16] = 1
        windows.update(y[rows, columns], one_hot(predicted[rows, columns], 4), weight=core[rows, columns])
    assert windows.result() == pytest.approx(whole.result(), abs=1e-12)


def test_merge_equals_one_stream():
    rng = np.random.default_rng(4)
    y = rng.integers(-1, 4, (4, 12, 12))
    logits = rng.normal(size=(4, 12, 12, 4)).astype(np.float32)
    whole, one, other = (SegmentationMetrics(NAMES, logits=True) for _ in range(3))
    whole.update(y, logits)
    one.update(y[:1], logits[:1])
    other.update(y[1:], logits[1:])
    one.merge(other)
    assert one.result() == pytest.approx(whole.result(), abs=1e-12)
    assert np.array_equal(one.confusion, whole.confusion)
    with pytest.raises(OptionError, match="merge"):
        one.merge(SegmentationMetrics(NAMES[:2]))


def test_nothing_counted_is_nan_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = SegmentationMetrics(NAMES).result()
    assert result and all(math.isnan(value) for value in result.values())


def test_wrong_arguments_are_named():
    metrics = SegmentationMetrics(NAMES)
    y = np.zeros((1, 2, 2), int)
    with pytest.raises(LabelsOutOfRange, match=r"Received: 4, 9"):
        metrics.update(y + np.array([0, 9, 4, 0]).reshape(1, 2, 2), one_hot(y, 4))
    with pytest.raises(OptionError, match=r"expected shape \(1, 2, 2, 4\)"):
        metrics.update(y, one_hot(y, 3))
    with pytest.raises(OptionError, match="logits"):
        metrics.update(y, 10 * one_hot(y, 4))
    assert metrics.confusion.sum() == 0
