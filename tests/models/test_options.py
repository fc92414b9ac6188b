from __future__ import annotations

from typing import Any

import pytest

from geodl.errors import OptionError
from geodl.models.options import check_counts, check_factor, check_norm, check_scaling, statistics


def test_the_first_wrong_count_is_named() -> None:
    check_counts(width=1, depth=3)
    check_counts(2, depth=2)
    with pytest.raises(OptionError, match="depth: expected a whole number of at least 1. Received: 0"):
        check_counts(width=1, depth=0, blocks=-1)
    with pytest.raises(OptionError, match="width: expected a whole number of at least 2. Received: 2.0"):
        check_counts(2, width=2.0)


@pytest.mark.parametrize("factor", [5, 0, 2.5, "2", True, None])
def test_factors_are_some_whole_numbers(factor: Any) -> None:
    check_factor("scale", 2, (1, 2, 4))
    with pytest.raises(OptionError, match="scale: expected 1, 2 or 4. Received:"):
        check_factor("scale", factor, (1, 2, 4))


@pytest.mark.parametrize("scaling", [0, -1.0, float("nan"), float("inf"), "1", None])
def test_scaling_is_positive(scaling: Any) -> None:
    check_scaling(0.1)
    with pytest.raises(OptionError, match="scaling: expected a number greater than 0"):
        check_scaling(scaling)


def test_norm_is_known() -> None:
    for norm in ("batch", "group", None):
        check_norm(norm)
    with pytest.raises(OptionError, match="norm: expected 'batch', 'group' or None. Received: 'layer'"):
        check_norm("layer")


def test_statistics_are_those_of_the_bands() -> None:
    assert statistics(None, (2.0, 3.0), 2) == ([0.0, 0.0], [2.0, 3.0])
    with pytest.raises(OptionError, match=r"mean: expected 3 numbers, one per channel. Received: \[1.0\]"):
        statistics([1.0], [1.0], 3)
