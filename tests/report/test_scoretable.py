"""Who is ahead, and what became of each class."""

import math

import pytest

from geodl.report.scoretable import confusion_sheet, members_sheet, scores_sheet, verdict


@pytest.mark.parametrize(
    ("main", "own", "others", "words"),
    [
        (
            "psnr",
            30.5,
            {"nlm": 29.0, "lee": 31.0},
            "the best baseline, lee, 31.000 dB: the network is behind by 0.500 dB.",
        ),
        ("nrmse", 0.25, {"persistence": 0.75}, "the baseline, persistence, 0.750: the network is ahead by 0.500."),
        ("csi", 0.5, {"advection": 0.50004}, "the baseline, advection, 0.500: the two are level."),
        ("miou", 0.5, {"forest": math.nan}, "No baseline was scored beside it."),
    ],
    ids=["behind", "lower-is-better", "level", "no-baseline"],
)
def test_verdict_names_the_best_baseline_and_the_difference(main, own, others, words):
    said = verdict(main, "The network", {main: own}, {name: {main: value} for name, value in others.items()})
    assert said.endswith(words) and said.startswith("The network reaches")


def test_nothing_is_said_of_a_score_that_is_not_there():
    assert verdict("miou", "x", {"miou": math.nan}, {}) == verdict("miou", "x", {}, {}) == ""


def test_equal_scores_are_both_best_and_properties_of_the_data_none():
    sheet = scores_sheet("net", {"miou": 0.5, "psnr_input": 1.0}, {"a": {"miou": 0.5, "psnr_input": 2.0}})
    assert [[cell.best for cell in row[2:]] for row in sheet.rows] == [[True, True], [False, False]]
    assert [row[1].text for row in sheet.rows] == ["higher", "–"]


def test_only_the_kind_that_baselines_have_is_compared_by_class():
    sheet = members_sheet({"iou/a": 0.5, "f1/a": 0.75}, {"forest": {"iou/a": 0.625}})
    assert sheet.columns == ("class", "iou", "f1", "iou of forest")
    assert [cell.best for cell in sheet.rows[0]] == [False, False, False, True]


def test_rows_of_a_confusion_matrix_add_up():
    sheet = confusion_sheet({"classes": ["a", "b"], "confusion": [[3, 1], [2, 2]]})
    assert [cell.value for cell in sheet.rows[0][1:]] == [0.75, 0.25, 4.0]
    assert [cell.soft for cell in sheet.rows[1]] == ["", "2", "2", ""]
    assert [cell.shade for cell in sheet.rows[0]] == [None, 8, 2, None]


@pytest.mark.parametrize("details", [{}, {"classes": ["a"]}, {"classes": ["a"], "confusion": [[1, 2]]}], ids=str)
def test_without_a_matrix_there_is_none(details):
    assert confusion_sheet(details) is None


def test_small_scores_are_told_apart() -> None:
    told = verdict("nrmse", "dynamics", {"nrmse": 1e-6}, {"ngrc": {"nrmse": 3e-5}})
    assert "1.00e-06" in told and "3.00e-05" in told and "ahead by 2.90e-05" in told
