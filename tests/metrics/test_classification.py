import json
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special
from sklearn.calibration import calibration_curve

from geodl.errors import LabelsOutOfRange, OptionError
from geodl.metrics import SegmentationMetrics
from geodl.metrics.classification import ClassificationMetrics

NAMES = ("maize", "soya", "wheat", "fallow")


def one_hot(classes: np.ndarray, n: int) -> np.ndarray:
    return np.eye(n, dtype=np.float32)[classes]


def same(ours: float, theirs: float) -> bool:
    return bool(np.isclose(ours, theirs, rtol=0, atol=1e-12, equal_nan=True))


def check_against_scikit_learn(y: np.ndarray, predicted: np.ndarray, n: int) -> None:
    metrics = ClassificationMetrics(NAMES[:n])
    metrics.update(y, one_hot(predicted, n))
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
        assert same(result["balanced_accuracy"], reference.balanced_accuracy_score(truth, guess))
        report = reference.classification_report(
            truth, guess, labels=labels, target_names=NAMES[:n], output_dict=True, zero_division=np.nan
        )
    assert same(result["macro_f1"], report["macro avg"]["f1-score"])
    assert same(result["weighted_f1"], report["weighted avg"]["f1-score"])
    for name in NAMES[:n]:
        assert same(result[f"precision/{name}"], report[name]["precision"])
        assert same(result[f"recall/{name}"], report[name]["recall"])
        assert same(result[f"f1/{name}"], report[name]["f1-score"])


@settings(max_examples=30)
@given(st.data())
def test_equals_scikit_learn(data):
    n = data.draw(st.integers(1, 4))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=6))
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
        ([0, 0, 1, 1], [0, 3, 1, 1]),  # a class predicted that the labels never hold
    ],
)
def test_edge_cases_equal_scikit_learn(y, predicted):
    check_against_scikit_learn(np.array(y), np.array(predicted), 4)


def test_classes_that_nobody_names_are_those_that_scikit_learn_does_not_find():
    y, predicted = np.array([0, 0, 3, 3, 3]), np.array([0, 3, 3, 1, 3])
    metrics = ClassificationMetrics(NAMES)
    metrics.update(y, one_hot(predicted, 4))
    result = metrics.result()
    assert math.isnan(result["f1/wheat"])
    for average in ("macro", "weighted"):
        assert same(result[f"{average}_f1"], reference.f1_score(y, predicted, average=average))


def test_scores_and_their_order():
    names = list(ClassificationMetrics(("a", "b")).result())
    assert names[:6] == ["accuracy", "kappa", "macro_f1", "weighted_f1", "balanced_accuracy", "ece"]
    assert names[6:] == ["f1/a", "f1/b", "precision/a", "precision/b", "recall/a", "recall/b"]


def test_what_has_no_finite_prediction_is_wrong():
    y = np.array([0, 0, 1, 1])
    prediction = one_hot(y, 2)
    prediction[3, 0] = np.nan
    metrics = ClassificationMetrics(("a", "b"))
    metrics.update(y, prediction)
    # scikit-learn's answer when "no prediction" is a third class that the labels never hold.
    truth, guess = [0, 0, 1, 1], [0, 0, 1, 2]
    result = metrics.result()
    assert metrics.unpredicted.tolist() == [0, 1]
    assert result["accuracy"] == 0.75
    assert same(result["kappa"], reference.cohen_kappa_score(truth, guess))
    for average in ("macro", "weighted"):
        assert same(result[f"{average}_f1"], reference.f1_score(truth, guess, labels=[0, 1], average=average))
    assert same(result["balanced_accuracy"], 0.75)


def test_weight_zero_does_not_count_and_other_weights_count_once():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 4, (2, 200))
    weight = rng.integers(0, 3, 200).astype(np.float32) * 1.7
    metrics = ClassificationMetrics(NAMES)
    metrics.update(y, one_hot(predicted, 4), weight, x={"values": None}, scenes=("a",) * 200)
    assert np.array_equal(metrics.confusion, reference.confusion_matrix(y[weight > 0], predicted[weight > 0]))


