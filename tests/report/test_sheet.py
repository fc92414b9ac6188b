"""Cells of tables: what they show, and what they are sorted by."""

import math
from types import SimpleNamespace

import pytest

from geodl.report.sheet import cell, plain, sheet


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (0.12345, "0.123", 0.12345),
        (12, "12", 12.0),
        ("1,234.5", "1,234.5", 1234.5),
        ("−3", "−3", -3.0),
        ("0.9911*", "0.9911*", 0.9911),
        (math.inf, "–", None),
        ("–", "–", None),
        ("1.2.3", "1.2.3", None),
        (True, "True", None),
        (None, "", None),
    ],
)
def test_numbers_are_sorted_as_numbers_however_they_are_written(value, text, number):
    found = cell(value)
    assert (found.text, found.value) == (text, number)


def test_columns_are_numbers_if_all_their_cells_are():
    table = SimpleNamespace(title="t", columns=("a", "b", "c"), rows=(("x", 1, "any"), ("y", "–", 6), ("z",)))
    made = sheet(table)
    assert made.numeric == (False, False, False)
    assert sheet(SimpleNamespace(title="t", columns=("a", "b"), rows=(("x", 1), ("y", "–")))).numeric == (False, True)


def test_rows_that_belong_to_others_keep_their_places():
    rows = (("net", 1), ("from", 0), ("to", 2), ("other", 1), ("from", 0), ("to", 2))
    assert not sheet(SimpleNamespace(title="t", columns=("a", "b"), rows=rows)).sortable
    assert sheet(SimpleNamespace(title="t", columns=("a", "b"), rows=rows[:3])).sortable


def test_lists_and_mappings_are_told_in_words():
    assert plain({"kind": "speckle", "looks": 1.0}) == "kind speckle, looks 1.000"
    assert plain(list(range(20))) == "0, 1, 2, 3, 4, 5, 6, 7, … (20 in all)"
