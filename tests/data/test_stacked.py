"""Sources side by side and folded, against numpy and scikit-image."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.util import view_as_blocks

from geodl.data.source import Window
from geodl.data.stacked import FoldedSource, StackedSource, unfold
from geodl.errors import BandMismatch, GridMismatch, OptionError
from tests.data.fakes import FakeSource, utm_grid


def values(height: int, width: int, bands: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    found = random.normal(size=(height, width, bands)).astype(np.float32)
    found[random.random(found.shape) < 0.1] = np.nan
    return found


windows = st.tuples(st.integers(-3, 9), st.integers(-3, 9), st.integers(1, 12), st.integers(1, 12))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), windows, st.randoms(use_true_random=False))
def test_stack_reads_what_its_sources_hold(
    counts: list[int], window: tuple[int, int, int, int], chance: object
) -> None:
    arrays = [values(9, 8, count, seed) for seed, count in enumerate(counts)]
    stack = StackedSource([FakeSource(array) for array in arrays])
    names = [band.name for band in stack.bands]
    assert len(set(names)) == len(names) == sum(counts)
    order = list(range(len(names)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    order = order[: max(1, len(order) - 1)]
    found, valid = stack.select(tuple(names[k] for k in order)).read(Window(*window))
    whole = FakeSource(np.concatenate(arrays, -1)).select(tuple(f"band_{k + 1}" for k in order))
    expected, known = whole.read(Window(*window))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(valid, known)


def test_names_that_come_twice_are_numbered_past_those_that_are_taken() -> None:
    sources = [FakeSource(np.zeros((3, 3, 1))).rename([name]) for name in ("VV", "VV.2", "VV", "VV")]
    assert [band.name for band in StackedSource(sources).bands] == ["VV", "VV.2", "VV.3", "VV.4"]


def test_a_selection_is_selected_from_by_name() -> None:
    array = values(4, 4, 3)
    stack = StackedSource([FakeSource(array)]).select(("band_3", "band_1")).select(("band_1",))
    np.testing.assert_array_equal(stack.read()[0], array[..., :1])
    with pytest.raises(BandMismatch, match="band_2"):
        stack.select(("band_2",))


def test_sources_on_other_grids_are_named() -> None:
    one, other = (
        FakeSource(np.zeros((4, 4, 1)), name=name, grid=utm_grid(4, 4, east=k)) for k, name in enumerate("ab")
    )
    with pytest.raises(GridMismatch, match="b is not on the grid of a: the transform"):
        StackedSource([one, other])


@given(
    st.integers(2, 4), st.integers(1, 2), st.integers(1, 3), windows, st.integers(1, 6), st.integers(1, 6), st.integers(0, 9)
)  # fmt: skip
def test_folded_windows_hold_both_grids_pixels(
    factor: int, coarse: int, fine: int, window: tuple[int, int, int, int], height: int, width: int, seed: int
) -> None:
    one, other = values(height, width, coarse, seed), values(height * factor, width * factor, fine, seed + 1)
    grid = utm_grid(height, width)
    first, second = FakeSource(one, grid=grid), FakeSource(other, grid=grid.finer(factor))
    folded = FoldedSource(first, second, factor=factor)
    assert len({band.name for band in folded.bands}) == coarse + fine * factor**2
    left, top, wide, high = window
    found, valid = folded.read(Window(*window))
    np.testing.assert_array_equal(valid, np.isfinite(found))
    back = unfold(found, coarse=coarse, factor=factor)
    np.testing.assert_array_equal(back[0], first.read(Window(*window))[0])
    both = second.read(Window(left * factor, top * factor, wide * factor, high * factor))[0]
    np.testing.assert_array_equal(back[1], both)
    for k in range(fine):
        squares = view_as_blocks(np.ascontiguousarray(both[..., k]), (factor, factor))
        behind = found[..., coarse + k * factor**2 :][..., : factor**2]
        np.testing.assert_array_equal(behind, squares.reshape(high, wide, factor**2))


def test_fine_pixels_that_are_no_part_of_coarse_ones_are_refused_by_the_names_of_their_bands() -> None:
    coarse = FakeSource(np.zeros((4, 4, 1)), name="tile", grid=utm_grid(4, 4)).rename(["B05"])
    shifted = FakeSource(np.zeros((8, 8, 1)), name="tile", grid=utm_grid(4, 4, east=1).finer(2)).rename(["B02"])
    sentence = re.escape("tile (B02) is not on the grid of tile (B05), 2 times finer: the transform differs")
    with pytest.raises(GridMismatch, match=f"{sentence}.*each coarse pixel is exactly 2 × 2 fine ones"):
        FoldedSource(coarse, shifted, factor=2)
    with pytest.raises(OptionError, match="factor"):
        FoldedSource(coarse, coarse, factor=1)


def test_a_folded_source_stays_whole() -> None:
    grid = utm_grid(2, 2)
    folded = FoldedSource(
        FakeSource(np.zeros((2, 2, 1)), grid=grid), FakeSource(np.zeros((4, 4, 1)), grid=grid.finer(2)), factor=2
    )
    assert folded.select(tuple(band.name for band in folded.bands)) is folded
    with pytest.raises(OptionError, match="all bands of a folded scene"):
        folded.select(("band_1",))
    with pytest.raises(BandMismatch):
        folded.select(("B99",))