def test_logits_and_their_softmax_score_alike():
    rng = np.random.default_rng(1)
    y, logits = rng.integers(-1, 4, 300), rng.normal(0, 3, (300, 4)).astype(np.float32)
    one, other = ClassificationMetrics(NAMES, logits=True), ClassificationMetrics(NAMES)
    one.update(y, logits)
    other.update(y, special.softmax(logits.astype(np.float64), axis=-1))
    assert one.result() == pytest.approx(other.result(), abs=1e-6)


def test_reliability_equals_scikit_learn_s_calibration_curve():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 4, 2000)
    probabilities = special.softmax(rng.normal(0, 2, (2000, 4)), axis=-1)
    metrics = ClassificationMetrics(NAMES, bins=10)
    for rows in np.array_split(np.arange(2000), 3):
        metrics.update(y[rows], probabilities[rows])
    found = metrics.details()["reliability"]
    right, confidence = probabilities.argmax(axis=1) == y, probabilities.max(axis=1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    filled = np.array(found["count"]) > 0
    # Of four probabilities the largest is at least a quarter.
    assert found["count"][:2] == [0, 0] and found["confidence"][0] is None and found["accuracy"][0] is None
    assert np.array(found["confidence"])[filled].astype(float) == pytest.approx(mean, abs=1e-6)
    assert np.array(found["accuracy"])[filled].astype(float) == pytest.approx(accuracy, abs=1e-9)
    share = np.array(found["count"])[filled] / 2000
    assert metrics.result()["ece"] == pytest.approx(float(share @ np.abs(accuracy - mean)), abs=1e-6)


def test_details_are_json():
    metrics = ClassificationMetrics(("a", "b"), bins=2)
    metrics.update(np.array([0, 1, 1]), np.array([[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]]))
    details = json.loads(json.dumps(metrics.details(), allow_nan=False))
    assert details == {
        "classes": ["a", "b"],
        "confusion": [[1, 0], [1, 1]],
        "reliability": {
            "count": [0, 3],
            "confidence": [None, pytest.approx(2.5 / 3)],
            "accuracy": [None, pytest.approx(2 / 3)],
        },
    }


def test_merge_equals_one_stream():
    rng = np.random.default_rng(4)
    y, logits = rng.integers(-1, 4, 90), rng.normal(size=(90, 4)).astype(np.float32)
    whole, one, other = (ClassificationMetrics(NAMES, logits=True) for _ in range(3))
    whole.update(y, logits)
    one.update(y[:20], logits[:20])
    other.update(y[20:], logits[20:])
    one.merge(other)
    assert one.result() == pytest.approx(whole.result(), abs=1e-12)
    assert one.details()["reliability"]["count"] == whole.details()["reliability"]["count"]
    for unlike in (ClassificationMetrics(NAMES[:2]), ClassificationMetrics(NAMES, bins=3), SegmentationMetrics(NAMES)):
        with pytest.raises(OptionError, match="merge"):
            one.merge(unlike)


def test_reset_forgets_all():
    metrics = ClassificationMetrics(("a", "b"))
    metrics.update(np.array([0, 1]), one_hot(np.array([0, 0]), 2))
    metrics.reset()
    assert all(math.isnan(value) for value in metrics.result().values())


def test_nothing_counted_is_nan_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = ClassificationMetrics(NAMES)
        result, details = metrics.result(), metrics.details()
    assert result and all(math.isnan(value) for value in result.values())
    assert details["reliability"]["accuracy"] == [None] * 15


def test_wrong_arguments_are_named():
    metrics = ClassificationMetrics(NAMES)
    y = np.zeros(4, int)
    with pytest.raises(LabelsOutOfRange, match=r"Received: 4, 9"):
        metrics.update(np.array([0, 9, 4, 0]), one_hot(y, 4))
    with pytest.raises(OptionError, match=r"expected shape \(4, 4\)"):
        metrics.update(y, one_hot(y, 3))
    with pytest.raises(OptionError, match="logits"):
        metrics.update(y, 10 * one_hot(y, 4))
    with pytest.raises(OptionError, match="classes"):
        ClassificationMetrics(())
    with pytest.raises(OptionError, match="bins"):
        ClassificationMetrics(NAMES, bins=0)
    assert metrics.confusion.sum() == 0
