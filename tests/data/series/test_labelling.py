"""Classes out of labels."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from geodl.contract import ClassInfo
from geodl.data.legend import class_colour
from geodl.data.series.labelling import as_classes, classify, warn_of_few
from geodl.errors import LabelsOutOfRange, OptionError, SeriesUnusable

MAIZE, WHEAT = ClassInfo(4, "maize", "#112233"), ClassInfo(9, "wheat", "#445566")


def labels(*values: object) -> np.ndarray:
    return np.array([*values, None], object)[:-1]


OCCURRING = {
    "texts": (labels("b", None, "a", "b"), [1, -1, 0, 1], [(0, "a"), (1, "b")]),
    "numbers": (labels(24, 3, None), [1, 0, -1], [(3, "class_3"), (24, "class_24")]),
    "written_numbers": (labels("10", "9", 9), [1, 0, 0], [(9, "class_9"), (10, "class_10")]),
    "codes": (labels(1000, 20), [1, 0], [(0, "20"), (1, "1000")]),
    "negative": (labels(-1, 5), [0, 1], [(0, "-1"), (1, "5")]),
    "mixed": (labels("a", 3), [1, 0], [(0, "3"), (1, "a")]),
    "none": (labels(None, None), [-1, -1], []),
}


@pytest.mark.parametrize(("given", "positions", "expected"), OCCURRING.values(), ids=OCCURRING)
def test_classes_that_occur(given: np.ndarray, positions: list[int], expected: list[tuple[int, str]]) -> None:
    found, classes = classify(given, None, where="t")
    assert found.tolist() == positions and [(each.value, each.name) for each in classes] == expected
    assert [each.colour for each in classes] == [class_colour(k) for k in range(len(classes))]
    again, same = classify(given, classes, where="t")
    assert again.tolist() == positions and same == classes


@pytest.mark.parametrize(
    "given", [["maize", "wheat"], {0: "maize", 1: "wheat"}, (MAIZE, WHEAT)], ids=["names", "values", "classes"]
)
def test_given_classes(given: object) -> None:
    classes = as_classes(given)  # type: ignore[arg-type]
    values = [each.value for each in classes]
    found, _ = classify(labels("wheat", "maize", None, values[1], str(values[0])), classes, where="t")
    assert found.tolist() == [1, 0, -1, 1, 0]
    with pytest.raises(LabelsOutOfRange, match=r"t: labels out of range\. Expected maize, wheat\. Received: 77, rye\."):
        classify(labels("rye", "maize", 77), classes, where="t")


@pytest.mark.parametrize("given", [[], ["a", "a"], {300: "a"}, {-1: "a"}], ids=["none", "twins", "large", "negative"])
def test_classes_that_cannot_be(given: object) -> None:
    with pytest.raises(OptionError, match="classes: expected distinct names"):
        as_classes(given)  # type: ignore[arg-type]


def test_too_many_values_are_no_classes() -> None:
    with pytest.raises(SeriesUnusable, match="its labels have 300 different values"):
        classify(labels(*range(300)), None, where="t")


def test_small_classes_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "geodl"):
        warn_of_few(np.array([20, 21]), (MAIZE, WHEAT), where="t")
        assert not caplog.messages
        warn_of_few(np.array([19, 0]), (MAIZE, WHEAT), where="t")
    assert len(caplog.messages) == 1 and "fewer than 20 labelled series of maize (19), wheat (0)" in caplog.messages[0]
