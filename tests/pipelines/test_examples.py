"""Which held-out samples are shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geodl.contract import Band, Dim, ModelInput
from geodl.data.places import Place
from geodl.pipelines.examples import counted, metres_per_pixel, telling


@given(st.lists(st.floats(-9, 9), min_size=3, max_size=12, unique=True))
def test_the_worst_the_median_and_the_best_are_shown(scores):
    worst, median, best = telling(len(scores), scores.__getitem__, seed=0)
    assert scores[worst.index] == min(scores) and scores[best.index] == max(scores)
    assert scores[median.index] == sorted(scores)[len(scores) // 2]
    assert worst.why == f"worst of {len(scores)}" and best.why == f"best of {len(scores)}"


def test_the_same_ones_each_time_and_no_more_than_asked():
    looked = []

    def score(index):
        looked.append(index)
        return math.sin(index)

    first = telling(1000, score, seed=3, looked=7)
    assert len(looked) == 7 == len(set(looked))
    assert telling(1000, math.sin, seed=3, looked=7) == first
    assert telling(1000, math.sin, seed=4, looked=7) != first


def test_few_samples_and_unknown_scores():
    assert [each.why for each in telling(1, lambda index: 0.5, seed=0)] == ["the only one"]
    assert [each.why for each in telling(2, float, seed=0)] == ["worst of 2", "best of 2"]
    assert [(each.index, each.why) for each in telling(5, lambda index: math.nan, seed=0)] == [
        (0, ""),
        (1, ""),
        (2, ""),
    ]
    some = telling(4, lambda index: math.nan if index else 1.0, seed=0)
    assert [(each.index, each.why) for each in some] == [(0, "the only one")]


def test_the_least_window_of_all_that_counts():
    weight = np.zeros((12, 20))
    weight[4:8, 6:14] = 1
    rows, columns = counted(weight)[0]
    assert (rows, columns) == (slice(4, 8), slice(6, 14))
    seen, whole = counted(weight, 2)
    assert seen == (slice(2, 4), slice(3, 7)) and whole == (slice(4, 8), slice(6, 14))
    assert counted(np.zeros((4, 4)))[0] == (slice(0, 4), slice(0, 4))


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    where=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.sampled_from([1, 2, 3]),
    least=st.integers(1, 60),
)
def test_context_is_added_within_the_sample(
    shape: tuple[int, int], where: tuple[float, float], size: tuple[int, int], scale: int, least: int
) -> None:
    weight = np.zeros((shape[0] * scale, shape[1] * scale))
    top, left = (int(share * side) for share, side in zip(where, weight.shape))
    weight[top : top + size[0], left : left + size[1]] = 1
    seen, whole = counted(weight, scale, least=least)
    assert weight[whole].sum() == weight.sum()
    for axis in (0, 1):
        length = whole[axis].stop - whole[axis].start
        assert whole[axis].start >= 0 and whole[axis].stop <= weight.shape[axis]
        assert length >= min(least, weight.shape[axis])
        assert (seen[axis].start * scale, seen[axis].stop * scale) == (whole[axis].start, whole[axis].stop)
    smaller, _ = counted(weight, scale, least=least, most=scale)
    assert all(part.stop - part.start == 1 for part in smaller)


def eaten(step: float | None, unit: str) -> ModelInput:
    return ModelInput((Dim("y", step=step, unit=unit), Dim("x", step=step, unit=unit)), (Band("a"),))


def place(code: int, x: float, y: float, side: float) -> Place:
    to_lonlat = Transformer.from_crs(code, 4326, always_xy=True)
    ring = shapely.segmentize(shapely.box(x, y, x + side, y + side), side / 8)
    return Place(shapely.transform(ring, lambda xy: np.column_stack(to_lonlat.transform(*xy.T))), "lonlat")


def test_pixels_are_as_wide_as_contract_and_footprint_agree():
    utm = place(32633, 500_000, 5_500_000, 640)
    assert metres_per_pixel(eaten(10, "metre"), utm, (64, 64)) == 10
    degrees = place(4326, 10, 60, 0.064)
    assert metres_per_pixel(eaten(0.001, "degree"), degrees, (64, 64)) == pytest.approx(55.7, rel=0.01)
    # Mercator at 60°, of which a metre is half a metre on the ground; half a window; no CRS; no size.
    mercator = place(3857, 1_000_000, 8_399_738, 640)
    assert metres_per_pixel(eaten(10, "metre"), mercator, (64, 64)) is None
    assert metres_per_pixel(eaten(10, "metre"), utm, (64, 32)) is None
    assert metres_per_pixel(eaten(10, "metre"), Place(utm.footprint, "scene"), (64, 64)) is None
    assert metres_per_pixel(eaten(None, ""), utm, (64, 64)) is None
